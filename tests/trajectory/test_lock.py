"""One writer a folder."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
from filelock import lock_descriptor, unlock_descriptor

from axonometry.errors import RunError
from axonometry.trajectory.lock import LOCK, FolderLock, is_locked

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes")


def test_the_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    assert first.held
    words = r"another process is writing .*: one recorder writes a run folder at a time\. Wait for it"
    with pytest.raises(RunError, match=words):
        FolderLock(tmp_path)
    first.release()
    first.release()
    assert not first.held
    assert list(tmp_path.iterdir()) == []
    second = FolderLock(tmp_path)
    first.release()  # must not take the second's away
    with pytest.raises(RunError, match="another process is writing"):
        FolderLock(tmp_path)
    second.release()


def test_a_lock_file_that_a_killed_writer_left_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    lock = FolderLock(tmp_path)
    lock.release()
    assert not (tmp_path / LOCK).exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"^no such folder: .*absent\. Choose another folder\.$"):
        FolderLock(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
    (tmp_path / LOCK).mkdir()
    with pytest.raises(RunError, match=r"^cannot write to .*: Is a directory\. Choose another folder\.$"):
        FolderLock(tmp_path)


@posix
def test_a_lock_file_taken_away_between_opening_and_locking_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    lock_of_the_system = fcntl.flock
    opened: list[int] = []

    def taken_away_once(descriptor: int, operation: int) -> None:
        if not opened:  # what a writer that just then released the folder does
            (tmp_path / LOCK).unlink()
        opened.append(descriptor)
        lock_of_the_system(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", taken_away_once)
    lock = FolderLock(tmp_path)
    assert len(opened) == 2
    with pytest.raises(RunError, match="another process is writing"):
        FolderLock(tmp_path)
    lock.release()


@posix
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    import fcntl

    def none(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.warns(UserWarning, match="this file system has no locks"):
        lock = FolderLock(tmp_path)
    assert lock.held
    assert not is_locked(tmp_path), "not known, so not claimed"
    lock.release()
    assert not lock.held


@posix
def test_asking_whether_a_folder_is_locked_changes_nothing(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "absent")
    assert not is_locked(tmp_path)
    assert list(tmp_path.iterdir()) == []
    lock = FolderLock(tmp_path)
    assert is_locked(tmp_path)
    lock.release()
    assert not is_locked(tmp_path)
    (tmp_path / LOCK).touch(0o444)  # left by a kill
    tmp_path.chmod(0o555)
    assert not is_locked(tmp_path)
    assert (tmp_path / LOCK).exists()
    tmp_path.chmod(0o755)


@posix
def test_a_writer_waits_for_an_instant_for_those_who_only_ask(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    with (tmp_path / LOCK).open() as file:
        assert lock_descriptor(file.fileno(), blocking=False)
        threading.Timer(0.03, unlock_descriptor, [file.fileno()]).start()
        FolderLock(tmp_path).release()


HOLDER = """
import sys, time
from axonometry.trajectory.lock import FolderLock
lock = FolderLock(__import__("pathlib").Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@posix
def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(RunError, match="another process is writing"):
                FolderLock(tmp_path)
        finally:
            holder.send_signal(signal.SIGKILL)
        holder.wait()
    FolderLock(tmp_path).release()


FORKING_HOLDER = """
import os, sys, time
from axonometry.trajectory.lock import FolderLock
lock = FolderLock(__import__("pathlib").Path(sys.argv[1]))
child = os.fork()
if child == 0:
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(60)
    os._exit(0)
time.sleep(60)
"""


@posix
def test_a_forked_worker_does_not_keep_the_lock_of_its_killed_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKING_HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            with pytest.raises(RunError, match="another process is writing"):
                FolderLock(tmp_path)
            holder.kill()
            holder.wait()
            os.kill(child, 0)  # the child is alive
            FolderLock(tmp_path).release()
        finally:
            os.kill(child, signal.SIGKILL)


@posix
def test_a_forked_worker_cannot_release_its_parents_lock(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        lock.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / LOCK).exists()
    with pytest.raises(RunError, match="another process is writing"):
        FolderLock(tmp_path)
    lock.release()
