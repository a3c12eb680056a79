"""Bias and spread of the Jeffreys divergence at the sizes of layers, by density ratios and by kernel densities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.integrate import quad
from scipy.stats import laplace, norm, uniform

from axonometry.metrics import jeffreys_divergence
from benchmarks.timing import Row

Densities = tuple[Callable[[float], float], Callable[[float], float]]
Draw = Callable[[int], tuple[np.ndarray, np.ndarray]]
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


def other_laws() -> list[Row]:
    """Density ratios alone on what is no pair of Gaussians of one mean: shifted, with a kink, with jumps."""
    draw = np.random.default_rng(0)
    rows = []
    for words, densities, samples in _laws(draw):
        truth = _jeffreys(*densities)
        for size, pairs in SIZES.items():
            found = [jeffreys_divergence(*samples(size)) for _ in range(pairs)]
            what = f"Jeffreys divergence of {size:,} values, density-ratio, {words}, mean of {pairs} pairs"
            mean = float(np.mean(found))
            text, near = f"{mean:.3f} ± {np.std(found):.3f}", abs(mean - truth) <= 0.1 * truth
            rows.append(Row(what, text, f"{truth:.3f}", near, pairs, f"bias {mean / truth - 1:+.0%}"))
    return rows


def _laws(draw: np.random.Generator) -> list[tuple[str, Densities, Draw]]:
    def jumps(size: int) -> tuple[np.ndarray, np.ndarray]:
        mixed = np.where(draw.random(size) < 0.9, draw.uniform(-2, 2, size), draw.normal(size=size))
        return mixed, draw.normal(size=size)

    return [
        (
            "N(0, 1) and N(1, 1)",
            (norm.pdf, norm(1).pdf),
            lambda size: (draw.normal(size=size), draw.normal(1, size=size)),
        ),
        (
            "Laplace around 0 and 1",
            (laplace.pdf, laplace(1).pdf),
            lambda size: (draw.laplace(size=size), draw.laplace(1, size=size)),
        ),
        (
            "nine tenths uniform on (-2, 2) with a tenth N(0, 1), and N(0, 1)",
            (lambda x: 0.9 * uniform.pdf(x, -2, 4) + 0.1 * norm.pdf(x), norm.pdf),
            jumps,
        ),
    ]


def _jeffreys(p: Callable[[float], float], q: Callable[[float], float]) -> float:
    """By quadrature; beyond 30 the densities are nothing."""
    return float(quad(lambda x: (p(x) - q(x)) * np.log(p(x) / q(x)), -30, 30, points=[-2, 0, 1, 2], limit=500)[0])
