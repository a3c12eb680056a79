"""The bookkeeping of what has to move together: atoms, in clusters, inside blocks.

An *atom* is one place along one axis of one tensor: row 3 of a weight, entry 3 of its bias. Where an operation combines
two places, their atoms are joined: they move together or not at all. A *cluster* of joined atoms is a neuron.

Clusters that may only trade places inside a part stand below a *block*: the channels of one attention head. A block is
an atom too, so that heads trade places as wholes, and blocks may stand below blocks. A cluster that is *pinned* keeps
its place inside its block: under rotary embeddings, coordinate 3 of one head may only become coordinate 3 of another.

>>> atoms = Atoms()
>>> rows, bias = atoms.new(2), atoms.new(2)
>>> atoms.join(rows, bias)
>>> (atoms.roots(rows) == atoms.roots(bias)).tolist(), len(set(atoms.roots(rows).tolist()))
([True, True], 2)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
FIXED = 0
"""The atom of all places that cannot move: the features of an input, the classes of an output."""


class Atoms:
    """A union-find structure over atoms, with a block above each cluster where there is one."""

    def __init__(self) -> None:
        self._joined = [FIXED]
        self._above: dict[int, int] = {}
        self._below: dict[int, set[int]] = {}
        self._pins: dict[int, frozenset[tuple[int, int]]] = {}
        self._fixed: set[int] = {FIXED}

    def new(self, *shape: int) -> Ids:
        """New atoms, each a cluster of its own."""
        first, count = len(self._joined), int(np.prod(shape))
        self._joined += range(first, first + count)
        return np.arange(first, first + count).reshape(shape)

    def find(self, atom: int) -> int:
        """The atom that stands for a cluster."""
        joined = self._joined
        while joined[atom] != atom:
            # Every second link of the chain is skipped on the way, so that chains stay a few links long.
            joined[atom] = joined[joined[atom]]
            atom = joined[atom]
        return int(atom)

    def roots(self, atoms: Ids) -> Ids:
        """The atoms that stand for the clusters of many atoms."""
        some, places = np.unique(atoms, return_inverse=True)
        return np.array([self.find(int(atom)) for atom in some], dtype=np.int64)[places].reshape(atoms.shape)

    def above(self, atom: int) -> int | None:
        """The block that a cluster stands in."""
        block = self._above.get(self.find(atom))
        return None if block is None else self.find(block)

    def pins(self, atom: int) -> frozenset[tuple[int, int]]:
        """The places inside its block that a cluster keeps; none where it is free."""
        return self._pins.get(self.find(atom), frozenset())

    def is_fixed(self, atom: int) -> bool:
        """Whether a cluster, or something below it, cannot move."""
        return self.find(atom) in self._fixed

    def fix(self, atoms: Ids) -> None:
        """What these places stand for does not move."""
        self._fixed.update(int(root) for root in np.unique(self.roots(atoms)))

    def join(self, a: Ids, b: Ids) -> None:
        """Places that move together, pair by pair; shapes broadcast."""
        a, b = np.broadcast_arrays(a, b)
        pairs = np.unique(np.stack([self.roots(a).ravel(), self.roots(b).ravel()]), axis=1)
        fixed = (pairs == self.find(FIXED)).any(0)
        self.fix(pairs[:, fixed])  # not joined: what is fixed in one block has nothing to do with what is in another
        pairs = pairs[:, ~fixed]
        inside = [(atom, self.above(atom)) for atom in np.unique(pairs).tolist()] if self._above else []
        for p, q in pairs.T.tolist():
            self._join(p, q)
        # Channels 0 1 | 2 3 in the blocks A and B are joined with 4 5 | 6 7 in C and D: the clusters of 0 and 1 now
        # stand in A and in C, so that A has met C, in both cases with the same two clusters, and A and C become one
        # block; so do B and D.
        content: dict[int, set[int]] = defaultdict(set)
        blocks: dict[int, set[int]] = defaultdict(set)
        for atom, block in inside:
            if block is not None:
                blocks[self.find(atom)].add(block)
                content[block].add(self.find(atom))
        met = [sorted(some) for some in blocks.values() if len(some) > 1]
        shared = {block: {one for one in content[block] if len(blocks[one]) > 1} for some in met for block in some}
        self._unite(shared, met)

    def _join(self, a: int, b: int) -> None:
        a, b = self.find(a), self.find(b)
        if a == b:
            return
        kept, gone = min(a, b), max(a, b)
        self._joined[gone] = kept
        if gone in self._fixed:
            self._fixed.add(kept)
        if gone in self._above and kept not in self._above:
            self._put(kept, self._above[gone])
        if gone in self._pins:
            self._pins[kept] = self.pins(kept) | self._pins[gone]
        if gone in self._below:
            self._below[kept] = self._below.get(kept, set()) | self._below.pop(gone)

    def _put(self, atom: int, block: int) -> None:
        self._above[atom] = block
        self._below.setdefault(self.find(block), set()).add(atom)

    def _unite(self, content: Mapping[int, set[int]], met: Iterable[Sequence[int]]) -> None:
        """Blocks that turn out to hold the same clusters are one; what stands against that is fixed.

        Heads 0 and 1 that read one head of keys hold the same clusters once these are joined: one block. If each has
        values of its own, too, these would be mixed in one block: the heads stay two, and cannot move. Groups {0, 1},
        {2, 3} of a normalisation and {0}, {1}, {2}, {3} of a convolution divide four channels differently: no exchange
        of channels keeps both.
        """
        for some in _components(met):
            own = {block: {self.find(atom) for atom in self._below.get(self.find(block), ())} for block in some}
            if any(content[block] != content[some[0]] for block in some):
                self.fix(np.array(sorted({atom for block in some for atom in content[block]} | set(some))))
            elif sum(bool(own[block] - content[block]) for block in some) > 1:
                self.fix(np.array(some))
            else:
                self.join(np.array(some[1:]), np.array(some[:1]))

    def blocks(self, members: Ids, blocks: Ids | None = None) -> Ids:
        """Blocks above clusters.

        Args:
            members: Atoms, of shape (blocks, members of each).
            blocks: The atoms of the blocks, of shape (blocks,); new ones if None.

        Returns:
            The atoms of the blocks. Members that stand in other blocks already, which are not one to one these, are
            fixed: no exchange is left that keeps both.
        """
        blocks = self.new(len(members)) if blocks is None else blocks
        rows = [set(np.unique(row).tolist()) for row in self.roots(members)]
        first: dict[frozenset[int], int] = {}
        for row, block in zip(rows, blocks.tolist(), strict=True):  # blocks of the same clusters are one block
            self._join(first.setdefault(frozenset(row), block), block)
        content: dict[int, set[int]] = {}
        for row, block in zip(rows, blocks.tolist(), strict=True):
            if content.setdefault(self.find(block), row) != row:  # one block cannot tell these rows apart: each stays
                self.fix(blocks)
                blocks = self.new(len(members))
                self.fix(blocks)
                return self.blocks(members, blocks)
        # Rows {0, 1} and {1, 2}: cluster 1 would have to move with both.
        if sum(map(len, first)) > len(set().union(*first)):
            self.fix(members)
            self.fix(blocks)
            return blocks
        met = []
        for block, row in list(content.items()):
            for atom in row:
                above = self.above(atom)
                if above is not None and above != block:
                    met.append((block, above))
                    content.setdefault(above, set()).add(atom)
        self._unite(content, met)
        for row, block in zip(rows, blocks.tolist(), strict=True):
            for atom in row:
                if self.above(atom) is None:
                    self._put(self.find(atom), self.find(block))
        return blocks

    def pin_down(self, members: Ids) -> Ids:
        """Blocks of pinned members: of shape (blocks, members of each), member k may only become member k of another.

        Returns:
            The atoms of the blocks.
        """
        blocks, call = self.blocks(members), len(self._joined)
        for row in self.roots(members):
            some, places = np.unique(row, return_index=True)
            for root, place in zip(some.tolist(), places.tolist(), strict=True):
                self._pins[root] = self.pins(root) | {(call, place)}
        return blocks


def _components(met: Iterable[Sequence[int]]) -> list[list[int]]:
    """Blocks that meet, directly or through others."""
    of: dict[int, set[int]] = {}
    for some in met:
        whole = set(some).union(*(of.get(block, set()) for block in some))
        of.update(dict.fromkeys(whole, whole))
    return [sorted(one) for one in {id(one): one for one in of.values()}.values()]
