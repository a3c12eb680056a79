"""Where a recording starts: in a new folder, or at the last complete step of a run."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from axonometry.errors import RunError
from axonometry.files import PARTIAL, discard_partial
from axonometry.trajectory import store
from axonometry.trajectory.lock import LOCK, FolderLock, unwritable
from axonometry.trajectory.state import Tree, read_state
from axonometry.trajectory.tables import steps_in


def begin(
    folder: Path, description: store.Description, *, resume: bool
) -> tuple[FolderLock, store.Description, tuple[int, ...]]:
    """Begin a run in a folder, or resume the one that the folder holds.

    Returns:
        The lock of the folder's one writer, the run's description, and its complete steps.

    Raises:
        RunError: The run in the folder cannot be resumed, or another recorder writes it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(*unwritable(folder, error)) from error
    lock = FolderLock(folder)
    try:
        if (folder / store.DESCRIPTION).exists():
            return lock, *_continue(folder, description, resume=resume)
        _require_empty(folder)
        discard_partial(folder)
        store.write_description(folder, description)
        return lock, description, ()
    except BaseException:
        lock.release()
        raise


def saved(folder: Path, step: int, *, keep_weights: bool) -> tuple[dict[str, Tensor], Tree]:
    """The weights at the last complete step, and the state of optimizer and random generators where it was recorded.

    Raises:
        RunError: The weights were not kept, or a file is corrupt.
    """
    resume = store.resume_path(folder, step)
    weights, tree = read_state(resume) if resume.exists() else ({}, None)
    if keep_weights:
        weights, _ = read_state(store.snapshot_path(folder, step))
    elif tree is None:
        raise RunError(
            f"no weights to restore in {folder}: it was recorded with keep_weights=False and without an optimizer",
            "",
            "Pass optimizer= to record",
        )
    return weights, tree


def _continue(
    folder: Path, description: store.Description, *, resume: bool
) -> tuple[store.Description, tuple[int, ...]]:
    if not resume:
        raise RunError(f"{folder} already holds a run", "", "Pass resume=True to resume it, or choose another folder")
    recorded = store.read_description(folder)
    resumed = store.resumed(recorded, description, folder)
    steps = steps_in(folder)
    if resumed != recorded:
        store.write_description(folder, resumed)
    store.discard_leftovers(folder, steps)
    return resumed, steps


def _require_empty(folder: Path) -> None:
    others = [path.name for path in folder.iterdir() if path.name != LOCK and not path.name.endswith(PARTIAL)]
    if others:
        raise RunError(f"{folder} is not empty: it holds {others[0]}", "", "Choose another folder")
