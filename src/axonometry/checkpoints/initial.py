"""Whether a layer is still distributed as an initialiser draws: a layer that training did not reach.

The counted distribution is compared with those of the usual initialisers for the layer's shape. With n entries, the
distance of a layer that was drawn from the right one lies below 1.63 / √n in 99 of 100 draws (Kolmogorov and Smirnov);
trained layers have other tails. Fewer than 4,096 entries tell too little.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from axonometry.checkpoints.element_types import Array
from axonometry.checkpoints.entry_statistics import EntryStatistics, distance_from

FEWEST = 4096
CRITICAL = 1.63
"""Of the distance times √n, at a level of 1 %."""
_DEVIATIONS = (0.02, 0.01, 1.0)
"""Standard deviations that are usual whatever the shape: transformers, older networks, embeddings."""


@dataclass(frozen=True)
class InitialDistribution:
    """The distribution that a layer has.

    Attributes:
        name: Which one.
        distance: The largest distance of the shares of entries up to each value.
        threshold: Below which it counts as that one.
    """

    name: str
    distance: float
    threshold: float


def initial_distribution(shape: tuple[int, ...], found: EntryStatistics) -> InitialDistribution | None:
    """The initialiser's distribution that a layer still has; None where it has none of them.

    Args:
        shape: Of the layer: outputs, inputs, kernel, or inputs, outputs for Keras and Flax.
        found: Its statistics.
    """
    if len(shape) < 2 or found.finite < FEWEST or found.nonfinite or not found.std or found.distribution is None:
        return None
    threshold = CRITICAL / math.sqrt(found.finite)
    # The shape of the distribution first: only uniform ones have an excess kurtosis of -1.2, only normal ones of 0.
    error = 5 * math.sqrt(24 / found.finite)
    if abs(found.skewness) > 5 * math.sqrt(6 / found.finite):
        return None
    candidates = _uniform(shape, found) if abs(found.kurtosis + 1.2) < error else {}
    if abs(found.kurtosis) < error:
        candidates = _normal(shape, found)
    counted = found.distribution
    distances = {name: distance_from(counted, formula) for name, formula in candidates.items()}
    if not distances:
        return None
    name = min(distances, key=distances.__getitem__)
    return InitialDistribution(name, distances[name], threshold) if distances[name] < threshold else None


def _fans(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Inputs and outputs of a neuron, whichever axis comes first."""
    kernel = math.prod(shape[2:])
    return tuple(dict.fromkeys((shape[1] * kernel, shape[0] * kernel, shape[0] * math.prod(shape[1:-1]))))


def _uniform(shape: tuple[int, ...], found: EntryStatistics) -> dict[str, Callable[[Array], Array]]:
    largest = max(abs(found.minimum), abs(found.maximum))
    fans = _fans(shape)
    bounds = {f"uniform within 1/√{fan}, torch's own": 1 / math.sqrt(fan) for fan in fans}
    bounds |= {f"uniform within √(6/{fan}), He's": math.sqrt(6 / fan) for fan in fans}
    bounds |= {f"uniform within √(6/{fans[0] + fan}), Glorot's": math.sqrt(6 / (fans[0] + fan)) for fan in fans[1:]}
    near = {name: bound for name, bound in bounds.items() if abs(bound / largest - 1) < 0.02}
    return {name: _uniform_up_to(bound) for name, bound in (near or {f"uniform within {largest:.4g}": largest}).items()}


def _uniform_up_to(bound: float) -> Callable[[Array], Array]:
    return lambda x: np.clip((x / bound + 1) / 2, 0, 1)


def _normal(shape: tuple[int, ...], found: EntryStatistics) -> dict[str, Callable[[Array], Array]]:
    fans = _fans(shape)
    deviations = {f"normal of deviation {deviation:g}": deviation for deviation in _DEVIATIONS}
    deviations |= {f"normal of deviation √(2/{fan}), He's": math.sqrt(2 / fan) for fan in fans}
    deviations |= {f"normal of deviation 1/√{fan}, LeCun's": 1 / math.sqrt(fan) for fan in fans}
    pairs = {fans[0] + fan for fan in fans[1:]} or {2 * fans[0]}
    deviations |= {f"normal of deviation √(2/{pair}), Glorot's": math.sqrt(2 / pair) for pair in pairs}
    return {name: _normal_of(deviation) for name, deviation in deviations.items() if 0.9 < deviation / found.std < 1.1}


def _normal_of(deviation: float) -> Callable[[Array], Array]:
    grid, shares = standard_normal()
    return lambda x: np.interp(x / deviation, grid, shares)


@cache
def standard_normal() -> tuple[Array, Array]:
    """The normal distribution, between whose places straight lines are off by at most 1.2e-7.

    ``scipy.special`` would take longer to import than a file of 200 MB takes to read.
    """
    grid = np.linspace(-8, 8, 2**13 + 1)
    return grid, np.array([math.erfc(-x / math.sqrt(2)) / 2 for x in grid.tolist()])
