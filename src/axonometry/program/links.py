"""The map that a reading applies to every coefficient on its way: identity, absolute value, square, presence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from axonometry.program.uniform import is_uniform

Map = Callable[[Any], Any]
KEPT = 2**25
"""Most weights of which mapped copies are held; a ResNet-50 has fewer."""


def absolute(c: Any) -> Any:
    """|c|."""
    return abs(c)


def square(c: Any) -> Any:
    """C squared."""
    return c * c


def presence(c: Any) -> Any:
    """1 where c is not zero."""
    return (c != 0).to(c.dtype) if isinstance(c, Tensor) else float(c != 0)


def existence(c: Any) -> Any:
    """1 everywhere: a link is there whatever its weight."""
    if isinstance(c, Tensor) and is_uniform(c):
        return c.new_ones(()).expand(c.shape)
    return torch.ones_like(c) if isinstance(c, Tensor) else 1.0


class Links:
    """What a rule's reading gets as its first argument: it turns coefficients into link weights.

    All maps are multiplicative, ``f(ab) = f(a) f(b)``, so mapping each coefficient of a path maps its link.

    Args:
        maps: Applied one after the other; none is the identity.
        dtype: Floating type in which the reading computes.
        constants: Whether the constant terms of the sums (biases) are read too.
    """

    def __init__(
        self, maps: tuple[Map, ...] = (), *, dtype: torch.dtype = torch.float32, constants: bool = False
    ) -> None:
        self.maps, self.dtype, self.constants = maps, dtype, constants
        self._kept: dict[int, list[Tensor]] = {}

    @property
    def identity(self) -> bool:
        """Whether coefficients stay as they are."""
        return not self.maps

    def keep(self, weights: list[Tensor]) -> None:
        """Hold what these weights are mapped to once they have been, so that they are not mapped a second time.

        Where they are large nothing is held: mapping them is then little beside multiplying with them, and memory is
        not.
        """
        if not self.identity and sum(weight.numel() for weight in weights) <= KEPT:
            self._kept = {id(weight): [weight] for weight in weights}

    def __call__(self, coefficient: Any) -> Any:
        """The link weight that a coefficient stands for."""
        if not isinstance(coefficient, Tensor):
            return self._mapped(coefficient)
        if self.identity:
            return coefficient.to(self.dtype)
        kept = self._kept.get(id(coefficient))
        if kept is None:
            return self._mapped(coefficient.to(self.dtype))
        if len(kept) == 1:  # the weight itself is held so that no other tensor takes its id
            kept.append(self._mapped(coefficient.to(self.dtype)))
        return kept[1]

    def constant(self, term: Tensor | float | int | None) -> Tensor | float | None:
        """A constant term of a sum: itself where constants are read, else None."""
        if term is None or not self.constants:
            return None
        return term.to(self.dtype) if isinstance(term, Tensor) else float(term)

    def plus(self, value: Tensor, term: Tensor | float | int | None) -> Tensor:
        """``value + term`` where constants are read, else ``value``."""
        constant = self.constant(term)
        return value if constant is None else value + constant

    def _mapped(self, coefficient: Any) -> Any:
        for function in self.maps:
            coefficient = function(coefficient)
        return coefficient
