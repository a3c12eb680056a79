"""Measures of a neural graph: pure functions, each with its formula and its source.

A new measure takes a file of its own with a function under :func:`measured`, and a line here. What this file exports,
``import axonometry as ax`` has too.
"""

# Measures stand in the catalogue in the order of these lines.
# isort: off
from axonometry.metrics.catalogue import (
    CATALOGUE,
    MetricSpec,
    Shared,
    TrainingState,
    measure,
    measured,
    register_measure,
)
from axonometry.metrics.links import link_samples, link_weights
from axonometry.metrics.strength import node_strength
from axonometry.metrics.fluctuation import layer_fluctuation
from axonometry.metrics.disparity import disparity
from axonometry.metrics.degree import weighted_degree
from axonometry.metrics.eigenvector import DisconnectedGraphWarning, eigenvector_centrality, leading_eigenpair
from axonometry.metrics.spectrum import SpectralNorms, spectral_norms
from axonometry.metrics.paths import linear_map_spectrum
from axonometry.metrics.neuron_strength import neuron_strength
from axonometry.metrics.activity import neuron_activation
from axonometry.metrics.attention import AttentionStrength, attention_strength
from axonometry.metrics.modes import (
    FoldingPairs,
    NeuronModes,
    RankDistribution,
    folding_pairs,
    linear_map,
    linear_truncation,
    neuron_modes,
    order_modes,
    order_ranks,
    rank_distribution,
)
from axonometry.metrics.basins import (
    Basin,
    LangevinPlan,
    NoCrossingWarning,
    WeightLine,
    learning_coefficient,
    merge,
    sample_basin,
    sample_plane,
    sample_radii,
    sharpness,
    weight_basin,
    weight_line,
    weight_plane,
)
from axonometry.metrics.zero_cost import proxies
from axonometry.metrics.training import gradients, reweighted, second_moments
from axonometry.metrics.topology import deep_graph_persistence, lifetime_sum, neural_persistence, ph_dimension
from axonometry.metrics import localisation, representation_rows  # noqa: F401 - rows of the catalogue, as networks.channel_network

# Not in the catalogue: measures of two distributions, or of graphs that recorders do not take.
from axonometry.metrics.assortativity import degree_assortativity
from axonometry.metrics.distributions import Density, density
from axonometry.metrics.collapse import NeuralCollapse, class_modularity, neural_collapse
from axonometry.metrics.divergence import divergence_matrix, divergence_null, jeffreys_divergence
from axonometry.metrics.hubs import hubs_and_authorities
from axonometry.metrics.katz import katz_centrality
from axonometry.metrics.kernel_templates import KernelFit, fit_templates
from axonometry.metrics.neuron_statistics import NeuronStatistics
from axonometry.metrics.neuron_types import NeuronTypes
from axonometry.metrics.pagerank import pagerank
from axonometry.metrics.solver import Eigenpair

# What any of them is by chance.
from axonometry.metrics.nulls import NullModel, fluctuation_references, null, null_graphs, weight_spreads

# Beside null models, since small-worldness is against one. The row of the catalogue is networks.channel_network.
from axonometry.metrics.networks import (
    Communities,
    betweenness,
    clustering,
    communities,
    core_periphery,
    coreness,
    efficiency,
    link_matrix,
    local_efficiency,
    modularity,
    motifs,
    participation,
    percolation,
    rich_club,
    small_world,
    strongest,
    within_module_z,
)

__all__ = [
    "CATALOGUE",
    "AttentionStrength",
    "Basin",
    "Communities",
    "Density",
    "DisconnectedGraphWarning",
    "Eigenpair",
    "FoldingPairs",
    "KernelFit",
    "LangevinPlan",
    "MetricSpec",
    "NeuralCollapse",
    "NeuronModes",
    "NeuronStatistics",
    "NeuronTypes",
    "NoCrossingWarning",
    "NullModel",
    "RankDistribution",
    "Shared",
    "SpectralNorms",
    "TrainingState",
    "WeightLine",
    "attention_strength",
    "betweenness",
    "class_modularity",
    "clustering",
    "communities",
    "core_periphery",
    "coreness",
    "deep_graph_persistence",
    "degree_assortativity",
    "density",
    "disparity",
    "divergence_matrix",
    "divergence_null",
    "efficiency",
    "eigenvector_centrality",
    "fit_templates",
    "fluctuation_references",
    "folding_pairs",
    "gradients",
    "hubs_and_authorities",
    "jeffreys_divergence",
    "katz_centrality",
    "layer_fluctuation",
    "leading_eigenpair",
    "learning_coefficient",
    "lifetime_sum",
    "linear_map",
    "linear_map_spectrum",
    "linear_truncation",
    "link_matrix",
    "link_samples",
    "link_weights",
    "local_efficiency",
    "measure",
    "measured",
    "merge",
    "modularity",
    "motifs",
    "neural_collapse",
    "neural_persistence",
    "neuron_activation",
    "neuron_modes",
    "neuron_strength",
    "node_strength",
    "null",
    "null_graphs",
    "order_modes",
    "order_ranks",
    "pagerank",
    "participation",
    "percolation",
    "ph_dimension",
    "proxies",
    "rank_distribution",
    "register_measure",
    "reweighted",
    "rich_club",
    "sample_basin",
    "sample_plane",
    "sample_radii",
    "second_moments",
    "sharpness",
    "small_world",
    "spectral_norms",
    "strongest",
    "weight_basin",
    "weight_line",
    "weight_plane",
    "weight_spreads",
    "weighted_degree",
    "within_module_z",
]
