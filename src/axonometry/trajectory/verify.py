"""Whether every file of a run is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from axonometry.errors import RunError
from axonometry.trajectory import store
from axonometry.trajectory.state import read_state
from axonometry.trajectory.tables import read_file, steps_in, table_files


@dataclass(frozen=True)
class Finding:
    """What is wrong with one file of a run.

    Attributes:
        file: The file.
        problem: One line in words.
    """

    file: Path
    problem: str


def verify(folder: str | Path) -> tuple[Finding, ...]:
    """Read every file of a run whole, checksums included; an empty answer means that nothing is wrong.

    What a kill left of a step that never became whole is no finding: nothing reads it. The folder stays as it is.

    Raises:
        RunError: The folder is no run at all.
    """
    folder = Path(folder)
    path = folder / store.DESCRIPTION
    if not path.exists():
        store.read_description(folder)
    return tuple(_findings(folder, path))


def _findings(folder: Path, path: Path) -> Iterator[Finding]:
    try:
        description = store.read_description(folder)
    except RunError as error:
        yield Finding(path, str(error))
        return
    damaged = [finding for path in table_files(folder) for finding in _problem(path, read_file)]
    yield from damaged
    yield from (
        finding for path in _states(folder, description, whole=not damaged) for finding in _problem(path, read_state)
    )


def _states(folder: Path, description: store.Description, *, whole: bool) -> list[Path]:
    """The files of weights and states; all that are there where the damaged tables do not say which steps are whole."""
    if not whole:
        return [
            path for room in (store.SNAPSHOTS, store.RESUME) for path in sorted((folder / room).glob("*.safetensors"))
        ]
    steps = steps_in(folder)
    resumable = [path for path in (store.resume_path(folder, step) for step in steps[-1:]) if path.exists()]
    return [store.snapshot_path(folder, step) for step in steps if description.keep_weights] + resumable


def _problem(path: Path, read: Callable[[Path], object]) -> list[Finding]:
    try:
        read(path)
    except (RunError, FileNotFoundError) as error:
        return [Finding(path, str(error))]
    return []
