"""Every argument that takes a path, given what is no file: one line and exit code 2, in a moment."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices are POSIX")

READ = (
    *("analyze PATH", "analyze PATH --json", "runs show PATH", "runs list PATH", "runs verify PATH"),
    *("runs measure PATH --measure disparity", "runs train --config PATH --folder OUT", "predict fit PATH --out OUT"),
    *("predict evaluate PATH", "predict apply PATH RUNS", "predict apply PREDICTOR PATH", "modes PATH"),
    *(
        "modes PATH --dataset digits",
        "modes PATH:net --dataset digits",
        "basins PATH",
        "basins PATH:net --dataset digits",
    ),
    *("experiment PATH", "experiment PATH:WIDTHS", "paper PATH", "--import PATH runs list RUNS"),
    *("--import PATH.py runs list RUNS", "runs train --dataset mnist --data PATH --folder OUT"),
)
WRITTEN = (
    *("analyze CHECKPOINT --report PATH", "analyze RUNS/whole --report PATH", "runs train --folder PATH --count 1"),
    "demo --folder PATH --report OUT",
)
BAD = ("pipe", "zero", "null", "folder", "missing", "NUL", "empty", "nothing", "text", "bytes", "long", "below", "name")


def made(kind: str, folder: Path) -> str:
    """A path of a kind."""
    path = folder / f"{kind}.pt"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind in ("empty", "text", "bytes"):
        path.write_bytes({"empty": b"", "text": b"hello\n", "bytes": bytes(range(256)) * 9}[kind])
    elif kind == "below":  # in a file, where a folder should be
        path.write_text("x")
        path = path / "in.pt"
    elif kind == "name":
        path = Path(os.fsdecode(os.fsencode(folder) + b"/\xff\x1b.pt"))
        path.write_bytes(b"hello")
    elif kind == "long":
        path = folder / ("x" * 5000)
    other = {"zero": "/dev/zero", "null": "/dev/null", "NUL": f"{folder}/a\0b", "nothing": ""}
    return other.get(kind, str(path))


@contextmanager
def seconds(limit: int) -> Iterator[None]:
    """An error where a block takes longer: a pipe would be waited for without end."""

    def stop(*_: object) -> None:
        raise AssertionError(f"over {limit} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(limit)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def words_of(command: str, path: str, folder: Path) -> list[str]:
    places = {"PATH": path, "RUNS": str(folder / "runs"), "OUT": str(folder / "out")}
    places |= {"CHECKPOINT": str(folder / "c.npz"), "PREDICTOR": str(folder / "nothing.predictor")}
    return [_put(word, places) for word in command.split()]


def _put(word: str, places: dict[str, str]) -> str:
    for name, place in places.items():
        if word.startswith(name):
            return place + word.removeprefix(name)
    return word


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("command", READ)
def test_a_path_that_is_read(run, runs: Path, tmp_path: Path, command: str, kind: str) -> None:
    with seconds(30):
        outcome = run(*words_of(command, made(kind, tmp_path), tmp_path))
    assert outcome.code == 2
    assert outcome.err.startswith("Error: ")
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err[:-1].isprintable()


@pytest.mark.parametrize("kind", ["pipe", "zero", "null", "NUL", "nothing", "long", "below"])
@pytest.mark.parametrize("command", WRITTEN)
def test_a_path_that_is_written(
    run, runs: Path, tmp_path: Path, command: str, kind: str, in_this_process: None
) -> None:

    np.savez(tmp_path / "c.npz", w=np.ones((2, 2)))
    with seconds(60):
        outcome = run(*words_of(command, made(kind, tmp_path), tmp_path))
    assert outcome.code == 2
    errors = [line for line in outcome.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert Path("/dev/null").is_char_device()
