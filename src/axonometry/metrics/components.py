"""Which neurons hang together: everything that links lead to from one neuron, whichever way they point.

A link is one whose weight is not zero. In a channel graph every step is a product with the set's indicator, until
nothing is new. In a neuron graph one pass through the program carries the set through all layers at once: downstream
by reading the program with every group's set widened as soon as it is known, upstream by a gradient that is cut to an
indicator at every group. A usual network is reached in two passes, not in two times its depth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from axonometry.program.links import Links, presence
from axonometry.program.readings.adjacency import run_program, statics_of
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program.ir import Statics, Step
    from axonometry.program.operators import CapturedGraph


def reached(graph: CapturedGraph, start: NodeValues) -> tuple[NodeValues, int]:
    """All neurons that links connect to the given ones, over any number of links in either direction.

    Args:
        graph: The network at one snapshot.
        start: 1 at the neurons to begin with, else 0.

    Returns:
        1 at every neuron that is reached, else 0; and the number of passes that it took, each at most the cost of a
        product ``A @ x`` or ``A.T @ y``.

    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[1.0, 0.0], [0.0, 2.0]])
    >>> start = graph.zeros().map(torch.clone)
    >>> start["input"][0] = 1
    >>> found, passes = reached(graph, start)
    >>> found["input"], found["0"]
    (tensor([1., 0.]), tensor([1., 0.]))
    """
    sweeps = _Sweeps(graph)
    found, passes, idle = dict(start), 0, 0
    everyone, count = sum(group.n_neurons for group in graph.groups), _count(found)
    while idle < 2 and count < everyone:
        found = sweeps.upstream(found) if passes % 2 else sweeps.downstream(found)
        before, count, passes = count, _count(found), passes + 1
        idle = idle + 1 if count == before else 0
    return NodeValues(found), passes


def _count(marks: Mapping[str, Tensor]) -> int:
    return sum(int(tensor.sum(dtype=torch.float64)) for tensor in marks.values())


class _Sweeps:
    """Carries a set of neurons through a whole network, down or up."""

    def __init__(self, graph: CapturedGraph) -> None:
        self._graph = graph
        self._links = Links((presence,), dtype=graph.dtype)
        with torch.inference_mode(False), torch.no_grad():
            self._statics: Statics = statics_of(graph.program, graph.state)

    def downstream(self, marks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        widened = _Widened(marks)
        with torch.inference_mode(False), torch.no_grad():
            run_program(self._graph.program, widened, self._statics, self._links, observe=widened.take)
        return widened.marks

    def upstream(self, marks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with torch.inference_mode(False), torch.enable_grad():
            zero = torch.zeros((), dtype=self._graph.dtype, device=self._graph.device)
            leaves = {name: zero.expand(value.shape).requires_grad_() for name, value in marks.items()}
            joined = _Joined(leaves)
            received = run_program(self._graph.program, joined, self._statics, self._links, observe=joined.take)
            ends = {name: value for name, value in received.items() if value.requires_grad}
            if not ends:
                return dict(marks)
            wanted = [marks[name].reshape(value.shape) for name, value in ends.items()]
            pulled = torch.autograd.grad(list(ends.values()), list(leaves.values()), wanted, materialize_grads=True)
        sent = dict(zip(leaves, pulled, strict=True))
        return {name: torch.maximum(value, (sent[name] > 0).to(value)) for name, value in marks.items()}


class _Widened(Mapping[str, Tensor]):
    """Values for a reading that grow while it is under way: each group's set, and whoever receives from others'."""

    def __init__(self, marks: Mapping[str, Tensor]) -> None:
        self.marks = dict(marks)

    def take(self, step: Step, received: Any) -> None:
        if step.group is not None:
            before = self.marks[step.group]
            self.marks[step.group] = torch.maximum(before, (received.reshape(before.shape) > 0).to(before))

    def __getitem__(self, group: str) -> Tensor:
        return self.marks[group]

    def __iter__(self) -> Iterator[str]:
        return iter(self.marks)

    def __len__(self) -> int:
        return len(self.marks)


class _Joined(_Widened):
    """Values that pass on what their group receives, so that one gradient runs through all layers."""

    def __init__(self, leaves: Mapping[str, Tensor]) -> None:
        self.marks = dict(leaves)

    def take(self, step: Step, received: Any) -> None:
        if step.group is not None and received.requires_grad:
            leaf = self.marks[step.group]
            joined = _Indicator.apply(received.reshape(leaf.shape), leaf)  # type: ignore[no-untyped-call]
            self.marks[step.group] = joined


class _Indicator(torch.autograd.Function):
    """A sum whose gradient is cut to 1 where it is positive: the number of paths would overflow."""

    @staticmethod
    def forward(ctx: Any, received: Tensor, leaf: Tensor) -> Tensor:
        return received.new_zeros(()).expand(leaf.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        marks = (gradients[0] > 0).to(gradients[0])
        return marks, marks
