"""The live reading: real samples run through the network, with every neuron's pre-activation and activation.

The program's own operations are run, on each sample as they were captured on one, mapped over the samples of a batch
(``torch.func.vmap``), so that convolutions and linear maps see whole batches. What does not depend on the input is
computed once, a value is freed after its last use, and batches follow one another: memory does not grow with the
number of samples.

Fields are what the network computes, in its own precision and in evaluation mode; the module is not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, fx
from torch.nn.attention import SDPBackend, sdpa_kernel

from axonometry.errors import NonfiniteError, SamplesError
from axonometry.program.fx_utils import arguments_of
from axonometry.program.ir import Shape, Statics
from axonometry.program.readings.agreement import refuse_mixing, refuse_other_branches, refuse_other_decisions
from axonometry.program.readings.live_plan import LivePlan, default_batch_size, live_plan_of
from axonometry.program.readings.observation_points import WITHOUT_VIEWS, activation_nodes, pre_activation_nodes
from axonometry.program.readings.parallel import MAX_THREADS, parallel_map
from axonometry.program.readings.samples import Samples, batches_of

if TYPE_CHECKING:
    from axonometry.program.operators import CapturedGraph

__all__ = [
    "LiveBatch",
    "activation_nodes",
    "pre_activation_nodes",
    "live_batches",
    "over_live_batches",
    "refuse_nonfinite",
    "run_plan",
]
Result = TypeVar("Result")
_aten = torch.ops.aten


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, var: Tensor, *rest: float) -> Any:
    """Batch norm in evaluation mode; what torch calls has no rule for many samples at once."""
    nothing = x.new_empty(0)
    return _aten.batch_norm.default(x, weight, bias, mean, var, False, *rest, False), nothing, nothing


_MAPPED: dict[Any, Any] = {**WITHOUT_VIEWS, _aten._native_batch_norm_legit_no_training.default: _affine}


@dataclass(frozen=True)
class LiveBatch:
    r"""What some samples are at every neuron.

    Attributes:
        start: Number of its first sample in the whole stream, from 0.
        size: Number of samples n.
        pre_activations: By group, of shape (n, \*shape of the group): the sum that the neuron receives, its bias
            with it; for an input, the input itself. Inputs that are no numbers (token ids) have none.
        activations: By group, what the neuron hands on: the value of the last elementwise nonlinearity behind the
            sum; where there is none, the sum. Of the same shapes.
        values: Results of the other nodes that were asked for, with the samples along axis 0.
    """

    start: int
    size: int
    pre_activations: Mapping[str, Tensor]
    activations: Mapping[str, Tensor]
    values: Mapping[fx.Node, Any] = field(default_factory=dict)


def live_batches(
    graph: CapturedGraph,
    samples: Samples,
    *,
    batch_size: int | None = None,
    groups: Iterable[str] | None = None,
    nodes: Iterable[fx.Node] = (),
    pre_activations: bool = True,
) -> Iterator[LiveBatch]:
    """Pre-activations and activations of samples, a batch at a time.

    A pre-activation that is not finite is not looked for here; :func:`refuse_nonfinite` names its sample and layer.

    Args:
        graph: The network at one snapshot; not one of its mapped graphs.
        samples: What the module takes, with many samples along its batch axis: a tensor; a tuple of tensors for several
            inputs; a mapping from the forward's argument names; containers nested as in the captured example; or an
            iterable of such batches, as a DataLoader is, for data larger than memory. What a batch of an iterable holds
            behind the inputs (labels) is left alone.
        batch_size: Samples run at once; by default as many as keep a batch's values small. It changes the result by
            rounding only.
        groups: Names of the groups that are wanted; all by default.
        nodes: Calls of the program that depend on its inputs and whose results are wanted too.
        pre_activations: Whether pre-activations are wanted; without them, memory is free for the next layer sooner.

    Yields:
        The batches in order.

    Raises:
        SamplesError: There are no samples, or they do not have the captured input's shape or dtype, or their integers
            decide otherwise than the example's.
        CaptureError: The first two samples of the first batch meet in the module.
        ValuesError: A group does not exist, or the graph is a mapped one.
    """
    reading = _reading(graph, groups, nodes, pre_activations=pre_activations)
    for start, inputs in _cut(reading, samples, batch_size):
        yield _batch(reading, start, inputs)


def over_live_batches(
    graph: CapturedGraph,
    samples: Samples,
    function: Callable[[LiveBatch, int], Result],
    *,
    batch_size: int | None = None,
    **choices: Any,
) -> Iterator[Result]:
    """What a function makes of each batch of :func:`live_batches`, in order; on CPUs several batches are run at once.

    Batches are run at once if there are several, more than one thread, and more than one sample fits into a batch.

    Args:
        graph: The network at one snapshot; not one of its mapped graphs.
        samples: What the module takes, as for :func:`live_batches`.
        function: Takes a batch and the number of its lane, from 0; two calls in one lane never overlap, calls in
            different lanes do. What it sums up, it keeps apart by lane.
        batch_size: Samples run at once in one lane.
        **choices: ``groups``, ``nodes`` and ``pre_activations``, as for :func:`live_batches`.

    Raises:
        AxonometryError: As for :func:`live_batches`, or what the function raised for the first batch for which it did.
    """
    reading = _reading(graph, **choices)
    cut = _cut(reading, samples, batch_size)
    # Where one sample fills a batch its convolutions already use all threads.
    small = default_batch_size(reading.plan, graph.device) > 1
    lanes = min(torch.get_num_threads(), MAX_THREADS) if graph.device.type == "cpu" and small else 1

    def work(item: tuple[int, tuple[Tensor, ...]], lane: int) -> Result:
        return function(_batch(reading, *item), lane)

    with _attention(graph.device):  # of the whole process: lanes that set and restored it would meet
        yield from parallel_map(work, cut, lanes)


@dataclass(frozen=True)
class _Reading:
    """All that batches have in common."""

    graph: CapturedGraph
    plan: LivePlan
    statics: Statics
    device: torch.device


def _reading(graph: CapturedGraph, *wanted: Any, **choices: Any) -> _Reading:
    return _Reading(graph, live_plan_of(graph, *wanted, **choices), graph.weights, graph.device)


def _cut(reading: _Reading, samples: Samples, batch_size: int | None) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
    """Batches of inputs, each with the number of its first sample."""
    batch_size = default_batch_size(reading.plan, reading.device) if batch_size is None else batch_size
    if batch_size < 1:
        raise SamplesError("a batch has at least one sample", str(batch_size), "Leave batch_size out")
    start = 0
    for inputs in batches_of(samples, reading.plan.inputs, batch_size, reading.device):
        if not start:
            refuse_mixing(reading.graph, reading.plan, inputs)
        refuse_other_decisions(reading.plan, inputs, start)
        refuse_other_branches(reading.graph, reading.plan, inputs, start)
        yield start, inputs
        start += _size(reading.plan, inputs)
    if not start:
        raise SamplesError("a live reading needs samples", "none", "Pass at least one sample")


def _size(plan: LivePlan, inputs: tuple[Tensor, ...]) -> int:
    return next(len(x) for x, axis in zip(inputs, plan.axes(inputs), strict=True) if axis is not None)


def _batch(reading: _Reading, start: int, inputs: tuple[Tensor, ...]) -> LiveBatch:
    return LiveBatch(start, _size(reading.plan, inputs), *_run(reading.plan, reading.statics, inputs))


def refuse_nonfinite(batch: LiveBatch) -> None:
    """Raise the error that names a batch's first sample that is NaN or infinite somewhere, and where first.

    Raises:
        NonfiniteError: There is such a sample; nothing is raised where all is finite.
    """
    found = []
    for place, group in enumerate(batch.activations):
        for kind, part in (("pre-activation", batch.pre_activations), ("activation", batch.activations)):
            bad = ~part[group].reshape(batch.size, -1).isfinite().all(1) if group in part else torch.zeros(1)
            if bool(bad.any()):
                found.append((int(bad.int().argmax()), place, kind, group))
    if found:
        index, _, kind, group = min(found, key=lambda entry: entry[:2])
        values = (batch.pre_activations if kind == "pre-activation" else batch.activations)[group][index].reshape(-1)
        count = int((~values.isfinite()).sum())
        raise NonfiniteError(
            "every sample is finite at every neuron",
            f"sample {batch.start + index}, whose {kind} is NaN or infinite first in layer {group!r}, "
            f"at {count} of {values.numel()} neurons",
            "Leave the sample out where it is NaN itself; where it is finite, the training has diverged",
        )


def _first(value: Any) -> Any:
    """A norm's or a pooling's result without the statistics or indices that come with it."""
    return value[0] if isinstance(value, (tuple, list)) else value


Found = tuple[dict[str, Tensor], dict[str, Tensor], dict[fx.Node, Any]]


@torch.no_grad()
def _run(plan: LivePlan, statics: Statics, inputs: tuple[Tensor, ...]) -> Found:
    return run_plan(plan, statics, inputs)


def run_plan(plan: LivePlan, statics: Statics, inputs: tuple[Tensor, ...]) -> Found:
    """One batch: pre-activations and activations, the samples first, then the group's shape; and what else is wanted.

    Gradients flow from the results to the static values and the inputs, where those ask for them.
    """
    moved = plan.program.device, inputs[0].device
    wanted = list(dict.fromkeys([*plan.pre_activations.values(), *plan.activations.values(), *plan.nodes]))

    def one(*sample: Tensor) -> list[Any]:
        return one_sample(plan, statics, sample, wanted, moved)

    with torch.autocast(inputs[0].device.type, enabled=False), _attention(inputs[0].device):
        mapped = _over_samples(one, plan.axes(inputs), inputs)
    found = dict(zip(wanted, mapped, strict=True))
    shapes = {group.name: group.shape for group in plan.program.groups}
    pre_activations = {name: _of_shape(found[node], shapes[name]) for name, node in plan.pre_activations.items()}
    activations = {}
    for name, node in plan.activations.items():
        places, value = plan.layouts.get(name), found[node]
        activations[name] = _of_shape(value if places is None else value.flatten(1)[:, places], shapes[name])
    return pre_activations, activations, {node: found[node] for node in plan.nodes}


def one_sample(
    plan: LivePlan, statics: Statics, sample: tuple[Tensor, ...], wanted: Iterable[fx.Node], moved: Any = None
) -> list[Any]:
    """The values of some nodes for one sample; each is on the way to those that follow from it.

    Args:
        plan: What is computed.
        statics: Values that do not depend on the sample.
        sample: A value for each of the plan's inputs.
        wanted: The nodes.
        moved: The device of the capture and that of the samples, where they differ.
    """
    values = dict(statics)
    values.update(zip((axis.node for axis in plan.inputs), sample, strict=True))
    for node, last in plan.calls:
        args, kwargs = arguments_of(node, values.__getitem__, moved or (plan.program.device, sample[0].device))
        values[node] = _MAPPED.get(node.target, node.target)(*args, **kwargs)
        for gone in last:
            del values[gone]
    return [values[node] for node in wanted]


def _over_samples(one: Callable[..., list[Any]], axes: tuple[int | None, ...], inputs: tuple[Tensor, ...]) -> list[Any]:
    """A function of one sample, of all samples at once; one after the other where torch has no rule for many."""
    try:
        found: list[Any] = torch.func.vmap(one, in_dims=axes, randomness="different")(*inputs)
        return found
    except RuntimeError:  # results whose size depends on the sample, memory formats; what is wrong is raised again
        size = next(len(x) for x, axis in zip(inputs, axes, strict=True) if axis is not None)
        samples = [
            one(*(x if axis is None else x[i] for x, axis in zip(inputs, axes, strict=True))) for i in range(size)
        ]
        return [_stacked(values) for values in zip(*samples, strict=True)]


def _stacked(values: tuple[Any, ...]) -> Any:
    if isinstance(values[0], Tensor):
        return torch.stack(values)
    return [_stacked(parts) for parts in zip(*values, strict=True)]


def _attention(device: torch.device) -> AbstractContextManager[None]:
    """The CPU's fused attention has no rule for many samples at once; the written-out one has."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def _of_shape(value: Any, shape: Shape) -> Tensor:
    first = _first(value)
    return first.reshape(len(first), *shape)
