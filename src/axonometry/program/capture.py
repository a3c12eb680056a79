"""Capture: a module and an example become a graph."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from axonometry.errors import CaptureError, ConfigurationError
from axonometry.program.checks.chance import check_chance
from axonometry.program.checks.real import check_real, check_real_weights
from axonometry.program.checks.samples import check_axes, check_batch, check_mixing, check_single
from axonometry.program.checks.trial import Inputs
from axonometry.program.draws import Randomness
from axonometry.program.entry import converted, of_captured
from axonometry.program.example import BatchAxis, batch_axes, first_sample
from axonometry.program.export import DECIDED, RUNS, export
from axonometry.program.graph import NeuralGraph
from axonometry.program.held import with_reasons, without_held
from axonometry.program.ir import Program, Step
from axonometry.program.links import Links, existence
from axonometry.program.lowering import lower
from axonometry.program.lowering.facts import Pooling
from axonometry.program.quiet import CAPTURING
from axonometry.program.readings.adjacency import run_program, statics_of
from axonometry.program.registry import n_registered
from axonometry.program.rolling.input_channels import with_input_channels
from axonometry.program.sharing import store as sharing
from axonometry.program.sharing.code_names import Opaque
from axonometry.program.sharing.fingerprint import fingerprint
from axonometry.program.uniform import with_uniform
from axonometry.program.untouched import computes_weights, unwrapped
from axonometry.program.weights.module_weights import Snapshot


@of_captured
def capture(
    module: nn.Module,
    *example_inputs: Any,
    pooling: Pooling = "mean",
    batch_axis: BatchAxis = 0,
    randomness: Randomness = "refuse",
    **keywords: Any,
) -> NeuralGraph:
    """Read a module as a weighted directed graph.

    Args:
        module: Any feed-forward network that ``torch.export`` accepts. It is left exactly as it was: mode, hooks,
            gradients, buffers and random state. Hooks are not part of the network, except those of torch.nn.utils.
        example_inputs: What ``module(*example_inputs, **keywords)`` takes; arrays of NumPy become tensors. Of
            floating-point inputs only shapes and dtypes matter. Integer and boolean ones, such as attention masks,
            decide the wiring as the example has them; token ids that are looked up in an embedding are a group of
            one-hot vectors whatever their values.
        pooling: ``mean`` reads pooling as wiring (a max-pooled value is the mean of its window); ``nodes`` makes pooled
            values neurons of their own, linked to their window by weights 1/k, as in the pixel graph of Vahedian et al.
        batch_axis: The inputs' axis that counts samples; 1 for recurrent networks that take time first. Where it is not
            the same for all, an axis for every tensor, None for one that all samples share. With None for every tensor
            the whole example is one sample, as a network needs it that mixes the samples of its batch.
        randomness: What becomes of draws in the forward pass. Dropout that is always on is read at its mean, the signal
            itself. Other draws that change the result are an error with ``refuse``; ``fix`` puts a constant in the
            place of each: its mean (the noise of a variational autoencoder is 0), or where it has none, one draw.
        keywords: Inputs that are passed by name.

    Raises:
        CaptureError: If the forward pass fails, its control flow depends on data, it mixes the samples of a batch, it
            is not the same function each time, or a weight is complex.
        UnknownOperationError: If an operation has no rule; register one with :func:`axonometry.rule`.
        ConfigurationError: If ``pooling`` or ``randomness`` is neither of its two values.

    >>> graph = capture(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)), torch.zeros(1, 2))
    >>> [group.name for group in graph.groups], graph.n_links
    (['input', '0', '2'], 9)
    """
    if pooling not in ("mean", "nodes"):
        raise ConfigurationError("pooling is 'mean' or 'nodes'", repr(pooling), "Choose one of them")
    if randomness not in ("refuse", "fix"):
        raise ConfigurationError("randomness is 'refuse' or 'fix'", repr(randomness), "Choose one of them")
    with CAPTURING:  # another thread may have the module's weights exchanged while it is exported
        example = converted(module, (example_inputs, keywords))
        return _graph_of(module, example, pooling, batch_axis, randomness)


def _graph_of(
    module: nn.Module, whole: Inputs, pooling: Pooling, batch_axis: BatchAxis, randomness: Randomness
) -> NeuralGraph:
    """The graph, while no other thread captures."""
    inner = unwrapped(module)
    axes = batch_axes([x for x in torch.utils._pytree.tree_leaves(whole) if isinstance(x, Tensor)], batch_axis)
    one = first_sample(whole, batch_axis)
    choices = _Choices(pooling, batch_axis, axes, randomness)
    check_real(inner, one)
    with without_held(inner, one):
        key = _key(inner, one, (pooling, axes, randomness, n_registered()))
        known = None if key is None else sharing.find(key)
        check_axes(inner, whole, batch_axis)
        found = _captured(inner, whole, one, choices) if known is None else known
    if known is None and key is not None and sharing.can_be_shared(found):
        sharing.keep(key, found)
    weights = found.weights(module)
    again = known is not None and found.counted_by_values
    return NeuralGraph(_counted(found.program, weights.now()) if again else found.program, weights)


@dataclass(frozen=True)
class _Choices:
    """What :func:`capture` is told besides the module and the example, and the axis of samples of each input."""

    pooling: Pooling
    batch_axis: BatchAxis
    axes: tuple[int | None, ...]
    randomness: Randomness


def _check_deciding(error: CaptureError, inner: nn.Module, one: Inputs, choices: _Choices) -> None:
    """That no samples meet where the code decides: torch.cov asks how many there are."""
    try:
        check_mixing(inner, one, choices.axes)
    except CaptureError as mixing:
        came = f"{mixing.came}; and control flow depends on data there: {error.came}"
        remedy = f"{error.remedy}, or {mixing.remedy.rpartition(', or ')[2]}"  # that of both but said once
        raise CaptureError(mixing.rule, came, remedy) from error


def _captured(inner: nn.Module, whole: Inputs, one: Inputs, choices: _Choices) -> sharing.SharedProgram:
    """The program of a module whose architecture has not been captured before."""
    try:
        exported = export(inner, *whole, batch_axis=choices.batch_axis, randomness=choices.randomness)
    except CaptureError as error:
        if error.rule == DECIDED:
            _check_deciding(error, inner, one, choices)
        if error.rule == RUNS:
            check_single(inner, whole, one, error)
        raise
    check_real_weights(exported)
    if choices.randomness == "refuse":
        check_chance(inner, one, choices.axes)
    check_mixing(inner, one, choices.axes)
    check_batch(inner, whole, choices.batch_axis)
    program, state = _program_of(exported, choices.pooling, choices.axes)
    return sharing.located(with_reasons(program, state, inner), state, inner)


def _key(module: nn.Module, inputs: Any, options: Any) -> Hashable | None:
    try:
        return fingerprint(module, inputs, options, computes=computes_weights)
    except Opaque:
        return None


def read_exported(
    exported: ExportedProgram, *, pooling: Pooling = "mean", batch_axes: tuple[int | None, ...] = (0,)
) -> NeuralGraph:
    """The graph of an exported program, as :func:`capture` makes it; it reads the weights that were exported."""
    program, state = _program_of(exported, pooling, batch_axes)
    return NeuralGraph(program, Snapshot(state))


def _program_of(
    exported: ExportedProgram, pooling: Pooling, batch_axes: tuple[int | None, ...]
) -> tuple[Program, dict[str, Tensor]]:
    tensors = {**exported.state_dict, **exported.constants}
    state = {name: value.detach() if isinstance(value, Tensor) else value for name, value in tensors.items()}
    draft = with_input_channels(lower(exported, pooling, batch_axes), state)
    return _counted(draft, state), state


def _counted(draft: Program, state: dict[str, Tensor]) -> Program:
    """The program with its links counted: one pass in which every coefficient is one."""
    received, raw = _structure(draft, state, torch.float32)
    largest = max(float(value.max()) for value in received.values() if value.numel())
    if largest >= 2**24:  # where float32 stops counting by ones
        received, raw = _structure(draft, state, torch.float64)
    totals = {name: round(float(value.sum(dtype=torch.float64))) for name, value in received.items()}
    neurons = {group.name: group.n_neurons for group in draft.groups}
    # a sum may broadcast a synapse's result: each of the sum's neurons has the links of the neuron it copies
    counts = {s.name: round(raw[draft.sites[s.name].node] * neurons[s.target]) for s in draft.synapses}
    synapses = tuple(replace(s, n_links=counts[s.name]) for s in draft.synapses)
    fed = {name: sum(s.n_links for s in synapses if s.target == name) for name in neurons}
    wires = tuple(replace(w, n_links=totals[w.target] - fed[w.target]) for w in draft.wires)
    return replace(draft, synapses=synapses, wires=wires)


def _structure(
    draft: Program, state: dict[str, Tensor], dtype: torch.dtype
) -> tuple[dict[str, Tensor], dict[fx.Node, float]]:
    """Links into each neuron, and the mean number of links into each result of a synapse."""
    links = Links((existence,), dtype=dtype)
    statics = statics_of(draft, state)
    device = next((v.device for v in statics.values() if isinstance(v, Tensor)), torch.device("cpu"))
    ones = {name: torch.ones(shape, dtype=links.dtype, device=device) for name, shape in draft.shapes.items()}
    raw: dict[fx.Node, float] = {}
    sites = {site.node: name for name, site in draft.sites.items()}

    def observe(step: Step, value: Any) -> None:
        if step.node in sites:
            raw[step.node] = float(value.sum(dtype=torch.float64)) / max(value.numel(), 1)

    with torch.no_grad(), with_uniform(state.values()):
        return run_program(draft, ones, statics, links, observe=observe), raw
