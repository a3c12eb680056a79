"""Checks and toy networks with known matrices: for our own tests, and for people who add rules."""

from axonometry.testing.checks import check_adjoint as check_adjoint
from axonometry.testing.checks import check_against_dense as check_against_dense
from axonometry.testing.checks import matrix as matrix
from axonometry.testing.toys import MAPS as MAPS
from axonometry.testing.toys import TOYS as TOYS
from axonometry.testing.toys import Block as Block
from axonometry.testing.toys import Toy as Toy
from axonometry.testing.toys import WeightMap as WeightMap
from axonometry.testing.toys import dense as dense
from axonometry.testing.toys import randomise as randomise
from axonometry.testing.toys import structure as structure
