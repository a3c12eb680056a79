"""Neuron modes and rank distributions: what neurons do to the order of samples (Lin et al. 2025)."""

# Measures stand in the catalogue in the order of these lines.
# isort: off
from axonometry.metrics.modes.results import MODES as MODES, Modes as Modes, NeuronModes as NeuronModes
from axonometry.metrics.modes.modes import neuron_modes as neuron_modes, order_modes as order_modes
from axonometry.metrics.modes.ranks import (
    RankDistribution as RankDistribution,
    Ranks as Ranks,
    order_ranks as order_ranks,
    rank_distribution as rank_distribution,
)
from axonometry.metrics.modes.tails import linear_map as linear_map, linear_truncation as linear_truncation
from axonometry.metrics.modes.folding import (
    FoldingPairs as FoldingPairs,
    folding_pairs as folding_pairs,
    pairs_that_fold as pairs_that_fold,
)
from axonometry.metrics.modes.over_time import modes_over_time as modes_over_time
