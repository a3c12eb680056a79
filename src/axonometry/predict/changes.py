"""A small set of features that means the same in every network: how far each layer has come since the start.

Seventeen hundred columns for a few dozen runs are noise, and a column of ``conv2`` says nothing of a network that has
none. So each quantity here is a change relative to the layer's own initial weights, and is read along the network's
depth, from 0 (the first layer) to 1 (the last)::

    layers           conv1   conv2   fc1    fc2
    relative depth   0       1/3     2/3    1
    growth           0.1     0.4     0.4    0.7
    at depth 1/2     (0.4 + 0.4) / 2 = 0.4, whether a network has four layers or forty

Seven quantities by nine readings are 63 numbers, after however many epochs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite, log10, nan

import numpy as np

from axonometry.predict.feature_sets import CHANGES
from axonometry.trajectory.summary import SummaryKey

DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Relative depths at which a quantity is read."""
QUANTITIES = ("growth", "distance", "step", "rank", "top", "fluctuation", "degree")
"""What is read of each layer; see :func:`change_values`."""
_OF_WEIGHTS = ("growth", "distance", "step", "rank", "top")
_OF_GRAPH = {"fluctuation": ("node_strength", "std"), "degree": ("channel_degree", "mean")}


def change_values(values: Mapping[SummaryKey, float], epochs: int) -> dict[str, float]:
    """The features after a number of epochs.

    Of each layer, in the network's order: of its kernel the ``growth`` log10(|W_t| / |W_0|), which is the change of
    the logarithm of the weights' spread, ``distance``, ``step`` and ``top`` as in
    :func:`axonometry.trajectory.movement.weight_values`, and ``rank``, the logarithm of the stable rank there; of its
    neurons ``fluctuation``, log10 of how much the standard deviation of node strength has grown since the start, and
    ``degree``, the same of the channels' mean degree. Of each quantity over the layers: the mean, the least, the
    greatest, the slope along the depth, and the values at :data:`DEPTHS`, linearly between layers.

    Args:
        values: The measures' summaries and the movement, with groups.
        epochs: What is known.

    Returns:
        By name, such as ``changes.growth.depth50@2``. NaN where a quantity was not recorded.

    Source: [our choice]; layers by relative depth so that networks of any depth compare.

    >>> kernels = {SummaryKey("movement", f"fc{n}.weight", "rank", 1): 10.0**n for n in (1, 2, 3)}
    >>> kernels |= {SummaryKey("movement", f"fc{n}.weight", "growth", 1): 0.1 * n for n in (1, 2, 3)}
    >>> found = change_values(kernels, 1)
    >>> [round(found[f"changes.growth.{name}@1"], 3) for name in ("average", "depth0", "depth25", "depth100")]
    [0.2, 0.1, 0.15, 0.3]
    """
    row: dict[str, float] = {}
    for quantity in QUANTITIES:
        layers = _of_layers(values, quantity, epochs)
        row |= {f"{CHANGES}.{quantity}.{name}@{epochs}": value for name, value in _along_depth(layers).items()}
    return row


def _of_layers(values: Mapping[SummaryKey, float], quantity: str, epochs: int) -> list[float]:
    """One quantity of each layer, in order; what is no number is left out."""
    if quantity in _OF_WEIGHTS:
        # Kernels alone have a rank: biases and gains start at 0 or 1, where a relative change means something else.
        kernels = [k.group for k in values if k.measure == "movement" and k.statistic == "rank" and k.epoch == epochs]
        found = [values.get(SummaryKey("movement", name, quantity, epochs), nan) for name in kernels if name]
        return _finite(map(_log10, found) if quantity == "rank" else found)
    measure, statistic = _OF_GRAPH[quantity]
    groups = dict.fromkeys(key.group for key in values if key.measure == measure and key.statistic == statistic)
    levels = (
        [values.get(SummaryKey(measure, group, statistic, epoch), nan) for epoch in (epochs, 0)]
        for group in groups
        if group
    )
    return _finite(_log10(now) - _log10(start) for now, start in levels)


def _along_depth(layers: list[float]) -> dict[str, float]:
    names = [f"depth{depth:.0%}".removesuffix("%") for depth in DEPTHS]
    if not layers:
        return dict.fromkeys(("average", "least", "greatest", "slope", *names), nan)
    places = np.linspace(0, 1, len(layers)) if len(layers) > 1 else np.zeros(1)
    at = np.interp(DEPTHS, places, layers)
    slope = float(np.polyfit(places, layers, 1)[0]) if len(layers) > 1 else 0.0
    whole = {"average": float(np.mean(layers)), "least": min(layers), "greatest": max(layers), "slope": slope}
    return whole | dict(zip(names, at.tolist(), strict=True))


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if isfinite(value)]


def _log10(value: float) -> float:
    return log10(value) if 0 < value < float("inf") else nan
