"""From values to colours and widths, and back to the numbers of the legend."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from axonometry.report import palette

LEVELS = 25
"""Colours of a picture: neighbours are told apart on no screen."""
WIDTHS = (0.6, 1.1, 1.8, 2.8)


@dataclass(frozen=True)
class Shades:
    """A scale of colours with its numbers.

    Values of both signs have two colours around zero, and their root decides, so that small ones are seen beside large
    ones; values of one sign go from light to dark.

    Attributes:
        low: The value of the first colour, and of everything below it.
        high: Of the last one.
    """

    low: float
    high: float

    @classmethod
    def of(cls, planes: Iterable[Tensor]) -> Shades:
        """The scale of the values of planes, each of which counts alike: from the 1st to the 99th percentile.

        Args:
            planes: The values of each plane.
        """
        rng = np.random.default_rng(0)
        parts = []
        for tensor in planes:
            part = tensor.flatten().numpy()
            part = part[np.isfinite(part)]
            if len(part):
                parts.append(part if len(part) <= 256 else rng.choice(part, 256, replace=False))
                parts[-1] = np.resize(parts[-1], 256)
        if not parts:
            return cls(0.0, 1.0)
        low, high = (float(x) for x in np.quantile(np.concatenate(parts), [0.01, 0.99]))
        if low < 0 < high or high <= 0:
            high = max(-low, high) or 1.0
            low = -high
        elif low < 0.25 * high:
            low = 0.0
        return cls(low, high if high > low else low + 1.0)

    @property
    def diverging(self) -> bool:
        """Whether the scale has two colours around zero."""
        return self.low < 0

    @property
    def colours(self) -> tuple[str, ...]:
        """From the lowest to the highest value."""
        return palette.diverging(LEVELS) if self.diverging else tuple(palette.steps("heat", LEVELS + 2)[2:])

    def levels(self, values: Tensor) -> list[int]:
        """The number of each value's colour; -1 of what is not a number."""
        array = values.double().numpy()
        share = (array - self.low) / (self.high - self.low)
        if self.diverging:
            signed = np.clip(array / self.high, -1, 1)
            share = 0.5 + 0.5 * np.sign(signed) * np.sqrt(np.abs(signed))
        level = np.rint(np.clip(share, 0, 1) * (LEVELS - 1))
        return [-1 if math.isnan(x) else int(x) for x in level]

    @property
    def marks(self) -> tuple[tuple[float, float], ...]:
        """Numbers of the legend: place from 0 to 1, and value."""
        if self.diverging:
            return tuple(
                (0.5 + 0.5 * math.copysign(math.sqrt(abs(x)), x), x * self.high) for x in (-1, -0.25, 0, 0.25, 1)
            )
        return tuple((x, self.low + x * (self.high - self.low)) for x in (0.0, 0.5, 1.0))


@dataclass(frozen=True)
class Widths:
    """Widths of lines by the absolute weight of links.

    Attributes:
        high: The weight of the widest line, and of everything above it.
    """

    high: float

    @classmethod
    def of(cls, weights: Iterable[float]) -> Widths:
        """The scale of some weights, up to their 98th percentile.

        Args:
            weights: Of links, of either sign.
        """
        found = np.abs(np.fromiter(weights, float))
        return cls(float(np.quantile(found, 0.98)) if len(found) else 1.0)

    def level(self, weight: float) -> int:
        """The number of a link's width: a quarter of the widest line's weight each.

        >>> Widths(1.0).level(-0.3), Widths(1.0).level(9.0)
        (1, 3)
        """
        return min(len(WIDTHS) - 1, int(len(WIDTHS) * abs(weight) / (self.high or 1.0)))

    @property
    def marks(self) -> tuple[tuple[int, float], ...]:
        """Numbers of the legend: a width's number and the middle of its weights."""
        return tuple((i, (i + 0.5) / len(WIDTHS) * self.high) for i in range(len(WIDTHS)))
