"""Strengths of a network whose weights do not fit in memory: each is read when the pass comes to it, and let go.

In-strength is one pass of the cut reading over ones. Out-strength is the derivative of another; since every signal
stops at every group, it falls apart into one derivative a group, which can be taken as soon as its sum is there::

    h = W x  ->  in-strength of h is W 1, out-strength of x grows by W' 1;  W is not needed any more

So a pass holds one group's weights at a time, and what normalisations and wires keep.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from axonometry.program.blocked import SMALL, BlockedLinks
from axonometry.program.fx_utils import arguments_of
from axonometry.program.ir import Program, Step
from axonometry.program.links import Map
from axonometry.program.readings.adjacency import blank_value
from axonometry.program.rules.transposable import with_values
from axonometry.values import NodeValues

KEPT = 2**20
"""Elements up to which something computed of weights is kept."""
CPU = torch.device("cpu")


class StreamedStatics(Mapping[fx.Node, Any]):
    """What does not depend on the input, by node: weights are read anew each time, and what is computed of them.

    What is large is held until :meth:`let_go`, so that all that looks at a step reads its weights once.

    Args:
        program: The captured network.
        read: Gives a tensor of the state by its name.
    """

    def __init__(self, program: Program, read: Callable[[str], Tensor]) -> None:
        self._program, self._read = program, read
        self._computed = dict.fromkeys(program.computed)
        self._kept: dict[fx.Node, Any] = dict(program.controls)
        self._held: dict[fx.Node, Any] = {}

    @property
    def held(self) -> list[Tensor]:
        """The large tensors that are in memory."""
        return [value for value in self._held.values() if isinstance(value, Tensor)]

    def let_go(self) -> None:
        """Forget what is large."""
        self._held.clear()

    def __getitem__(self, node: fx.Node) -> Any:
        for known in (self._kept, self._held):
            if node in known:
                return known[node]
        if node in self._program.names:
            found: Any = self._read(self._program.names[node])
            if found.dim() != 2 or found.numel() <= SMALL:  # large matrices are made float32 in the core's cache
                found = _single(found)
            self._held[node] = found
            return found
        if node not in self._computed:
            raise KeyError(node)
        found = self._compute(node)
        large = isinstance(found, Tensor) and found.numel() > KEPT
        (self._held if large else self._kept)[node] = found
        return found

    def _compute(self, node: fx.Node) -> Any:
        if node.op == "get_attr":
            return getattr(self._program.module, str(node.target))
        moved = self._program.device, CPU
        args, kwargs = arguments_of(node, lambda n: _single(self[n]) if n in self else blank_value(n, CPU), moved)
        with torch.no_grad():
            return node.target(*args, **kwargs)  # type: ignore[operator]

    def __contains__(self, node: object) -> bool:
        return node in self._kept or node in self._program.names or node in self._computed

    def __iter__(self) -> Iterator[fx.Node]:
        return iter({**self._program.controls, **self._program.names, **self._computed})

    def __len__(self) -> int:
        return len({**self._program.controls, **self._program.names, **self._computed})


def _single(value: Any) -> Any:
    """Half precision as float32."""
    half = isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if half else value


class _Strengths:
    """In-strength and out-strength under one map of the coefficients, step by step."""

    def __init__(self, program: Program, statics: StreamedStatics, maps: tuple[Map, ...], dtype: torch.dtype) -> None:
        one = torch.ones((), dtype=dtype)
        self.links, self._program, self._statics = BlockedLinks(maps, dtype=dtype), program, statics
        # A single 1 that is expanded costs no memory, and synapses see by its strides that all inputs are equal.
        self._leaves = {group.name: one.expand(group.shape).requires_grad_() for group in program.groups}
        self.received = {group.name: torch.zeros(group.shape, dtype=dtype) for group in program.groups}
        self.sent = {group.name: torch.zeros(group.shape, dtype=dtype) for group in program.groups}
        self._environment: ChainMap[fx.Node, Any] = ChainMap({}, statics)  # type: ignore[arg-type]
        given = [*program.inputs.items()]  # what a loop's first step reads of its last is there before the last is read
        given += [(str(program.steps[loop.end].group), program.steps[loop.end].node) for loop in program.loops]
        for name, node in given:
            self._environment[node] = self._leaves[name].reshape(program.shapes[name])

    def take(self, step: Step) -> None:
        """Read one step; a group's sum is differentiated at once, and its signal begins anew."""
        args, kwargs = fx.map_arg((step.args, step.kwargs or {}), self._value)
        self.links.keep([one for one in self._statics.held if one.numel() > KEPT])
        result = step.read(self.links, *args, **kwargs)
        name = step.group
        if name is None:
            self._environment[step.node] = result
            return
        self.received[name] = result.detach().reshape(self.received[name].shape)
        self._environment[step.node] = self._leaves[name].reshape(self._program.shapes[name])
        if not result.requires_grad:
            return
        names = [source for source in self._leaves if source in step.sources]
        leaves = [self._leaves[source] for source in names]
        # What several groups read on their way, a normalisation say, is differentiated once for each.
        found = torch.autograd.grad(result, leaves, torch.ones_like(result), retain_graph=True, allow_unused=True)
        for source, gradient in zip(names, found, strict=True):
            self.sent[source] += 0 if gradient is None else gradient

    def forget(self, nodes: Iterable[fx.Node]) -> None:
        """Values that nothing reads any more: each knows the weights that it is the product of."""
        for node in nodes:
            self._environment.maps[0].pop(node, None)

    def _value(self, node: fx.Node) -> Any:
        known = node in self._environment
        return self._environment[node] if known else blank_value(node, CPU, self.links.dtype)


def streamed_strengths(
    program: Program,
    statics: StreamedStatics,
    maps: Sequence[tuple[Map, ...]] = ((),),
    *,
    dtype: torch.dtype = torch.float32,
    observe: Callable[[Step], None] | None = None,
) -> list[tuple[NodeValues, NodeValues]]:
    """In-strength and out-strength of every neuron under each map, as ``graph.strengths()`` gives them.

    All maps look at a step before its weights are let go: these are read once.

    Args:
        program: The captured network.
        statics: Its weights.
        maps: What is done to every coefficient.
        dtype: In which it is computed.
        observe: Called after each step, while its weights are held.
    """
    with torch.inference_mode(False), torch.enable_grad(), with_values():
        readings = [_Strengths(program, statics, each, dtype) for each in maps]
        for step, spent in zip(program.steps, _spent(program), strict=True):
            for reading in readings:
                reading.take(step)
                reading.forget(spent)
            if observe is not None:
                observe(step)
            if step.group is not None:
                statics.let_go()
    return [(NodeValues(reading.received), NodeValues(reading.sent)) for reading in readings]


def _nodes(arguments: Any) -> list[fx.Node]:
    found: list[fx.Node] = []
    fx.map_arg(arguments, found.append)
    return found


def _spent(program: Program) -> list[list[fx.Node]]:
    """By step, the signals that no later one reads."""
    last: dict[fx.Node, int] = {}
    for place, step in enumerate(program.steps):
        last[step.node] = place
        last.update(dict.fromkeys(_nodes((step.args, step.kwargs or {})), place))
    found: list[list[fx.Node]] = [[] for _ in program.steps]
    for node, place in last.items():
        found[place].append(node)
    return found
