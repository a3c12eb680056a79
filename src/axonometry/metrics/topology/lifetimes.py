r"""The topology of a trajectory: how its snapshots fill the space that they move in.

E_α(n) = Σ |e|^α over the minimum spanning tree of n points: the sum of lifetimes, to the power α, of their
zero-dimensional persistent homology. For n points in a space of dimension d it grows as n^(1 - α/d), so that the slope
m of ln E_α against ln n gives the PH dimension, α / (1 - m).

Source: Birdal et al. 2021, arXiv 2111.13171, for the snapshots of training; Schweinhart 2020 for the dimension.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from axonometry.annotations import Seed
from axonometry.arguments import argument_errors
from axonometry.errors import ValuesError
from axonometry.metrics.topology.trees import complete_tree

_LEAST = 20


@argument_errors
def lifetime_sum(distances: Float[np.ndarray, "n n"], alpha: float | int = 1.0) -> float:
    """The sum of lifetimes, to the power alpha, of the zero-dimensional persistent homology of points.

    Args:
        distances: Between all points, such as a run's snapshots.
        alpha: The power.

    >>> lifetime_sum(np.array([[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]]), alpha=2)
    5.0
    """
    return float((complete_tree(np.asarray(distances, np.float64)) ** alpha).sum())


@argument_errors
def ph_dimension(
    distances: Float[np.ndarray, "n n"], alpha: float | int = 1.0, *, repeats: int = 5, seed: Seed = 0
) -> float:
    """The PH dimension of points: 1 of a smooth curve, 2 of a plane that they fill at random.

    Args:
        distances: Between all points; 20 or more of them.
        alpha: The power.
        repeats: How many subsets of each size are drawn; their mean is taken.
        seed: Where chance comes from.

    Returns:
        From 0; infinite where E grows as n or faster, NaN where a subset of points is one point.

    Raises:
        ValuesError: Distances are not a symmetric matrix of finite numbers, or of fewer than 20 points.

    >>> points = np.random.default_rng(0).random(300)
    >>> round(ph_dimension(np.abs(points[:, None] - points)), 1)
    1.0
    """
    matrix = np.asarray(distances, np.float64)
    if matrix.ndim != 2 or len(matrix) < _LEAST or matrix.shape[0] != matrix.shape[1]:
        raise ValuesError(f"a dimension is of the distances of {_LEAST} points or more", f"shape {matrix.shape}", "")
    if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T):
        raise ValuesError("distances are finite and the same both ways", "others", "Leave diverged snapshots out")
    chance = np.random.default_rng(seed)
    sizes = np.unique(np.geomspace(max(10, len(matrix) // 8), len(matrix), 8).astype(int))
    sums = [np.mean([lifetime_sum(_some(matrix, int(n), chance), alpha) for _ in range(repeats)]) for n in sizes]
    if not min(sums) > 0:
        return math.nan
    slope = float(np.polyfit(np.log(sizes), np.log(sums), 1)[0])
    return alpha / (1 - slope) if slope < 1 else math.inf


def _some(matrix: Float[np.ndarray, "n n"], size: int, chance: np.random.Generator) -> Float[np.ndarray, "m m"]:
    chosen = chance.choice(len(matrix), size, replace=False)
    return matrix[np.ix_(chosen, chosen)]
