"""The folder of a run while it is recorded: whether it is still there, still this run's, and whole at its end.

A folder may be deleted, moved or replaced under a recorder that knows its path alone. What the recorder holds stays the
same, though: the locked file, and what it wrote into ``run.json``::

    runs/a/.lock     inode 7, locked here     another inode, or none: another folder, or anybody may be writing it
    runs/a/run.json  as written here          other groups or synapses: another network's run
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from axonometry.errors import RunError
from axonometry.trajectory import store
from axonometry.trajectory.architecture import other_call, other_shape
from axonometry.trajectory.lock import FolderLock
from axonometry.trajectory.tables import compact, steps_in

FILES, SHARE = 100, 10
"""A table of all steps is made anew when so many steps have files of their own, or a tenth of all where that is more:
then each row is written about ten times, however long the run."""
_AWAY = "Record into another folder, or resume the run where it is now"


class RunPlace:
    """A run's folder in the hands of its writer.

    Attributes:
        folder: Where it is.
        lock: The writer's.
        description: What ``run.json`` says.
        steps: The complete steps.
    """

    def __init__(self, folder: Path, lock: FolderLock, description: store.Description, steps: tuple[int, ...]) -> None:
        self.folder, self.lock, self.description, self.steps = folder, lock, description, list(steps)
        self._gathered = len(steps)
        self._seen = self._look()

    def require(self) -> None:
        """Check that the folder is still the one that this recorder writes, and that no other does.

        What somebody edited in ``run.json`` meanwhile, such as its configuration, is kept.

        Raises:
            RunError: It was deleted, moved or replaced, or its lock was.
        """
        if not self.folder.is_dir():
            rule = f"{self.folder} was deleted or moved while it was recorded"
            raise RunError(rule, "", _AWAY)
        if not self.lock.kept:
            rule = (
                f"{self.folder} was replaced, or its lock deleted, while it was recorded: another process may write it"
            )
            raise RunError(rule, "", _AWAY)
        if self._look() != self._seen:
            found = store.read_description(self.folder)
            known = self.description
            same = store.same_network(found, known) and not other_shape(found.tensors, known.tensors)
            if not same or other_call(found.operations, known.operations):
                raise RunError(f"{self.folder} holds another network's run than the one that is recorded", "", _AWAY)
            self.description, self._seen = found, self._look()

    def add(self, step: int) -> None:
        """Count a step whose files are whole; now and then, the tables of single steps are put into one.

        A run of ten thousand steps would otherwise have as many files, which whoever reads it meanwhile has to open.
        """
        self.steps.append(step)
        if len(self.steps) - self._gathered >= max(FILES, self._gathered // SHARE):
            self._gathered = len(self.steps)
            # The steps are whole without it: what is wrong here, such as a full disk, is told where it matters.
            with suppress(RunError):
                compact(self.folder)

    def describe(self, **changes: Any) -> None:
        """Change fields of the description, on the disk too."""
        changed = replace(self.description, **changes)
        if changed != self.description:
            store.write_description(self.folder, changed)
            self.description, self._seen = changed, self._look()

    def end(self, *, stopped: bool) -> None:
        """Put the tables into one, after a check that all steps are there; the run counts as complete.

        Args:
            stopped: Whether training ended before its planned end; true in any case with fewer steps than planned.

        Raises:
            RunError: The folder is not the one any more that was recorded, or files of steps are gone.
        """
        self.require()
        missing = sorted({*self.steps} - {*steps_in(self.folder)})
        if not missing and self.description.keep_weights:
            missing = [step for step in self.steps if not store.snapshot_path(self.folder, step).exists()]
        if missing:
            rule = f"files of {len(missing)} of {len(self.steps)} recorded steps are gone from {self.folder}"
            raise RunError(rule, f"no step {missing[0]}", "Restore them from a copy and resume the run")
        compact(self.folder)
        planned = self.description.planned_steps
        self.describe(complete=True, stopped=stopped or (planned is not None and len(self.steps) < planned))

    def _look(self) -> tuple[int, ...] | None:
        """By what another content of ``run.json`` shows without reading it."""
        try:
            found = os.stat(self.folder / store.DESCRIPTION)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
