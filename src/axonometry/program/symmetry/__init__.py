"""Permutation symmetries of a captured network: which neurons can trade places without a change of the outputs."""

from axonometry.program.symmetry.activations import align_activations
from axonometry.program.symmetry.alignment import align
from axonometry.program.symmetry.canonical import canonical
from axonometry.program.symmetry.classes import Permutation, PermutationClass, Permutations, permute
from axonometry.program.symmetry.reading import permutations
from axonometry.program.symmetry.scaling import ScaleClass, scales

__all__ = [
    "Permutation",
    "PermutationClass",
    "Permutations",
    "ScaleClass",
    "align",
    "align_activations",
    "canonical",
    "permutations",
    "permute",
    "scales",
]
