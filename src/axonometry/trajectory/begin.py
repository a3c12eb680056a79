"""Where a recording starts: a new folder, or the last whole step of an old one."""

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
    """Begin the run in a folder, or take it up again.

    Returns:
        The lock that the folder's one writer holds, the run's description, its whole steps.

    Raises:
        RunError: The folder holds what cannot be continued, or another recorder writes it.
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
    """The weights at the last whole step, and the optimizer and random state where they were recorded, else None.

    Raises:
        RunError: The weights were not kept, or a file is damaged.
    """
    resume = store.resume_path(folder, step)
    weights, tree = read_state(resume) if resume.exists() else ({}, None)
    if keep_weights:
        weights, _ = read_state(store.snapshot_path(folder, step))
    elif tree is None:
        raise RunError(
            "a model is restored from a run that kept its weights or its optimizer",
            f"{folder}, recorded with keep_weights=False and without an optimizer",
            "Pass optimizer= to record",
        )
    return weights, tree


def _continue(
    folder: Path, description: store.Description, *, resume: bool
) -> tuple[store.Description, tuple[int, ...]]:
    if not resume:
        raise RunError(
            "a new run needs a folder of its own",
            f"{folder}, which holds a run",
            "Pass resume=True to go on with it, or choose another folder",
        )
    recorded = store.read_description(folder)
    going_on = store.continued(recorded, description, folder)
    steps = steps_in(folder)
    if going_on != recorded:
        store.write_description(folder, going_on)
    store.discard_leftovers(folder, steps)
    return going_on, steps


def _require_empty(folder: Path) -> None:
    others = [path.name for path in folder.iterdir() if path.name != LOCK and not path.name.endswith(PARTIAL)]
    if others:
        raise RunError(
            "a new run needs a folder of its own", f"{folder}, which holds {others[0]}", "Choose another folder"
        )
