"""Axonometry: a neural network that learns, measured as a weighted directed graph that changes over time.

``ax.capture(model, example)`` reads a network as a graph; the measures are functions of the graph; a ``Recorder``
follows them through training. Names are imported when they are first used, so that ``import axonometry`` costs nothing:
it imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from axonometry.version import __version__ as __version__

if TYPE_CHECKING:  # what follows is for readers and type checkers; the tables below say the same at run time
    from axonometry.checkpoints import open_checkpoint as open_checkpoint
    from axonometry.experiments import Experiment as Experiment
    from axonometry.metrics import *  # noqa: F403
    from axonometry.predict import AccuracyPredictor as AccuracyPredictor
    from axonometry.program import *  # noqa: F403
    from axonometry.trajectory import (
        Recorder as Recorder,
        Trajectory as Trajectory,
        load as load,
        load_runs as load_runs,
    )
    from axonometry.trajectory.summary import temporal_summary as temporal_summary
    from axonometry.values import *  # noqa: F403


_WHOLE = ("axonometry.values", "axonometry.program", "axonometry.metrics")
"""Packages whose every name (their ``__all__``) is the root's, in the order in which they build on each other.

A name is looked for in this order, so that finding it imports nothing that its own package does not import anyway.
"""

_SINGLE = {
    "AccuracyPredictor": "axonometry.predict",
    "Experiment": "axonometry.experiments",
    "Recorder": "axonometry.trajectory",
    "Trajectory": "axonometry.trajectory",
    "load": "axonometry.trajectory",
    "load_runs": "axonometry.trajectory",
    "open_checkpoint": "axonometry.checkpoints",
    "temporal_summary": "axonometry.trajectory.summary",
}
"""Names of packages that have many more, each with its home."""


def _names() -> list[str]:
    whole = (name for package in _WHOLE for name in import_module(package).__all__)
    return ["__version__", *sorted({*whole, *_SINGLE})]


def _found(name: str) -> Any:
    if name in _SINGLE:
        return getattr(import_module(_SINGLE[name]), name)
    for package in () if name.startswith("_") else _WHOLE:  # nobody who looks for a dunder name should pay for torch
        module = import_module(package)
        if name in module.__all__:
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __getattr__(name: str) -> Any:
    value = _names() if name == "__all__" else _found(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return _names()
