"""One writer at a time for a run folder; readers need no lock."""

from __future__ import annotations

import errno
import os
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from filelock import FileLock, Timeout, lock_descriptor, unlock_descriptor

from axonometry.errors import RunError

LOCK = ".lock"

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
# A writer waits for an instant, since is_locked() holds the lock for an instant.
_PATIENCE, _POLL = 0.1, 0.02


class FolderLock:
    """The right to write one folder; it ends with :meth:`release` or with the process, however that ends.

    The operating system holds the lock (``flock``, ``LockFileEx``), so that the file that a killed process leaves
    behind keeps nobody out. A forked child, such as a data loader's worker, holds nothing. Where a file system has no
    locks (some network mounts), a warning says so and nothing keeps a second writer out.

    Raises:
        RunError: Another process or another recorder writes the folder, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():  # filelock would make it
            raise RunError(f"no such folder: {folder}", "", "Choose another folder")
        self._path = folder / LOCK
        # No fallback to a lock file without an operating system's lock: it would stay when its process is killed.
        self._lock = FileLock(self._path, mode=0o644, thread_local=False, fallback_to_soft=False)
        self._unlocked_in: int | None = None
        try:
            self._lock.acquire(timeout=_PATIENCE, poll_interval=_POLL)
        except Timeout as error:
            rule = f"another process is writing {folder}: one recorder writes a run folder at a time"
            raise RunError(rule, "", "Wait for it or end it, or choose another folder") from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise RunError(*unwritable(folder, error)) from error
            self._unlocked_in = os.getpid()
            warnings.warn(
                "this file system has no locks: make sure that only one process records into the folder", stacklevel=3
            )
        self._file = self._look()

    @property
    def kept(self) -> bool:
        """Whether the locked file still has its name: else the folder is another one, or a second writer may come."""
        return self._unlocked_in is not None or (self._file is not None and self._look() == self._file)

    @property
    def held(self) -> bool:
        """Whether this process may write the folder; false in a forked child."""
        return self._lock.is_locked or self._unlocked_in == os.getpid()

    def release(self) -> None:
        """Let the next writer in; a second call does nothing."""
        if not self.held:
            return
        # Removed while it is locked: a writer that opened the same file meanwhile sees that it has no name any more,
        # and opens the next one. Windows removes no open file; one that stays keeps nobody out.
        with suppress(OSError):
            if self.kept:  # another file of this name is another writer's
                self._path.unlink()
        self._unlocked_in = None
        self._lock.release()

    def _look(self) -> tuple[int, int] | None:
        # While the file is open, no other file gets its number.
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise RunError("a lock is held by one process and one object", "a copy or a pickle of it", "Open the run anew")


def is_locked(folder: Path, *, tries: int = 2) -> bool:
    """Whether a process is writing the folder; nothing in it is changed, and it may be read-only.

    Args:
        folder: A run.
        tries: How often a held lock is asked for, 5 ms apart: another reader may be asking at the same instant. One is
            enough for whoever asks again soon.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     is_locked(Path(folder))
    False
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe would keep us waiting
    except OSError:
        return False
    try:
        for left in reversed(range(tries)):
            if lock_descriptor(descriptor, blocking=False):
                unlock_descriptor(descriptor)
                return False
            if left:
                time.sleep(_POLL / 4)
    except OSError:  # a file system without locks, or one that locks only what is open for writing
        return False
    finally:
        os.close(descriptor)
    return True


def unwritable(folder: Path, error: OSError) -> tuple[str, str, str]:
    """Rule, what came and remedy of the error for a folder that cannot be made or written."""
    return f"cannot write to {folder}: {error.strerror or error}", "", "Choose another folder"
