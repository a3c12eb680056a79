"""Topology of weights and of trajectories: which links hold a layer together, and how a run fills its space."""

# isort: off
from axonometry.metrics.topology.persistence import neural_persistence
from axonometry.metrics.topology.deep import deep_graph_persistence
from axonometry.metrics.topology.lifetimes import lifetime_sum, ph_dimension

__all__ = ["deep_graph_persistence", "lifetime_sum", "neural_persistence", "ph_dimension"]
