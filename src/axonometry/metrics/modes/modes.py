r"""Neuron modes: whether a neuron keeps the samples in the order of its pre-activation (the papers' local field).

Order-preserving rate of a neuron over samples μ with pre-activations h and activations y:

    OPR = #{μ < ν : (h - h')(y - y') > 0} / #{μ < ν : h ≠ h'}.

A neuron is in one mode. It is dead where its activation is the same for all samples; strict where it preserves order,
OPR at least 1 - tolerance; non-preserving where some pairs keep their order and some are turned round, so that its
function is not monotone; and else weak: no pair is turned round, but many become equal, as below the kink of a ReLU.

Turned round as a whole is preserved: a function that turns all pairs round has orientation -1 and the mode that its
mirror image has. A batch norm with a negative gain turns the order of the sum in front of it round; the gain is part of
the pre-activation, and its sign is reported as the neuron's orientation.

A strictly rising activation function has OPR 1 whatever floating-point numbers say of its tails. A neuron is
saturated where a bounded activation lies within 1% of its range of a bound for at least 95% of the samples.

Source: Lin et al. 2025 (arXiv 2501.02436), order-preserving and non-order-preserving transformations. Their versions
estimate the two from rank distributions; the test by pairs, its tolerance, the four modes, and what is called saturated
are our choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from axonometry.arguments import argument_errors
from axonometry.metrics.activation_functions import ActivationFunction, activation_functions
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.modes.order import Array, by_rows, pair_counts
from axonometry.metrics.modes.pre_activations import MEMORY, groups_of, parts, rows_of
from axonometry.metrics.modes.results import MODES, TOLERANCE, Modes, NeuronModes
from axonometry.metrics.rows import Row, rows_or_nan
from axonometry.program.entry import of_graph
from axonometry.program.readings.live import live_batches, refuse_nonfinite
from axonometry.program.readings.samples import Samples

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph

STATISTICS = ("rate", *MODES[:3], "dead", "saturated", "reversed")
"""Per group in tables."""

_NEAR, _MOST = 0.01, 0.95  # of the range, of the samples


@argument_errors
def order_modes(
    pre_activations: Float[Tensor, "samples n"],
    activations: Float[Tensor, "samples n"],
    *,
    tolerance: float = TOLERANCE,
) -> Modes:
    """Modes of neurons whose pre-activations and activations are at hand, in P log P.

    Args:
        pre_activations: Of the neurons; positions of a convolution are samples too.
        activations: What the neurons hand on; their order is taken as it is, rounding and all.
        tolerance: How far the rate of a strict neuron may lie below 1.

    >>> h = torch.tensor([0.1, 0.9, 0.4, -0.3, 0.7, -0.8])[:, None]
    >>> order_modes(h, h.relu()).rate * 15
    tensor([14.], dtype=torch.float64)
    """
    rows, values = (np.ascontiguousarray(x.detach().cpu().T.numpy()) for x in (pre_activations, activations))
    return _modes(rows, ActivationFunction(("given",), rising=False), values, tolerance)


def mode_rows(graph: NeuralGraph, samples: Samples) -> Iterator[Row]:
    """Mean rate and shares of neurons by mode for every group but the inputs; NaN for a network that diverged.

    >>> from axonometry.testing import graph_of
    >>> rows = mode_rows(graph_of([[1.0]], [[1.0]]), torch.tensor([[-1.0], [1.0], [2.0]]))
    >>> [row for row in rows if row[0] == "0"][:3]
    [('0', 'rate', 1.0), ('0', 'strict', 1.0), ('0', 'weak', 0.0)]
    """

    def rows() -> Iterator[Row]:
        for name, modes in neuron_modes(graph, samples).groups.items():
            yield from ((name, statistic, value) for statistic, value in modes.summary().items())

    names = [group.name for group in graph.groups if group.role != "input"]
    yield from rows_or_nan(graph, samples, rows, ((name, statistic) for name in names for statistic in STATISTICS))


def _rows(shared: Shared) -> Iterator[Row]:
    return mode_rows(shared.graph, shared.samples)


@measured(
    name="neuron_modes",
    title="Neuron modes",
    units="none",
    range="0 to 1",
    invariances="permuting the neurons of a layer; the order of the samples; rising maps of a neuron's pre-activation",
    source="Lin et al. 2025, arXiv 2501.02436; the test by pairs of samples is our choice",
    needs_samples=True,
    cost="one forward pass over the samples, and a sort of them for every neuron that does not rise strictly",
    table=_rows,
)
@of_graph
def neuron_modes(
    graph: NeuralGraph,
    samples: Samples,
    *,
    groups: Iterable[str] | None = None,
    tolerance: float = TOLERANCE,
    memory: int = MEMORY,
) -> NeuronModes:
    """Modes of every neuron over samples; of a convolution's channels over samples and positions.

    Pre-activations of a layer's samples are held together (layers in turn where they do not all fit in ``memory``) and
    sorted once; nothing is sorted for activation functions that are known to rise strictly, and where all are, as in a
    network of tanh neurons, nothing is held: samples may then be as many as one likes.

    Args:
        graph: The network at one snapshot.
        samples: What the module takes, as for :func:`~axonometry.program.readings.live.live_batches`.
        groups: Names of groups; by default all but the inputs.
        tolerance: How far the rate of a strict neuron may lie below 1.
        memory: Bytes of pre-activations held at a time; the sort needs about as much again.

    Raises:
        SamplesError: The samples do not fit, or one is not finite at some neuron.
        ValuesError: There is no such group.

    >>> from axonometry.testing import graph_of
    >>> samples = torch.tensor([[0.1], [0.9], [0.4], [-0.3], [0.7], [-0.8]])
    >>> neuron_modes(graph_of([[1.0], [-1.0]], [[1.0, 1.0]]), samples).frame().round(4)
      group  neuron    mode    rate  turned  saturated  orientation
    0     0       0    weak  0.9333     0.0      False            1
    1     0       1    weak  0.6000     0.0      False            1
    2     2       0  strict  1.0000     0.0      False            1
    """
    names = groups_of(graph, groups)
    functions = activation_functions(graph.program)
    gains = _orientations(graph, names)
    if all(functions[name].rising for name in names):
        streamed = _streamed(graph, samples, {name: functions[name] for name in names}, tolerance)
        return NeuronModes({name: _joined([streamed[name]], gains[name]) for name in names})
    wanted = {name: not functions[name].rising and functions[name].run is None for name in names}
    found: dict[str, list[Modes]] = {name: [] for name in names}
    for part in parts(graph, samples, wanted, by="channel", memory=memory):
        function = functions[part.group.name]
        found[part.group.name].append(_modes(part.pre_activations, function, part.activations, tolerance))
    return NeuronModes({name: _joined(found[name], gains[name]) for name in names})


def _streamed(
    graph: NeuralGraph, samples: Samples, functions: Mapping[str, ActivationFunction], tolerance: float
) -> dict[str, Modes]:
    """Modes of groups whose functions rise strictly: what matters is whether a pre-activation ever changes."""
    known = {group.name: group for group in graph.groups}
    extremes: dict[str, Tensor] = {}
    near: dict[str, Tensor] = {}
    seen = 0
    for batch in live_batches(graph, samples, groups=functions):
        for name, function in functions.items():
            rows = rows_of(batch.pre_activations[name], known[name], "channel").flatten(1)
            # The largest as minus the least of the negative, so that one minimum over batches keeps both.
            ends = torch.stack([rows.amin(1), -rows.amax(1)])
            extremes[name] = torch.minimum(extremes[name], ends) if name in extremes else ends
            values = rows_of(batch.activations[name], known[name], "channel").flatten(1)
            near[name] = near.get(name, 0) + _near(values, function).sum(1)
        if not all(bool(ends.isfinite().all()) for ends in extremes.values()):
            refuse_nonfinite(batch)
        seen += batch.size
    found = {}
    for name, (low, high) in extremes.items():
        dead = (low == -high).cpu()
        rate = torch.where(dead, torch.nan, 1.0).double()
        # Of a channel, each position is a sample: 95% of P samples times positions.
        most = (near[name] >= _MOST * seen * (known[name].n_neurons // len(dead))).cpu()
        found[name] = Modes(rate, 0 * rate, dead, most, torch.ones(len(dead), dtype=torch.long), tolerance)
    return found


def _orientations(graph: NeuralGraph, groups: Iterable[str]) -> dict[str, Int[Tensor, " channels"]]:
    """By group, the sign of the gain of folded normalisation for each channel: 1 without one, 0 where signs differ."""
    channels = {group.name: group.n_channels for group in graph.groups}
    signs: dict[str, list[Tensor]] = {name: [] for name in groups}
    for synapse in graph.synapses:
        if synapse.target in signs:
            gain = graph.kernel(synapse.name).rows().gain
            if gain is not None and gain.numel() in (1, channels[synapse.target]):
                signs[synapse.target].append(gain.flatten().sign().expand(channels[synapse.target]).long().cpu())
    return {
        name: torch.where((stack := torch.stack(several)).amin(0) == stack.amax(0), stack[0], 0)
        if several
        else torch.ones(channels[name], dtype=torch.long)
        for name, several in signs.items()
    }


def _modes(h: Array, function: ActivationFunction, y: Array | None, tolerance: float) -> Modes:
    """Modes of the neurons whose pre-activations are the rows of h."""
    low, high = h.min(1), h.max(1)
    if function.rising:
        rate = np.where(low < high, 1.0, np.nan)
        turned, dead = 0 * rate, ~(low < high)
    else:
        counts = pair_counts(h, y if function.run is None else function.run)  # type: ignore[arg-type]
        with np.errstate(invalid="ignore"):
            rate, turned = counts.concordant / counts.comparable, counts.discordant / counts.comparable
        dead = counts.concordant + counts.discordant == 0
    orientation = np.where((turned > 0) & (rate == 0), -1, 1)
    tensor = torch.from_numpy
    saturated = tensor(_saturated(h, function, y))
    return Modes(tensor(rate), tensor(turned), tensor(dead), saturated, tensor(orientation), tolerance)


def _saturated(h: Array, function: ActivationFunction, y: Array | None) -> Array:
    """Whether a bounded activation is near a bound for most samples of each row."""
    if not function.bounded or (function.run is None and y is None):
        return np.zeros(len(h), bool)

    def share(rows: slice) -> Array:
        values: Any = y[rows] if function.run is None else function.run(h[rows])  # type: ignore[index]
        return _near(torch.from_numpy(np.asarray(values)), function).double().mean(1).numpy() >= _MOST

    return np.concatenate(by_rows(share, h.shape))


def _near(values: Tensor, function: ActivationFunction) -> Tensor:
    """Whether each activation is near a bound; never where there are none."""
    low, high = function.bounds
    if not function.bounded:
        return torch.zeros_like(values, dtype=torch.bool)
    near = _NEAR * (high - low)
    return (values <= low + near) | (values >= high - near)


def _joined(several: list[Modes], gains: Tensor) -> Modes:
    """Modes of all rows of a group, with the orientation that its normalisation gives them."""
    rate, turned, dead, saturated, orientation = (
        torch.cat([getattr(modes, name) for modes in several])
        for name in ("rate", "turned", "dead", "saturated", "orientation")
    )
    return Modes(rate, turned, dead, saturated, orientation * gains, several[0].tolerance)
