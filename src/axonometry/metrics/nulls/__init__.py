"""Null models: what a measure says of networks whose weights were exchanged for others that keep something of them."""

from axonometry.metrics.nulls.draws import NullModel, null_graphs
from axonometry.metrics.nulls.scores import null, null_rows, z_scores

__all__ = ["NullModel", "null", "null_graphs", "null_rows", "z_scores"]
