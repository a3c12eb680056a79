"""Clusters, blocks and what is fixed, on places that are written down."""

from __future__ import annotations

import numpy as np

from axonometry.program.symmetry.atoms import FIXED, Atoms


def test_blocks_are_not_one_because_each_holds_something_fixed() -> None:
    atoms = Atoms()
    members = atoms.new(2, 3)
    blocks = atoms.blocks(members)
    atoms.join(members[:, 0], np.full(2, FIXED))
    assert [atoms.is_fixed(atom) for atom in members[:, 0].tolist()] == [True, True]
    assert atoms.above(int(members[0, 1])) == blocks[0]
    assert atoms.above(int(members[1, 1])) == blocks[1]
    assert blocks[0] != blocks[1]


def test_heads_that_share_all_of_their_keys_are_one_block() -> None:
    atoms = Atoms()
    members = atoms.new(2, 3)
    blocks = atoms.blocks(members)
    atoms.join(members[0], members[1])
    assert atoms.find(int(blocks[0])) == atoms.find(int(blocks[1]))


def test_heads_with_values_of_their_own_stay_two_and_fixed() -> None:
    atoms = Atoms()
    keys, values = atoms.new(2, 3), atoms.new(2, 3)
    blocks = atoms.blocks(keys)
    atoms.blocks(values, blocks)
    atoms.join(keys[0], keys[1])
    assert atoms.find(int(blocks[0])) != atoms.find(int(blocks[1]))
    assert all(map(atoms.is_fixed, blocks.tolist()))
    assert not any(map(atoms.is_fixed, values.ravel().tolist()))


def test_divisions_that_differ_fix_what_they_divide() -> None:
    """{0, 1}, {2, 3} of a normalisation, {0}, {1}, {2}, {3} of a convolution."""
    atoms = Atoms()
    channels = atoms.new(4)
    atoms.blocks(channels.reshape(2, 2))
    atoms.blocks(channels.reshape(4, 1))
    assert all(map(atoms.is_fixed, channels.tolist()))
