"""Files that are somewhere else, read by ranges through fsspec: ``s3://``, ``gs://``, ``http://``, ``memory://``.

A remote path is a path as any other to the readers: it has a name and a parent, and is listed, opened and asked for its
size. What a reader reads of it is fetched, and 64 kB beyond::

    summary s3://bucket/model.safetensors      8 bytes, the header; the tensors stay where they are
"""

from __future__ import annotations

import errno
import importlib.util
import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from axonometry.errors import CheckpointError

URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/{1,2}(?=[^/])")
"""How a remote path begins; with two letters at least, since one is a drive, and in a ``Path`` with one / only."""
BEYOND = 2**16
"""Bytes that are fetched beyond those that are asked for: headers are read in small parts."""
_Found = TypeVar("_Found")


def placed(path: str | Path) -> Path:
    """A path on this machine, or a remote one where its text is a URL.

    >>> str(placed("model.pt")), str(placed(Path("memory://folder/model.pt")))
    ('model.pt', 'memory://folder/model.pt')

    Args:
        path: As a user wrote it; ``Path`` takes ``s3://bucket`` for ``s3:/bucket``.

    Raises:
        CheckpointError: fsspec is not installed.
    """
    found = URL.match(os.fspath(path))
    if isinstance(path, RemotePath) or found is None or Path(path).exists():
        return Path(path) if isinstance(path, str) else path
    rest = os.fspath(path)[found.end() :]
    if found["scheme"] == "file":
        return Path("/", rest)
    if importlib.util.find_spec("fsspec") is None:
        rule, remedy = (
            "files that are somewhere else are read by fsspec",
            "Install it: pip install 'axonometry[remote]'",
        )
        raise CheckpointError(rule, str(path), remedy)
    return RemotePath(f"{found['scheme']}:/{rest}")


class RemotePath(type(Path())):  # type: ignore[misc]  # Path() gives the class of this system's paths
    """A path of another file system, with what checkpoints ask of paths."""

    def __str__(self) -> str:
        text: str = super().__str__()
        return URL.sub(lambda found: f"{found['scheme']}://", text.replace(os.sep, "/"), count=1)

    def __fspath__(self) -> str:
        return str(self)

    def _of_system(self, ask: Callable[[Any, str], _Found]) -> _Found:
        """What the file system says, its own errors as those of files.

        Raises:
            OSError: It cannot be asked, or says no.
        """
        import fsspec

        try:
            return ask(*fsspec.url_to_fs(str(self)))
        except OSError as error:
            if error.strerror:
                raise
            raise type(error)(error.errno or errno.EIO, str(error) or "cannot be read", str(self)) from error
        except Exception as error:  # each system's library has errors of its own
            words = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
            raise OSError(errno.EIO, words, str(self)) from error

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Size and kind; nothing else is known."""
        told = self._of_system(lambda system, place: system.info(place))
        kind = stat.S_IFDIR if told.get("type") == "directory" else stat.S_IFREG
        return os.stat_result((kind | 0o444, 0, 0, 1, 0, 0, int(told.get("size") or 0), 0, 0, 0))

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Whether there is something; a web server is asked for its head alone."""
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a file."""
        return self.exists() and not self.is_dir()

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a folder; of a web server, a page of links under a name without an end."""
        if self.as_posix().startswith("http") and self.suffix:
            return False
        return bool(self._of_system(lambda system, place: system.isdir(place)))

    def iterdir(self) -> Iterator[RemotePath]:
        """What is in a folder."""
        for place in self._of_system(lambda system, place: system.ls(place, detail=False)):
            name = str(place).rstrip("/").rpartition("/")[2]
            if name and name != self.name:
                yield self / name

    def glob(self, pattern: str, **_: Any) -> Iterator[RemotePath]:
        """What is in a folder under a name of some pattern."""
        return (item for item in self.iterdir() if fnmatchcase(item.name, pattern))

    def rglob(self, pattern: str, **_: Any) -> Iterator[RemotePath]:
        """The same, of all folders below too."""
        for item in self.iterdir():
            if item.is_dir():
                yield from item.rglob(pattern)
            elif fnmatchcase(item.name, pattern):
                yield item

    def resolve(self, strict: bool = False) -> RemotePath:
        """Itself."""
        return self

    def open(self, mode: str = "r", *_: Any, encoding: str | None = None, **__: Any) -> Any:
        """The file, for reading."""
        found = self._of_system(
            lambda system, place: system.open(place, "rb", block_size=BEYOND, cache_type="readahead")
        )
        return found if "b" in mode else io.TextIOWrapper(found, encoding=encoding or "utf-8")
