r"""Truncation: the real network up to a layer, the linear one behind it.

The L-Map M of a layer replaces every nonlinearity behind the layer by the identity. How much of the network is left is
read from its outputs: with a_g the real activations of group g and r_g what the linear reading hands to the group when
all groups hold their real activations (biases and shifts of normalisation with it), the outputs of the network that is
real up to group l and linear behind it are

    Z_l = c + Σ_{g ≤ l} M^g (a_g - r_g),

c being the constants' way to the outputs and g ≤ l the groups up to l in the order of computation. For layers in a row
this is M^l a_l + c_l with the pushed biases c_l; where skips lead around a layer they bring what is real in front of
it. At the last group Z is the network itself, at the input it is the whole network's linear map, and for a network
without nonlinearities all are equal.

Source: Lin et al. 2025 (arXiv 2501.02436), L-Maps. That truncation keeps the biases, and its error, which they do not
measure, are our choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from axonometry.arguments import argument_errors
from axonometry.errors import SamplesError, ValuesError
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.labels import checked_labels, held, labels_in
from axonometry.metrics.rows import Row, n_classes, rows_or_nan
from axonometry.program.entry import of_graph
from axonometry.program.links import Links
from axonometry.program.readings.adjacency import run_program
from axonometry.program.readings.linear import linear_maps
from axonometry.program.readings.live import LiveBatch, live_batches, refuse_nonfinite
from axonometry.program.readings.samples import Samples

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.program import NeuralGraph


STATISTICS = ("accuracy", "agreement", "error")
"""Per group in tables."""


@argument_errors
def linear_map(graph: NeuralGraph, group: str, *, output: str | None = None) -> Float[Tensor, "outputs ..."]:
    r"""The L-Map of a group: what reaches each output from each of its neurons when nothing behind it is nonlinear.

    The sum, over all paths from the neuron to the output, of the product of the weights on the path, folded batch norm
    with them. It acts on activations.

    Args:
        graph: The network at one snapshot.
        group: Name of the group.
        output: Name of the output group; may be left out where there is one.

    Returns:
        A tensor of shape (n_outputs, \*shape of the group). Maps of all groups cost as much as one:
        :func:`axonometry.program.readings.linear.linear_maps`.

    Raises:
        ValuesError: There is no such group, or several outputs and none is named.

    Source: Lin et al. 2025 (arXiv 2501.02436), L-Maps.

    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[1.0, 3.0], [2.0, 4.0]], [[1.0, 1.0], [0.0, 2.0]])
    >>> linear_map(graph, "0"), linear_map(graph, "input")
    (tensor([[1., 1.],
            [0., 2.]]), tensor([[3., 7.],
            [4., 8.]]))
    """
    maps = linear_maps(graph, output)
    if group not in maps:
        raise ValuesError("a linear map leads from a neuron group", repr(group), f"The groups are: {', '.join(maps)}")
    return maps[group]


def truncation_rows(graph: NeuralGraph, samples: Samples, labels: Tensor | None = None) -> Iterator[Row]:
    """Accuracy, agreement and error of the network that is linear behind each group; NaN for one that diverged.

    Nothing for networks without one output group of several neurons.

    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[1.0], [-1.0]], [[1.0, 0.0], [0.0, 1.0]])
    >>> rows = truncation_rows(graph, torch.tensor([[-1.0], [2.0]]), torch.tensor([1, 0]))
    >>> [row for row in rows if row[0] == "input"]
    [('input', 'accuracy', 1.0), ('input', 'agreement', 1.0), ('input', 'error', 1.0)]
    """
    if not n_classes(graph):
        return

    def rows() -> Iterator[Row]:
        for record in linear_truncation(graph, samples, labels).to_dict("records"):
            yield from ((record["group"], name, float(record[name])) for name in STATISTICS)

    names = [group.name for group in graph.groups]
    yield from rows_or_nan(graph, samples, rows, ((name, of) for name in names for of in STATISTICS))


def _rows(shared: Shared) -> Iterator[Row]:
    return truncation_rows(shared.graph, shared.samples)


@measured(
    name="linear_truncation",
    title="Linear network behind a layer",
    units="none",
    range="accuracy and agreement from 0 to 1, error 0 and more",
    invariances="permuting the neurons of a layer; the order of the samples",
    source="map: Lin et al. 2025, arXiv 2501.02436; its error is our choice",
    needs_samples=True,
    needs_labels=True,
    cost="one transposed linear pass for each output, a forward pass and a product over the samples",
    table=_rows,
)
@of_graph
def linear_truncation(
    graph: NeuralGraph, samples: Samples, labels: Int[Tensor, " samples"] | None = None
) -> pd.DataFrame:
    """How well the network does that is real up to a layer and linear behind it, for every layer, in one pass.

    Args:
        graph: The network at one snapshot, with one output group.
        samples: What the module takes, as for :func:`~axonometry.program.readings.live.live_batches`.
        labels: The class of each sample, from 0; those in batches of inputs and labels where None.

    Returns:
        One row a group with pre-activations, in the order of computation: ``accuracy`` (NaN without labels),
        ``agreement`` (share of the samples whose largest output is the real network's) and ``error``, the distance of
        the outputs from the real ones relative to the length of these, both less their mean over the outputs, which a
        softmax does not see: 0 where nothing is lost. The last row is the real network.

    Raises:
        SamplesError: Samples or labels do not fit, or a sample is not finite at some neuron.
        ValuesError: There is not one output group.

    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[1.0], [-1.0]], [[1.0, 0.0], [0.0, 1.0]])
    >>> linear_truncation(graph, torch.tensor([[-1.0], [2.0]]), torch.tensor([1, 0]))
       group  accuracy  agreement  error
    0  input       1.0        1.0    1.0
    1      0       1.0        1.0    0.0
    2      2       1.0        1.0    0.0
    """
    import pandas as pd

    samples = held(samples)
    labels = labels_in(graph, samples) if labels is None else labels
    tail = _tail(graph)
    sums: dict[str, Tensor] = {}
    seen, length = 0, 0.0
    for batch in live_batches(graph, samples):
        truncated, real = _outputs(tail, batch)
        some = None if labels is None else _labels(labels, batch).to(real.device)
        for name, outputs in truncated.items():
            sums[name] = sums.get(name, torch.zeros(3, dtype=torch.float64)) + _compared(outputs, real, some)
        seen, length = seen + batch.size, length + float(_centred(real).square().sum())
    if not all(math.isfinite(x) for x in (length, *(float(found[2]) for found in sums.values()))):
        for batch in live_batches(graph, samples):
            refuse_nonfinite(batch)
    if labels is not None:
        checked_labels(labels, seen, len(tail.constants), several=False)
    rows = [
        (name, float(found[0]) / seen, float(found[1]) / seen, _ratio(float(found[2]), length))
        for name, found in sums.items()
    ]
    return pd.DataFrame(rows, columns=["group", "accuracy", "agreement", "error"])


def _ratio(squares: float, length: float) -> float:
    return math.sqrt(squares / length) if length else math.nan


def _labels(labels: Tensor, batch: LiveBatch) -> Tensor:
    some = labels[batch.start : batch.start + batch.size]
    if len(some) < batch.size:
        raise SamplesError(
            "labels are one whole number a sample", f"{len(labels)} for more samples", "Pass one for each"
        )
    return some


@dataclass(frozen=True)
class _Tail:
    """What truncation needs of a network: its maps to the outputs and what the constants bring there, in float64."""

    graph: NeuralGraph
    maps: Mapping[str, Tensor]
    constants: Tensor
    output: str


def _tail(graph: NeuralGraph) -> _Tail:
    maps = linear_maps(graph)
    output = next(group.name for group in graph.groups if group.role == "output")
    links = Links(dtype=graph.dtype, constants=True)
    with torch.no_grad():
        received = run_program(graph.program, dict(graph.zeros()), graph.weights, links, mode="linear")
    wide = {name: matrix.flatten(1).double() for name, matrix in maps.items()}
    return _Tail(graph, wide, received[output].reshape(-1).double(), output)


def _outputs(tail: _Tail, batch: LiveBatch) -> tuple[dict[str, Tensor], Tensor]:
    """Outputs of shape (n, outputs) of the network truncated at each group, and the real ones, in float64."""
    graph = tail.graph
    shapes = {group.name: group.shape for group in graph.groups}
    statics, links = graph.weights, Links(dtype=graph.dtype, constants=True)
    zeros = {name: torch.zeros(shape, dtype=graph.dtype, device=graph.device) for name, shape in shapes.items()}
    sent = {name: values.to(graph.dtype) for name, values in batch.activations.items()}
    with torch.no_grad():
        received = torch.func.vmap(lambda one: run_program(graph.program, {**zeros, **one}, statics, links))(sent)
    # The sum of the formula above, a group at a time: `left` is a_g - r_g, and behind group l `total` is Z_l. Without
    # skips what a group receives from all real activations is just its pre-activation, so that left = f(h) - h.
    total = tail.constants
    truncated: dict[str, Tensor] = {}
    for name in sent:
        # Outputs are the logits: a softmax behind them is left out, as the linear map leaves it out.
        real = batch.pre_activations[name] if name == tail.output else batch.activations[name]
        left = real.reshape(batch.size, -1).double()
        if name in received:
            left = left - received[name].reshape(batch.size, -1).double()
        total = total + left @ tail.maps[name].T
        truncated[name] = total
    return truncated, batch.pre_activations[tail.output].reshape(batch.size, -1).double()


def _compared(outputs: Tensor, real: Tensor, labels: Tensor | None) -> Tensor:
    """How many samples are right, how many as in the real network, and the squared distance from its outputs."""
    distance = (_centred(outputs) - _centred(real)).square().sum()
    if not bool(distance.isfinite()):  # the linear map alone has overflowed: no output is the largest
        return torch.full((3,), torch.nan, dtype=torch.float64)
    chosen = outputs.argmax(1)
    right = torch.full((), torch.nan) if labels is None else (chosen == labels).sum()
    return torch.stack([x.double().cpu() for x in (right, (chosen == real.argmax(1)).sum(), distance)])


def _centred(outputs: Tensor) -> Tensor:
    """Less what all outputs share; a single output as it is."""
    return outputs if outputs.shape[1] == 1 else outputs - outputs.mean(1, keepdim=True)
