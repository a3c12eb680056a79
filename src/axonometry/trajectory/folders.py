"""Finding and opening all runs of a folder."""

from __future__ import annotations

import os
from pathlib import Path

from axonometry.arguments import argument_errors
from axonometry.errors import RunError
from axonometry.trajectory.run import Trajectory, load
from axonometry.trajectory.store import DESCRIPTION

MOST_FOLDERS = 10_000
"""Folders without a run that are walked through, in about a second."""


@argument_errors
def load_runs(folder: str | Path) -> tuple[Trajectory, ...]:
    """Open all runs in a folder and its subfolders, finished or not, by path in alphabetical order.

    >>> import tempfile, torch
    >>> from axonometry.trajectory import Recorder
    >>> model, folder = torch.nn.Linear(3, 2), tempfile.TemporaryDirectory()
    >>> for name in ("b", "a"):
    ...     with Recorder(f"{folder.name}/{name}", model, torch.zeros(1, 3)) as recorder:
    ...         recorder.record(0, loss=1.0)
    >>> [(run.folder.name, run.state, run.steps) for run in load_runs(folder.name)]
    [('a', 'finished', (0,)), ('b', 'finished', (0,))]
    >>> folder.cleanup()

    Args:
        folder: A folder of runs, or a run.

    Raises:
        RunError: There is no such folder, no run in it, or a run is corrupt or of a newer format.
    """
    return tuple(load(path) for path in run_folders(Path(folder)))


def run_folders(folder: Path) -> list[Path]:
    """The folders of all runs in a folder and its subfolders, in alphabetical order.

    Raises:
        RunError: There is no such folder, or no run in it.
    """
    if not folder.is_dir():
        raise RunError(f"no such folder: {folder}", "", "Check the path")
    found = runs_in(folder)
    if not found:
        raise RunError(f"no runs in {folder}", "", "Train some with: axonometry runs train")
    return found


def runs_in(folder: Path) -> list[Path]:
    """The same, of a folder that may hold none.

    Raises:
        RunError: There are more than :data:`MOST_FOLDERS` folders that are no runs, as in a whole file system.
    """
    found, others = [], 0
    for place, subfolders, files in os.walk(folder):
        if DESCRIPTION in files:
            found.append(Path(place))
            subfolders.clear()  # a run holds no runs
            continue
        others += 1
        if others > MOST_FOLDERS:
            rule = f"runs are looked for among at most {MOST_FOLDERS:,} folders that are none"
            raise RunError(rule, f"more in {folder}", "Name the folder that holds the runs")
    return sorted(found)
