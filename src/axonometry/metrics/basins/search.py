"""The search for the amplitude at which accuracy falls to a threshold: a grid, then bisection, for many groups at once.

A group is the whole sample set, a class, or a single sample. In one pass every sample meets noise of its own group's
amplitude, so that halving the brackets of ten classes, or of a thousand samples, costs as much as that of the network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from axonometry.errors import ConfigurationError
from axonometry.metrics.basins.intervals import Curves, joined_curves, point

_PER_DECADE = 4

Tick = Callable[[str], None]
"""Told before each pass over the draws what it is for."""

Trials = Callable[[Float[Tensor, " samples"]], Bool[Tensor, "draws samples"]]
"""From an amplitude for each sample, NaN for those that are not asked, to whether each draw leaves it classified right.

The same draws are taken at every call."""


@dataclass(frozen=True)
class Search:
    """How the amplitude is looked for; checked at construction.

    Attributes:
        threshold: Accuracy that is looked for, above 0 and below 1.
        precision: Relative width to which the bracket around the crossing is halved; inside it a line is drawn.
        amplitudes: Least and greatest amplitude of the grid, which has four to a decade.
        draws: Draws of the noise at each amplitude, at least 2.
        seed: What the draws follow from.

    Raises:
        ConfigurationError: One of them makes no sense.

    >>> search = Search(amplitudes=(0.1, 10.0))
    >>> search.grid.round(2).tolist(), search.halvings
    ([0.1, 0.18, 0.32, 0.56, 1.0, 1.78, 3.16, 5.62, 10.0], 5)
    """

    threshold: float = 0.5
    precision: float = 0.02
    amplitudes: tuple[float, float] = (1e-3, 10.0)
    draws: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ConfigurationError("`threshold` is an accuracy above 0 and below 1", str(self.threshold))
        if not 0 < self.precision < 1:
            raise ConfigurationError("`precision` is a relative width above 0 and below 1", str(self.precision))
        least, greatest = self.amplitudes
        if not 0 < least < greatest < math.inf:
            raise ConfigurationError("`amplitudes` are a least and a greatest one above 0", str(self.amplitudes))
        if self.draws < 2:
            raise ConfigurationError("`draws` is at least 2, so that an interval can be told", str(self.draws))
        if self.seed < 0:
            raise ConfigurationError("`seed` is at least 0", str(self.seed))

    @property
    def grid(self) -> Float[np.ndarray, " amplitudes"]:
        """The amplitudes at which everything is measured."""
        least, greatest = self.amplitudes
        return np.geomspace(least, greatest, math.ceil(_PER_DECADE * math.log10(greatest / least) - 1e-9) + 1)

    @property
    def halvings(self) -> int:
        """How often a cell of the grid is halved."""
        # A halving halves the logarithm of a cell's width. Four cells a decade are a ratio of 1.78: to get to 1.02
        # takes log2(ln 1.78 / ln 1.02) = 4.9, so 5 halvings.
        ratio = self.grid[1] / self.grid[0]
        return max(0, math.ceil(math.log2(math.log(ratio) / math.log1p(self.precision))))


@dataclass(frozen=True)
class Partition:
    """Which group each sample belongs to.

    Attributes:
        of: A group's number for each sample.
        count: Number of groups; none is empty.

    >>> Partition(torch.tensor([0, 0, 1]), 2).mean(torch.tensor([1.0, 0.0, 1.0]))
    array([0.5, 1. ])
    """

    of: Int[Tensor, " samples"]
    count: int

    @property
    def sizes(self) -> Float[np.ndarray, " groups"]:
        """Samples in each group."""
        return np.bincount(self.of.numpy(), minlength=self.count).astype(float)

    def mean(self, values: Float[Tensor, "*rows samples"]) -> Float[np.ndarray, "*rows groups"]:
        """The mean over each group's samples."""
        sums = torch.zeros(*values.shape[:-1], self.count, dtype=torch.float64)
        return sums.index_add_(-1, self.of, values.double()).numpy() / self.sizes

    def point(self, amplitudes: Float[np.ndarray, " groups"], right: Bool[Tensor, "draws samples"]) -> Curves:
        """The groups' accuracies at their amplitudes."""
        own = right.double().mean(0)
        mean = self.mean(own)
        square = self.mean((own - torch.from_numpy(mean)[self.of]) ** 2)
        # n / (n - 1), since the samples themselves are drawn; in a group of one the square is 0, and stays it.
        spread = square * self.sizes / np.maximum(self.sizes - 1, 1)
        return point(amplitudes, self.mean(right.double()), spread, self.sizes)


def on_grid(trials: Trials, n_samples: int, search: Search, tick: Tick) -> list[Bool[Tensor, "draws samples"]]:
    """What is classified right at every amplitude of the grid.

    >>> def trials(s):
    ...     return (s < 1.5).expand(2, -1)
    >>> search = Search(amplitudes=(0.1, 10.0), draws=2)
    >>> [bool(found.all()) for found in on_grid(trials, 3, search, lambda words: None)]
    [True, True, True, True, True, False, False, False, False]
    """
    found = []
    for amplitude in search.grid:
        tick(f"amplitude {amplitude:.3g}")
        found.append(trials(torch.full((n_samples,), float(amplitude), dtype=torch.float64)))
    return found


@dataclass(frozen=True)
class Level:
    """One way to group the samples, and what was found so far.

    Attributes:
        name: What the groups are, in words.
        partition: The groups.
        clean: Accuracy of each group without noise.
        curves: Accuracy of each group at the amplitudes that were tried.
    """

    name: str
    partition: Partition
    clean: Float[np.ndarray, " groups"]
    curves: Curves


def level(name: str, of: Tensor, right: Tensor, grid: list[Tensor], search: Search) -> Level:
    """The groups with their accuracies on the grid.

    Args:
        name: What the groups are.
        of: A group's number for each sample.
        right: Whether each sample is classified right without noise.
        grid: What :func:`on_grid` found.
        search: How it looked.

    >>> search = Search(amplitudes=(0.1, 10.0), draws=2)
    >>> grid = [torch.tensor([[s < 1.5, s < 3.5]] * 2) for s in search.grid.tolist()]
    >>> found = level("samples", torch.arange(2), torch.ones(2, dtype=torch.bool), grid, search)
    >>> found.curves.accuracy.mean(0).round(3)
    array([0.556, 0.778])
    """
    partition = Partition(of, int(of.max()) + 1)
    points = [partition.point(np.full(partition.count, s), found) for s, found in zip(search.grid, grid, strict=True)]
    return Level(name, partition, partition.mean(right.double()), joined_curves(points))


def refined(trials: Trials, coarse: Level, search: Search, tick: Tick) -> Level:
    """The same groups, with closer and closer amplitudes around the first crossing of each.

    >>> def trials(s):
    ...     return (s < 1.5).expand(2, -1)
    >>> search = Search(amplitudes=(0.1, 10.0), draws=2)
    >>> tick = lambda words: None
    >>> coarse = level("all", torch.zeros(3).long(), torch.ones(3).bool(), on_grid(trials, 3, search, tick), search)
    >>> fine = refined(trials, coarse, search, tick)
    >>> [len(found.curves.amplitudes) for found in (coarse, fine)], fine.curves.accuracy.ravel().astype(int)
    ([9, 14], array([1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]))
    """
    curves, partition = coarse.curves, coarse.partition
    below = curves.accuracy <= search.threshold
    place = below.argmax(axis=0)
    # From above: a group may also stay above, or lie below from the first amplitude on, or be below without noise.
    crosses = (place > 0) & (coarse.clean > search.threshold)
    low, high = np.log(search.grid[np.maximum(place - 1, 0)]), np.log(search.grid[place])
    for number in range(search.halvings if crosses.any() else 0):
        tick(f"{coarse.name}, halving {number + 1} of {search.halvings}")
        # In logarithms, since low and high are: between 0.1 and 1 the middle is 0.32. All groups are halved in the same
        # pass, each at its own amplitude: a pass costs the same for one group as for a thousand samples of one each.
        middle = (low + high) / 2
        asked = torch.from_numpy(np.where(crosses, np.exp(middle), np.nan))[partition.of]
        found = partition.point(np.exp(middle), trials(asked)).where(crosses, curves.row(0))
        falls = found.accuracy[0] <= search.threshold
        high, low = np.where(falls, middle, high), np.where(falls, low, middle)
        curves = joined_curves([curves, found])
    return Level(coarse.name, partition, coarse.clean, curves)
