"""The transpose of the cut reading, by differentiating it: the reading is linear, so that any point will do."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from axonometry.program.ir import Group
from axonometry.program.readings.adjacency import run_program
from axonometry.program.readings.prepared import Prepared
from axonometry.values import NodeValues

Values = dict[str, Tensor]


def recording(groups: tuple[Group, ...], now: Prepared) -> tuple[Values, Values]:
    """A zero for every group, and the sums that depend on them, with what leads from the one to the other."""
    with torch.inference_mode(False), torch.enable_grad():
        zero = torch.zeros((), dtype=now.dtype, device=now.device)
        leaves = {group.name: zero.expand(group.shape).requires_grad_() for group in groups}
        received = run_program(now.program, leaves, now.statics, now.links)
    return leaves, {name: value for name, value in received.items() if value.requires_grad}


class Tape:
    """A graph's two products, for many vectors and the weights of one moment: the recording is made once and kept."""

    def __init__(self, groups: tuple[Group, ...], now: Prepared) -> None:
        self._groups, self._now = groups, now

    @torch.inference_mode(False)
    def forward(self, x: NodeValues) -> NodeValues:
        """``A @ x``."""
        with torch.no_grad():
            received = run_program(self._now.program, x, self._now.statics, self._now.links)
        return NodeValues(
            {g.name: received[g.name].reshape(g.shape) if g.name in received else x[g.name] * 0.0 for g in self._groups}
        )

    @torch.inference_mode(False)
    def backward(self, y: NodeValues) -> NodeValues:
        """``A.T @ y``."""
        leaves, ends = self._recorded
        if not ends:
            return y * 0.0
        wanted = [y[name].reshape(value.shape) for name, value in ends.items()]
        pulled = torch.autograd.grad(
            list(ends.values()), list(leaves.values()), wanted, retain_graph=True, materialize_grads=True
        )
        return NodeValues(dict(zip(leaves, pulled, strict=True)))

    @cached_property
    def _recorded(self) -> tuple[Values, Values]:
        return recording(self._groups, self._now)
