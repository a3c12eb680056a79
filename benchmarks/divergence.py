"""Bias and spread of the Jeffreys divergence at the sizes of layers, by density ratios and by kernel densities."""

from __future__ import annotations

import numpy as np

from axonometry.metrics import jeffreys_divergence
from benchmarks.timing import Row

SIZES = {32: 200, 200: 200, 2000: 60, 10_000: 20}
"""Values of a sample, and pairs of samples."""


def gaussians() -> list[Row]:
    """N(0, 1) against N(0, 4), whose divergence is 1.125, and against itself."""
    draw = np.random.default_rng(0)
    rows = []
    for size, pairs in SIZES.items():
        for convention in ("density-ratio", "kernel"):
            for scale, truth in ((2.0, 1.125), (1.0, 0.0)):
                found = [
                    jeffreys_divergence(draw.normal(size=size), scale * draw.normal(size=size), convention)
                    for _ in range(pairs)
                ]
                what = f"Jeffreys divergence of {size:,} values, {convention}, mean of {pairs} pairs"
                mean = float(np.mean(found))
                near = abs(mean - truth) <= 0.1 * truth + 0.06
                rows.append(Row(what, f"{mean:.3f} ± {np.std(found):.3f}", f"{truth}", near, pairs, ""))
    return rows
