"""Whether every file of a run is intact and belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from axonometry.errors import RunError
from axonometry.trajectory import store
from axonometry.trajectory.architecture import other_shape, shapes
from axonometry.trajectory.fields import nonfinite
from axonometry.trajectory.state import read_state
from axonometry.trajectory.tables import read_file, steps_in, table_files


@dataclass(frozen=True)
class Finding:
    """A file of a run that is corrupt, or not this run's.

    Attributes:
        file: The file.
        problem: One line in words.

    >>> Finding(Path("snapshots/3.safetensors"), "no such file").problem
    'no such file'
    """

    file: Path
    problem: str


def verify(folder: str | Path) -> tuple[Finding, ...]:
    """Read every file of a run and compare its checksum; an empty result means that nothing is wrong.

    Every field of ``run.json`` is checked, and so is whether each snapshot has the tensors of the network in it.

    What a kill left of an incomplete step is not a finding: nothing reads it. The folder is not changed.

    >>> import tempfile, torch
    >>> from axonometry.trajectory import Recorder
    >>> folder = tempfile.TemporaryDirectory()
    >>> with Recorder(f"{folder.name}/run", torch.nn.Linear(3, 2), torch.zeros(1, 3)) as recorder:
    ...     recorder.record(0)
    >>> verify(f"{folder.name}/run")
    ()
    >>> file = Path(folder.name) / "run" / "snapshots" / "0.safetensors"
    >>> content = file.read_bytes()
    >>> _ = file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # one bit of the last weight
    >>> [
    ...     (
    ...         finding.file.name,
    ...         finding.problem.endswith(
    ...             "checksum mismatch. Restore it from a copy; the run's other files are intact."
    ...         ),
    ...     )
    ...     for finding in verify(f"{folder.name}/run")
    ... ]
    [('0.safetensors', True)]
    >>> folder.cleanup()

    Raises:
        RunError: The folder is not a run.
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
    yield from (Finding(path, f"{place} is NaN or infinite") for place in nonfinite(description.configuration))
    corrupt = [finding for path in table_files(folder) for finding in _problem(path, read_file)]
    yield from corrupt
    expected = _Shapes(description)
    for state in _states(folder, description, tables_intact=not corrupt):
        yield from _problem(state, expected.compare if state.parent.name == store.SNAPSHOTS else read_state)


class _Shapes:
    """The shapes that every snapshot's tensors have: those of ``run.json``, else those of the first snapshot read."""

    def __init__(self, description: store.Description) -> None:
        self._known = description.tensors
        self._parameters = {row.parameter for row in description.coverage}

    def compare(self, path: Path) -> None:
        """Read a snapshot.

        Raises:
            RunError: It is corrupt, or of another network.
        """
        found = shapes(read_state(path)[0])
        missing = sorted(self._parameters - found.keys())
        self._known = self._known or found
        difference = f"{missing[0]} is missing" if missing else other_shape(self._known, found)
        if difference:
            remedy = "Restore it from a copy; the run's other files are intact"
            raise RunError(f"not this run's: {path}: {difference}", "", remedy)


def _states(folder: Path, description: store.Description, *, tables_intact: bool) -> list[Path]:
    """The files of weights and states; all of them where corrupt tables do not say which steps are complete."""
    if not tables_intact:
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
