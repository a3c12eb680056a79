"""The network as a program, and the graph that its cut reading is."""

from axonometry.program.capture import capture as capture, read_exported as read_exported
from axonometry.program.channels import ChannelGraph as ChannelGraph
from axonometry.program.graph import NeuralGraph as NeuralGraph
from axonometry.program.hetero import to_hetero as to_hetero
from axonometry.program.ir import (
    Coverage as Coverage,
    Group as Group,
    Kernel as Kernel,
    Program as Program,
    Synapse as Synapse,
    Wire as Wire,
)
from axonometry.program.networkx_graphs import to_graphml as to_graphml, to_networkx as to_networkx
from axonometry.program.parameter_graph import ParameterGraph as ParameterGraph, parameter_graph as parameter_graph
from axonometry.program.pyg import from_pyg as from_pyg, to_pyg as to_pyg
from axonometry.program.registry import rule as rule
from axonometry.program.symmetry import (
    Permutation as Permutation,
    PermutationClass as PermutationClass,
    Permutations as Permutations,
    ScaleClass as ScaleClass,
    align as align,
    align_activations as align_activations,
    canonical as canonical,
    permutations as permutations,
    permute as permute,
    scales as scales,
)

# What the root has too.
__all__ = [
    "ChannelGraph",
    "Coverage",
    "Group",
    "Kernel",
    "NeuralGraph",
    "Synapse",
    "Wire",
    "align",
    "align_activations",
    "canonical",
    "capture",
    "from_pyg",
    "parameter_graph",
    "permutations",
    "permute",
    "rule",
    "to_graphml",
    "to_hetero",
    "to_networkx",
    "to_pyg",
]
