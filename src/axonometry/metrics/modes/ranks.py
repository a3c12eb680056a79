r"""Rank distributions: where the samples of a class stand in the order that a layer's neurons give to all samples.

The signed projection of sample μ for class k at neuron i is p = h_i(μ) sign(M_ki), with M the linear map from the layer
to the outputs (:func:`axonometry.program.readings.linear.linear_maps`). With r the rank of p among the P samples,
1 to P, equal ones having their mean rank, u = (r - 1/2) / P. Pooled over the neurons of the layer, the density of u
over the samples of class k says how far the neurons push the class to one end: it is 1 everywhere where they do not.
Its slope is

    g = 12 (mean u - 1/2) = 12 (1 - π_k) (AUC - 1/2),

the least-squares slope of a density with that mean, between -6 and 6; π_k is the share of the class among the samples
and AUC the chance that a sample of the class ranks above one of another. One sort a neuron serves all classes: a sign
of -1 turns u into 1 - u. A neuron with M_ki = 0 is left out for class k.

Worked: h = .1 .9 .4 -.3 .7 -.8 with the classes 0 1 1 0 0 1. Class 1 has the ranks 6, 4, 1, so that u = 11/12, 7/12,
1/12 with the mean 19/36, and g = 12 (19/36 - 18/36) = 1/3: a little towards the upper end. With the sign -1 it is -1/3.
By the other formula: 5 of its 9 pairs with class 0 are in order, AUC = 5/9, and g = 12 / 2 (5/9 - 1/2) = 1/3.

Source: Lin et al. 2025 (arXiv 2501.02436), rank probability distribution. Mean ranks of equal values, the number of
bins and the normalisation of the density are our choice; that a value on the border of two bins counts half in each,
too, so that turning all signs mirrors the density.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from axonometry.annotations import Count
from axonometry.arguments import argument_errors
from axonometry.errors import SamplesError
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.labels import checked_labels, held, labels_in
from axonometry.metrics.modes.order import Array, by_rows, mean_ranks
from axonometry.metrics.modes.pre_activations import MEMORY, count, groups_of, parts
from axonometry.metrics.rows import Row, n_classes, rows_or_nan
from axonometry.program.entry import of_graph
from axonometry.program.readings.linear import linear_maps
from axonometry.program.readings.samples import Samples
from axonometry.showing import shown

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.program import NeuralGraph

BINS = 100


@dataclass(frozen=True)
class Ranks:
    """Rank distribution of one layer.

    Attributes:
        gradient: Slope g of each neuron for each class, -6 to 6; NaN where the neuron has no path to the class's output
            or the class has no samples.
        density: Density of u for each class over all neurons, in bins of equal width from 0 to 1; NaN as above.
    """

    gradient: Float[Tensor, "classes n"]
    density: Float[Tensor, "classes bins"]

    @property
    def by_class(self) -> Float[Tensor, " classes"]:
        """Mean slope over the neurons for each class."""
        return self.gradient.nanmean(1)

    @property
    def mean(self) -> float:
        """Mean slope over the classes that have samples."""
        return float(self.by_class.nanmean())


@dataclass(frozen=True)
class RankDistribution:
    """Rank distributions of several layers.

    Attributes:
        groups: By group, in the order of computation.
    """

    groups: Mapping[str, Ranks]

    def _repr_html_(self) -> str:
        return str(shown("ranks_html", self))

    def __getitem__(self, group: str) -> Ranks:
        return self.groups[group]

    def gradients(self) -> pd.DataFrame:
        """A tidy frame: group, class, gradient (mean over neurons)."""
        import pandas as pd

        rows = [
            (name, place, value)
            for name, ranks in self.groups.items()
            for place, value in enumerate(ranks.by_class.tolist())
        ]
        return pd.DataFrame(rows, columns=["group", "class", "gradient"])

    def densities(self) -> pd.DataFrame:
        """A tidy frame: group, class, u (middle of the bin), density."""
        import pandas as pd

        tables = []
        for name, ranks in self.groups.items():
            classes, bins = ranks.density.shape
            middles = (np.arange(bins) + 0.5) / bins
            table = {"class": np.repeat(np.arange(classes), bins), "u": np.tile(middles, classes)}
            tables.append(pd.DataFrame({"group": name, **table, "density": ranks.density.flatten().numpy()}))
        return pd.concat(tables, ignore_index=True)


def gradient_rows(graph: NeuralGraph, samples: Samples, labels: Tensor | None = None) -> Iterator[Row]:
    """Mean slope of the rank distribution for every hidden group, and for each class that has samples.

    NaN of a network that diverged; nothing for networks without one output group of several neurons.

    >>> from axonometry.testing import graph_of
    >>> samples, labels = torch.tensor([[0.1], [0.9], [0.4], [-0.3], [0.7], [-0.8]]), torch.tensor([0, 1, 1, 0, 0, 1])
    >>> rows = gradient_rows(graph_of([[1.0]], [[1.0], [-1.0]]), samples, labels)
    >>> [(statistic, round(value, 4)) for _, statistic, value in rows]
    [('mean', -0.3333), ('class_0', -0.3333), ('class_1', -0.3333)]
    """
    if not n_classes(graph):
        return
    samples = held(samples)
    labels = labels_in(graph, samples) if labels is None else labels
    there = [] if labels is None or labels.is_floating_point() else labels.unique().tolist()
    classes = [f"class_{k}" for k in there]

    def rows() -> Iterator[Row]:
        for name, ranks in rank_distribution(graph, samples, labels).groups.items():
            yield name, "mean", ranks.mean
            yield from ((name, of, float(ranks.by_class[k])) for of, k in zip(classes, there, strict=True))

    names = [group.name for group in graph.groups if group.role == "hidden"]
    yield from rows_or_nan(graph, samples, rows, ((name, of) for name in names for of in ("mean", *classes)))


def _rows(shared: Shared) -> Iterator[Row]:
    return gradient_rows(shared.graph, shared.samples)


@measured(
    name="rank_gradient",
    title="Gradient of the rank distribution",
    units="none",
    range="-6 to 6",
    invariances="permuting the neurons of a layer; the order of the samples; rising maps of a neuron's pre-activation",
    source="Lin et al. 2025, arXiv 2501.02436",
    needs_samples=True,
    needs_labels=True,
    cost="one forward pass over the samples, and a sort of them for every neuron",
    table=_rows,
)
@of_graph
def rank_distribution(
    graph: NeuralGraph,
    samples: Samples,
    labels: Int[Tensor, " samples"] | None = None,
    *,
    groups: Iterable[str] | None = None,
    bins: Count = BINS,
    memory: int = MEMORY,
) -> RankDistribution:
    """Rank distribution of every layer, a neuron at each position of a convolution being one of its own.

    Args:
        graph: The network at one snapshot, with one output group: a neuron for each class.
        samples: What the module takes, as for :func:`~axonometry.program.readings.live.live_batches`.
        labels: The class of each sample, from 0; None where the samples are batches of inputs and labels.
        groups: Names of groups; by default the hidden ones.
        bins: Number of bins of the density.
        memory: Bytes of pre-activations held at a time.

    Raises:
        SamplesError: Samples and labels do not fit each other or the network, all are of one class, or a sample is not
            finite at some neuron.
        ValuesError: There is no such group, or not one output group.

    >>> from axonometry.testing import graph_of
    >>> samples, labels = torch.tensor([[0.1], [0.9], [0.4], [-0.3], [0.7], [-0.8]]), torch.tensor([0, 1, 1, 0, 0, 1])
    >>> rank_distribution(graph_of([[1.0]], [[1.0], [-1.0]]), samples, labels).gradients()
      group  class  gradient
    0     0      0 -0.333333
    1     0      1 -0.333333
    """
    if groups is None:
        groups = [name for name in groups_of(graph, None) if name not in _outputs(graph)]
    names = groups_of(graph, groups)
    samples = held(samples)
    labels = labels_in(graph, samples) if labels is None else labels
    if labels is None:
        raise SamplesError("ranks are of the samples of classes", "no labels", "Pass labels=")
    outputs = [group.n_neurons for group in graph.groups if group.role == "output"]
    if len(outputs) == 1:  # linear_maps says what is wrong with several
        checked_labels(labels, count(graph, samples), outputs[0])
    # Of a thousand classes only those that have samples are computed: their number is at most that of the samples.
    there, known = labels.cpu().unique(return_inverse=True)
    maps = linear_maps(graph, neurons=there.tolist())
    found: dict[str, list[tuple[Array, Array]]] = {name: [] for name in names}
    for part in parts(graph, samples, dict.fromkeys(names, False), by="neuron", memory=memory):
        signs = maps[part.group.name].flatten(1)[:, part.rows].sign().to(torch.int8).cpu().numpy()
        found[part.group.name].append(_distribution(part.pre_activations, known.numpy(), signs, bins))
    return RankDistribution({name: _ranks(several, there, outputs[0]) for name, several in found.items()})


@argument_errors
def order_ranks(
    pre_activations: Float[Tensor, "samples n"],
    labels: Int[Tensor, " samples"],
    signs: Float[Tensor, "classes n"] | Int[Tensor, "classes n"],
    *,
    bins: Count = BINS,
) -> Ranks:
    """Rank distribution of neurons whose pre-activations are at hand.

    Args:
        pre_activations: Of the neurons.
        labels: The class of each sample, from 0.
        signs: The linear map to the outputs, or its signs.
        bins: Number of bins of the density.

    Raises:
        SamplesError: Labels do not fit the pre-activations or the signs, or all are of one class.

    >>> h = torch.tensor([0.1, 0.9, 0.4, -0.3, 0.7, -0.8])[:, None]
    >>> found = order_ranks(h, torch.tensor([0, 1, 1, 0, 0, 1]), torch.tensor([[1.0], [-1.0]]))
    >>> [round(g, 6) for g in found.by_class.tolist()]
    [-0.333333, -0.333333]
    """
    checked_labels(labels, len(pre_activations), len(signs))
    rows = np.ascontiguousarray(pre_activations.detach().cpu().T.numpy())
    there, known = labels.cpu().unique(return_inverse=True)
    own = signs.detach().cpu()[there].sign().to(torch.int8).numpy()
    return _ranks([_distribution(rows, known.numpy(), own, bins)], there, len(signs))


def _distribution(h: Array, labels: Array, signs: Array, bins: int) -> tuple[Array, Array]:
    """Gradients (classes, rows) and, summed over the rows, twice the number of values in each bin (classes, bins)."""
    classes, n = len(signs), h.shape[1]
    small = labels.astype(np.min_scalar_type(classes))
    sizes = np.bincount(labels, minlength=classes)

    def some(rows: slice) -> tuple[Array, Array]:
        order = np.argsort(h[rows], axis=1)
        ordered = np.take_along_axis(h[rows], order, 1)
        same = ordered[:, 1:] == ordered[:, :-1]
        u = (mean_ranks(same) if same.any() else np.arange(1.0, n + 1)) / n - 0.5 / n
        count = len(order)
        # One count for all neurons and classes at once: sample of class k at the neuron in row i goes to the cell
        # i * classes + k. One sort serves all classes, since a sign of -1 turns u into 1 - u and nothing else.
        cell = small[order] + classes * np.arange(count)[:, None]
        sums = np.bincount(cell.reshape(-1), np.broadcast_to(u, order.shape).reshape(-1), count * classes)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = sums.reshape(count, classes).T / sizes[:, None]
        sign = signs[:, rows]
        # The slope of the line that fits a density on [0, 1]: of 1 + g (u - 1/2) the mean is 1/2 + g / 12. All samples
        # of a class at the upper end, mean 1, would be g = 6.
        gradient = np.where(sign == 0, np.nan, 12 * (mean - 0.5) * sign)
        own = np.take_along_axis(np.ascontiguousarray(sign.T), small[order].astype(np.int64), 1)
        return gradient, _counts(small[order], u, own, bins, classes)

    found = by_rows(some, h.shape)
    return np.concatenate([gradient for gradient, _ in found], axis=1), np.sum([counts for _, counts in found], axis=0)


def _counts(label: Array, u: Array, sign: Array, bins: int, classes: int) -> Array:
    """Twice the number of values of u in each bin, a value on a border half in each; turned where the sign is -1.

    Args:
        label: The class of each value, as its sign.
        u: The values.
        sign: Of the way from the value's neuron to its class; values with 0 are not counted.
        bins: Number of bins.
        classes: Number of classes.
    """
    # Worked: two samples have u = 1/4 and 3/4; of 4 bins that is 1 and 3, the borders of the bins 0 | 1 and 2 | 3. Half
    # in each keeps the density of turned signs the mirror image. Counts are doubled so that halves are whole numbers.
    place = np.broadcast_to(np.round(u * bins, 9), label.shape)  # what lies on a border lies there exactly
    lower, upper = np.ceil(place).astype(np.int64) - 1, np.floor(place).astype(np.int64)
    counts = np.zeros(classes * bins, np.int64)
    for end in (lower, upper):
        # Each value is counted once, in its own class: the work does not grow with the number of classes.
        turned = np.where(sign < 0, bins - 1 - end, end) + bins * label.astype(np.int64)
        counts += np.bincount(turned[sign != 0], minlength=classes * bins)
    return counts.reshape(classes, bins)


def _ranks(several: list[tuple[Array, Array]], there: Tensor, classes: int) -> Ranks:
    """Of all classes, NaN of those that have no samples."""
    gradient = np.concatenate([part for part, _ in several], axis=1)
    counts = np.sum([part for _, part in several], axis=0)
    with np.errstate(invalid="ignore"):
        density = counts * counts.shape[1] / counts.sum(1, keepdims=True)
    own = (torch.from_numpy(gradient), torch.from_numpy(density))
    whole = [torch.full((classes, part.shape[1]), torch.nan, dtype=part.dtype) for part in own]
    for every, part in zip(whole, own, strict=True):
        every[there] = part
    return Ranks(*whole)


def _outputs(graph: NeuralGraph) -> set[str]:
    return {group.name for group in graph.groups if group.role == "output"}
