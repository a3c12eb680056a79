"""Null models: what a measure says of networks whose weights were exchanged for others that keep something of them."""

from axonometry.metrics.nulls.draws import NullModel, null_graphs
from axonometry.metrics.nulls.references import fluctuation_references
from axonometry.metrics.nulls.scores import null, null_rows, z_scores
from axonometry.metrics.nulls.spread_of_sums import spread_of_sums, weight_spreads

__all__ = [
    "NullModel",
    "fluctuation_references",
    "null",
    "null_graphs",
    "null_rows",
    "spread_of_sums",
    "weight_spreads",
    "z_scores",
]
