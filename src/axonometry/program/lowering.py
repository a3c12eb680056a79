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

import operator
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from axonometry.errors import CaptureError
from axonometry.program.coverage import account
from axonometry.program.fx_utils import depending, is_float, paths_of, shape_of, user_inputs
from axonometry.program.ir import Group, Program, Shape, Step, Synapse, SynapseSite, Wire
from axonometry.program.links import Links
from axonometry.program.op_call import Lowering, OpCall, Signal, module_path
from axonometry.program.passes.attention import is_attention
from axonometry.program.primitives import one_hot
from axonometry.program.registry import overloads
from axonometry.program.rules import find_rule

Pooling = Literal["mean", "nodes"]
PARTS = {*overloads("select", "slice", "unbind", "dropout", "clone"), operator.getitem}
SHAPE_ONLY = set(overloads("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"))


@dataclass
class _Sum:
    """An open sum: the synapses and skips that feed it; of ``norm(conv(x)) + x``, conv2d and x."""

    synapses: list[fx.Node] = field(default_factory=list)
    skips: list[fx.Node] = field(default_factory=list)


@dataclass
class Reader:
    """Walks the exported graph once; holds what is known so far."""

    exported: ExportedProgram
    pooling: Pooling
    batch_axes: tuple[int | None, ...] = (0,)
    known: dict[fx.Node, Signal] = field(default_factory=dict)
    readings: dict[fx.Node, Lowering] = field(default_factory=dict)
    sources: dict[fx.Node, frozenset[str]] = field(default_factory=dict)
    sums: dict[fx.Node, _Sum] = field(default_factory=dict)
    cuts: dict[fx.Node, str] = field(default_factory=dict)
    inputs: dict[str, fx.Node] = field(default_factory=dict)
    names: dict[fx.Node, str] = field(default_factory=dict)
    computed: list[fx.Node] = field(default_factory=list)
    scales: dict[fx.Node, list[fx.Node]] = field(default_factory=dict)
    factors: dict[fx.Node, float] = field(default_factory=dict)
    called: dict[fx.Node, str] = field(default_factory=dict)
    outputs: list[fx.Node] = field(default_factory=list)
    controls: dict[fx.Node, Any] = field(default_factory=dict)

    def program(self) -> Program:
        """Lower every node, then put together the program that is left."""
        self._placeholders()
        for node in self.exported.graph.nodes:
            if node.op == "get_attr":
                self.computed.append(node)
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                returned = [n for n in node.all_input_nodes if n in self.known]
                # probabilities of attention that are returned beside a result make no outputs of queries and keys
                self.outputs = [n for n in returned if not is_attention(n)] or returned
                for operand in returned:
                    self._cut(operand)
        if not self.cuts or len(self.cuts) == len(self.inputs):
            raise CaptureError(
                "a network has at least one linear map between its input and its output",
                "none",
                "Capture a module with a linear layer or a convolution",
            )
        self._feed_back()
        steps = self._steps()
        groups = self._groups()
        order = {name: i for i, name in enumerate(g.name for g in groups)}
        return Program(
            groups=groups,
            synapses=self._synapses(order),
            wires=self._wires(order),
            coverage=account(
                self.exported, self.names, self.computed, self.readings, self.called, {s.node for s in steps}
            ),
            steps=steps,
            inputs=self.inputs,
            shapes={name: shape_of(node) for node, name in self.cuts.items()},
            names=self.names,
            computed=tuple(self.computed),
            sites={self.called[node]: self._junction(node) for node in self.called},
            module=self.exported.graph_module,
            parameters=tuple(self.exported.graph_signature.parameters),
            constants=frozenset(self.exported.constants),
            arguments=tuple(zip(user_inputs(self.exported), paths_of(self.exported), strict=True)),
            activations=self._activations(),
            controls=self.controls,
            varying=frozenset(depending(self.exported, user_inputs(self.exported))),
            batch_axes=self._axes_of_inputs(),
        )

    # lowering ----------------------------------------------------------------------------------------------------

    def _placeholders(self) -> None:
        placeholders = [n for n in self.exported.graph.nodes if n.op == "placeholder"]
        for node, spec in zip(placeholders, self.exported.graph_signature.input_specs, strict=True):
            if spec.kind != InputKind.USER_INPUT:
                self.names[node] = self._all_names(str(spec.target))[0]
        users = user_inputs(self.exported)
        examples = dict(zip(users, torch.utils._pytree.tree_leaves(self.exported.example_inputs), strict=True))
        vectors = {node: node.args[0] for node in self.exported.graph.nodes if node.target is one_hot}
        signals = [node for node in users if is_float(node) and "control" not in node.meta]
        if not signals and not vectors:
            signals = [node for node in users if isinstance(node.meta.get("val"), Tensor)]
        self.controls = {node: examples[node] for node in users if node not in signals}
        alone = len(signals) + len(vectors) == 1
        for node in signals:
            self._input(node, "input" if alone else node.name)
        for node, numbers in vectors.items():
            self._input(node, "input" if alone else numbers.name)

    def _input(self, node: fx.Node, name: str) -> None:
        name = self._unused(name, self.inputs)
        self.inputs[name] = node
        self.known[node] = Signal(node)
        self._name(node, name)

    def _call(self, node: fx.Node) -> None:
        if node in self.known:  # one-hot vectors: inputs
            return
        call = OpCall(node, self.known, self.cuts)
        if node.target in SHAPE_ONLY or not call.signals:
            self.computed.append(node)
            return
        if node.meta.get("val") is None:  # checks of shapes and values
            return
        resolve = find_rule(node.target)
        if resolve is None:
            call.refuse("it has no rule")
        reading = resolve(call)
        absorbed = self._absorb(call, reading)
        for operand in call.signals:
            if operand not in absorbed:
                self._cut(operand, before_numbers=reading.kind == "carrier" and reading.role == "activation")
        self.readings[node] = reading
        self.known[node] = self._signal(call, reading, absorbed)
        self.sources[node] = frozenset().union(*(self._reads(operand) for operand in self._operands(node)))
        if reading.kind == "synapse":
            self.called[node] = self._unused(self._synapse_name(node, reading), self.called.values())
            self.sums[node] = _Sum([node])
        elif absorbed:
            self._extend(node, reading, absorbed)
        elif reading.kind == "pooling" and self.pooling == "nodes":
            self._name(node, self._unused(module_path(node) or node.name, self.cuts.values()))

    def _absorb(self, call: OpCall, reading: Lowering) -> list[fx.Node]:
        """The open operands whose sum goes on through this call."""
        # norm(conv(x)) + x: batch_norm absorbs conv2d and add absorbs batch_norm. x is no open sum: add links it as a
        # skip. Where y = a(x) is read twice, as in y + b(relu(y)), add absorbs b alone: relu needs the value of y as
        # well, so that y is a group, and the y in the sum is a skip from it.
        # A scale along an axis that does not count the sum's channels is no factor of one output channel of a weight.
        if reading.kind not in ("sum", "scale", "relabel"):
            return []
        absorbed = []
        for operand in call.signals:
            known = self.known[operand]
            once = len(operand.users) == 1 and sum(a is operand for a in call.node.args) == 1
            fits = reading.kind != "scale" or reading.channel_axis in (None, known.channel_axis)
            if known.open and once and fits and "closed" not in operand.meta:
                absorbed.append(operand)
        return absorbed

    def _signal(self, call: OpCall, reading: Lowering, absorbed: list[fx.Node]) -> Signal:
        node = call.node
        if reading.kind == "synapse":
            axis = reading.channel_axis if reading.channel_axis is not None else len(call.shape()) - 1
            return Signal(node, open=True, channel_axis=axis)
        if absorbed:
            return Signal(node, open=True, channel_axis=self._channel_axis(call, reading, absorbed[0]))
        if reading.kind == "carrier":
            assert reading.of is not None
            of = self.known[reading.of]
            if reading.role != "activation" and not reading.composite:
                return Signal(node)
            return Signal(of.root, nonlinear=True, composite=reading.composite or of.composite)
        numbers_only = len(node.all_input_nodes) == 1
        if reading.kind in ("sum", "scale") and numbers_only and call.shape(call.signals[0]) == call.shape():
            return self.known[call.signals[0]]
        return Signal(node)

    def _channel_axis(self, call: OpCall, reading: Lowering, operand: fx.Node) -> int | None:
        # Where a relabel moves the channels is found by moving labels: of shape (1, 2, 4), all entries labelled by
        # axis 1, a transpose(1, 2) gives (1, 4, 2) with labels [0, 1] along axis 2 and equal along all others: axis 2.
        # A flatten(1) gives (1, 8) with labels [0, 0, 0, 0, 1, 1, 1, 1] along axis 1, which has 8 entries and not 2: no
        # axis counts the channels any more.
        axis, before, after = self.known[operand].channel_axis, call.shape(operand), call.shape()
        if axis is None or (before == after and reading.kind != "relabel"):
            return axis
        if reading.kind != "relabel":
            return axis + len(after) - len(before)
        labels = torch.arange(before[axis]).reshape([-1 if i == axis else 1 for i in range(len(before))]).expand(before)
        labels = labels.contiguous()
        args, kwargs = fx.map_arg((call.node.args, dict(call.node.kwargs)), lambda _: labels)
        moved = reading.read(Links(dtype=labels.dtype), *args, **kwargs)  # type: ignore[misc]
        varying = [i for i in range(moved.dim()) if bool((moved != moved.select(i, 0).unsqueeze(i)).any())]
        if len(varying) == 1 and moved.shape[varying[0]] == before[axis]:
            return varying[0]
        return moved.shape.index(before[axis]) if not varying and before[axis] in moved.shape else None

    def _extend(self, node: fx.Node, reading: Lowering, absorbed: list[fx.Node]) -> None:
        """An open sum goes on: note its terms, and what each has been multiplied with."""
        # a(x) - 2 * b(x): the sums of both go on as one, with synapses a and b. The coefficients 1 and -1 of the
        # subtraction are multiplied into their factors; the 2 was noted in front of it, among the scales of b.
        total = _Sum()
        signals = self._linked(node, reading)
        coefficients = reading.coefficients or (1.0,) * len(signals)
        for operand, coefficient in zip(signals, coefficients, strict=False):
            if operand not in absorbed:
                total.skips.append(operand)
                continue
            part = self.sums[operand]
            total.synapses += part.synapses
            total.skips += part.skips
            for synapse in part.synapses:
                self.factors[synapse] = self.factors.get(synapse, 1.0) * coefficient
                if reading.kind == "scale":
                    self.scales.setdefault(synapse, []).append(node)
        self.sums[node] = total

    def _cut(self, node: fx.Node, *, before_numbers: bool = False) -> None:
        """End an open sum: its last addition or scale becomes a neuron group.

        In front of a nonlinearity, numbers that the sum has been scaled with stay outside, with the nonlinearity.
        """
        if not self.known[node].open:
            return
        # relu(a(x) / 2): behind = [div], then [div, linear], and linear is the point of the cut. The neuron's
        # pre-activation is a(x), as the module ``a`` computes it, and the links into it keep the weights of ``a``. The
        # nonlinearity is z -> relu(z / 2), and 1/2 is a coefficient of the links that leave the group. In b(a(x) / 2)
        # no nonlinearity says where the neuron is: the sum is cut at div, and 1/2 belongs to the weights of ``a``.
        # A relabel is outside in either case: in relu(a(x).flatten(1)) the group has the shape of a(x).
        behind = [node]
        while self.readings[behind[-1]].kind == "relabel" or (before_numbers and self._is_number(behind[-1])):
            behind.append(self._linked(behind[-1], self.readings[behind[-1]])[0])
        point = behind.pop()
        first = next((n for n in self.sums[point].synapses), None)
        name = self.called[first] if first is not None else module_path(point) or point.name
        self._name(point, self._unused(point.meta.get("label") or name, self.cuts.values()))
        root = point
        for outside in reversed(behind):
            if self._is_number(outside):
                for synapse in self.sums[outside].synapses:
                    self.scales[synapse].remove(outside)
            else:
                root = outside
            self.known[outside] = Signal(root)
            self.sources[outside] = frozenset([self.cuts[point]])

    def _is_number(self, node: fx.Node) -> bool:
        """Whether a call scales with a number."""
        return self.readings[node].kind == "scale" and len(node.all_input_nodes) == 1

    def _name(self, node: fx.Node, name: str) -> None:
        self.cuts[node] = name
        self.known[node] = replace(self.known[node], root=node, open=False)

    def _reads(self, node: fx.Node) -> frozenset[str]:
        """Names of the groups that a value reads."""
        return frozenset([self.cuts[node]]) if node in self.cuts else self.sources[node]

    def _operands(self, node: fx.Node) -> list[fx.Node]:
        """The signals that the lowering of a call really uses."""
        reading = self.readings[node]
        return [reading.of] if reading.kind == "carrier" and reading.of else self._linked(node, reading)

    def _linked(self, node: fx.Node, reading: Lowering) -> list[fx.Node]:
        """The signals of a call that do not only modulate."""
        return [n for n in node.all_input_nodes if n in self.known and (reading.reads is None or n in reading.reads)]

    def _synapse_name(self, node: fx.Node, reading: Lowering) -> str:
        """The module that calls where all weights are its own, one weight immediately; else the parameter's name."""
        if node.meta.get("label"):
            return str(node.meta["label"])
        path, parameters = module_path(node), self._parameters(node, reading)
        inside = path + "."
        own = [any(name.startswith(inside) for name in self._all_names(parameter)) for parameter in parameters]
        if path and all(own):
            names = (
                [name.removeprefix(inside) for name in self._all_names(parameters[0])] if len(parameters) == 1 else []
            )
            deeper = names and all("." in name and not name.startswith("parametrizations.") for name in names)
            if not deeper:
                return path
        stem = parameters[0].split(".parametrizations.")[0] if parameters else ""
        return stem.removesuffix(".weight").removesuffix(".weight_orig") or path or node.name

    def _parameters(self, node: fx.Node, reading: Lowering) -> list[str]:
        """State-dict names behind a synapse's weight: parameters, or buffers where there are none."""
        found = list(dict.fromkeys(name for n in self._weights(node, reading) for name in parameters_of(n, self.names)))
        return [name for name in found if name in self.exported.graph_signature.parameters] or found

    def _weights(self, node: fx.Node, reading: Lowering) -> list[fx.Node]:
        weight = node.args[reading.weight]
        candidates = weight if isinstance(weight, (list, tuple)) else [weight]
        return [n for n in candidates if isinstance(n, fx.Node) and n not in self.known]

    def _all_names(self, parameter: str) -> list[str]:
        """Every name of a shared parameter."""
        tensor = self.exported.state_dict.get(parameter)
        return [name for name, other in self.exported.state_dict.items() if other is tensor] or [parameter]

    @staticmethod
    def _unused(name: str, used: Iterable[str]) -> str:
        taken, number, candidate = set(used), 2, name
        while candidate in taken:
            candidate, number = f"{name}@{number}", number + 1
        return candidate

    # putting together -----------------------------------------------------------------------------------------------

    def _feed_back(self) -> None:
        """Links from a group to itself: what a layer's sums read includes the states that they lead to."""
        for node in self.readings:
            for fed in _extra(node, "fed_by"):
                pending = [node]
                while pending:
                    reached = pending.pop()
                    self.sources[reached] |= {self.cuts[fed]}
                    pending += [user for user in reached.users if user in self.readings and reached not in self.cuts]

    def _activations(self) -> dict[str, fx.Node]:
        """By group, the node of its last elementwise nonlinearity; the sum itself where there is none."""
        found = {name: node for node, name in self.cuts.items()}
        for node in self.readings:
            known = self.known[node]
            if known.nonlinear and known.root in self.cuts and node not in self.cuts:
                found[self.cuts[known.root]] = node
        return found

    def _steps(self) -> tuple[Step, ...]:
        """The calls that some group's sum depends on, in order."""
        needed: set[fx.Node] = set()
        for node in reversed(self.exported.graph.nodes):
            if node in self.readings and (node in self.cuts or node in needed):
                needed.update(self._operands(node))
        return tuple(
            self._step(node)
            for node in self.exported.graph.nodes
            if node in self.readings and (node in self.cuts or node in needed)
        )

    def _step(self, node: fx.Node) -> Step:
        reading, group = self.readings[node], self.cuts.get(node)
        if reading.kind == "carrier":
            return Step(node, _carried, (reading.of,), {}, self.sources[node], group)
        if reading.kind == "scale":
            rank, axis = len(shape_of(node)), reading.channel_axis
            shape = [1] * rank if axis is None else [-1 if i == axis else 1 for i in range(rank)]
            return Step(
                node, _scaled(reading, shape), (reading.of, *node.args), dict(node.kwargs), self.sources[node], group
            )
        assert reading.read is not None
        extra = (*_extra(node, "fed_by"), *_extra(node, "shares"))
        return Step(
            node,
            reading.read,
            (*node.args, *extra),
            dict(node.kwargs),
            self.sources[node],
            group,
            reading.data_dependent,
        )

    def _groups(self) -> tuple[Group, ...]:
        final = frozenset().union(*(self._reads(node) for node in self.outputs))
        order = [
            *self.inputs.values(),
            *(n for n in self.exported.graph.nodes if n in self.cuts and n not in self.inputs.values()),
        ]
        groups = []
        for node in order:
            name, shape = self.cuts[node], shape_of(node)
            batch = self._batch_axis(node, shape)
            axis = self._input_axis(node) if node in self.inputs.values() else self.known[node].channel_axis
            axis = (1 if len(shape) > 2 else len(shape) - 1) if axis is None else axis
            role: Literal["input", "hidden", "output"] = "output" if name in final else "hidden"
            role = "input" if node in self.inputs.values() else role
            rest = shape if batch is None else (*shape[:batch], *shape[batch + 1 :])
            axis = max(axis - int(batch is not None and axis >= batch), 0)
            groups.append(Group(name, rest, role, axis, module_path(node), node.meta.get("rolled", name)))
        return tuple(groups)

    def _batch_axis(self, node: fx.Node, shape: Shape) -> int | None:
        """The axis of the one sample, where a value has one; behind the inputs, that of the first."""
        own = self._axes_of_inputs().get(node)
        if own is not None and shape[own] == 1:
            return own
        first = next((axis for axis in self.batch_axes if axis is not None), 0)
        axes = [axis for axis in (first, 0) if axis < len(shape) and shape[axis] == 1]
        return axes[0] if axes else None

    def _axes_of_inputs(self) -> dict[fx.Node, int | None]:
        tensors = [node for node in user_inputs(self.exported) if isinstance(node.meta.get("val"), Tensor)]
        axes = self.batch_axes if len(self.batch_axes) == len(tensors) else self.batch_axes[:1] * len(tensors)
        return dict(zip(tensors, axes, strict=True))

    def _input_axis(self, node: fx.Node) -> int | None:
        """Features come last where a linear map reads the input, or one place or time step of it."""
        direct: list[fx.Node] = []
        pending = list(node.users)
        while pending:
            user = pending.pop()
            direct += [user] if user in self.called else []
            pending += user.users if user.target in PARTS else []
        last = any(self.readings[user].channel_axis is None for user in direct)
        return len(shape_of(node)) - 1 if last else None

    def _synapses(self, order: dict[str, int]) -> tuple[Synapse, ...]:
        target = {synapse: name for node, name in self.cuts.items() for synapse in self._terms(node).synapses}
        return tuple(
            Synapse(
                name=name,
                kind=_operation_name(node),
                parameter="+".join(self._parameters(node, self.readings[node])),
                shape=shape_of(self._weights(node, self.readings[node])[0]),
                sources=tuple(sorted(self.sources[node], key=order.__getitem__)),
                target=target[node],
                n_links=0,
            )
            for node, name in self.called.items()
            if node in target
        )

    def _terms(self, node: fx.Node) -> _Sum:
        return self.sums.get(node, _Sum())

    def _wires(self, order: dict[str, int]) -> tuple[Wire, ...]:
        wires = []
        for node, name in self.cuts.items():
            skips = self._terms(node).skips
            kind: Literal["skip", "pooling"] = "skip"
            if node in self.readings and self.readings[node].kind == "pooling":
                skips, kind = self._operands(node), "pooling"
            sources = frozenset().union(*(self._reads(skip) for skip in skips))
            if sources:
                wires.append(Wire(name, kind, tuple(sorted(sources, key=order.__getitem__)), 0))
        return tuple(wires)

    def _junction(self, node: fx.Node) -> SynapseSite:
        scales = tuple((scale, self.readings[scale]) for scale in self.scales.get(node, []))
        return SynapseSite(node, self.readings[node], scales, self.factors.get(node, 1.0))


def parameters_of(node: fx.Node, names: dict[fx.Node, str]) -> list[str]:
    """State-dict names of the placeholders that a static value is computed from."""
    if node in names:
        return [names[node]]
    return [name for operand in node.all_input_nodes for name in parameters_of(operand, names)]


def _operation_name(node: fx.Node) -> str:
    packet = getattr(node.target, "overloadpacket", node.target)
    return str(packet.__name__)  # type: ignore[union-attr]


def _extra(node: fx.Node, name: str) -> tuple[fx.Node, ...]:
    """A node that a call's lowering takes besides the call's own arguments."""
    return (node.meta[name],) if name in node.meta else ()


def _carried(_: Links, signal: Tensor) -> Tensor:
    return signal


def _scaled(reading: Lowering, shape: list[int]) -> Any:
    """The linear function of a scale: one factor and one shift a channel."""

    def read(links: Links, signal: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        gain = reading.gain(*args, **kwargs)  # type: ignore[misc]
        factor = links(gain.factor)
        if isinstance(factor, Tensor):
            signal = signal * factor.reshape(shape)
        elif factor != 1:
            signal = signal * factor
        shift = links.constant(gain.shift)
        return signal if shift is None else signal + (shift.reshape(shape) if isinstance(shift, Tensor) else shift)

    return read
