"""Which runs a predictor may learn from: those whose last accuracy is the final one."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from axonometry.errors import PredictionError
from axonometry.trajectory import Trajectory
from axonometry.trajectory.summary import snapshot_steps

NAMED = 10
"""Runs that a message names; of more it tells the number."""


def finished_runs(runs: Sequence[Trajectory]) -> list[Trajectory]:
    """The runs that were trained to their planned end.

    Warns:
        UserWarning: Others are left out; it names them and says what they are.

    Raises:
        PredictionError: None was.
    """
    kept = [run for run in runs if run.state == "finished"]
    words = left_out(runs)
    if not kept:
        remedy = "Wait for them, or train some"
        raise PredictionError("no finished runs to learn from", words.removesuffix("."), remedy)
    if words:
        warnings.warn(words, stacklevel=3)
    return kept


def long_enough(runs: Sequence[Trajectory], epochs: int) -> list[Trajectory]:
    """The runs that have an accuracy and as many whole epochs as are looked at.

    Args:
        runs: Finished runs.
        epochs: How many epochs.

    Warns:
        UserWarning: Others are left out; it names them and says what they lack.

    Raises:
        PredictionError: None has.
    """
    lacks = {run.folder.name: wrong for run in runs if (wrong := _lacking(run, epochs))}
    if len(lacks) == len(runs):
        came = ", ".join(f"{name} ({wrong})" for name, wrong in list(lacks.items())[:NAMED])
        remedy = "Look at fewer epochs, and record the accuracy with: recorder.record(step, accuracy=...)"
        raise PredictionError(f"a run to learn from has an accuracy and {epochs} whole epochs", came, remedy)
    if lacks:
        names = [f"{name} ({wrong})" for name, wrong in lacks.items()]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        words = f"{len(lacks)} of {len(runs)} runs are left out: {', '.join(names[:NAMED])}{more}."
        warnings.warn(words, stacklevel=3)
    return [run for run in runs if not _lacking(run, epochs)]


def _lacking(run: Trajectory, epochs: int) -> str:
    """What a run lacks to be learned from; empty where nothing."""
    frame, steps = run.metrics, snapshot_steps(run)
    if not ((frame["metric"] == "accuracy") & (frame["group"] == "")).any():
        return "no accuracy"
    known = next((epoch for epoch in range(1, epochs + 1) if epoch not in steps), epochs + 1) - 1
    return f"{known} epochs" if known < epochs else ""


def left_out(runs: Sequence[Trajectory]) -> str:
    """The runs that are not finished, in words; empty where all are.

    >>> import tempfile, torch
    >>> from axonometry.trajectory import Recorder, load_runs
    >>> folder, model = tempfile.TemporaryDirectory(), torch.nn.Linear(3, 2)
    >>> for name, stopped in (("a", False), ("b", True)):
    ...     recorder = Recorder(f"{folder.name}/{name}", model, torch.zeros(1, 3))
    ...     recorder.record(0)
    ...     recorder.close(stopped=stopped)
    >>> left_out(load_runs(folder.name))
    '1 of 2 runs are not finished and are left out: b (stopped early).'
    >>> folder.cleanup()
    """
    states = [(run, run.state) for run in runs]
    others = [(run, state) for run, state in states if state != "finished"]
    if not others:
        return ""
    names = [f"{run.folder.name} ({'stopped early' if state == 'stopped' else state})" for run, state in others]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    shown = ", ".join(names[:NAMED])
    return f"{len(others)} of {len(runs)} runs are not finished and are left out: {shown}{more}."
