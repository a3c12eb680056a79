"""Checks and toy networks with known matrices: for our own tests, and for people who add rules."""

from axonometry.testing.checks import (
    check_adjoint as check_adjoint,
    check_against_dense as check_against_dense,
    check_permutations as check_permutations,
    matrix as matrix,
)
from axonometry.testing.layers import graph_of as graph_of, layers_of as layers_of
from axonometry.testing.toys import (
    MAPS as MAPS,
    TOYS as TOYS,
    Block as Block,
    Toy as Toy,
    WeightMap as WeightMap,
    dense as dense,
    randomise as randomise,
    structure as structure,
)
