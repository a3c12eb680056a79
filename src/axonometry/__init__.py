"""Axonometry: a neural network that learns, measured as a weighted directed graph that changes over time.

``ax.capture(model, example)`` reads a network as a graph; the measures are functions of the graph; a ``Recorder``
follows them through training. Names are imported when they are first used, so that ``import axonometry`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from axonometry.checkpoints import open_checkpoint as open_checkpoint
    from axonometry.metrics import (
        CATALOGUE as CATALOGUE,
        MetricSpec as MetricSpec,
        attention_strength as attention_strength,
        degree_assortativity as degree_assortativity,
        density as density,
        disparity as disparity,
        divergence_matrix as divergence_matrix,
        eigenvector_centrality as eigenvector_centrality,
        hubs_and_authorities as hubs_and_authorities,
        jeffreys_divergence as jeffreys_divergence,
        katz_centrality as katz_centrality,
        layer_fluctuation as layer_fluctuation,
        leading_eigenpair as leading_eigenpair,
        linear_map as linear_map,
        linear_truncation as linear_truncation,
        link_weights as link_weights,
        measure as measure,
        neuron_activation as neuron_activation,
        neuron_modes as neuron_modes,
        neuron_strength as neuron_strength,
        node_strength as node_strength,
        pagerank as pagerank,
        rank_distribution as rank_distribution,
        sample_basin as sample_basin,
        sharpness as sharpness,
        spectral_norms as spectral_norms,
        weight_basin as weight_basin,
        weighted_degree as weighted_degree,
    )
    from axonometry.predict import AccuracyPredictor as AccuracyPredictor
    from axonometry.program import (
        Coverage as Coverage,
        Group as Group,
        Kernel as Kernel,
        NeuralGraph as NeuralGraph,
        Synapse as Synapse,
        Wire as Wire,
        capture as capture,
        rule as rule,
    )
    from axonometry.program.channels import ChannelGraph as ChannelGraph
    from axonometry.trajectory import Recorder as Recorder, Trajectory as Trajectory, load as load
    from axonometry.trajectory.summary import temporal_summary as temporal_summary
    from axonometry.values import Moments as Moments, NodeValues as NodeValues, moments as moments

__version__ = "0.1.0"

_HOMES = {
    "axonometry.checkpoints": "open_checkpoint",
    "axonometry.metrics": (
        "CATALOGUE MetricSpec attention_strength degree_assortativity density disparity divergence_matrix "
        "eigenvector_centrality hubs_and_authorities jeffreys_divergence katz_centrality layer_fluctuation "
        "leading_eigenpair linear_map linear_truncation link_weights measure neuron_activation neuron_modes "
        "neuron_strength node_strength pagerank rank_distribution sample_basin sharpness spectral_norms "
        "weight_basin weighted_degree"
    ),
    "axonometry.predict": "AccuracyPredictor",
    "axonometry.program": "Coverage Group Kernel NeuralGraph Synapse Wire capture rule",
    "axonometry.program.channels": "ChannelGraph",
    "axonometry.trajectory": "Recorder Trajectory load",
    "axonometry.trajectory.summary": "temporal_summary",
    "axonometry.values": "Moments NodeValues moments",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}
__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
