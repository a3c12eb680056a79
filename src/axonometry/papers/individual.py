"""One network, layer by layer: the individual counterpart of an ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from axonometry.metrics import divergence_matrix, measure
from axonometry.papers.readings import CONVENTION, Values, values_of
from axonometry.report import samples

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.populations import Population


@dataclass(frozen=True)
class Individual:
    """One network, layer by layer.

    Attributes:
        network: Name of its run.
        accuracy: On the test images.
        fluctuation: By layer.
        densities: Tidy: metric, group (empty), name (a layer's), x, density.
        divergences: By measure: a layer by layer frame.
    """

    network: str
    accuracy: float
    fluctuation: dict[str, float]
    densities: pd.DataFrame
    divergences: dict[str, pd.DataFrame]


def individual(population: Population, network: str) -> Individual:
    """The densities of one network's layers, and how far apart they are.

    Raises:
        RunError: There is no such run, or it is damaged.
    """
    graph = population.graph(network)
    found: dict[str, dict[str, Values]] = {"link_weights": {}, "node_strength": {}}
    for (metric, layer), values in values_of(graph).items():
        if samples.varies(values):
            found[metric][layer] = values
    frame = measure(graph, ["layer_fluctuation"], CONVENTION)
    return Individual(
        network=network,
        accuracy=float(population.frame["accuracy"][network]),
        fluctuation=dict(zip(frame["group"], frame["value"], strict=True)),
        densities=samples.densities({(metric, ""): by_layer for metric, by_layer in found.items()}),
        divergences={metric: divergence_matrix(by_layer) for metric, by_layer in found.items()},
    )
