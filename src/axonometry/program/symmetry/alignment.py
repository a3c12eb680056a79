"""Aligning two networks: the exchange of neurons that brings one as close to the other as can be found.

Weight matching of Ainsworth et al. (2022, "Git Re-Basin"): the permutation P that makes the sum over all weights
<a, P b> large, by coordinate descent over the classes of neurons. With all classes but one held, the best exchange of
that one is a linear assignment, which is solved exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from axonometry.annotations import Seed
from axonometry.program.entry import of_graph
from axonometry.program.graph import NeuralGraph
from axonometry.program.symmetry.atoms import Ids
from axonometry.program.symmetry.classes import Permutation, Permutations
from axonometry.program.symmetry.reading import permutations
from axonometry.program.symmetry.units import Axis, axes_below, exchangeable
from axonometry.program.weights.snapshots import refuse_values, weights_of_captured_shapes

Arrays = Mapping[str, NDArray[np.float64]]
Pairs = list[tuple[int, int]]
SWEEPS = 100
"""Most visits of all classes, should rounding make two matches trade places for ever."""


@of_graph
def align(graph: NeuralGraph, a: Mapping[str, Tensor], b: Mapping[str, Tensor], *, seed: Seed = 0) -> Permutation:
    """The exchange of neurons that brings ``b`` near ``a``.

    Maximises the sum over all parameters of <a, P b>, so that the distance ||a - P b|| becomes small. Blocks, such as
    attention heads, are matched by the best match of what stands in them.

    Args:
        graph: The captured network of both.
        a: Weights that stay.
        b: Weights whose neurons are exchanged.
        seed: Draws the order in which classes are visited.

    Returns:
        The permutation; ``ax.permute(b, graph, permutation)`` is the aligned network.

    Raises:
        WeightsError: A parameter is missing, is not finite, or has another shape than in the captured network.

    >>> import torch
    >>> from torch import nn
    >>> from axonometry import align, capture, permutations, permute
    >>> net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> graph, weights = capture(net, torch.zeros(1, 3)), net.state_dict()
    >>> other = permute(weights, graph, permutations(graph).random(seed=0))
    >>> aligned = permute(other, graph, align(graph, weights, other))
    >>> all(torch.equal(aligned[name], weights[name]) for name in weights)
    True
    """
    # Descent ends where no class by itself can come closer, which depends on where it starts. Networks of one training
    # are near as they stand; others are better matched layer by layer from the input on. Both are tried.
    as_they_stand = matching_of(graph, a, b)
    in_order = Matching(as_they_stand.found, as_they_stand.a, as_they_stand.b)
    in_order.solve_in_order()
    for matching in (as_they_stand, in_order):
        matching.descend(np.random.default_rng(seed))
    return max((as_they_stand, in_order), key=Matching.similarity).permutation()


def matching_of(graph: NeuralGraph, a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Matching:
    """Two states of a network, of which nothing is matched yet.

    Raises:
        WeightsError: A parameter is missing, is not finite, or has another shape than in the captured network.
    """
    found = permutations(graph)
    names = [name for name in graph.program.parameters if any(found.get(name, ()))]
    return Matching(found, _arrays(graph, a, names), _arrays(graph, b, names))


class Matching:
    """What is matched so far: by unit of ``a``, the unit of ``b`` that takes its place."""

    def __init__(self, found: Permutations, a: Arrays, b: Arrays) -> None:
        self.found, self.units, self.a, self.b = found, found.units, a, b
        self.source = np.arange(len(found.units))
        self.all = list(self.families(found.outermost))
        self.loose: set[Axis] = set()

    def permutation(self) -> Permutation:
        """The exchange that is found so far."""
        return self.found.permutation(self.source)

    def descend(self, random: np.random.Generator, families: Sequence[list[int]] | None = None) -> None:
        """Match one family after the other, all of them or some, until a visit of each changes nothing."""
        families = self.all if families is None else families
        for _ in range(SWEEPS):
            changed = [self.solve(families[i]) for i in random.permutation(len(families))]
            if not any(changed):
                return

    def solve_in_order(self) -> None:
        """A first match from the input on: of each family by the tensors whose other axes are matched already.

        The rows of a first layer are told by its columns, which the input fixes; the next layer's by these, and so on.
        """
        left = [(family, self._axes_of(family)) for family in self.all]
        self.loose = set().union(*(axes for _, axes in left))
        while left:
            told = [sum(map(self._is_told, axes)) / len(axes) for _, axes in left]
            family, axes = left.pop(int(np.argmax(told)))
            self.solve(family)
            self.loose -= axes

    def _axes_of(self, family: Sequence[int]) -> set[Axis]:
        return {axis for unit in family for axis in axes_below(self.units, unit) if axis[0] in self.a}

    def _is_told(self, axis: Axis) -> bool:
        """Whether all other axes of a tensor are matched."""
        name, number = axis
        return not any((name, other) in self.loose for other in range(self.a[name].ndim) if other != number)

    def similarity(self) -> float:
        """The sum over all parameters of <a, P b>."""
        order = self.found.permutation(self.source).order
        total = 0.0
        for name, mine in self.a.items():
            tensor = self.b[name]
            for axis in range(tensor.ndim):
                tensor = tensor.take(order[name, axis], axis) if (name, axis) in order else tensor
            total += float(np.vdot(mine, tensor))
        return total

    def families(self, units: Sequence[int]) -> Iterator[list[int]]:
        """Units that are exchanged at once, with what stands in them; what stands in fixed blocks by itself."""
        for kind in exchangeable(self.units, units):
            if self.units[kind[0]].free and (len(kind) > 1):
                yield kind
                continue
            for unit in kind:
                yield from self.families(self.units[unit].children)

    def solve(self, family: list[int]) -> bool:
        """Match one family anew; whether it came closer."""
        order = self.found.permutation(self.source).order
        now = self.source[family].tolist()
        similar, below = self._similar(family, now, order)
        rows, columns = best_match(similar)
        kept = np.trace(similar)
        # A gain of the size of rounding is none: two matches that are equally good would trade places for ever.
        if similar[rows, columns].sum() <= kept + 1e-9 * (1 + abs(kept)):
            rows = columns = np.arange(len(family))
        before = self.source.copy()
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            self.source[family[row]] = now[column]
            for unit, other in below.get((row, column), []):
                self.source[unit] = other
        return bool((self.source != before).any())

    def _similar(
        self, here: Sequence[int], there: Sequence[int], order: Mapping[Axis, Ids]
    ) -> tuple[NDArray[np.float64], dict[tuple[int, int], Pairs]]:
        """Inner products of units, and for each pair the best match of what stands in them."""
        total = np.zeros((len(here), len(there)))
        for axis in self.units[here[0]].places:
            if axis[0] in self.a and self._is_told(axis):
                rows = self._rows(self.a[axis[0]], axis, here)
                total += rows @ self._rows(self._permuted(axis, order), axis, there).T
        below: dict[tuple[int, int], Pairs] = {}
        inner = [exchangeable(self.units, self.units[unit].children) for unit in here]
        outer = [exchangeable(self.units, self.units[unit].children) for unit in there]
        for kind in range(len(inner[0])):
            mine, theirs = [one[kind] for one in inner], [one[kind] for one in outer]
            values, deeper = self._similar([*chain(*mine)], [*chain(*theirs)], order)
            self._match(mine, theirs, (values, deeper), total, below)
        return total, below

    def _match(
        self,
        mine: Sequence[Sequence[int]],
        theirs: Sequence[Sequence[int]],
        similar: tuple[NDArray[np.float64], Mapping[tuple[int, int], Pairs]],
        total: NDArray[np.float64],
        below: dict[tuple[int, int], Pairs],
    ) -> None:
        """Add to every pair of blocks the best match of one kind of what stands in them."""
        values, deeper = similar
        size = len(mine[0])
        for i, j in np.ndindex(total.shape):
            # Two heads of three channels: values is (6, 6), and rows 0-2 with columns 3-5 say how the channels of head
            # 0 of `a` fit those of head 1 of `b`. What they sum to at their best is how well the heads fit.
            part = values[i * size : (i + 1) * size, j * size : (j + 1) * size]
            free = self.units[mine[i][0]].free and size > 1
            rows, columns = best_match(part) if free else (np.arange(size),) * 2
            total[i, j] += part[rows, columns].sum()
            pairs = below.setdefault((i, j), [])
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
                pairs.append((mine[i][row], theirs[j][column]))
                pairs += deeper.get((i * size + row, j * size + column), [])

    def _rows(self, tensor: NDArray[np.float64], axis: Axis, units: Sequence[int]) -> NDArray[np.float64]:
        """The entries of each unit along an axis, as one row."""
        places = np.stack([self.units[unit].places[axis] for unit in units])
        return np.moveaxis(tensor, axis[1], 0)[places].reshape(len(units), -1)

    def _permuted(self, axis: Axis, order: Mapping[Axis, Ids]) -> NDArray[np.float64]:
        """A tensor of ``b`` with all axes but one in their present order."""
        tensor = self.b[axis[0]]
        for other in range(tensor.ndim):
            if other != axis[1] and (axis[0], other) in order:
                tensor = tensor.take(order[axis[0], other], other)
        return tensor


def _arrays(graph: NeuralGraph, state: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    captured = graph.state
    weights = weights_of_captured_shapes(state, {name: tuple(captured[name].shape) for name in names})
    refuse_values(weights)
    return {name: tensor.double().cpu().numpy() for name, tensor in weights.items()}


def best_match(similar: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The pairs of rows and columns whose entries have the largest sum."""
    from scipy.optimize import linear_sum_assignment  # a quarter of a second, which reading a network does without

    rows, columns = linear_sum_assignment(similar, maximize=True)
    return rows, columns
