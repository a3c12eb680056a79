"""A kernel's effective weight is the link's, signs and coefficients of the sum that it enters with it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from axonometry.program import capture
from axonometry.testing import matrix, randomise


class Subtracted(nn.Module):
    """The second layer is subtracted from the first, and both are scaled by a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sub(self.first(x), self.second(x), alpha=3)


def test_coefficients_of_a_sum_are_part_of_the_kernel() -> None:
    graph = capture(randomise(Subtracted()), torch.zeros(1, 3, dtype=torch.float64))
    first, second = graph.kernel("first"), graph.kernel("second")
    assert torch.equal(first.effective, first.weight)
    assert torch.equal(second.effective, -3 * second.weight)
    assert torch.equal(matrix(graph)[3:, :3], first.effective + second.effective)
