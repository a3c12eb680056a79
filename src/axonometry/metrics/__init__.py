"""Measures of a neural graph: pure functions, each with its formula and its source."""

from axonometry.metrics.catalogue import (
    CATALOGUE as CATALOGUE,
    MetricSpec as MetricSpec,
    Shared as Shared,
    measure as measure,
    register as register,
)
from axonometry.metrics.disparity import disparity as disparity
from axonometry.metrics.distributions import Density as Density, density as density
from axonometry.metrics.divergence import (
    divergence_matrix as divergence_matrix,
    jeffreys_divergence as jeffreys_divergence,
)
from axonometry.metrics.fluctuation import layer_fluctuation as layer_fluctuation
from axonometry.metrics.links import link_samples as link_samples, link_weights as link_weights
from axonometry.metrics.strength import node_strength as node_strength
