"""A manifest: the SHA-256 of every file and of every tensor, so that both can be checked later and elsewhere.

A tensor's is that of its numbers as they lie in memory, row by row and little-endian, whatever format they are stored
in; a checkpoint that was written anew in another format has other files and the same tensors::

    sha256(tensor.numpy().tobytes())
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from axonometry.checkpoints.checkpoint import Checkpoint
from axonometry.checkpoints.opening import existing, open_checkpoints
from axonometry.errors import CheckpointError
from axonometry.files import irregular, read_json
from axonometry.progress import Progress

FORMAT = 1
"""Of the manifest. It changes where a reader of an older one would be wrong; fields that are added do not change it."""
ALONE = "."
"""The key of the tensors of a path that is one checkpoint."""


@dataclass(frozen=True)
class ManifestDifference:
    """Where weights are not what the manifest says.

    Attributes:
        place: The file; or the checkpoint and its tensor, with a colon between them.
        problem: What is wrong, in a few words.
    """

    place: str
    problem: str


def manifest(path: str | Path, *, leave_out: Path | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """The SHA-256 of every file and tensor of a checkpoint, or of a folder of them.

    Args:
        path: A checkpoint's file or folder, or a folder of steps.
        leave_out: A file that is not counted: where the manifest is, or will be.
        progress: Called with tensors done, tensors in all, and the name of the last one.

    Returns:
        ``format``; ``files``: by name, ``bytes`` and ``sha256``; ``tensors``: by checkpoint (``.`` where the path is
        one) and name, ``dtype``, ``shape`` and ``sha256``.

    Raises:
        CheckpointError: There is nothing, or something is corrupt.
    """
    path = existing(path)
    found = open_checkpoints(path)
    files = {name: _file(file) for name, file in _files(path, leave_out)}
    total = sum(map(len, found.values()))
    tensors: dict[str, dict[str, Any]] = {}
    done = 0
    for name, checkpoint in found.items():
        key = ALONE if len(found) == 1 else name
        tensors[key] = {}
        for tensor in checkpoint.names:
            tensors[key][tensor] = _tensor(checkpoint, tensor)
            done += 1
            if progress is not None:
                progress(done, total, tensor)
    return {"format": FORMAT, "files": files, "tensors": tensors}


def read_manifest(path: Path) -> dict[str, Any]:
    """A manifest from its file.

    Raises:
        CheckpointError: It is none, or of a newer format.
    """
    try:
        told = read_json(path)
    except (OSError, ValueError) as error:
        raise CheckpointError("a manifest is a JSON file", f"{path}: {error}", "Write it anew, or copy it") from error
    parts = [told.get(key) for key in ("files", "tensors")] if isinstance(told, dict) else [None]
    if not all(isinstance(part, dict) and all(isinstance(one, dict) for one in part.values()) for part in parts):
        raise CheckpointError("a manifest has files and tensors", str(path), "Pass what `axonometry manifest` wrote")
    if told.get("format") != FORMAT:
        what = f"format {told.get('format')!r} in {path}"
        raise CheckpointError(f"a manifest of format {FORMAT} is read", what, "Use the version that wrote it")
    return told


def compare(expected: dict[str, Any], found: dict[str, Any]) -> tuple[ManifestDifference, ...]:
    """Where what is there is not what the manifest says; empty where all of it is.

    >>> compare({"files": {"a.pt": {"sha256": "1"}}, "tensors": {}}, {"files": {}, "tensors": {}})[0].problem
    'missing'

    Args:
        expected: The manifest.
        found: What :func:`manifest` says now.
    """
    told = list(_differences(expected["files"], found["files"], ""))
    for name in {**expected["tensors"], **found["tensors"]}:
        before, now = expected["tensors"].get(name, {}), found["tensors"].get(name, {})
        told += _differences(before, now, f"{name}: " if name != ALONE else "")
    return tuple(told)


def _differences(expected: dict[str, Any], found: dict[str, Any], before: str) -> Iterator[ManifestDifference]:
    for name in {**expected, **found}:
        if name not in found:
            yield ManifestDifference(before + name, "missing")
        elif name not in expected:
            yield ManifestDifference(before + name, "not in the manifest")
        elif expected[name] != found[name]:
            yield ManifestDifference(before + name, _change(expected[name], found[name]))


def _change(expected: Any, found: dict[str, Any]) -> str:
    """The first field that differs, the checksum last: a type tells more than a hash."""
    told = expected if isinstance(expected, dict) else {}
    for key in ("dtype", "shape", "bytes"):
        if key in found and told.get(key) != found[key]:
            return f"{key} {found[key]}, {told.get(key)} by the manifest"
    return f"other content: SHA-256 {found['sha256'][:16]}…, {str(told.get('sha256'))[:16]}… by the manifest"


def _files(path: Path, leave_out: Path | None) -> Iterator[tuple[str, Path]]:
    """The regular files, by their name from the folder on, in order."""
    if path.is_file():
        yield path.name, path
        return
    hidden = None if leave_out is None else leave_out.resolve()
    for file in sorted(path.rglob("*")):
        if file.is_file() and irregular(file) is None and file.resolve() != hidden:
            yield file.relative_to(path).as_posix(), file


def _file(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": found}


def _tensor(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    array, entry = checkpoint.array(name), checkpoint.entries[name]
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return {
        "dtype": entry.stored or entry.dtype,
        "shape": list(entry.shape),
        "sha256": hashlib.sha256(little.reshape(-1).view(np.uint8).data).hexdigest(),
    }
