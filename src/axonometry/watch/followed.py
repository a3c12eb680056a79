"""One run that is followed: its files, of which only what is new is read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from axonometry.errors import RunError
from axonometry.trajectory.lock import is_locked
from axonometry.trajectory.run import Trajectory
from axonometry.trajectory.store import DESCRIPTION, Description, read_description
from axonometry.trajectory.tables import COMPACTED, PIECES, is_step, read_file, read_pieces, read_table, steps_in
from axonometry.watch.series import RunSeries, Value, series_of, step_numbers

RunState = Literal["running", "finished", "stopped", "interrupted", "deleted", "corrupt"]

AT_ONCE = 200
"""Steps that are read before others have their turn."""
_SETTLED = 2.5
_GONE = 1.0
_SUFFIX = ".parquet"

Signature = tuple[int, int, int]


class FollowedRun:
    """A run folder that somebody may be writing, resuming, ending or deleting.

    Each :meth:`look` compares a few numbers that the file system gives without opening a file. A step's table is read
    once; the table of all steps when it is replaced.

    >>> import tempfile
    >>> import torch
    >>> from axonometry.trajectory import Recorder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Recorder(folder, torch.nn.Linear(2, 1), torch.zeros(1, 2)) as recorder:
    ...         recorder.record(0, accuracy=0.5)
    ...         run = FollowedRun(Path(folder), "a")
    ...         run.look(), run.state, run.series.steps
    ...     run.look(), run.state
    (False, 'running', [0])
    (False, 'finished')

    Attributes:
        folder: Where it is.
        name: What it is called.
        series: What was read so far.
        state: As :attr:`axonometry.Trajectory.state` says, or deleted, or corrupt.
        problem: What is wrong, where it is corrupt.
        description: The content of ``run.json``; None before it was read.
        generation: How often the run was begun anew, or its earlier numbers changed.
        caught_up: Whether all that there was at the first look was read.
        fresh: What was recorded since somebody emptied the list: of the first look the last values alone.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.series = RunSeries()
        self.state: RunState = "interrupted"
        self.problem: str | None = None
        self.description: Description | None = None
        self.generation = 0
        self.caught_up = False
        self.fresh: list[Value] = []
        self._described: Signature | None = None
        self._neurons: dict[str, int] = {}
        self._refused: tuple[Signature | None, ...] | None = None
        self._forget()

    def _forget(self) -> None:
        """What is known of the files."""
        self._listed: set[int] = set()
        self._names: set[str] = set()
        self._more = False
        self._list_sign: Signature | None = None
        self._list_at = 0.0
        self._table_sign: Signature | None = None
        self._in_table: frozenset[int] = frozenset()
        self._newest: tuple[int, Signature | None] | None = None
        self._missing_since: float | None = None
        self._quiet: tuple[Signature | None, ...] | None = None
        self._refused = None

    def look(self) -> bool:
        """Read what is new.

        Returns:
            Whether there is more than was read.
        """
        # First of all: who closes a run writes run.json and then lets the lock go. Asked in the other order, a run that
        # ends between the two questions is neither complete nor locked, and would be taken for a killed one.
        locked = self.state == "finished" or is_locked(self.folder, tries=1)
        signatures = tuple(map(signature, self._places()))
        if signatures[0] is None:
            self.state, self._refused = "deleted", None
            return False
        if signatures == self._refused:
            return False
        more = False
        try:
            if signatures != self._quiet:
                more = self._read()
                # Where nothing is under way, equal signatures mean that nothing is new.
                settled = time.monotonic() - self._list_at > _SETTLED and self._missing_since is None
                self._quiet = signatures if settled and not more else None
            self.problem, self._refused = None, None
        except FileNotFoundError:  # in the table of all steps by now, or deleted
            self._list_at = time.monotonic()
            return True
        except RunError as error:
            if not (self.folder / DESCRIPTION).exists():  # deleted at this instant
                return False
            self.state, self.problem, self._refused = "corrupt", str(error), signatures
            return False
        self.state = self._state(locked=locked)
        if not more and not self.caught_up:
            self.caught_up = True
            self.fresh = list(self.series.last.values())
        return more

    def _state(self, *, locked: bool) -> RunState:
        description = self.description
        if description is None or not description.complete:
            return "running" if locked else "interrupted"
        return "stopped" if Trajectory(self.folder, tuple(self.series.steps), description).stopped else "finished"

    def _places(self) -> Iterator[Path]:
        return (self.folder / name for name in (DESCRIPTION, PIECES, COMPACTED))

    @property
    def last_step(self) -> int | None:
        """The last step that there is, whether it was read or not."""
        known = self.series.steps[-1:] if self.caught_up else self._listed | self._in_table
        return max(known, default=None)

    @property
    def n_steps(self) -> int:
        """How many steps there are."""
        return len(self.series.steps if self.caught_up else self._listed | self._in_table)

    def _begin_anew(self) -> None:
        self.series, self.caught_up, self.fresh = RunSeries(), False, []
        self.generation += 1
        self._forget()

    def _read(self) -> bool:
        described = signature(self.folder / DESCRIPTION)
        if described != self._described:
            self.description = read_description(self.folder)
            self._neurons = {group.name: max(group.n_neurons, 1) for group in self.description.groups}
            self._described = described
        if self._newest is not None:
            step, sign = self._newest
            if signature(self._piece(step)) not in (None, sign):  # the same step again: trained anew in its place
                self._begin_anew()
        listed, replaced = self._list(), self._read_whole()
        if not (listed or replaced or self._more or self._missing_since):
            return False
        self._more = True  # also where an error comes in between
        if self._lost():
            self._begin_anew()
            return True
        new = sorted(self._listed.difference(self.series.steps))
        if new and self.series.steps and new[0] < self.series.steps[-1]:
            self._begin_anew()
            return True
        self._more = self._read_pieces(new)
        return self._more

    def _piece(self, step: int) -> Path:
        return self.folder / PIECES / f"{step}{_SUFFIX}"

    def _list(self) -> bool:
        """The steps that have files of their own; listed again only when the folder's time changed.

        The clock of a file system may tick in seconds: a file that comes in the second of the listing changes nothing.
        So the listing is repeated for a while after each change.

        Returns:
            Whether there are other files than before.
        """
        sign, now = signature(self.folder / PIECES), time.monotonic()
        if sign != self._list_sign:
            self._list_sign, self._list_at = sign, now
        elif now - self._list_at > _SETTLED:
            return False
        try:
            names = {*os.listdir(self.folder / PIECES)}
        except OSError:
            names = set()
        if names == self._names:  # of thousands, most of the times
            return False
        self._names = names
        stems = (name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
        self._listed = {int(stem) for stem in stems if is_step(stem)}
        return True

    def _read_whole(self) -> bool:
        """Read the table of all steps, where it is another one than before; whether it was."""
        sign = signature(self.folder / COMPACTED)
        if sign == self._table_sign:
            return False
        if sign is None:
            self._table_sign, self._in_table = None, frozenset()
            return True
        steps = steps_in(self.folder)
        found = series_of(read_table(self.folder, steps), steps, self._neurons)
        known = len(self.series.steps)
        if found.continues(self.series):
            self.fresh += _values(found, known) if self.caught_up else []
        else:
            self.generation += 1
            self.fresh += list(found.last.values()) if self.caught_up else []
        self.series = found
        self._table_sign, self._in_table = sign, frozenset(steps)
        return True

    def _lost(self) -> bool:
        """Whether steps that were read are gone for good, rather than on their way to another file or to deletion."""
        if self._listed.union(self._in_table).issuperset(self.series.steps):
            self._missing_since = None
            return False
        now = time.monotonic()
        self._missing_since = self._missing_since or now
        return now - self._missing_since > _GONE

    def _read_pieces(self, new: list[int]) -> bool:
        if not self.caught_up:
            return self._read_history(new)
        for step in new[:AT_ONCE]:
            path = self._piece(step)
            sign = signature(path)
            numbers = step_numbers(read_file(path), self._neurons)
            self.series.add(step, numbers)
            self._newest = (step, sign)
            self.fresh += [Value(key, step, value) for key, value in numbers.items()]
        return len(new) > AT_ONCE

    def _read_history(self, new: list[int]) -> bool:
        """Steps that were recorded before the first look; of many, the newest is seen before the way there is read."""
        if len(new) > AT_ONCE and not self.series.last:
            newest = step_numbers(read_file(self._piece(new[-1])), self._neurons)
            self.series.last = {key: Value(key, new[-1], value) for key, value in newest.items()}
            return True
        if steps := new[:AT_ONCE]:
            sign = signature(self._piece(steps[-1]))
            found = series_of(read_pieces(self.folder, steps), tuple(steps), self._neurons)
            self.series.extend(found)
            self._newest = (steps[-1], sign)
        return len(new) > AT_ONCE


def signature(path: Path) -> Signature | None:
    """What another content of a file, or of a folder, shows without opening it; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _values(series: RunSeries, known: int) -> list[Value]:
    """The numbers of the steps behind the known ones; those that are NaN were not recorded, or tell nothing."""
    places = range(known, len(series.steps))
    every = ((key, values[place], series.steps[place]) for place in places for key, values in series.values.items())
    return [Value(key, step, value) for key, value, step in every if value == value]
