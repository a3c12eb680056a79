"""Axonometry: a neural network that learns, measured as a weighted directed graph that changes over time.

``ax.capture(model, example)`` reads a network as a graph; the measures are functions of the graph; a ``Recorder``
follows them through training. Names are imported when they are first used, so that ``import axonometry`` costs nothing:
it imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from axonometry.version import __version__ as __version__

if TYPE_CHECKING:  # what follows is for readers and type checkers; the table below says the same at run time
    from axonometry.checkpoints import open_checkpoint as open_checkpoint
    from axonometry.experiments import Experiment as Experiment
    from axonometry.metrics import *  # noqa: F403
    from axonometry.predict import AccuracyPredictor as AccuracyPredictor
    from axonometry.program import *  # noqa: F403
    from axonometry.trajectory import (
        Recorder as Recorder,
        Trajectory as Trajectory,
        load as load,
        load_checkpoints as load_checkpoints,
        load_runs as load_runs,
    )
    from axonometry.trajectory.summary import temporal_summary as temporal_summary
    from axonometry.values import *  # noqa: F403


_LISTED = {
    "values": "NodeValues",
    "program": "ChannelGraph NeuralGraph align capture parameter_graph permutations permute rule",
    "metrics": """
        CATALOGUE attention_strength deep_graph_persistence disparity eigenvector_centrality jeffreys_divergence
        layer_fluctuation linear_map_spectrum linear_truncation link_weights measure measured neural_persistence
        neuron_activation neuron_modes neuron_strength node_strength null pagerank proxies rank_distribution
        sample_basin sharpness spectral_norms weight_basin weighted_degree
    """,
    "checkpoints": "open_checkpoint",
    "trajectory": "Recorder Trajectory load load_checkpoints load_runs",
    "trajectory.summary": "temporal_summary",
    "predict": "AccuracyPredictor",
    "experiments": "Experiment",
}
"""What ``dir`` and ``*`` show, by the package that it comes from: to read networks, the measures, runs over time.

The packages have more, such as the types of results: ``ax.metrics.NeuronModes``, ``ax.program.Synapse``.
"""

_WHOLE = ("axonometry.values", "axonometry.program", "axonometry.metrics")
"""Packages of which unlisted names are found here as well, in the order in which they build on each other: finding a
name then imports nothing that its own package does not import anyway."""

_HOMES = {name: f"axonometry.{home}" for home, names in _LISTED.items() for name in names.split()}


def _found(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if not name.startswith("_"):  # nobody who looks for a dunder name should pay for torch
        if find_spec(f"{__name__}.{name}"):
            return import_module(f"{__name__}.{name}")
        for package in map(import_module, _WHOLE):
            if name in package.__all__:
                return getattr(package, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __getattr__(name: str) -> Any:
    value = __dir__() if name == "__all__" else _found(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return ["__version__", *sorted(_HOMES)]
