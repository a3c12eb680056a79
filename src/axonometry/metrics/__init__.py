"""Measures of a neural graph: pure functions, each with its formula and its source."""

from axonometry.metrics import specs as specs  # the measures register themselves
from axonometry.metrics.activity import (
    NeuronStatistics as NeuronStatistics,
    neuron_activation as neuron_activation,
)
from axonometry.metrics.assortativity import degree_assortativity as degree_assortativity
from axonometry.metrics.attention import (
    AttentionStrength as AttentionStrength,
    attention_strength as attention_strength,
)
from axonometry.metrics.basins import (
    Basin as Basin,
    NoCrossingWarning as NoCrossingWarning,
    sample_basin as sample_basin,
    sample_plane as sample_plane,
    sample_radii as sample_radii,
    sharpness as sharpness,
    weight_basin as weight_basin,
    weight_plane as weight_plane,
)
from axonometry.metrics.catalogue import (
    CATALOGUE as CATALOGUE,
    MetricSpec as MetricSpec,
    Shared as Shared,
    measure as measure,
    register as register,
)
from axonometry.metrics.degree import weighted_degree as weighted_degree
from axonometry.metrics.disparity import disparity as disparity
from axonometry.metrics.distributions import Density as Density, density as density
from axonometry.metrics.divergence import (
    divergence_matrix as divergence_matrix,
    jeffreys_divergence as jeffreys_divergence,
)
from axonometry.metrics.eigenvector import (
    DisconnectedGraphWarning as DisconnectedGraphWarning,
    eigenvector_centrality as eigenvector_centrality,
    leading_eigenpair as leading_eigenpair,
)
from axonometry.metrics.fluctuation import layer_fluctuation as layer_fluctuation
from axonometry.metrics.hubs import hubs_and_authorities as hubs_and_authorities
from axonometry.metrics.katz import katz_centrality as katz_centrality
from axonometry.metrics.links import link_samples as link_samples, link_weights as link_weights
from axonometry.metrics.modes import (
    FoldingPairs as FoldingPairs,
    NeuronModes as NeuronModes,
    RankDistribution as RankDistribution,
    folding_pairs as folding_pairs,
    linear_map as linear_map,
    linear_truncation as linear_truncation,
    neuron_modes as neuron_modes,
    order_modes as order_modes,
    order_ranks as order_ranks,
    rank_distribution as rank_distribution,
)
from axonometry.metrics.neuron_strength import neuron_strength as neuron_strength
from axonometry.metrics.pagerank import pagerank as pagerank
from axonometry.metrics.paths import linear_map_spectrum as linear_map_spectrum
from axonometry.metrics.solver import Eigenpair as Eigenpair
from axonometry.metrics.spectrum import SpectralNorms as SpectralNorms, spectral_norms as spectral_norms
from axonometry.metrics.strength import node_strength as node_strength
