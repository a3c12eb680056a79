"""Networks that were never trained: tidy frames as runs record them, with a known story in them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

LAYERS = ("input", "conv1", "fc1", "fc2")


def metrics(n: int = 30, *, steps: int = 6, layers: tuple[str, ...] = LAYERS, seed: int = 0) -> pd.DataFrame:
    """Accuracy and loss over the steps, and a fluctuation that grows with accuracy, the more the deeper the layer."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        talent = rng.uniform(0.1, 1)
        for step in range(steps):
            accuracy = 0.1 + 0.85 * talent * (1 - np.exp(-step * (0.3 + talent))) + rng.normal(0, 0.01)
            rows += [(f"run-{i:03d}", step, *row) for row in _one(float(np.clip(accuracy, 0, 1)), layers, rng)]
    return pd.DataFrame(rows, columns=["network", "step", "group", "metric", "statistic", "value"])


def _one(accuracy: float, layers: tuple[str, ...], rng: np.random.Generator) -> Iterator[tuple[str, str, str, float]]:
    yield "", "accuracy", "value", accuracy
    yield "", "loss", "value", 2.3 * (1 - accuracy)
    for depth, layer in enumerate(layers):
        fluctuation = 1 + 4 * accuracy**2 * (1 + 0.4 * depth) + rng.normal(0, 0.1 * (1 + depth))
        yield layer, "layer_fluctuation", "value", fluctuation
        yield layer, "node_strength", "mean", 0.5 * depth * accuracy + rng.normal(0, 0.1)
        yield layer, "node_strength", "std", fluctuation
        if depth:
            yield layer, "link_weights", "mean", rng.normal(0, 0.01)
            yield layer, "link_weights", "std", 0.05 + 0.02 * accuracy


def against_accuracy(frame: pd.DataFrame, layer: str = "fc1") -> pd.DataFrame:
    """Columns network, step, accuracy, value of one layer's fluctuation."""
    keys = ["network", "step"]
    accuracy = frame[frame["metric"] == "accuracy"][[*keys, "value"]].rename(columns={"value": "accuracy"})
    chosen = frame[(frame["metric"] == "layer_fluctuation") & (frame["group"] == layer)][[*keys, "value"]]
    return chosen.merge(accuracy, on=keys)
