"""What the passes leave of a program: losses, and live readings of what cannot be run for many samples at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from axonometry.program import capture
from axonometry.program.readings.live import live_batches


class WithLoss(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.layer(x)
        return F.mse_loss(logits, targets), logits


def test_a_loss_beside_the_outputs_is_no_part_of_the_network() -> None:
    graph = capture(WithLoss(), torch.randn(2, 3), torch.randn(2, 2))
    assert [(group.n_neurons, group.role) for group in graph.groups] == [(3, "input"), (2, "output")]
    assert graph.n_links == 6


class InChannelsLast(nn.Module):
    """Asks for a layout in memory that torch has no rule for with many samples at once."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.layer = nn.Embedding(4, 3), nn.Linear(3, 2)

    def forward(self, numbers: Tensor) -> Tensor:
        return self.layer(self.table(numbers).to(memory_format=torch.channels_last))


def test_samples_follow_one_another_where_torch_cannot_run_many_at_once() -> None:
    module = InChannelsLast()
    numbers = torch.randint(0, 4, (5, 2, 2))
    graph = capture(module, numbers[:1])
    (batch,) = live_batches(graph, numbers)
    torch.testing.assert_close(batch.pre_activations["layer"], module(numbers))
