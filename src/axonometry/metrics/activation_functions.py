"""What is known of the activation function behind a group: whether it rises strictly, its bounds, and how to run it.

It is read off the program's calls between a neuron's pre-activation and its activation. A function that rises strictly
keeps every pair of samples in order, also where floating-point numbers saturate: the order is that of z, not of the
rounded y. All others are run again in float64 on the sorted pre-activations, for the same reason.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from axonometry.program.cells import activated
from axonometry.program.fx_utils import shape_of
from axonometry.program.ir import Program
from axonometry.program.readings.live import activation_nodes, pre_activation_nodes

Array = NDArray[Any]

_RISING = frozenset("sigmoid tanh softplus log_sigmoid selu celu exp exp2 expm1 sinh asinh atan erf".split())
_LEFT_ALONE = frozenset(
    "view _unsafe_view reshape flatten unflatten permute transpose t squeeze unsqueeze movedim clone contiguous alias "
    "detach to _to_copy dropout swapaxes swapdims".split()
)
"""Calls that move or copy numbers and change none."""
_BY_ARGUMENT: Mapping[str, Callable[..., bool]] = {
    "leaky_relu": lambda slope=0.01: slope > 0,
    "elu": lambda alpha=1.0, scale=1.0, input_scale=1.0: min(alpha, scale, input_scale) > 0,
    "mul": lambda factor: factor > 0,
    "div": lambda factor, **_: factor > 0,
    "add": lambda *_, alpha=1: True,
    "sub": lambda *_, alpha=1: True,
}
"""Functions that rise strictly if the numbers behind their signal say so."""
_ELEMENTWISE = _RISING.union(
    _BY_ARGUMENT,
    "relu relu6 hardtanh hardswish hardsigmoid gelu silu mish threshold softshrink hardshrink abs square pow".split(),
    "sin cos neg clamp clamp_min clamp_max clip sign floor ceil round trunc cosh sqrt log reciprocal rsqrt".split(),
    "rsub maximum minimum where gt ge lt le eq ne logical_and logical_or logical_not acosh tan".split(),
)
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "erf": (-1.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "relu6": (0.0, 6.0),
    "atan": (-math.pi / 2, math.pi / 2),
    "sin": (-1.0, 1.0),
    "cos": (-1.0, 1.0),
    "sign": (-1.0, 1.0),
}
_UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True)
class ActivationFunction:
    """What is known of a group's activation function.

    Attributes:
        names: The operations that it is made of, in order; empty where the activation is the pre-activation itself.
        rising: Whether it is known to rise strictly.
        bounds: Its least and greatest value where both are known to be finite, else infinities.
        run: The function itself on arrays, in float64; None where it is not known to be elementwise, or has parameters
            of its own.
    """

    names: tuple[str, ...] = ()
    rising: bool = True
    bounds: tuple[float, float] = _UNBOUNDED
    run: Callable[[Array], Array] | None = None

    @property
    def bounded(self) -> bool:
        """Whether both bounds are known."""
        return math.isfinite(self.bounds[0]) and math.isfinite(self.bounds[1])


def activation_functions(program: Program) -> dict[str, ActivationFunction]:
    """The activation function of every group with pre-activations, by name, in the order of computation.

    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[1.0]], [[1.0]], activation=torch.nn.Tanh)
    >>> found = activation_functions(graph.program)["0"]
    >>> found.names, found.rising, found.bounds
    (('tanh',), True, (-1.0, 1.0))
    """
    ends = activation_nodes(program)
    return {name: _function(node, ends.get(name, node)) for name, node in pre_activation_nodes(program).items()}


def gate_bounds(program: Program) -> dict[str, tuple[Tensor, Tensor]]:
    """Least and greatest value of every neuron, one after another, in the groups of gated recurrent layers.

    Their neurons are of two kinds: gates between 0 and 1, and candidates for a memory or state between -1 and 1.

    >>> from axonometry.program import capture
    >>> graph = capture(torch.nn.LSTM(1, 1, batch_first=True), torch.zeros(1, 1, 1))
    >>> [(low.tolist(), high.tolist()) for low, high in gate_bounds(graph.program).values()][:1]
    [([0.0, 0.0, -1.0, 0.0], [1.0, 1.0, 1.0, 1.0])]
    """
    found = {}
    for name, node in activation_nodes(program).items():
        if node.target is activated and node.args[1] in ("lstm", "gru"):
            ends = torch.full(shape_of(node), math.inf)
            kind = str(node.args[1])
            found[name] = activated(-ends, kind).reshape(-1), activated(ends, kind).reshape(-1)
    return found


def _function(pre_activation: fx.Node, end: fx.Node) -> ActivationFunction:
    if end is pre_activation:
        return ActivationFunction()
    calls = _between(pre_activation, end)
    names = tuple(_name(call) for call in calls if not _is_left_alone(call))
    several = any(len([n for n in call.all_input_nodes if n is pre_activation or n in calls]) != 1 for call in calls)
    rising = not several and all(_rises(call) for call in calls)
    own = {pre_activation, *calls}
    closed = all(_name(call) in _ELEMENTWISE or _is_left_alone(call) for call in calls) and all(
        operand in own for call in calls for operand in call.all_input_nodes
    )
    last = next((call for call in reversed(calls) if not _is_left_alone(call)), end)
    return ActivationFunction(names, rising, _bounds(last), _runner(pre_activation, calls) if closed else None)


def _between(pre_activation: fx.Node, end: fx.Node) -> list[fx.Node]:
    """The calls that lead from the pre_activation to the activation, in order."""
    nodes = list(end.graph.nodes)
    behind = {pre_activation}
    for node in nodes[nodes.index(pre_activation) + 1 :]:
        if any(operand in behind for operand in node.all_input_nodes):
            behind.add(node)
    wanted, pending = set(), [end]
    while pending:
        node = pending.pop()
        if node in behind and node is not pre_activation and node not in wanted:
            wanted.add(node)
            pending += node.all_input_nodes
    return [node for node in nodes if node in wanted]


def _rises(call: fx.Node) -> bool:
    name, rest = _name(call), call.args[1:]
    if name in _RISING or _is_left_alone(call):
        return True
    if call.target is activated:  # a recurrent layer's gates: sigmoid and tanh, unless it is a network of ReLUs
        return rest[0] != "relu"
    if name not in _BY_ARGUMENT or not isinstance(call.args[0], fx.Node):
        return False
    numbers = all(isinstance(x, (int, float)) for x in [*rest, *call.kwargs.values()])
    return numbers and _BY_ARGUMENT[name](*rest, **call.kwargs)


def _bounds(call: fx.Node) -> tuple[float, float]:
    name = _name(call)
    if call.target is activated:  # all alike only without gates; for those there is gate_bounds
        return _BOUNDS.get(str(call.args[1]), _UNBOUNDED)
    if name in ("hardtanh", "clamp", "clip"):
        default = (-1.0, 1.0) if name == "hardtanh" else (None, None)
        ends = [*call.args[1:3], *default[len(call.args) - 1 :]]
        if all(isinstance(x, (int, float)) for x in ends):
            return float(ends[0]), float(ends[1])
    return _BOUNDS.get(name, _UNBOUNDED)


def _runner(pre_activation: fx.Node, calls: Sequence[fx.Node]) -> Callable[[Array], Array]:
    def run(h: Array) -> Array:
        values: dict[fx.Node, Any] = {pre_activation: torch.from_numpy(np.ascontiguousarray(h)).double()}
        with torch.no_grad():
            for call in calls:
                args, kwargs = fx.map_arg((call.args, dict(call.kwargs)), values.__getitem__)
                values[call] = args[0] if _is_left_alone(call) else call.target(*args, **kwargs)  # type: ignore[operator]
        result: Tensor = values[calls[-1]]
        return result.numpy()

    return run


def _is_left_alone(call: fx.Node) -> bool:
    """Whether every number stays what it is; a norm's result is the first of a tuple, before its statistics."""
    return _name(call) in _LEFT_ALONE or (call.target is operator.getitem and call.args[1:] == (0,))


def _name(call: fx.Node) -> str:
    packet = getattr(call.target, "overloadpacket", None)
    return str(getattr(packet, "__name__", getattr(call.target, "__name__", "")))
