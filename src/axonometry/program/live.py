"""The live reading: real samples run through the network, with every neuron's local field and activation.

The program's own operations are run, on each sample as they were captured on one, mapped over the samples of a batch
(``torch.func.vmap``), so that convolutions and linear maps see whole batches. What does not depend on the input is
computed once, a value is freed after its last use, and batches follow one another: memory does not grow with the
number of samples.

Fields are what the network computes, in its own precision and in evaluation mode; the module is not touched.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx

from axonometry.errors import SamplesError, ValuesError
from axonometry.program.program import Program, Statics
from axonometry.program.registry import overloads
from axonometry.program.samples import InputAxis, Samples, batches_of, input_axes

if TYPE_CHECKING:
    from axonometry.program.graph import NeuralGraph

BYTES_PER_BATCH = {"cpu": 2**24, "cuda": 2**29}
"""What all values of one batch may take together where no batch size is given: CPUs like them near their caches."""
_aten = torch.ops.aten


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, var: Tensor, *rest: float) -> Any:
    """Batch norm in evaluation mode; what torch calls has no rule for many samples at once."""
    return _aten.batch_norm.default(x, weight, bias, mean, var, False, *rest, False), None, None


# A mapped value need not lie in memory as a single sample does, hence no views.
_MAPPED: dict[Any, Any] = {
    _aten.view.default: _aten.reshape.default,
    _aten._unsafe_view.default: _aten.reshape.default,
    _aten._native_batch_norm_legit_no_training.default: _affine,
}
_ELEMENTWISE = set(
    overloads(
        *"relu relu6 leaky_relu prelu elu selu celu gelu silu mish sigmoid tanh hardtanh hardswish hardsigmoid".split(),
        *"softplus log_sigmoid threshold softshrink hardshrink rrelu exp sin cos erf clamp clamp_min clamp_max".split(),
    )
)


@dataclass(frozen=True)
class LiveBatch:
    r"""What some samples are at every neuron.

    Attributes:
        start: Number of its first sample in the whole stream, from 0.
        size: Number of samples n.
        fields: By group, local fields of shape (n, \*shape of the group): the sum that the neuron receives, its bias
            with it; for an input, the input itself. Inputs that are no numbers (token ids) have none.
        activations: By group, what the neuron hands on: the value of the last elementwise nonlinearity behind the
            field; where there is none, the field. Of the same shapes.
    """

    start: int
    size: int
    fields: Mapping[str, Tensor]
    activations: Mapping[str, Tensor]


def live_batches(
    graph: NeuralGraph, samples: Samples, *, batch_size: int | None = None, groups: Iterable[str] | None = None
) -> Iterator[LiveBatch]:
    """Local fields and activations of samples, a batch at a time.

    A field that is not finite is not looked for here; :func:`refuse_nonfinite` names its sample and layer.

    Args:
        graph: The network at one snapshot; not one of its mapped graphs.
        samples: What the module takes, with many samples along its batch axis: a tensor; a tuple of tensors for several
            inputs; a mapping from the forward's argument names; or an iterable of such batches, as a DataLoader is, for
            data larger than memory. What a batch of an iterable holds behind the inputs (labels) is left alone.
        batch_size: Samples run at once; by default as many as keep a batch's values small. It changes the result by
            rounding only.
        groups: Names of the groups that are wanted; all by default.

    Yields:
        The batches in order.

    Raises:
        SamplesError: There are no samples, or they do not have the captured input's shape or dtype.
        ValuesError: A group does not exist, or the graph is a mapped one.
    """
    plan = _plan(graph, groups)
    statics = graph._statics
    batch_size = _batch_size(plan, graph.device) if batch_size is None else batch_size
    if batch_size < 1:
        raise SamplesError("a batch has at least one sample", str(batch_size), "Leave batch_size out")
    start = 0
    for inputs in batches_of(samples, plan.inputs, batch_size, graph.device):
        size = next(len(x) for x, axis in zip(inputs, plan.axes(inputs), strict=True) if axis is not None)
        fields, activations = _run(plan, statics, inputs)
        yield LiveBatch(start, size, fields, activations)
        start += size
    if not start:
        raise SamplesError("a live reading needs samples", "none", "Pass at least one sample")


def refuse_nonfinite(batch: LiveBatch) -> None:
    """Raise the error that names a batch's first sample that is NaN or infinite somewhere, and where first.

    Raises:
        SamplesError: There is such a sample; nothing is raised where all is finite.
    """
    found = []
    for place, (group, field) in enumerate(batch.fields.items()):
        for kind, values in (("local field", field), ("activation", batch.activations[group])):
            bad = ~values.reshape(batch.size, -1).isfinite().all(1)
            if bool(bad.any()):
                found.append((int(bad.int().argmax()), place, kind, group))
    if found:
        index, _, kind, group = min(found, key=lambda entry: entry[:2])
        values = (batch.fields if kind == "local field" else batch.activations)[group][index].reshape(-1)
        count = int((~values.isfinite()).sum())
        raise SamplesError(
            "every sample is finite at every neuron",
            f"sample {batch.start + index}, whose {kind} is NaN or infinite first in layer {group!r}, "
            f"at {count} of {values.numel()} neurons",
            "Look at that sample and at the layer's weights, or leave the sample out",
        )


@dataclass(frozen=True)
class _Plan:
    """The calls that a live reading runs, in order, each with the values that nothing reads after it."""

    program: Program
    inputs: tuple[InputAxis, ...]
    calls: tuple[tuple[fx.Node, tuple[fx.Node, ...]], ...]
    fields: Mapping[str, fx.Node]
    activations: Mapping[str, fx.Node]

    def axes(self, inputs: tuple[Tensor, ...]) -> tuple[int | None, ...]:
        """For ``vmap``: 0 where an input has a value a sample, None where all samples share it."""
        return tuple(None if axis.is_shared(x) else 0 for axis, x in zip(self.inputs, inputs, strict=True))


def _plan(graph: NeuralGraph, groups: Iterable[str] | None) -> _Plan:
    if graph._maps:
        raise ValuesError(
            "samples run through the network itself",
            "a graph with mapped weights, such as graph.abs()",
            "Pass the graph that it was made from",
        )
    program = graph.program
    inputs = input_axes(program)
    fields = field_nodes(program)
    if groups is not None:
        groups = list(groups)
        for name in groups:
            if name not in fields:
                raise ValuesError(
                    "a live reading is of groups with local fields", repr(name), f"There are: {', '.join(fields)}"
                )
        fields = {name: node for name, node in fields.items() if name in groups}
    followed = activation_nodes(program)
    activations = {name: followed.get(name, node) for name, node in fields.items()}
    calls = _schedule(program, [axis.node for axis in inputs], {*fields.values(), *activations.values()})
    return _Plan(program, inputs, calls, fields, activations)


def field_nodes(program: Program) -> dict[str, fx.Node]:
    """The call whose result is a group's local field, for every group that has one, in the order of computation."""
    nodes = {**program.inputs, **{step.group: step.node for step in program.steps if step.group is not None}}
    shapes = {group.name: group.shape for group in program.groups}
    return {name: nodes[name] for name in shapes if name in nodes and _fits(nodes[name], shapes[name])}


def activation_nodes(program: Program) -> dict[str, fx.Node]:
    """The call whose result is a group's activation, for every group with a nonlinearity behind it."""
    fields = field_nodes(program)
    roots = {node: name for name, node in fields.items()}
    found: dict[str, fx.Node] = {}
    for node in program.exported.graph.nodes:
        if node.op != "call_function" or not node.args or node.args[0] not in roots:
            continue
        if node.target is operator.getitem and node.args[1] == 0:
            roots[node] = roots[node.args[0]]
        elif node.target in _ELEMENTWISE:
            name = roots[node] = roots[node.args[0]]
            found[name] = node
    return found


def _fits(node: fx.Node, shape: tuple[int, ...]) -> bool:
    """Whether a node's result is a number for every neuron; token ids are none."""
    value = _first(node.meta.get("val"))
    return isinstance(value, Tensor) and value.is_floating_point() and value.numel() == math.prod(shape)


def _first(value: Any) -> Any:
    """A norm's or a pooling's result without the statistics or indices that come with it."""
    return value[0] if isinstance(value, (tuple, list)) else value


def _schedule(
    program: Program, inputs: list[fx.Node], wanted: set[fx.Node]
) -> tuple[tuple[fx.Node, tuple[fx.Node, ...]], ...]:
    """The calls between the inputs and what is wanted, each with the values to be freed after it."""
    nodes = list(program.exported.graph.nodes)
    varying = set(inputs)
    for node in nodes:
        if node.op == "call_function" and any(operand in varying for operand in node.all_input_nodes):
            varying.add(node)
    needed = set(wanted)
    for node in reversed(nodes):
        if node in needed:
            needed.update(operand for operand in node.all_input_nodes if operand in varying)
    calls = [node for node in nodes if node in needed and node in varying and node.op == "call_function"]
    last = {operand: call for call in calls for operand in call.all_input_nodes if operand in varying}
    return tuple((c, tuple(v for v in c.all_input_nodes if last.get(v) is c and v not in wanted)) for c in calls)


def _batch_size(plan: _Plan, device: torch.device) -> int:
    sizes = [_bytes(node) for node, _ in plan.calls] + [_bytes(axis.node) for axis in plan.inputs]
    return max(1, BYTES_PER_BATCH.get(device.type, BYTES_PER_BATCH["cuda"]) // max(1, sum(sizes)))


def _bytes(node: fx.Node) -> int:
    value = node.meta.get("val")
    parts = value if isinstance(value, (tuple, list)) else [value]
    return sum(part.numel() * part.element_size() for part in parts if isinstance(part, Tensor))


@torch.no_grad()
def _run(plan: _Plan, statics: Statics, inputs: tuple[Tensor, ...]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """One batch: every wanted value, the samples first, then the group's shape."""

    def one(*sample: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        values = dict(statics)
        values.update(zip((axis.node for axis in plan.inputs), sample, strict=True))
        for node, last in plan.calls:
            args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), values.__getitem__)
            values[node] = _MAPPED.get(node.target, node.target)(*args, **kwargs)
            for gone in last:
                del values[gone]
        return (
            {name: _first(values[node]) for name, node in plan.fields.items()},
            {name: _first(values[node]) for name, node in plan.activations.items()},
        )

    with torch.autocast(inputs[0].device.type, enabled=False):
        mapped = torch.func.vmap(one, in_dims=plan.axes(inputs), randomness="different")(*inputs)
    shapes: dict[str, Any] = {group.name: group.shape for group in plan.program.groups}
    fields, activations = ({n: x.reshape(len(x), *shapes[n]) for n, x in part.items()} for part in mapped)
    return fields, activations
