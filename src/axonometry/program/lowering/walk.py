"""Lowering of an exported program: one walk finds its sums, groups, synapses and wiring.

The exported calls are read one after the other. A synapse's result is an *open* sum for as long as one operation alone
reads it and that operation adds to it, scales its channels or relabels its neurons; then the sum is *cut*: it becomes a
neuron group, and what follows reads the group.

Take a residual block with a head, on an input of shape (1, 2, 4, 4), and what it exports to::

    h = self.norm(self.conv(x))            conv2d     = aten.conv2d(x, p_conv_weight)        opens a sum
    h = (h + x).relu()                     batch_norm = aten.batch_norm(conv2d, ...)         scales its channels
    return self.head(h.flatten(1))         add        = aten.add(batch_norm, x)              adds a skip to it
                                           relu       = aten.relu(add)                       cuts it: a group
                                           flatten    = aten.flatten(relu, 1)                relabels the group
                                           linear     = aten.linear(flatten, p_head_weight)  opens the next sum

``add`` is the group ``conv``, named after the first synapse of its sum. ``batch_norm`` is no group: its factors belong
to the weights of ``conv``. The output of the program cuts the sum of ``linear``.

>>> from axonometry import capture
>>> class Block(torch.nn.Module):
...     def __init__(self):
...         super().__init__()
...         self.conv, self.norm = torch.nn.Conv2d(2, 2, 3, padding=1, bias=False), torch.nn.BatchNorm2d(2)
...         self.head = torch.nn.Linear(32, 3)
...
...     def forward(self, x):
...         return self.head((self.norm(self.conv(x)) + x).relu().flatten(1))
>>> graph = capture(Block(), torch.zeros(1, 2, 4, 4))
>>> [(group.name, group.shape) for group in graph.groups]
[('input', (2, 4, 4)), ('conv', (2, 4, 4)), ('head', (3,))]
>>> [(synapse.name, synapse.sources, synapse.target, synapse.n_links) for synapse in graph.synapses]
[('conv', ('input',), 'conv', 400), ('head', ('conv',), 'head', 96)]
>>> [(wire.kind, wire.sources, wire.target, wire.n_links) for wire in graph.wires]
[('skip', ('input',), 'conv', 32)]
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from axonometry.errors import AxonometryError, CaptureError
from axonometry.program.fx_utils import is_float, user_inputs
from axonometry.program.ir import Program
from axonometry.program.links import Links
from axonometry.program.lowering.assembly import assembled
from axonometry.program.lowering.facts import Pooling, ProgramFacts, synapse_name, unused
from axonometry.program.op_call import Lowering, OpCall, OpenSum, Signal, module_path
from axonometry.program.passes.attention import is_attention
from axonometry.program.primitives import one_hot
from axonometry.program.registry import faulty_rule, overloads
from axonometry.program.rules import find_rule, refuse_odd_signals
from axonometry.program.rules.kinds import rule_by_kind

SHAPE_ONLY = set(overloads("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"))

UNMOVED = set(overloads("detach", "clone", "alias", "contiguous"))
"""Those whose result is their operand, entry by entry."""


def lower(exported: ExportedProgram, pooling: Pooling, batch_axes: tuple[int | None, ...] = (0,)) -> Program:
    """Read every call of an exported program once, then put together the program that is left.

    Args:
        exported: The exported program, after the passes.
        pooling: Whether pooled values are wiring or neurons of their own, as for :func:`axonometry.capture`.
        batch_axes: The axis that counts samples, of each of the module's tensors or of all.

    Raises:
        CaptureError: There is no linear map between input and output.
        UnknownOperationError: An operation on a signal has no rule.
    """
    facts = ProgramFacts(exported, pooling, batch_axes)
    _find_inputs(facts)
    for node in exported.graph.nodes:
        if node.op == "get_attr":
            facts[node].role = "static"
        elif node.op == "call_function":
            _read_call(facts, node)
        elif node.op == "output":
            _read_outputs(facts, node)
    if all(facts[node].role == "input" for node in facts.groups):
        raise CaptureError(
            "a network has at least one linear map between its input and its output",
            "none",
            "Capture a module with a linear layer or a convolution",
        )
    return assembled(facts)


# inputs and outputs --------------------------------------------------------------------------------------------------


def _find_inputs(facts: ProgramFacts) -> None:
    """Tell apart the placeholders: tensors of the module, inputs that are neurons, and inputs that only control."""
    exported = facts.exported
    placeholders = [n for n in exported.graph.nodes if n.op == "placeholder"]
    for node, spec in zip(placeholders, exported.graph_signature.input_specs, strict=True):
        if spec.kind != InputKind.USER_INPUT:
            facts[node].role, facts[node].tensor = "tensor", facts.names_of(str(spec.target))[0]
    users = user_inputs(exported)
    examples = dict(zip(users, torch.utils._pytree.tree_leaves(exported.example_inputs), strict=True))
    vectors = {node: node.args[0] for node in exported.graph.nodes if node.target is one_hot}
    signals = [node for node in users if is_float(node) and "control" not in node.meta]
    if not signals and not vectors:
        signals = [node for node in users if isinstance(node.meta.get("val"), Tensor)]
    for node in users:
        if node not in signals:
            facts[node].role, facts[node].example = "control", examples[node]
    named = {**{node: node.name for node in signals}, **{node: numbers.name for node, numbers in vectors.items()}}
    for node, name in named.items():
        facts[node].role, facts[node].signal = "input", Signal(node)
        _make_group(facts, node, "input" if len(named) == 1 else name)


def _read_outputs(facts: ProgramFacts, node: fx.Node) -> None:
    returned = [n for n in node.all_input_nodes if facts[n].signal is not None]
    # probabilities of attention that are returned beside a result make no outputs of queries and keys
    facts.outputs.extend([n for n in returned if not is_attention(n)] or returned)
    for operand in returned:
        _cut(facts, operand)


# calls ---------------------------------------------------------------------------------------------------------------


def _read_call(facts: ProgramFacts, node: fx.Node) -> None:
    known = facts[node]
    if known.role == "input":  # one-hot vectors
        return
    call = OpCall(node, facts.of)
    if node.target in SHAPE_ONLY or not call.signals:
        known.role = "static"
        return
    if node.meta.get("val") is None:  # checks of shapes and values
        return
    lowering = _lowering_of(call)
    absorbed = _absorbed(facts, call, lowering)
    for operand in call.signals:
        if operand not in absorbed:
            _cut(facts, operand, before_numbers=lowering.kind == "carrier" and lowering.role == "activation")
    known.role, known.lowering = "call", lowering
    known.signal = _signal(facts, call, lowering, absorbed)
    known.sources = frozenset().union(*(facts.reads(operand) for operand in facts.operands(node)))
    if lowering.kind == "synapse":
        known.synapse = unused(synapse_name(facts, node), (facts[other].synapse for other in facts.synapses))
        known.terms = OpenSum([node])
        facts.synapses.append(node)
    elif absorbed:
        _extend(facts, node, absorbed)
    elif lowering.kind == "pooling" and facts.pooling == "nodes":
        _make_group(facts, node, module_path(node) or node.name)


def _lowering_of(call: OpCall) -> Lowering:
    rule = find_rule(call.operation) or rule_by_kind(call)
    if rule is None:
        call.refuse("it has no rule")
    refuse_odd_signals(call)
    try:
        return rule(call)
    except AxonometryError:
        raise
    except Exception as error:  # whatever a user's rule raises
        raise faulty_rule(rule, call, error) from error


def _absorbed(facts: ProgramFacts, call: OpCall, lowering: Lowering) -> list[fx.Node]:
    """The open operands whose sum goes on through this call."""
    # norm(conv(x)) + x: batch_norm absorbs conv2d and add absorbs batch_norm. x is no open sum: add links it as a
    # skip. Where y = a(x) is read twice, as in y + b(relu(y)), add absorbs b alone: relu needs the value of y as
    # well, so that y is a group, and the y in the sum is a skip from it.
    # A scale along an axis that does not count the sum's channels is no factor of one output channel of a weight.
    if lowering.kind not in ("sum", "scale", "relabel"):
        return []
    absorbed = []
    for operand in call.signals:
        known = facts.signal(operand)
        once = len(operand.users) == 1 and sum(a is operand for a in call.node.args) == 1
        fits = lowering.kind != "scale" or lowering.channel_axis in (None, known.channel_axis)
        if known.open and once and fits and "closed" not in operand.meta:
            absorbed.append(operand)
    return absorbed


def _signal(facts: ProgramFacts, call: OpCall, lowering: Lowering, absorbed: list[fx.Node]) -> Signal:
    node = call.node
    if lowering.kind == "synapse":
        axis = lowering.channel_axis if lowering.channel_axis is not None else len(call.shape()) - 1
        return Signal(node, open=True, channel_axis=axis)
    if absorbed:
        return Signal(node, open=True, channel_axis=_channel_axis(facts, call, lowering, absorbed[0]))
    if lowering.kind == "carrier":
        assert lowering.of is not None
        of = facts.signal(lowering.of)
        if lowering.role != "activation" and not lowering.composite:
            return Signal(node)
        return Signal(of.root, nonlinear=True, composite=lowering.composite or of.composite)
    numbers_only = len(node.all_input_nodes) == 1
    same = lowering.kind in ("sum", "scale") and numbers_only and call.shape(call.signals[0]) == call.shape()
    if same or node.target in UNMOVED:
        return facts.signal(call.signals[0])
    return Signal(node)


def _channel_axis(facts: ProgramFacts, call: OpCall, lowering: Lowering, operand: fx.Node) -> int | None:
    # Where a relabel moves the channels is found by moving labels: of shape (1, 2, 4), all entries labelled by
    # axis 1, a transpose(1, 2) gives (1, 4, 2) with labels [0, 1] along axis 2 and equal along all others: axis 2.
    # A flatten(1) gives (1, 8) with labels [0, 0, 0, 0, 1, 1, 1, 1] along axis 1, which has 8 entries and not 2: no
    # axis counts the channels any more.
    axis, before, after = facts.signal(operand).channel_axis, call.shape(operand), call.shape()
    if axis is None or (before == after and lowering.kind != "relabel"):
        return axis
    if lowering.kind != "relabel":
        return axis + len(after) - len(before)
    labels = torch.arange(before[axis]).reshape([-1 if i == axis else 1 for i in range(len(before))]).expand(before)
    labels = labels.contiguous()
    args, kwargs = fx.map_arg((call.node.args, dict(call.node.kwargs)), lambda _: labels)
    moved = lowering.read(Links(dtype=labels.dtype), *args, **kwargs)  # type: ignore[misc]
    varying = [i for i in range(moved.dim()) if bool((moved != moved.select(i, 0).unsqueeze(i)).any())]
    if len(varying) == 1 and moved.shape[varying[0]] == before[axis]:
        return varying[0]
    return moved.shape.index(before[axis]) if not varying and before[axis] in moved.shape else None


# sums ----------------------------------------------------------------------------------------------------------------


def _extend(facts: ProgramFacts, node: fx.Node, absorbed: list[fx.Node]) -> None:
    """An open sum goes on: note its terms, and what each has been multiplied with."""
    # a(x) - 2 * b(x): the sums of both go on as one, with synapses a and b. The coefficients 1 and -1 of the
    # subtraction are multiplied into their factors; the 2 was noted in front of it, among the scales of b.
    lowering, terms, signals = facts.lowering(node), facts[node].terms, facts.linked(node)
    coefficients = lowering.coefficients or (1.0,) * len(signals)
    for operand, coefficient in zip(signals, coefficients, strict=False):
        if operand not in absorbed:
            terms.skips.append(operand)
            continue
        part = facts[operand].terms
        terms.synapses += part.synapses
        terms.skips += part.skips
        for synapse in part.synapses:
            facts[synapse].factor *= coefficient
            if lowering.kind == "scale":
                facts[synapse].scales.append(node)


def _cut(facts: ProgramFacts, node: fx.Node, *, before_numbers: bool = False) -> None:
    """End an open sum: its last addition or scale becomes a neuron group.

    In front of a nonlinearity, numbers that the sum has been scaled with stay outside, with the nonlinearity.
    """
    if not facts.signal(node).open:
        return
    # relu(a(x) / 2): behind = [div], then [div, linear], and linear is the point of the cut. The neuron's
    # pre-activation is a(x), as the module ``a`` computes it, and the links into it keep the weights of ``a``. The
    # nonlinearity is z -> relu(z / 2), and 1/2 is a coefficient of the links that leave the group. In b(a(x) / 2)
    # no nonlinearity says where the neuron is: the sum is cut at div, and 1/2 belongs to the weights of ``a``.
    # A relabel is outside in either case: in relu(a(x).flatten(1)) the group has the shape of a(x).
    behind = [node]
    while facts.lowering(behind[-1]).kind == "relabel" or (before_numbers and _is_number(facts, behind[-1])):
        behind.append(facts.linked(behind[-1])[0])
    point = behind.pop()
    synapses = facts[point].terms.synapses
    name = facts[synapses[0]].synapse if synapses else module_path(point)
    _make_group(facts, point, point.meta.get("label") or name or point.name)
    root = point
    for outside in reversed(behind):
        if _is_number(facts, outside):
            for synapse in facts[outside].terms.synapses:
                facts[synapse].scales.remove(outside)
        else:
            root = outside
        facts[outside].signal = Signal(root)
        facts[outside].sources = frozenset([facts.group(point)])


def _is_number(facts: ProgramFacts, node: fx.Node) -> bool:
    """Whether a call scales with a number."""
    return facts.lowering(node).kind == "scale" and len(node.all_input_nodes) == 1


def _make_group(facts: ProgramFacts, node: fx.Node, name: str) -> None:
    facts[node].group = unused(name, (facts.group(other) for other in facts.groups))
    facts[node].signal = replace(facts.signal(node), root=node, open=False)
    facts.groups.append(node)
