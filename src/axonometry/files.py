"""Files that are complete or not there, whatever happens while they are written; and reading what strangers wrote.

A file is written beside its place, flushed to the disk, and renamed. A rename within a file system is atomic, so a
reader sees the old file or the new one. Killed in the middle of the second write, a folder holds::

    run.json                    what the first write wrote
    run.json.5f3a91c4.partial   half of the second; nothing reads it

A file that is read may be a pipe, which waits for ever, a device, which has no end, or a JSON text nested so deep that
Python gives up somewhere else: :func:`read_whole` and :func:`read_json` look before they read.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from axonometry.errors import WriteError

PARTIAL = ".partial"
"""The end of the name of a file that is being written."""

LARGEST_TEXT = 2**26
"""Bytes of a JSON text that is read."""
DEEPEST = 64
"""Lists and dictionaries in each other in a JSON text; ours have four."""

LFS_POINTER, WEB_PAGE, EMPTY = "a git-lfs pointer to the file, not the file", "a web page", "an empty file"
REMEDIES = {
    LFS_POINTER: "Fetch the file itself: git lfs pull",
    WEB_PAGE: "Download the file itself: this is what the server said instead",
    EMPTY: "Copy or download it again",
}
"""What to do about files that stand in the place of others."""
_IRREGULAR = (
    *((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket")),
    *((stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"), (stat.S_ISDIR, "a folder")),
)
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
    _require_name(path)
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


def require_writable(path: Path) -> None:
    """Refuse a path at which no file could be written: before long work, whose result would be lost.

    Folders that are missing can be made later; nothing is left behind.

    Raises:
        WriteError: It is a folder, a device or a pipe, or the nearest folder that there is takes no file.

    >>> require_writable(Path("."))
    Traceback (most recent call last):
        ...
    axonometry.errors.WriteError: a file is written to the name of a file; got ., which is no name of a file. Choose...
    """
    _require_name(path)
    there = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise WriteError(*_explained(path, error)) from error


def _require_name(path: Path) -> None:
    other = irregular(path) if path.name and "\0" not in str(path) else "no name of a file"
    if other is not None:  # a rename would put the file in the place of /dev/null
        raise WriteError("a file is written to the name of a file", f"{path}, which is {other}", "Choose another path")


def write_text(path: Path, text: str, *, parents: bool = False) -> None:
    """Write a text file in UTF-8 with :func:`atomic_write`.

    Raises:
        WriteError: The file could not be written; ``path`` is what it was before.
    """
    with atomic_write(path, parents=parents) as partial:
        # Names of files may hold bytes that are no UTF-8; they are written as escapes.
        partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def irregular(path: Path) -> str | None:
    """What something is that is no regular file, in words; None for a file, and where there is nothing.

    >>> irregular(Path("/dev/null")), irregular(Path(".")), irregular(Path("nothing"))
    ('a device', 'a folder', None)
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return None
    return next((name for test, name in _IRREGULAR if test(mode)), None)


def read_whole(path: Path, most: int) -> bytes:
    """The bytes of a regular file.

    Args:
        path: The file.
        most: How many bytes it may have.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be read.
        ValueError: It is a pipe, a device or a folder, or larger; nothing of it is read then.
    """
    if "\0" in str(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    other = irregular(path)
    if other is not None:
        raise ValueError(f"{other}, not a file")
    size = path.stat().st_size
    if size > most:
        raise ValueError(f"a file of {size:,} bytes; at most {most:,} are read")
    return path.read_bytes()


def disguised(head: bytes) -> str | None:
    r"""What a file is that stands in the place of another, told by its first bytes; None for all others.

    >>> disguised(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    'a git-lfs pointer to the file, not the file'
    >>> disguised(b"  <!DOCTYPE html>")
    'a web page'
    """
    if not head:
        return EMPTY
    if head.startswith(b"version https://git-lfs"):
        return LFS_POINTER
    page = head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head"))
    return WEB_PAGE if page else None


def disguise_of(path: Path) -> str | None:
    """What a file is that stands in the place of another, as :func:`disguised` tells; None where it cannot be read."""
    if "\0" in str(path) or irregular(path) is not None:
        return None
    try:
        with path.open("rb") as file:
            return disguised(file.read(512))
    except OSError:
        return None


def read_json(path: Path) -> Any:
    """The value of a JSON file, as :func:`parse_json` reads it.

    Raises:
        OSError: There is no such file, or it cannot be read.
        ValueError: It is no JSON, or of a size or depth that no file of ours has.
    """
    content = read_whole(path, LARGEST_TEXT)
    other = disguised(content[:512])
    if other is not None:
        raise ValueError(f"{other}. {REMEDIES[other]}")
    return parse_json(content.decode("utf-8"))


def parse_json(text: str) -> Any:
    """The value of a JSON text whose depth and texts every later step can work with.

    Args:
        text: The JSON.

    Raises:
        ValueError: It is no JSON, is nested deeper than :data:`DEEPEST`, or holds half of a surrogate pair, which
            cannot be written to any file.

    >>> parse_json('{"a": [1]}')
    {'a': [1]}
    >>> parse_json("[" * 100000)
    Traceback (most recent call last):
    ValueError: lists and dictionaries nested deeper than 64
    """
    deep = f"lists and dictionaries nested deeper than {DEEPEST}"
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(deep) from error
    level, depth = [value], 0
    while level := [one for one in level if isinstance(one, (list, dict, str))]:
        for one in level:
            if isinstance(one, str):
                one.encode()  # UnicodeEncodeError is a ValueError
        holders = [one for one in level if not isinstance(one, str)]
        level = [inside for one in holders for inside in (one if isinstance(one, list) else (*one, *one.values()))]
        depth += 1
        if holders and depth > DEEPEST:
            raise ValueError(deep)
    return value


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
