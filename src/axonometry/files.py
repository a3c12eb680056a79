"""Writing files so that each is complete or not there, whatever happens in between.

A file is written beside its place, flushed to the disk, and renamed. A rename within a file system is atomic, so a
reader sees the old file or the new one. Killed in the middle of the second write, a folder holds::

    run.json                    what the first write wrote
    run.json.5f3a91c4.partial   half of the second; nothing reads it
"""

from __future__ import annotations

import errno
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from axonometry.errors import WriteError

PARTIAL = ".partial"
"""The end of the name of a file that is being written."""

_WINDOWS = sys.platform == "win32"
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT} if not _WINDOWS else {errno.ENOSPC, errno.EFBIG}


@contextmanager
def atomic_write(path: Path, *, parents: bool = False) -> Iterator[Path]:
    """A temporary path to write to, which replaces ``path`` when the block ends without an error.

    The content reaches the disk before the name does, so that at every instant, a power cut included, ``path`` is what
    it was before or what was written, never a part of it. Several processes may write one path: the last one wins.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(Path(folder) / "a.txt") as partial:
    ...         _ = partial.write_text("content")
    ...     [file.name for file in Path(folder).iterdir()]
    ['a.txt']

    Args:
        path: The file. Its folder is made if it is missing.
        parents: Whether all folders above are made too.

    Raises:
        WriteError: The file could not be written; ``path`` is what it was before.
    """
    # A name of its own for every write: two processes that shared one would rename each other's half.
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PARTIAL}")
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=parents, exist_ok=True)
            _flush(path.parent.parent)
        partial.touch(exist_ok=False)
        mode = partial.stat().st_mode
        yield partial
        partial.chmod(mode)  # some writers make files for their owner only, whatever the user's umask says
        _flush(partial)
        os.replace(partial, path)
        _flush(path.parent)
    except OSError as error:
        raise WriteError(*_explained(path, error)) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, parents: bool = False) -> None:
    """Write a text file in UTF-8 with :func:`atomic_write`.

    Raises:
        WriteError: The file could not be written; ``path`` is what it was before.
    """
    with atomic_write(path, parents=parents) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def discard_partial(folder: Path) -> None:
    """Remove the partial files that killed writers left in a folder and in the folders directly below it.

    Only for a folder that nobody else is writing.
    """
    for pattern in (f"*{PARTIAL}", f"*/*{PARTIAL}"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def _explained(path: Path, error: OSError) -> tuple[str, str, str]:
    """Rule, what came and remedy: which folder is missing, what may not be written, or that the disk is full."""
    if isinstance(error, FileNotFoundError) and not path.parent.exists():
        return f"no such folder: {path.parent}", "", "Create it, or choose another path"
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"not a folder: {path.parent}", "", "Choose another path"
    rule = f"cannot write {path}: {error.strerror or error}"
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return rule, "", "Allow writing there, or choose another path"
    remedy = "Free space on the disk and try again" if error.errno in _FULL else "Try again, or choose another path"
    return rule, "", f"{remedy}. Files written before are intact"


def _flush(path: Path) -> None:
    """Bring a file's content, or the names in a folder, to the disk."""
    if _WINDOWS and path.is_dir():  # Windows cannot flush a folder, and need not
        return
    # Windows flushes only what is open for writing; a folder opens only for reading.
    descriptor = os.open(path, os.O_RDWR if _WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
