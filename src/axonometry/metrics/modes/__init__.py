"""Neuron modes and rank distributions: what neurons do to the order of samples (Lin et al. 2025)."""

from axonometry.metrics.modes.folding import (
    FoldingPairs as FoldingPairs,
    folding_pairs as folding_pairs,
    pairs_that_fold as pairs_that_fold,
)
from axonometry.metrics.modes.modes import (
    MODES as MODES,
    Modes as Modes,
    NeuronModes as NeuronModes,
    neuron_modes as neuron_modes,
    order_modes as order_modes,
)
from axonometry.metrics.modes.ranks import (
    RankDistribution as RankDistribution,
    Ranks as Ranks,
    order_ranks as order_ranks,
    rank_distribution as rank_distribution,
)
from axonometry.metrics.modes.rows import modes_over_time as modes_over_time
from axonometry.metrics.modes.tails import linear_map as linear_map, linear_truncation as linear_truncation
