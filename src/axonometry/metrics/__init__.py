"""Measures of a neural graph: pure functions, each with its formula and its source."""

from axonometry.metrics.catalogue import CATALOGUE as CATALOGUE
from axonometry.metrics.catalogue import MetricSpec as MetricSpec
from axonometry.metrics.catalogue import Shared as Shared
from axonometry.metrics.catalogue import measure as measure
from axonometry.metrics.catalogue import register as register
from axonometry.metrics.disparity import disparity as disparity
from axonometry.metrics.distributions import Density as Density
from axonometry.metrics.distributions import density as density
from axonometry.metrics.divergence import divergence_matrix as divergence_matrix
from axonometry.metrics.divergence import jeffreys_divergence as jeffreys_divergence
from axonometry.metrics.fluctuation import layer_fluctuation as layer_fluctuation
from axonometry.metrics.links import link_samples as link_samples
from axonometry.metrics.links import link_weights as link_weights
from axonometry.metrics.strength import node_strength as node_strength
