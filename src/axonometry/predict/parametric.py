"""Where families of curves see the validation accuracy end: what the literature of learning curves does.

Each family has an end ``u`` that it approaches, and a shape::

    power           u - v (x + 1)^-r
    exponential     u - v exp(-r x)
    inverse log     u - v / log(x + e)
    Janoschek       u - v exp(-r x^d)

with x the number of epochs. For a given shape, u and v are linear and found by least squares; r and d minimise the
squared errors, with a weak pull towards 1/2 and 1 that decides where two points are known and three numbers are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import e, isfinite, nan

import numpy as np
from jaxtyping import Float

from axonometry.predict.feature_sets import PARAMETRIC

Numbers = Float[np.ndarray, " _"]

FAMILIES: Mapping[str, tuple[int, Callable[[Numbers, Numbers], Numbers]]] = {
    "power": (1, lambda x, shape: (x + 1) ** -shape[0]),
    "exponential": (1, lambda x, shape: np.exp(-shape[0] * x)),
    "inverse-log": (0, lambda x, shape: 1 / np.log(x + e)),
    "janoschek": (2, lambda x, shape: np.exp(-shape[0] * x ** shape[1])),
}
"""By name, how many numbers the shape has, and what is left of the way to the end after x epochs."""

AHEAD = 10
"""Epochs to look ahead, as a multiple of those known, where a run does not say how many it shall have [our choice]."""
_PULL = 1e-3
_USUAL = (0.5, 1.0)
_WIDEST = 5.0  # the logarithm of a shape lies within so much of the usual one


def extrapolate(curve: Mapping[int, float], end: int) -> dict[str, float]:
    """The accuracy after ``end`` epochs by each family, and the mean of all, between 0 and 1.

    Args:
        curve: The accuracy by number of epochs.
        end: At which epoch the curves are read.

    Returns:
        By family, and ``ensemble``; NaN where less than two finite accuracies are known.

    Source: power, exponential and inverse logarithm after Domhan, Springenberg and Hutter 2015 (IJCAI), Janoschek as
    there; the pull and the mean are [our choice].

    >>> exact = {x: 0.9 - 0.8 * (x + 1) ** -0.7 for x in range(5)}
    >>> round(extrapolate(exact, 50)["power"], 3), round(0.9 - 0.8 * 51**-0.7, 3)
    (0.849, 0.849)
    """
    known = {x: y for x, y in sorted(curve.items()) if isfinite(y)}
    if len(known) < 2:
        return dict.fromkeys((*FAMILIES, "ensemble"), nan)
    x, y = (np.array(list(part), dtype=float) for part in (known.keys(), known.values()))
    found = {name: _end(family, x, y, end) for name, family in FAMILIES.items()}
    return found | {"ensemble": float(np.mean(list(found.values())))}


def parametric_values(curve: Mapping[int, float], planned: int | None, epochs: int) -> dict[str, float]:
    """The features of a run after a number of epochs, such as ``parametric.power@2``.

    Args:
        curve: The accuracy by number of epochs; later ones are not looked at.
        planned: How many epochs the run shall have; None where it does not say so.
        epochs: What is known.

    >>> round(parametric_values({0: 0.1, 1: 0.1}, 10, 1)["parametric.power@1"], 6)
    0.1
    """
    seen = {epoch: accuracy for epoch, accuracy in curve.items() if epoch <= epochs}
    end = AHEAD * epochs if planned is None else planned
    return {f"{PARAMETRIC}.{name}@{epochs}": value for name, value in extrapolate(seen, end).items()}


def _end(family: tuple[int, Callable[[Numbers, Numbers], Numbers]], x: Numbers, y: Numbers, end: int) -> float:
    from scipy.optimize import least_squares

    count, left = family
    usual = np.log(_USUAL[:count])

    # y = start + slope · left(x): for each shape the best start and slope are a straight line's, so that only the shape
    # is searched. The last errors pull it towards the usual one, where two or three points would leave it open.
    def errors(logs: Numbers) -> Numbers:
        seen = left(x, np.exp(logs))
        return np.append(_line(seen, y)[0] + _line(seen, y)[1] * seen - y, _PULL * (logs - usual))

    logs = usual
    if count:
        bounds = (usual - _WIDEST, usual + _WIDEST)
        logs = least_squares(errors, usual, bounds=bounds, xtol=1e-10, ftol=1e-12, gtol=1e-12).x
    shape = np.exp(logs)
    start, slope = _line(left(x, shape), y)
    return float(np.clip(start + slope * left(np.array([float(end)]), shape)[0], 0.0, 1.0))


def _line(seen: Numbers, y: Numbers) -> tuple[float, float]:
    """The intercept and the slope of least squares; a curve that has no way left is flat."""
    centred = seen - seen.mean()
    spread = float(centred @ centred)
    slope = float(centred @ y) / spread if spread > 1e-18 else 0.0
    return float(y.mean()) - slope * float(seen.mean()), slope
