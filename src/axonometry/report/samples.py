"""Densities and divergences of weights and strengths, by accuracy bin or by layer."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from axonometry.metrics import density, divergence_matrix, link_samples, node_strength
from axonometry.report.axes import evenly

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray
    from torch import Tensor

    from axonometry.metrics.links import LinkConvention
    from axonometry.populations import AccuracyBin, Population
    from axonometry.program import NeuralGraph
    from axonometry.trajectory import Trajectory

MOST_NETWORKS = 30
"""Networks of a bin whose weights are read, evenly spaced over the bin's accuracies."""
MOST_VALUES = 10_000
"""Values of one layer of one network that enter a density; of more, so many are drawn at random, with replacement."""
POINTS = 200
"""Points of a density curve."""
TAIL = 0.0005
"""Share of the values that may lie more than three bandwidths beyond either end of a density curve."""

LOW = 0.01
"""Share of its peak below which a density counts as low."""

Values = np.ndarray
"""Finite values of one layer, float32."""
Samples = dict[tuple[str, str], dict[str, Values]]
"""By measure and group, by name (an accuracy bin, or a layer): the values."""


def of_bins(population: Population, bins: Mapping[str, AccuracyBin]) -> tuple[Samples, dict[str, int]]:
    """Node strengths and link weights of each bin's networks at their last step, pooled.

    Args:
        population: Networks of one architecture.
        bins: Accuracy bins by name.

    Returns:
        The values, and the number of networks that they come from by bin; runs without weights have none.

    Raises:
        RunError: A run is corrupt.
    """
    parts: dict[tuple[str, str], dict[str, list[NDArray[np.float32]]]] = defaultdict(lambda: defaultdict(list))
    read = {}
    for label, part in bins.items():
        kept = [name for name in part.runs if population.runs[name].snapshots]
        chosen = [kept[i] for i in evenly(len(kept), MOST_NETWORKS)]
        read[label] = len(chosen)
        for name in chosen:
            of = of_graph(population.graph(name)) if population.has_graph(name) else of_snapshot(population.runs[name])
            for place, values in of.items():
                parts[place][label].append(values)
    return {p: {label: np.concatenate(found) for label, found in by.items()} for p, by in parts.items()}, read


def of_graph(
    graph: NeuralGraph, convention: LinkConvention = "links", most: int = MOST_VALUES
) -> dict[tuple[str, str], NDArray[np.float32]]:
    """The values of one network by measure and group (for link weights, the synapse).

    Args:
        graph: The network.
        convention: Which links count.
        most: Values of a group; of more, so many are drawn at random, the same ones in every network of its size.
    """
    measures = {"node_strength": node_strength(graph, convention), "link_weights": link_samples(graph, convention)}
    return {
        (metric, group): drawn_values(tensor, most)
        for metric, values in measures.items()
        for group, tensor in values.items()
    }


def of_snapshot(run: Trajectory, most: int = MOST_VALUES) -> dict[tuple[str, str], NDArray[np.float32]]:
    """The link weights of a run at its last step, without its network: the parameters as they are.

    Batch norm is not folded in, and node strengths, which need the links, are not there.

    Args:
        run: A run that kept its weights.
        most: Values of a synapse, as for :func:`of_graph`.

    Raises:
        RunError: The run is corrupt.
    """
    weights = run.snapshots[run.steps[-1]]
    synapses = {synapse.parameter: synapse.name for synapse in reversed(run.synapses)}
    there = {name: weights[parameter] for parameter, name in synapses.items() if parameter in weights}
    names = [synapse.name for synapse in run.synapses if synapse.name in there]
    return {("link_weights", name): drawn_values(there[name], most) for name in names}


def density_curves(samples: Samples) -> pd.DataFrame:
    """Columns metric, group, name, x, density; a constant sample has none."""
    import pandas as pd

    curves = [
        curve(values).assign(metric=metric, group=group, name=name)
        for (metric, group), by_name in samples.items()
        for name, values in by_name.items()
        if varies(values)
    ]
    return (
        pd.concat(curves, ignore_index=True)
        if curves
        else pd.DataFrame(columns=["metric", "group", "name", "x", "density"])
    )


def divergences(samples: Samples) -> dict[tuple[str, str], pd.DataFrame]:
    """The Jeffreys divergence between every two samples of a place; a row of NaN for a constant one.

    >>> ramp = np.arange(100, dtype=np.float32)
    >>> found = divergences({("node_strength", "fc1"): {"low": ramp, "high": ramp + 50, "top": np.ones(9, np.float32)}})
    >>> found["node_strength", "fc1"].round(1).to_numpy().tolist()
    [[0.0, 4.2, nan], [4.2, 0.0, nan], [nan, nan, nan]]
    """
    found = {}
    for place, by_name in samples.items():
        usable = {name: values for name, values in by_name.items() if varies(values)}
        if len(by_name) > 1 and usable:
            found[place] = divergence_matrix(usable).reindex(index=list(by_name), columns=list(by_name))
    return found


def curve(values: NDArray[np.float32]) -> pd.DataFrame:
    """The density of a sample on an even grid over its range without the tails: columns x and density.

    >>> import numpy as np
    >>> curve(np.float32([0, 1, 2, 3]))["x"].round(2).iloc[[0, -1]].tolist()
    [-2.93, 5.93]
    """
    import pandas as pd

    bandwidth = density(values, np.empty(0)).bandwidth
    low, high = np.quantile(values, [TAIL, 1 - TAIL])
    grid = np.linspace(low - 3 * bandwidth, high + 3 * bandwidth, POINTS)
    return pd.DataFrame({"x": grid, "density": density(values, grid).heights})


def centre(curves: pd.DataFrame) -> list[float]:
    """Where the curves are not low; one that is far wider than the others is cut, or the others would be lines.

    Args:
        curves: Columns name, x, density.

    Returns:
        The ends of a horizontal axis: those of all curves above :data:`LOW`, but at most the median width of a curve
        beyond the median end.
    """
    peaks = curves.groupby("name")["density"].transform("max")
    ends = curves[curves["density"] > LOW * peaks].groupby("name")["x"].agg(["min", "max"])
    width = float((ends["max"] - ends["min"]).median())
    low = max(float(ends["min"].min()), float(ends["min"].median()) - width)
    return [low, min(float(ends["max"].max()), float(ends["max"].median()) + width)]


def varies(values: NDArray[np.float32]) -> bool:
    """Whether a sample is not constant, and so has a density.

    >>> varies(np.float32([1, 2])), varies(np.float32([1, 1]))
    (True, False)
    """
    return len(values) > 1 and bool(values.std() > 0)


def drawn_values(tensor: Tensor, most: int) -> NDArray[np.float32]:
    """The finite values, flat; of more than so many, that number drawn with replacement, the same places for one size.

    Args:
        tensor: Of any shape.
        most: How many are kept.

    >>> import torch
    >>> drawn_values(torch.tensor([1.0, float("nan"), 3.0]), 10)
    array([1., 3.], dtype=float32)
    """
    values = tensor.detach().float().cpu().numpy().ravel()
    finite = values[np.isfinite(values)]
    if len(finite) <= most:
        return finite
    return finite[np.random.default_rng(len(finite)).integers(len(finite), size=most)]
