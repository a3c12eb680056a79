"""Files that are complete or not there."""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
from pathlib import Path

import pytest

from axonometry.errors import RunError, WriteError
from axonometry.files import (
    PARTIAL,
    atomic_write,
    discard_partial,
    irregular,
    parse_json,
    read_json,
    read_whole,
    require_writable,
    write_text,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes")


def test_a_file_is_replaced_whole_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text in ("old", "new"):
        with atomic_write(path) as partial:
            partial.write_text(text)
            assert partial.parent == path.parent, "a rename is atomic only inside one file system"
        assert path.read_text() == text
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "room" / "a") as partial:
        partial.write_text("x")
    assert (tmp_path / "room" / "a").read_text() == "x"


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def write() -> None:
        with atomic_write(path) as partial:
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
        pytest.raises(WriteError, match=r"cannot write .*a: No space left on device.*Files written before are intact"),
        atomic_write(path) as partial,
    ):
        partial.write_text("new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@posix
def test_files_have_the_mode_that_the_user_wants(tmp_path: Path) -> None:
    import torch

    from axonometry.trajectory.state import write_state

    (tmp_path / f"a{PARTIAL}").touch(0o600)  # left by a kill
    with atomic_write(tmp_path / "a") as partial:
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
    with atomic_write(tmp_path / "a") as partial:
        partial.write_text("x")
    assert calls == ["fsync", "rename", "fsync"], "the content, the name, the folder that has the name"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, r"cannot write .*a: Permission denied\. Allow writing there, or choose another path\."),
        (errno.EROFS, r"cannot write .*a: Read-only file system\. Allow writing there"),
        (errno.ENOSPC, r"cannot write .*a: No space left on device\. Free space on the disk"),
        (errno.EIO, r"cannot write .*a: Input/output error\. Try again, or choose another path"),
    ],
)
def test_what_went_wrong_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "touch", refused)
    with pytest.raises(WriteError, match=words) as raised:
        write_text(tmp_path / "a", "x")
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, RunError), "who catches a recording's errors catches these too"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"^no such folder: .*no.such\. Create it, or choose another path\.$"):
        write_text(tmp_path / "no" / "such" / "a", "x")
    write_text(tmp_path / "no" / "such" / "a", "x", parents=True)
    assert (tmp_path / "no" / "such" / "a").read_text() == "x"
    with pytest.raises(WriteError, match=r"^not a folder: .*such.a\. Choose another path\.$"):
        write_text(tmp_path / "no" / "such" / "a" / "b", "x", parents=True)


def test_text_is_the_same_bytes_on_every_system(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "größe\n2\n")
    assert (tmp_path / "a").read_bytes() == b"gr\xc3\xb6\xc3\x9fe\n2\n"


def test_writers_of_one_path_do_not_meet(tmp_path: Path) -> None:
    """The first writer's half is neither removed nor renamed by the second; the last one to end wins."""
    first_waits, second_is_done = threading.Event(), threading.Event()

    def first() -> None:
        with atomic_write(tmp_path / "a") as partial:
            partial.write_text("half")
            first_waits.set()
            second_is_done.wait(10)
            partial.write_text("first")

    thread = threading.Thread(target=first)
    thread.start()
    first_waits.wait(10)
    write_text(tmp_path / "a", "second")
    assert (tmp_path / "a").read_text() == "second"
    second_is_done.set()
    thread.join()
    assert (tmp_path / "a").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_partial_files_of_killed_writers_are_discarded(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    for name in ("a", f"a.1234{PARTIAL}", "room/b", f"room/b.1234{PARTIAL}"):
        (tmp_path / name).touch()
    discard_partial(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["a", "room", "room/b"]


@posix
def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, what in ((Path("/dev/null"), "a device"), (tmp_path / "pipe", "a pipe"), (tmp_path, "a folder")):
        with pytest.raises(WriteError, match=f"which is {what}"):
            write_text(path, "x")
    assert irregular(Path("/dev/null")) == "a device"
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@posix
def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, what in ((tmp_path / "pipe", "a pipe"), (Path("/dev/zero"), "a device"), (tmp_path, "a folder")):
        with pytest.raises(ValueError, match=f"^{what}, not a file$"):
            read_whole(path, 10)
    (tmp_path / "a").write_bytes(b"12345")
    with pytest.raises(ValueError, match="a file of 5 bytes; at most 4 are read"):
        read_whole(tmp_path / "a", 4)
    assert read_whole(tmp_path / "a", 5) == b"12345"
    with pytest.raises(FileNotFoundError, match="No such file"):
        read_whole(Path("a\0b"), 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested deeper than 64"),
        ("[" * 65 + "]" * 65, "nested deeper than 64"),
        ('{"a":' * 500 + "1" + "}" * 500, "nested deeper than 64"),
        ('["\\ud800"]', "surrogates not allowed"),
        ('{"\\udc00": 1}', "surrogates not allowed"),
        ("1" * 5000, "digits"),
        ("{", "property name"),
    ],
)
def test_json_that_nothing_can_be_done_with(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "a.json")


def test_json_at_the_bounds() -> None:
    deepest = "[" * 64 + "]" * 64
    assert parse_json(deepest) == json.loads(deepest)
    assert parse_json('{"a\\u0000": [1.5, null, "\\ud83d\\ude00"]}') == {"a\0": [1.5, None, "\U0001f600"]}
    assert parse_json('"text"') == "text"


def test_names_that_are_no_utf8_are_written_as_escapes(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "x\udcff.pt")
    assert (tmp_path / "a").read_text() == "x\\udcff.pt"


def test_a_path_that_takes_no_file_is_refused_before_any_work(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    require_writable(file)
    require_writable(tmp_path / "new" / "newer" / "a.html")
    assert list(tmp_path.iterdir()) == [file]  # nothing is made
    for path, message in ((tmp_path, "which is a folder"), (file / "a.html", "not a folder: .*file")):
        with pytest.raises(WriteError, match=message):
            require_writable(path)


@posix
def test_a_folder_that_takes_no_files_is_refused_before_any_work() -> None:
    for path, message in (("/proc/a.html", "cannot write /proc/a.html"), ("/dev/null", "which is a device")):
        with pytest.raises(WriteError, match=message):
            require_writable(Path(path))
