"""Topology of weights and of trajectories: which links hold a layer together, how samples flow, how a run goes."""

# isort: off
from axonometry.metrics.topology.activations import activation_trees, shift_scores
from axonometry.metrics.topology.persistence import neural_persistence
from axonometry.metrics.topology.deep import deep_graph_persistence
from axonometry.metrics.topology.lifetimes import lifetime_sum, ph_dimension

__all__ = [
    "activation_trees",
    "deep_graph_persistence",
    "lifetime_sum",
    "neural_persistence",
    "ph_dimension",
    "shift_scores",
]
