"""Strengths of a network whose weights do not fit in memory: each is read when the pass comes to it, and let go.

In-strength is one pass of the cut reading over ones. Out-strength is the derivative of another; since every signal
stops at every group, it falls apart into one derivative a group, which can be taken as soon as its sum is there::

    h = W x  ->  in-strength of h is W 1, out-strength of x grows by W' 1;  W is not needed any more

So a pass holds one group's weights at a time, and what normalisations and wires keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx

from axonometry.program.fx_utils import arguments_of
from axonometry.program.ir import Program, Step
from axonometry.program.links import Links, Map
from axonometry.program.readings.adjacency import blank_value, run_program
from axonometry.values import NodeValues

SMALL = 2**20
"""Elements up to which something computed of weights is kept."""
CPU = torch.device("cpu")


class StreamedStatics(Mapping[fx.Node, Any]):
    """What does not depend on the input, by node: weights are read anew each time, and what is computed of them.

    Args:
        program: The captured network.
        read: Gives a tensor of the state by its name.
    """

    def __init__(self, program: Program, read: Callable[[str], Tensor]) -> None:
        self._program, self._read = program, read
        self._computed = dict.fromkeys(program.computed)
        self._kept: dict[fx.Node, Any] = dict(program.controls)

    def __getitem__(self, node: fx.Node) -> Any:
        if node in self._kept:
            return self._kept[node]
        if node in self._program.names:
            return self._read(self._program.names[node])
        if node not in self._computed:
            raise KeyError(node)
        found = self._compute(node)
        if not isinstance(found, Tensor) or found.numel() <= SMALL:
            self._kept[node] = found
        return found

    def _compute(self, node: fx.Node) -> Any:
        if node.op == "get_attr":
            return getattr(self._program.module, str(node.target))
        moved = self._program.device, CPU
        args, kwargs = arguments_of(node, lambda n: self[n] if n in self else blank_value(n, CPU), moved)
        with torch.no_grad():
            return node.target(*args, **kwargs)  # type: ignore[operator]

    def __contains__(self, node: object) -> bool:
        return node in self._kept or node in self._program.names or node in self._computed

    def __iter__(self) -> Iterator[fx.Node]:
        return iter({**self._program.controls, **self._program.names, **self._computed})

    def __len__(self) -> int:
        return len({**self._program.controls, **self._program.names, **self._computed})


def streamed_strengths(
    program: Program,
    statics: StreamedStatics,
    maps: tuple[Map, ...] = (),
    *,
    dtype: torch.dtype = torch.float32,
    told: Callable[[str], None] | None = None,
) -> tuple[NodeValues, NodeValues]:
    """In-strength and out-strength of every neuron, as ``graph.strengths()`` gives them.

    Args:
        program: The captured network.
        statics: Its weights.
        maps: What is done to every coefficient.
        dtype: In which it is computed.
        told: Called with the name of each group that is done.
    """
    one = torch.ones((), dtype=dtype)
    links = Links(maps, dtype=dtype)
    with torch.no_grad():
        equal = {group.name: one.expand(group.shape) for group in program.groups}
        received = run_program(program, equal, statics, links)
    with torch.inference_mode(False), torch.enable_grad():
        leaves = {group.name: one.expand(group.shape).requires_grad_() for group in program.groups}
        sent = {group.name: torch.zeros(group.shape, dtype=dtype) for group in program.groups}

        def take(step: Step, result: Any) -> Any:
            if step.group is None or not isinstance(result, Tensor):
                return None
            if result.requires_grad:
                names = [name for name in leaves if name in step.sources]
                # What several groups read on their way, a normalisation say, is differentiated once for each.
                found = torch.autograd.grad(
                    result, [leaves[n] for n in names], torch.ones_like(result), retain_graph=True, allow_unused=True
                )
                for name, gradient in zip(names, found, strict=True):
                    sent[name] += 0 if gradient is None else gradient
            if told is not None:
                told(step.group)
            return result.detach()

        run_program(program, leaves, statics, links, observe=take)
    shapes = {group.name: group.shape for group in program.groups}
    arrived = {
        name: received[name].detach().reshape(shape) if name in received else torch.zeros(shape, dtype=dtype)
        for name, shape in shapes.items()
    }
    return NodeValues(arrived), NodeValues(sent)
