"""Files that are either whole or not there, and a folder with one writer at a time."""

from __future__ import annotations

import errno
import os
import sys
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from axonometry.errors import RunError

LOCK = ".lock"
PARTIAL = ".partial"
WHOLE = "What was recorded before is whole"

_WINDOWS = sys.platform == "win32"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside ``path`` to write to, which becomes ``path`` when the block ends well.

    The content reaches the disk before the name does, so that at every instant, a power cut included, ``path`` is
    what it was before or what was written, never a part of it.

    Raises:
        RunError: The file could not be written; ``path`` is what it was before.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        if not path.parent.exists():
            path.parent.mkdir()
            flush_folder(path.parent.parent)
        partial.unlink(missing_ok=True)
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        partial.chmod(mode)  # some writers make files for their owner only, whatever the user's umask says
        _flush(partial)
        os.replace(partial, path)
        flush_folder(path.parent)
    except OSError as error:
        rule = f"{path} must be written for the run to go on"
        raise RunError(rule, str(error), f"Free the disk or allow writing there, then record again. {WHOLE}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk; Windows has no such call and needs none."""
    if not _WINDOWS:
        _flush(folder)


def _flush(path: Path) -> None:
    # Windows flushes only what is open for writing, a folder opens only for reading.
    descriptor = os.open(path, os.O_RDWR if _WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FolderLock:
    """The right to write one folder; it ends with :meth:`release` or with the process, however that ends.

    POSIX systems hold it with ``flock``, Windows with ``msvcrt.locking``. Where a file system knows no locks
    (some network mounts), a warning says so and nothing keeps a second writer out.

    Raises:
        RunError: Another recorder holds the folder, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        self._descriptor = self._acquire()
        _held.add(self)

    @property
    def held(self) -> bool:
        """Whether the folder is still ours."""
        return self._descriptor is not None

    def release(self) -> None:
        """Let the next writer in; a second call does nothing."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        _held.discard(self)
        with suppress(OSError):  # the file is only a handle: one that stays behind keeps nobody out
            self._path.unlink()
        # Not only closed: a forked child may hold the same descriptor, and the lock with it.
        _unlock(descriptor)
        os.close(descriptor)

    def _acquire(self) -> int | None:
        while True:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise RunError(
                    "a run is recorded into a folder that can be written", str(error), "Choose another folder"
                ) from error
            if not self._lock_or_close(descriptor):
                raise RunError(
                    "one recorder writes a run folder at a time",
                    f"{self._path.parent}, which another one is writing",
                    "Wait for it or end it, or choose another folder",
                )
            if self._is_current(descriptor):
                return descriptor
            os.close(descriptor)  # the holder before us removed the file between our opening and our locking it

    @staticmethod
    def _lock_or_close(descriptor: int) -> bool:
        try:
            _lock(descriptor)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                os.close(descriptor)
                return False
            warnings.warn(
                "this file system has no locks: make sure that only one process records into the folder", stacklevel=5
            )
        return True

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def forget_in_child(self) -> None:
        """Called in a forked child: a data loader's worker must not keep the lock when its parent is killed."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


_held: weakref.WeakSet[FolderLock] = weakref.WeakSet()


def _forget_all_in_child() -> None:
    for lock in list(_held):
        lock.forget_in_child()
    _held.clear()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    os.register_at_fork(after_in_child=_forget_all_in_child)
