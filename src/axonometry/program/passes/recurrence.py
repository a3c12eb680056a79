"""Recurrent layers taken apart: linear maps of the input and of the state before, and what the gates make of them.

A layer of T steps becomes one group of T x (gates x units) neurons, the pre-activations, which links to itself: the
state of one step enters the sums of the next. Torch's fused calls and its cells are rewritten into the functions below,
each of which computes what it says when samples run through it; how it is read as links stands in ``rules/recurrent``.

Take ``RNN(2, 3, batch_first=True)`` on four steps, an input of shape (1, 4, 2), and what it exports to::

    zeros = aten.zeros([1, 1, 3])  # the state before the first step
    rnn_tanh = aten.rnn_tanh(input, zeros, [p_weight_ih_l0, p_weight_hh_l0, p_bias_ih_l0, p_bias_hh_l0], ...)
    getitem = getitem(rnn_tanh, 0)  # the states, of shape (1, 4, 3)

The pass puts these calls in the place of ``rnn_tanh`` (the axis of steps is 1, and they are not reversed)::

    select_int = aten.select(zeros, 0, 0)  # (1, 3)
    linear_default = aten.linear(input, p_weight_ih_l0, p_bias_ih_l0)  # (1, 4, 3)
    state_before = state_before(select_int, input, 1, False)  # (1, 4, 3): what each step starts from
    from_state = from_state(state_before, p_weight_hh_l0, p_bias_hh_l0)  # (1, 4, 3)
    pre_activations = pre_activations(linear_default, from_state, ...)  # (1, 4, 3): the sums
    activated = activated(pre_activations, "tanh")
    states = states(activated, ...)

``pre_activations`` is the group ``recurrent`` of 4 x 3 neurons. The synapse ``recurrent.input`` has 4 x 3 x 2 = 24
links, and ``recurrent.state``, from the group to itself, 3 x 3 x 3 = 27: none into the first of the four steps. An LSTM
of the same sizes has 4 x 12 neurons; all four gates make up a state, and ``recurrent.state`` has 3 x 12 x 12 = 432.

Gates multiply signals. In the graph a unit's state after a step is linked from the gates of that step that make it up,
with weight 1; the memory that a gated cell carries over passes on nothing by itself (definitions 2, our choice).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from axonometry.errors import CaptureError
from axonometry.program.cells import (
    GATES,
    activated,
    from_state,
    gru_pre_activations,
    memories,
    next_gru_state,
    next_memory,
    next_state,
    pre_activations,
    state_before,
    states,
)
from axonometry.program.fx_utils import insert, shape_of
from axonometry.program.op_call import module_path

aten = torch.ops.aten
LAYERS = {aten.lstm.input: "lstm", aten.gru.input: "gru", aten.rnn_tanh.input: "tanh", aten.rnn_relu.input: "relu"}
CELLS = {
    aten.lstm_cell.default: "lstm",
    aten.gru_cell.default: "gru",
    aten.rnn_tanh_cell.default: "tanh",
    aten.rnn_relu_cell.default: "relu",
}


def unroll(exported: ExportedProgram) -> ExportedProgram:
    """Put linear maps, sums and gates in the place of recurrent layers and cells, in place.

    Raises:
        CaptureError: A layer takes its steps on the axis that the samples were told apart by.
    """
    graph, batch_axis = exported.graph, exported.graph_module.meta.get("batch_axis", 0)
    for node in list(graph.nodes):
        if node.target in LAYERS:
            with graph.inserting_before(node):
                _replace(graph, node, _layers(graph, node, batch_axis))
        elif node.target in CELLS:
            with graph.inserting_before(node):
                _replace(graph, node, _cell(graph, node))
    graph.eliminate_dead_code()
    return exported


def _replace(graph: fx.Graph, node: fx.Node, results: tuple[fx.Node, ...]) -> None:
    if len(results) == 1:
        node.replace_all_uses_with(results[0])
    for user in list(node.users):
        assert user.target is operator.getitem
        user.replace_all_uses_with(results[user.args[1]])  # type: ignore[index]
        graph.erase_node(user)
    graph.erase_node(node)


@dataclass(frozen=True)
class _Layer:
    """One direction of one layer: where it stands and the nodes of its weights, None where there is none."""

    name: str
    kind: str
    time: int
    reverse: bool
    parameters: tuple[fx.Node, ...]
    has_biases: bool

    @property
    def how(self) -> tuple[str, int, bool]:
        return self.kind, self.time, self.reverse

    @property
    def biases(self) -> tuple[fx.Node | None, fx.Node | None]:
        return self.parameters[2:4] if self.has_biases else (None, None)  # type: ignore[return-value]

    @property
    def projection(self) -> fx.Node | None:
        rest = self.parameters[4 if self.has_biases else 2 :]
        return rest[0] if rest else None


def _layers(graph: fx.Graph, node: fx.Node, batch_axis: int) -> tuple[fx.Node, ...]:
    """All layers of one call; its results: states of the last layer, last states, and of an LSTM last memories."""
    kind = LAYERS[node.target]  # type: ignore[index]
    args: tuple[Any, ...] = node.args
    signal, start, parameters, has_biases, n_layers, _, _, bidirectional, batch_first = args
    starts: list[Any] = list(start) if isinstance(start, (list, tuple)) else [start]
    time = _axis_of_time(node, bool(batch_first), batch_axis)
    directions = 2 if bidirectional else 1
    # Layer by layer, in each its directions. Two layers in two directions with biases have 16 tensors, 4 each: place 3,
    # the second layer backwards, has the tensors 12 to 15. The initial states, of shape (4, batch, units), are in the
    # same order.
    each = len(parameters) // (n_layers * directions)
    last: list[list[fx.Node]] = [[], []]
    for level in range(n_layers):
        found = []
        for direction in range(directions):
            place = level * directions + direction
            own = tuple(parameters[place * each : (place + 1) * each])
            alone = n_layers == 1 and directions == 1
            name = _name(node, "" if alone else f"l{level}" + "_reverse" * direction)
            layer = _Layer(name, kind, time, direction == 1, own, bool(has_biases))
            begin = tuple(_selected(graph, s, 0, place) for s in starts)
            after, memory = _unrolled(graph, signal, layer, begin, node)
            found.append(after)
            # What reads backwards has seen all steps when it is at the first one.
            end = 0 if direction else shape_of(after)[time] - 1
            last[0].append(_selected(graph, after, time, end))
            last[1] += [_selected(graph, memory, time, end)] if memory is not None else []
        signal = found[0] if directions == 1 else _joined(graph, aten.cat.default, found, -1)
    ends = [_joined(graph, aten.stack.default, nodes, 0) for nodes in last if nodes]
    return (signal, *ends)


def _axis_of_time(node: fx.Node, batch_first: bool, batch_axis: int) -> int:
    shape = shape_of(node.args[0])  # type: ignore[arg-type]
    time = int(batch_first)
    if time == batch_axis and shape[time] == 1 and len(shape) == 3 and not batch_first:
        raise CaptureError(
            "capture keeps one sample along the batch axis, axis 0 unless it is told otherwise",
            f"{module_path(node) or 'a recurrent layer'} with batch_first=False and one step on axis 0",
            "Call ax.capture(..., batch_axis=1) if axis 0 counts steps",
        )
    return time


def _unrolled(
    graph: fx.Graph, signal: fx.Node, layer: _Layer, start: tuple[fx.Node, ...], place: fx.Node
) -> tuple[fx.Node, fx.Node | None]:
    """The states after every step, and of an LSTM the memories."""
    weight_in, weight_state = layer.parameters[:2]
    bias_in, bias_state = layer.biases
    steps, units = shape_of(signal)[:-1], shape_of(weight_state)[1]
    # LSTM(2, 3, proj_size=1): weight_in is (12, 2) and weight_state (12, 1). There are 12 sums a step, the state that
    # comes before them has 1 entry, and `size`, that of the memory and of the state before it is projected, is 12 / 4 =
    # 3.
    shape, before_shape = (*steps, shape_of(weight_in)[0]), (*steps, units)
    size = (*steps, shape[-1] // GATES[layer.kind])

    def call(operation: Callable[..., Any], *args: Any, shape: tuple[int, ...], label: str = "") -> fx.Node:
        node = insert(graph, operation, args, shape=shape, like=place)
        node.meta["label"] = label
        return node

    of_input = _linear(graph, signal, (weight_in, bias_in), place, f"{layer.name}.input")
    before = call(state_before, start[0], signal, layer.time, layer.reverse, shape=before_shape)
    of_state = call(from_state, before, weight_state, bias_state, shape=shape, label=f"{layer.name}.state")
    weights = (weight_state, bias_state, layer.projection)
    sums = call(pre_activations, of_input, of_state, weights, start, layer.how, shape=shape, label=layer.name)
    gates = call(activated, sums, layer.kind, shape=shape)
    after = call(states, gates, start, layer.how, shape=size)
    memory = call(memories, gates, start, layer.how, shape=size) if layer.kind == "lstm" else None
    # state_before stands in front of the sums that lead to it: the program has no loops, so the way back is noted here
    before.meta["fed_by"], before.meta["kind"] = sums, layer.kind
    if layer.projection is not None:
        after = _linear(graph, after, (layer.projection, None), place, f"{layer.name}.projection")
        # With a projection the next step starts from its result. That is a group of its own ("closed": no sum goes on
        # through it), and its values are the state as they are, as those of a layer without gates: kind "tanh".
        before.meta["fed_by"], before.meta["kind"], after.meta["closed"] = after, "tanh", True
    return after, memory


def _cell(graph: fx.Graph, node: fx.Node) -> tuple[fx.Node, ...]:
    """One step of a cell that the user calls in a loop."""
    kind = CELLS[node.target]  # type: ignore[index]
    signal, start, weight_in, weight_state, bias_in, bias_state = (*node.args, None, None)[:6]
    before: list[Any] = list(start) if isinstance(start, (list, tuple)) else [start]
    name = _name(node, "")
    of_input = _linear(graph, signal, (weight_in, bias_in), node, f"{name}.input")
    of_state = _linear(graph, before[0], (weight_state, bias_state), node, f"{name}.state")
    shape = shape_of(of_input)
    total = gru_pre_activations if kind == "gru" else aten.add.Tensor
    sums = insert(graph, total, (of_input, of_state), shape=shape, like=of_input)
    sums.meta["label"] = sums.meta["rolled"] = name
    gates = insert(graph, activated, (sums, kind), shape=shape, like=of_input)
    size = (*shape[:-1], shape[-1] // GATES[kind])
    if kind == "gru":
        return (insert(graph, next_gru_state, (gates, before[0]), shape=size, like=of_input),)
    if kind != "lstm":
        return (gates,)
    memory = insert(graph, next_memory, (gates, before[1]), shape=size, like=of_input)
    return insert(graph, next_state, (gates, memory), shape=size, like=of_input), memory


def _linear(graph: fx.Graph, signal: Any, weights: tuple[Any, Any], place: fx.Node, label: str) -> fx.Node:
    weight, bias = weights
    args = (signal, weight) if bias is None else (signal, weight, bias)
    shape = (*shape_of(signal)[:-1], shape_of(weight)[0])
    node = insert(graph, aten.linear.default, args, shape=shape, like=place)
    node.meta["label"] = label
    return node


def _selected(graph: fx.Graph, node: fx.Node, axis: int, place: int) -> fx.Node:
    shape = [n for i, n in enumerate(shape_of(node)) if i != axis]
    return insert(graph, aten.select.int, (node, axis, place), shape=shape, like=node)


def _joined(graph: fx.Graph, operation: Callable[..., Any], nodes: list[fx.Node], axis: int) -> fx.Node:
    shape = list(shape_of(nodes[0]))
    if operation is aten.stack.default:
        shape = [len(nodes), *shape]
    else:
        shape[axis] = sum(shape_of(node)[axis] for node in nodes)
    return insert(graph, operation, (nodes, axis), shape=shape, like=nodes[0])


def _name(node: fx.Node, part: str) -> str:
    path = module_path(node)
    return ".".join(word for word in (path, part) if word) or "recurrent"
