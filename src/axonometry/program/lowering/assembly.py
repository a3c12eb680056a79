"""From what the lowering has found out about each node, the program: groups, synapses, wires, steps and coverage.

Of ``relu(conv(x)) @ head`` the records say which calls are sums (conv2d, linear), which terms each has, and which
groups each value reads. The groups follow from the first, the wires and synapses from the second, and from the third
which steps a reading runs: all that some group's sum depends on.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, fx

from axonometry.program.fx_utils import depending, paths_of, shape_of, user_inputs
from axonometry.program.ir import Group, Program, Shape, Step, Synapse, SynapseSite, Wire
from axonometry.program.links import Links
from axonometry.program.lowering.coverage import account
from axonometry.program.lowering.facts import ProgramFacts
from axonometry.program.op_call import LinearFunction, Lowering, module_path


def assembled(facts: ProgramFacts) -> Program:
    """The program whose nodes have all been read; its links are not counted yet."""
    exported = facts.exported
    _feed_back(facts)
    steps, groups = _steps(facts), _groups(facts)
    order = {group.name: place for place, group in enumerate(groups)}
    return Program(
        groups=groups,
        synapses=_synapses(facts, order),
        wires=_wires(facts, order),
        coverage=account(exported, facts.of, {step.node for step in steps}),
        steps=steps,
        inputs={facts.group(node): node for node in _inputs(facts)},
        shapes={facts.group(node): shape_of(node) for node in facts.groups},
        names={node: facts[node].tensor for node in facts.of_role("tensor")},
        computed=tuple(facts.of_role("static")),
        sites={str(facts[node].synapse): _site(facts, node) for node in facts.synapses},
        module=exported.graph_module,
        parameters=tuple(exported.graph_signature.parameters),
        constants=frozenset(exported.constants),
        arguments=tuple(zip(user_inputs(exported), paths_of(exported), strict=True)),
        activations=_activations(facts),
        controls={node: facts[node].example for node in facts.of_role("control")},
        varying=frozenset(depending(exported, user_inputs(exported))),
        batch_axes=_axes_of_inputs(facts),
    )


def _inputs(facts: ProgramFacts) -> list[fx.Node]:
    """The input groups, in the order in which they were found."""
    return [node for node in facts.groups if facts[node].role == "input"]


def _feed_back(facts: ProgramFacts) -> None:
    """Links from a group to itself: what a layer's sums read includes the states that they lead to."""
    for node in facts.of_role("call"):
        for fed in _extra(node, "fed_by"):
            # The states of an LSTM enter state_before, from_state and the sums, in this order: from state_before up to
            # the first group, which is the layer itself, all read the layer, so that the group is among its own
            # sources.
            pending = [node]
            while pending:
                reached = pending.pop()
                facts[reached].sources |= {facts.group(fed)}
                if facts[reached].group is None:
                    pending += [user for user in reached.users if facts.is_read(user)]


def _activations(facts: ProgramFacts) -> dict[str, fx.Node]:
    """By group, the node of its last elementwise nonlinearity; the sum itself where there is none."""
    found = {facts.group(node): node for node in facts.groups}
    for node in facts.of_role("call"):
        known = facts.signal(node)
        if known.nonlinear and facts[known.root].group is not None and facts[node].group is None:
            found[facts.group(known.root)] = node
    return found


# steps ---------------------------------------------------------------------------------------------------------------


def _steps(facts: ProgramFacts) -> tuple[Step, ...]:
    """The calls that some group's sum depends on, in order."""
    calls = facts.of_role("call")
    needed: set[fx.Node] = set()
    for node in reversed(calls):
        if facts[node].group is not None or node in needed:
            needed.update(facts.operands(node))
    return tuple(_step(facts, node) for node in calls if facts[node].group is not None or node in needed)


def _step(facts: ProgramFacts, node: fx.Node) -> Step:
    lowering, sources, group = facts.lowering(node), facts[node].sources, facts[node].group
    if lowering.kind == "carrier":
        assert lowering.of is not None
        # A linear reading drops constants, and with them a shape that only a constant had: see _spread.
        wider = shape_of(lowering.of) != shape_of(node) and _is_pointwise(node)
        return Step(node, _spread(_carried, node) if wider else _carried, (lowering.of,), {}, sources, group)
    if lowering.kind == "scale":
        rank, axis = len(shape_of(node)), lowering.channel_axis
        shape = [1] * rank if axis is None else [-1 if i == axis else 1 for i in range(rank)]
        return Step(node, _scaled(lowering, shape), (lowering.of, *node.args), dict(node.kwargs), sources, group)
    assert lowering.read is not None
    args = (*node.args, *_extra(node, "fed_by"), *_extra(node, "shares"))
    wider = _is_pointwise(node) and all(shape_of(x) != shape_of(node) for x in facts.linked(node))
    read = _spread(lowering.read, node) if wider else lowering.read
    return Step(node, read, args, dict(node.kwargs), sources, group, lowering.data_dependent)


def _extra(node: fx.Node, name: str) -> tuple[fx.Node, ...]:
    """A node that a call's lowering takes besides the call's own arguments."""
    return (node.meta[name],) if name in node.meta else ()


def _is_pointwise(node: fx.Node) -> bool:
    return torch.Tag.pointwise in getattr(node.target, "tags", ())


def _spread(read: LinearFunction, node: fx.Node) -> LinearFunction:
    """A reading whose result has the call's shape where a constant that is left out gives it that shape.

    ``x[:, None] - prototypes`` of 4 features and 5 prototypes is 5 x 4 neurons, of which each feature feeds 5.
    """
    shape = shape_of(node)

    def spread(links: Links, *args: Any, **kwargs: Any) -> Any:
        result = read(links, *args, **kwargs)
        return result.expand(shape) if isinstance(result, Tensor) else result

    return spread


def _carried(_: Links, signal: Tensor) -> Tensor:
    return signal


def _scaled(lowering: Lowering, shape: list[int]) -> Any:
    """The linear function of a scale: one factor and one shift a channel."""

    def read(links: Links, signal: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        gain = lowering.gain(*args, **kwargs)  # type: ignore[misc]
        factor = links(gain.factor)
        if isinstance(factor, Tensor):
            signal = signal * factor.reshape(shape)
        elif factor != 1:
            signal = signal * factor
        shift = links.constant(gain.shift)
        return signal if shift is None else signal + (shift.reshape(shape) if isinstance(shift, Tensor) else shift)

    return read


# groups --------------------------------------------------------------------------------------------------------------


def _groups(facts: ProgramFacts) -> tuple[Group, ...]:
    final = frozenset().union(*(facts.reads(node) for node in facts.outputs))
    inputs = _inputs(facts)
    order = [*inputs, *(node for node, known in facts.of.items() if known.group is not None and node not in inputs)]
    groups = []
    for node in order:
        name, shape = facts.group(node), shape_of(node)
        batch = _batch_axis(facts, node, shape)
        axis = facts.signal(node).channel_axis
        # Where nothing has told which axis counts channels: (1, 8, 28, 28) counts them along 1, (1, 10) along its last.
        axis = (1 if len(shape) > 2 else len(shape) - 1) if axis is None else axis
        role: Literal["input", "hidden", "output"] = "output" if name in final else "hidden"
        role = "input" if node in inputs else role
        rest = shape if batch is None else (*shape[:batch], *shape[batch + 1 :])
        # A group's shape has no batch axis: of (1, 8, 28, 28) with channels along 1, (8, 28, 28) has them along 0.
        axis = max(axis - int(batch is not None and axis >= batch), 0)
        groups.append(Group(name, rest, role, axis, module_path(node), node.meta.get("rolled", name)))
    return tuple(groups)


def _batch_axis(facts: ProgramFacts, node: fx.Node, shape: Shape) -> int | None:
    """The axis of the one sample, where a value has one; behind the inputs, that of the first."""
    own = _axes_of_inputs(facts).get(node)
    if own is not None and shape[own] == 1:
        return own
    first = next((axis for axis in facts.batch_axes if axis is not None), 0)
    axes = [axis for axis in (first, 0) if axis < len(shape) and shape[axis] == 1]
    return axes[0] if axes else None


def _axes_of_inputs(facts: ProgramFacts) -> dict[fx.Node, int | None]:
    tensors = [node for node in user_inputs(facts.exported) if isinstance(node.meta.get("val"), Tensor)]
    axes = facts.batch_axes if len(facts.batch_axes) == len(tensors) else facts.batch_axes[:1] * len(tensors)
    return dict(zip(tensors, axes, strict=True))


# links ---------------------------------------------------------------------------------------------------------------


def _synapses(facts: ProgramFacts, order: dict[str, int]) -> tuple[Synapse, ...]:
    target = {synapse: facts.group(node) for node in facts.groups for synapse in facts[node].terms.synapses}
    return tuple(
        Synapse(
            name=str(facts[node].synapse),
            kind=_operation_name(node),
            parameter="+".join(facts.parameters(node)),
            shape=shape_of(facts.weights(node)[0]),
            sources=tuple(sorted(facts[node].sources, key=order.__getitem__)),
            target=target[node],
            n_links=0,
        )
        for node in facts.synapses
        if node in target
    )


def _operation_name(node: fx.Node) -> str:
    packet = getattr(node.target, "overloadpacket", node.target)
    return str(packet.__name__)  # type: ignore[union-attr]


def _wires(facts: ProgramFacts, order: dict[str, int]) -> tuple[Wire, ...]:
    wires = []
    for node in facts.groups:
        skips = facts[node].terms.skips
        kind: Literal["skip", "pooling"] = "skip"
        if facts.is_read(node) and facts.lowering(node).kind == "pooling":
            skips, kind = facts.operands(node), "pooling"
        sources = frozenset().union(*(facts.reads(skip) for skip in skips))
        if sources:
            wires.append(Wire(facts.group(node), kind, tuple(sorted(sources, key=order.__getitem__)), 0))
    return tuple(wires)


def _site(facts: ProgramFacts, node: fx.Node) -> SynapseSite:
    scales = tuple((scale, facts.lowering(scale)) for scale in facts[node].scales)
    return SynapseSite(node, facts.lowering(node), scales, facts[node].factor)
