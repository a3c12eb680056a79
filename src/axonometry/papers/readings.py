"""What is read of each network: measures, and the values themselves, thinned.

Everything is counted as in the code of La Malfa et al. 2021, the convention ``"ictai2021"``: biases are pooled with the
weights, and inputs and outputs have one more link to the outside world.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from axonometry.metrics import link_samples, measure, node_strength
from axonometry.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.populations import Population
    from axonometry.program import NeuralGraph

CONVENTION: Literal["ictai2021"] = "ictai2021"
MEASURES = ("link_weights", "node_strength", "layer_fluctuation")
VALUES = 2000
"""Values of one layer of one network that enter densities; of more, so many are drawn, with replacement."""

Values = NDArray[np.float32]
Place = tuple[str, str]
"""Measure and layer."""


def read(
    population: Population, title: str, progress: Progress | None
) -> tuple[pd.DataFrame, dict[Place, dict[str, Values]], set[str]]:
    """What is compared of every network at its last step.

    Args:
        population: Whole runs of one architecture.
        title: What it is, in words.
        progress: Called with networks read, out of how many, and a few words.

    Returns:
        A tidy table (network, metric, group, statistic, value), the values by place and network, and the names of the
        networks with a weight that is NaN or infinite.

    Raises:
        RunError: A run is damaged.
    """
    import pandas as pd

    frames: list[pd.DataFrame] = []
    values: dict[Place, dict[str, Values]] = {}
    for number, name in enumerate(population.runs):
        if progress is not None:
            progress(number, len(population), f"measuring {title}")
        graph = population.graph(name)
        frames.append(measure(graph, MEASURES, CONVENTION).assign(network=name))
        for place, found in values_of(graph).items():
            values.setdefault(place, {})[name] = found
    table = pd.concat(frames, ignore_index=True)[["network", "metric", "group", "statistic", "value"]]
    nonfinite = table[(table["metric"] == "link_weights") & (table["statistic"] == "nonfinite") & (table["value"] > 0)]
    return table, values, set(nonfinite["network"])


def values_of(graph: NeuralGraph) -> dict[Place, Values]:
    """Link weights and node strengths of one network by measure and layer, at most :data:`VALUES` of each."""
    weights, strengths = link_samples(graph, CONVENTION), node_strength(graph, CONVENTION)
    return {("link_weights", layer): _thinned(tensor) for layer, tensor in weights.items()} | {
        ("node_strength", layer): _thinned(tensor) for layer, tensor in strengths.items()
    }


def _thinned(tensor: Tensor) -> Values:
    values: Values = tensor.detach().float().cpu().numpy().ravel()
    if len(values) <= VALUES:
        return values
    # The same places in every network of one architecture.
    return values[np.random.default_rng(len(values)).integers(len(values), size=VALUES)]
