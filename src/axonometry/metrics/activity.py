r"""Neuron activation: what every neuron hands on, over many samples.

a_k(x) = f(z_k(x)): the value of the nonlinearity behind the neuron's pre-activation z_k; that itself where there is
none. For an input it is the input, for an output the module's own output. Statistics are per neuron over the samples,
and per group over samples and neurons.

Source: La Malfa et al. 2022 and 2024 (arXiv 2209.05488, 2404.11172), neurons activation. [recalled]: the papers'
formulas were not seen. Sparsity, dead and saturated neurons are [our choice].
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from axonometry.metrics.activation_functions import activation_functions, gate_bounds
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.neuron_statistics import NeuronStatistics, statistic_rows, streamed_statistics
from axonometry.metrics.rows import Row
from axonometry.metrics.streaming_moments import Bounds
from axonometry.program.entry import of_graph
from axonometry.program.readings.samples import Samples

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph


def _rows(shared: Shared) -> Iterable[Row]:
    return statistic_rows(shared, neuron_activation)


@measured(
    name="neuron_activation",
    title="Neuron activation",
    units="activation",
    range="that of the activation function",
    invariances="permuting the neurons of a layer permutes it; the order of the samples",
    source="La Malfa et al. 2022, arXiv 2209.05488; formula recalled",
    needs_samples=True,
    cost="one forward pass over the samples",
    table=_rows,
)
@of_graph
def neuron_activation(graph: NeuralGraph, samples: Samples, *, batch_size: int | None = None) -> NeuronStatistics:
    """The activation of every neuron over samples, in one pass and memory that does not grow with their number.

    Args:
        graph: The network at one snapshot.
        samples: What the module takes, as for :func:`~axonometry.program.readings.live.live_batches`.
        batch_size: Samples run at once; it changes the result by rounding only.

    Returns:
        Statistics per neuron and group. Range: that of the activation function. Permuting the neurons of a layer
        permutes them; the order of the samples changes nothing but rounding. Units: those of the activation.

    Raises:
        SamplesError: The samples do not fit; a NonfiniteError where one is NaN or infinite at a neuron.

    >>> import axonometry as ax, torch
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    >>> _ = network[0].weight.data.copy_(torch.tensor([[1.0], [-1.0]])), network[0].bias.data.zero_()
    >>> found = neuron_activation(ax.capture(network, torch.zeros(1, 1)), torch.tensor([[1.0], [2.0], [3.0], [-2.0]]))
    >>> found.mean["0"].tolist(), found.sparsity["0"].tolist()
    ([1.5, 0.5], [0.25, 0.75])
    """
    functions = activation_functions(graph.program)
    bounds: dict[str, Bounds] = {name: function.bounds for name, function in functions.items() if function.bounded}
    for name, (lower, upper) in gate_bounds(graph.program).items():
        bounds[name] = lower.to(graph.device), upper.to(graph.device)
    return streamed_statistics(
        graph, samples, lambda batch: batch.activations, batch_size=batch_size, bounds=bounds, pre_activations=False
    )
