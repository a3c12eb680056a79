"""Whole files, and one writer a folder."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from axonometry.errors import RunError
from axonometry.trajectory import files
from axonometry.trajectory.files import LOCK, FolderLock, replacing

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes")


def test_a_file_is_replaced_whole_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text in ("old", "new"):
        with replacing(path) as partial:
            partial.write_text(text)
            assert partial.parent == path.parent, "a rename is atomic only inside one file system"
        assert path.read_text() == text
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    with replacing(tmp_path / "room" / "a") as partial:
        partial.write_text("x")
    assert (tmp_path / "room" / "a").read_text() == "x"


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def write() -> None:
        with replacing(path) as partial:
            partial.write_text("half of the n")
            raise error

    with pytest.raises(type(error), match=f"^{error}$"):
        write()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a"
    path.write_text("old")
    monkeypatch.setattr(os, call, full)
    with (
        pytest.raises(RunError, match=r"No space left on device.*recorded before is whole"),
        replacing(path) as partial,
    ):
        partial.write_text("new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@posix
def test_files_have_the_mode_that_the_user_wants(tmp_path: Path) -> None:
    import torch

    from axonometry.trajectory.state import write_state

    (tmp_path / "a.partial").touch(0o600)  # left by a kill
    with replacing(tmp_path / "a") as partial:
        partial.write_text("x")
    write_state(tmp_path / "b", {"w": torch.zeros(1)})
    (tmp_path / "plain").touch()
    modes = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert modes["a"] == modes["b"] == modes["plain"]


def test_content_reaches_the_disk_before_the_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("rename"), replace(a, b)))
    with replacing(tmp_path / "a") as partial:
        partial.write_text("x")
    assert calls == ["fsync", "rename", "fsync"], "the content, the name, the folder that has the name"


def test_the_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    assert first.held
    with pytest.raises(RunError, match=r"one recorder writes a run folder at a time.*which another one is writing"):
        FolderLock(tmp_path)
    first.release()
    first.release()
    assert not first.held
    assert list(tmp_path.iterdir()) == []
    second = FolderLock(tmp_path)
    first.release()  # must not take the second's away
    with pytest.raises(RunError, match="another one is writing"):
        FolderLock(tmp_path)
    second.release()


def test_a_lock_file_that_a_killed_writer_left_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    lock = FolderLock(tmp_path)
    lock.release()
    assert not (tmp_path / LOCK).exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"a folder that can be written.*Choose another folder"):
        FolderLock(tmp_path / "absent")


def test_a_lock_file_taken_away_between_opening_and_locking_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_of_the_system = files._lock
    opened: list[int] = []

    def taken_away_once(descriptor: int) -> None:
        if not opened:  # what a writer that just then released the folder does
            (tmp_path / LOCK).unlink()
        opened.append(descriptor)
        lock_of_the_system(descriptor)

    monkeypatch.setattr(files, "_lock", taken_away_once)
    lock = FolderLock(tmp_path)
    assert len(opened) == 2
    with pytest.raises(RunError, match="another one is writing"):
        FolderLock(tmp_path)
    lock.release()


def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files, "_lock", none)
    with pytest.warns(UserWarning, match="this file system has no locks"):
        lock = FolderLock(tmp_path)
    assert lock.held
    lock.release()


HOLDER = """
import sys, time
from axonometry.trajectory.files import FolderLock
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
            with pytest.raises(RunError, match="another one is writing"):
                FolderLock(tmp_path)
        finally:
            holder.send_signal(signal.SIGKILL)
        holder.wait()
    FolderLock(tmp_path).release()


@posix
def test_a_forked_worker_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    (ended, end), (started, start) = os.pipe(), os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads: the child does nothing but wait
        child = os.fork()
    if child == 0:
        os.close(end)
        os.write(start, b"x")
        os.read(ended, 1)  # until the parent closes its end
        os._exit(0)
    try:
        os.read(started, 1)
        # As if the parent were killed: its descriptor goes without being unlocked. The child, alive, must not hold it.
        assert lock._descriptor is not None
        os.close(lock._descriptor)
        lock._descriptor = None
        FolderLock(tmp_path).release()
    finally:
        os.close(end)
        os.waitpid(child, 0)
        for descriptor in (ended, started, start):
            os.close(descriptor)


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
    with pytest.raises(RunError, match="another one is writing"):
        FolderLock(tmp_path)
    lock.release()
