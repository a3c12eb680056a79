"""Linear maps known by what they do: their matrices are made block by block, so that each entry can be mapped."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from axonometry.program.links import Links
from axonometry.program.rules.transposable import transposable_map

BLOCK = 2**22
"""Entries of a matrix that are held at once."""
ROUNDING = 1e-6
"""What is smaller is left of an exact zero by rounding, and no link."""


class MappedMatrix:
    """The mapped matrix of a map over some axes, which is the same for all places of the others.

    Args:
        transform: Takes a stack of inputs along a new first axis, of length 1 along all axes but those of the map.
        links: What happens to the entries.
        before: The input's shape.
        after: The result's shape.
        axes: The axes that the map runs over.
        pairs: Whether the input and the result are complex: pairs of real numbers, each with entries of its own.

    >>> reverse = MappedMatrix(lambda x: -x.flip(2), Links((torch.abs,)), (1, 3), (1, 3), [1])
    >>> reverse(torch.tensor([[1.0, 2.0, 3.0]])), reverse.pulled(torch.tensor([[1.0, 0.0, 0.0]]))
    (tensor([[3., 2., 1.]]), tensor([[0., 0., 1.]]))
    """

    def __init__(
        self,
        transform: Callable[[Tensor], Tensor],
        links: Links,
        before: tuple[int, ...],
        after: tuple[int, ...],
        axes: list[int],
        *,
        pairs: tuple[bool, bool] = (False, False),
    ) -> None:
        self.transform, self.links, self.axes = transform, links, axes
        self.pairs, self.into_pairs = pairs
        self.before, self.after = tuple(before), tuple(after)
        self.places = math.prod(before[axis] for axis in axes)
        self.results = math.prod(after[axis] for axis in axes)

    def __call__(self, x: Tensor) -> Tensor:
        """The matrix times a signal; where it is being differentiated, zeros that know the transpose."""
        shape = (*self.after, 2) if self.into_pairs else self.after

        def pull(y: Tensor) -> Tensor:
            found = self.pulled(torch.view_as_complex(y.contiguous()) if self.into_pairs else y)
            return torch.view_as_real(found) if self.pairs else found

        def value() -> Tensor:
            return torch.view_as_real(self.times(x)) if self.into_pairs else self.times(x)

        found = transposable_map(torch.view_as_real(x) if self.pairs else x, value, pull, shape)
        return torch.view_as_complex(found.contiguous()) if self.into_pairs else found

    def blocks(self, device: torch.device) -> Iterator[tuple[int, int, int, list[Tensor]]]:
        """First and last place, part of the input (0: real, 1: imaginary), entries (places, results) of the parts."""
        size = max(BLOCK // self.results, 1)
        unit = [n if axis in self.axes else 1 for axis, n in enumerate(self.before)]
        # Columns of the matrix are what it makes of unit vectors: a transform of 28 x 28 places has 784 of them, each
        # with 784 results, in one block. Of 256 x 256 places, 64 go at a time. Of pairs, first all (1, 0), then all (0,
        # 1).
        for part in range(1 + self.pairs):
            for start in range(0, self.places, size):
                stop = min(start + size, self.places)
                basis = torch.zeros(stop - start, self.places, dtype=self.links.dtype, device=device)
                basis[torch.arange(stop - start), torch.arange(start, stop)] = 1
                basis = basis.reshape(-1, *unit)
                if self.pairs:
                    basis = torch.complex(*((basis, torch.zeros_like(basis))[:: -1 if part else 1]))
                found = self.transform(basis).reshape(stop - start, -1)
                both = [found.real, found.imag] if found.is_complex() else [found]
                yield start, stop, part, [self._mapped(c) for c in both]

    def _mapped(self, entries: Tensor) -> Tensor:
        there = entries.abs() > ROUNDING
        # "Every link is 1" would make a link of the 1e-17 that a transform leaves where its matrix has a zero.
        return self.links(entries) * there.to(self.links.dtype)

    def _flat(self, x: Tensor) -> Tensor:
        """(others, places)."""
        others = [axis for axis in range(x.dim()) if axis not in self.axes]
        return x.permute(*others, *self.axes).flatten(len(others)).reshape(-1, math.prod(x.shape[a] for a in self.axes))

    def _back(self, flat: Tensor, shape: tuple[int, ...]) -> Tensor:
        others = [axis for axis in range(len(shape)) if axis not in self.axes]
        order = [*others, *self.axes]
        return flat.reshape([shape[a] for a in order]).permute([order.index(a) for a in range(len(shape))])

    def times(self, x: Tensor) -> Tensor:
        """The matrix times a signal."""
        flat = self._flat(x)
        parts = [flat.real, flat.imag] if self.pairs else [flat]
        sums: list[Tensor | float] = [0.0, 0.0]
        for start, stop, part, entries in self.blocks(x.device):
            for i, block in enumerate(entries):
                sums[i] = sums[i] + parts[part][:, start:stop] @ block
        real, imaginary = sums
        assert isinstance(real, Tensor)
        return self._back(torch.complex(real, imaginary) if isinstance(imaginary, Tensor) else real, self.after)

    def pulled(self, y: Tensor) -> Tensor:
        """The transposed matrix times a result."""
        flat = self._flat(y)
        given = [flat.real, flat.imag] if flat.is_complex() else [flat]
        parts: list[list[Tensor]] = [[], []]
        for _, _, part, entries in self.blocks(y.device):
            terms = [value @ block.T for value, block in zip(given, entries, strict=False)]
            parts[part].append(terms[0] + terms[1] if len(terms) > 1 else terms[0])
        found = [torch.cat(part, -1) for part in parts if part]
        return self._back(torch.complex(*found) if self.pairs else found[0], self.before)
