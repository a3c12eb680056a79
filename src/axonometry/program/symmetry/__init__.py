"""Permutation symmetries of a captured network: which neurons can trade places without a change of the outputs."""

from axonometry.program.symmetry.alignment import align
from axonometry.program.symmetry.classes import Permutation, PermutationClass, Permutations, permute
from axonometry.program.symmetry.reading import permutations

__all__ = ["Permutation", "PermutationClass", "Permutations", "align", "permutations", "permute"]
