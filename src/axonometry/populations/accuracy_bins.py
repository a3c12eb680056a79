"""Runs by their final accuracy, in bins that do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from axonometry.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

_DECIMALS = 9  # accuracies and edges are compared as written: 0.1 + 0.2 is the edge 0.3


@dataclass(frozen=True)
class AccuracyBin:
    """The runs whose final accuracy lies in one bin.

    Attributes:
        low: Least accuracy of the bin.
        high: The next bin's least accuracy; it belongs to this bin only where there is no next one.
        runs: Names of the runs, ascending by accuracy.

    >>> import pandas as pd
    >>> bins_of(pd.Series({"a": 0.3, "b": 0.9}), (0.0, 0.5, 1.0))[1]
    AccuracyBin(low=0.5, high=1.0, runs=('b',))
    """

    low: float
    high: float
    runs: tuple[str, ...]


def bins_of(accuracies: pd.Series, edges: Sequence[float]) -> tuple[AccuracyBin, ...]:
    """The runs in bins, each of which holds its lower edge and not its upper one; the last bin holds both.

    Args:
        accuracies: By the runs' names.
        edges: Increasing; n + 1 of them make n bins. Runs outside are in none.

    Raises:
        ConfigurationError: The edges do not increase.

    >>> import pandas as pd
    >>> [one.runs for one in bins_of(pd.Series({"a": 0.3, "b": 0.1, "c": 0.5}), (0.1, 0.3, 0.5))]
    [('b',), ('a', 'c')]
    """
    rounded = np.round(np.asarray(edges, dtype=float), _DECIMALS)
    if rounded.ndim != 1 or len(rounded) < 2 or not (np.diff(rounded) > 0).all():
        raise ConfigurationError("the edges of accuracy bins increase", str(list(edges)), "Pass at least two edges")
    ordered = accuracies.astype(float).round(_DECIMALS).sort_values(kind="stable")
    places = np.searchsorted(rounded, ordered, side="right") - 1
    places[ordered == rounded[-1]] = len(rounded) - 2
    bounds = [float(edge) for edge in rounded]
    return tuple(
        AccuracyBin(low, high, tuple(ordered.index[places == number]))
        for number, (low, high) in enumerate(pairwise(bounds))
    )
