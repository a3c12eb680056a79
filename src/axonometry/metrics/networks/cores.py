r"""Cores: nodes that are linked to each other more than the others are.

- coreness: a node's largest k such that it is in a subgraph in which all have k links or more (in plus out);
- rich club φ(k): among the nodes of degree k and more, the weight of the links between them, relative to as many of the
  strongest links of all (Opsahl et al. 2008, as bctpy's ``rich_club_wd``);
- core-periphery: the bipartition that maximises q = (Σ_core W - mean |core|² - Σ_periphery W + mean |periphery|²) / m
  over pairs of nodes that are not the same (Rubinov et al. 2015; bctpy's ``core_periphery_dir``, here with all of its
  moves of one node until none helps).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from axonometry.annotations import Count, Seed
from axonometry.arguments import argument_errors
from axonometry.metrics.networks.matrix import Links, as_links, as_matrix


@argument_errors
def coreness(weights: Links) -> Int[np.ndarray, " n"]:
    """The k-core of every node; links count, their weights do not.

    Args:
        weights: A graph, of which the nodes are the channels in the order of ``NodeValues.flatten``; or ``W[i, j]``
            from i to j.

    >>> triangle = np.ones((4, 4)) * (np.arange(4) < 3) * (np.arange(4)[:, None] < 3) * (1 - np.eye(4))
    >>> triangle[2, 3] = 1
    >>> coreness(triangle).tolist()
    [4, 4, 4, 1]
    """
    links = as_links(as_links(weights) != 0).astype(np.float64)
    links.setdiag(0)
    both = as_links(links + links.T)
    degree = both.sum(1)
    found, left, k = np.zeros(len(degree), np.int64), np.ones(len(degree), bool), 0
    while left.any():
        k = max(k, int(degree[left].min()))
        leaving = np.flatnonzero(left & (degree <= k))
        found[leaving] = k
        left[leaving] = False
        degree = degree - both[leaving].sum(0)
    return found


@argument_errors
def rich_club(weights: Links, levels: Count | None = None) -> Float[np.ndarray, " levels"]:
    """The weighted rich-club coefficient φ(k) for k = 1, 2, ...; NaN where no two such nodes are linked.

    Args:
        weights: As for :func:`coreness`.
        levels: The largest k; the largest degree by default.

    >>> rich_club(np.array([[0.0, 3.0, 1.0], [0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])).round(3).tolist()
    [1.0, 0.6, nan]
    """
    weights = as_matrix(weights)
    links = weights != 0
    degree = links.sum(0) + links.sum(1)
    ranked = np.sort(weights.ravel())[::-1].cumsum()
    top = int(degree.max(initial=0)) if levels is None else levels
    found = np.full(top, np.nan)
    for k in range(1, top + 1):
        rich = np.flatnonzero(degree >= k)
        inside = weights[np.ix_(rich, rich)]
        number = int((inside != 0).sum())
        if number:
            found[k - 1] = inside.sum() / ranked[number - 1]
    return found


@argument_errors
def core_periphery(weights: Links, *, seed: Seed = 0, gamma: float = 1.0) -> tuple[Bool[np.ndarray, " n"], float]:
    """Which nodes are the core, and how well the graph parts into core and periphery.

    Args:
        weights: As for :func:`coreness`.
        seed: Where the search begins, and in which order nodes move.
        gamma: Larger for a smaller core.

    Returns:
        Whether each node is in the core, and q; NaN without links.

    >>> block = np.zeros((5, 5))
    >>> block[:2, :2] = 1 - np.eye(2)
    >>> core_periphery(block)[0].tolist()
    [True, True, False, False, False]
    """
    weights = as_matrix(weights)
    n = len(weights)
    wide = weights * (1 - np.eye(n))
    total = wide.sum()
    if not total > 0:
        return np.zeros(n, bool), float("nan")
    gain = wide - gamma * total / (n * n - n)
    np.fill_diagonal(gain, 0)
    gain = (gain + gain.T) / (2 * total)
    chance = np.random.default_rng(seed)
    core = chance.random(n) < 0.5
    moved = True
    while moved:
        moved = False
        for node in chance.permutation(n):
            # q changes by the node's pairs inside both parts: what it has in the core comes, in the periphery goes
            change = 2 * float(gain[node, core].sum() + gain[node, ~core].sum()) * (-1 if core[node] else 1)
            if change > 1e-12:
                core[node] = not core[node]
                moved = True
    inside = float(gain[np.ix_(core, core)].sum() - gain[np.ix_(~core, ~core)].sum())
    return core, inside
