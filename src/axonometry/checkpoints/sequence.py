"""The checkpoints of a sequence: which files are its steps, in what order, and which are replicas of one step."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from axonometry.checkpoints import folders
from axonometry.checkpoints.opening import existing, is_one
from axonometry.checkpoints.remote import placed
from axonometry.errors import CheckpointError

LIST = ".txt"
"""End of the name of a file that lists checkpoints, one a line."""
REPLICA = re.compile(r"(?<![a-z])(rank|replica|worker|gpu|device|node|dp)[-_=]?\d+(?!\d)[-_.]?", re.IGNORECASE)
"""What the name of a replica has beside that of its step."""
RUN = "snapshots"
"""Where a recorded run has its weights."""


@dataclass(frozen=True)
class Item:
    """A checkpoint of a sequence.

    Attributes:
        path: Its file or folder.
        name: What it is called here: as much of its path as tells it from the others.
        step: The step that its name says; None where it says none.
        replica: Whether its name says that it is one of several of its step.
    """

    path: Path
    name: str
    step: int | None
    replica: bool = False


def sequence(paths: Sequence[str | Path]) -> tuple[Item, ...]:
    """The steps of a folder, of a list in a file, or of several paths; these in the order given, folders by step.

    Args:
        paths: A folder of checkpoints or of a recorded run; a ``.txt`` file with a path a line, from its own folder;
            or checkpoints.

    Raises:
        CheckpointError: There is nothing, or one checkpoint only.
    """
    found = [place for path in paths for place in _places(existing(path))]
    if len(found) < 2:
        what = f"{paths[0]}, which is one" if found else f"{paths[0]}, which holds none"
        raise CheckpointError("a sequence is two checkpoints or more", what, "Pass a folder of steps, or several paths")
    ordered = found if len(paths) > 1 or Path(paths[0]).suffix == LIST else _in_order(found)
    return tuple(_item(path, name) for path, name in zip(ordered, _names(ordered), strict=True))


def step_of_run(path: str | Path) -> Path | None:
    """The checkpoint that ``FOLDER@STEP`` names; None where the path is something else.

    Args:
        path: A folder of steps or of a recorded run, an ``@``, and a step's number, ``first`` or ``last``.

    Raises:
        CheckpointError: The folder has no such step.
    """
    folder, at, word = str(path).rpartition("@")
    if not at or placed(path).exists() or not (word.isdecimal() or word in ("first", "last")):
        return None
    steps = {item.step: item for item in sequence([folder]) if item.step is not None}
    wanted = int(word) if word.isdecimal() else {"first": min, "last": max}[word](steps, default=None)
    if wanted not in steps:
        known = ", ".join(map(str, sorted(steps)[:8])) + (", …" if len(steps) > 8 else "")
        came = f"steps {known}" if steps else "no steps"
        raise CheckpointError(f"{folder} has a step {word}", came, "Name one of them")
    return steps[wanted].path


def _places(path: Path) -> list[Path]:
    """The checkpoints in a folder, in no order; what is one itself, alone."""
    if path.is_file():
        return _listed(path) if path.suffix == LIST else [path]
    if (path / "run.json").is_file() and (path / RUN).is_dir():
        return list((path / RUN).glob("*.safetensors"))
    if is_one(path):
        return [path]
    files, _ = folders.files_of_weights(path)
    inside = folders.folders_of_weights(path)
    if len(files) > 1 and not any(folders.SHARD.fullmatch(file.stem) for file in files):
        return files
    if files or not inside:
        return [path]
    if all(REPLICA.fullmatch(folder.name) for folder in inside):
        return [place for folder in inside for place in _places(folder)]
    return inside


def _listed(path: Path) -> list[Path]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise CheckpointError("a list is text with a path a line", f"{path}: {error}", "Correct it") from error
    return [existing(path.parent / line.strip()) for line in lines if line.strip() and not line.startswith("#")]


def _in_order(paths: Sequence[Path]) -> list[Path]:
    def key(path: Path) -> tuple[bool, int, object]:
        step = _step(path)
        return step is None, step or 0, folders.natural_key(str(path))

    return sorted(paths, key=key)


def _step(path: Path) -> int | None:
    """The step of a file's name without what tells replicas apart, or else of its folder's."""
    step = folders.step_of(REPLICA.sub("", path.name))
    return folders.step_of(REPLICA.sub("", path.parent.name)) if step is None and _is_replica(path) else step


def _is_replica(path: Path) -> bool:
    return REPLICA.search(path.name) is not None or REPLICA.fullmatch(path.parent.name) is not None


def _item(path: Path, name: str) -> Item:
    return Item(path, name, _step(path), _is_replica(path))


def _names(paths: Sequence[Path]) -> list[str]:
    """Names of files, with as many of the folders above them as it takes to tell them apart."""
    parts = 1
    longest = max(len(path.parts) for path in paths)
    while parts < longest and len({path.parts[-parts:] for path in paths}) < len({path.parts for path in paths}):
        parts += 1
    return ["/".join(path.parts[-parts:]) for path in paths]
