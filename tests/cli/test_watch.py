"""``axonometry watch``: the table once and in lines, bad input in one line, Ctrl-C, and the page's address."""

from __future__ import annotations

import io
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from axonometry.cli import terminal, watch as module

if TYPE_CHECKING:
    from collections.abc import Callable

WATCH = [sys.executable, "-m", "axonometry", "watch"]


def test_once_prints_the_state(run: Callable, runs: Path) -> None:
    outcome = run("watch", runs, "--once")
    assert outcome.code == 0
    assert [line.split() for line in outcome.out.splitlines() if line] == [
        [str(runs)],
        ["run", "state", "step", "accuracy"],
        [outcome.out.splitlines()[3].strip()],
        ["cut", "interrupted", "0", "0.5"],
        ["whole", "finished", "2", "0.75"],
    ]


def test_once_ends_with_1_where_an_alert_holds(run: Callable, runs: Path) -> None:
    outcome = run(
        "watch", runs, "--once", "--alert", "accuracy > 0.7", "--alert", "node_strength<-99", "--alert", "nope > 1"
    )
    assert outcome.code == 1
    assert "Alert: accuracy > 0.7: whole: 0.75 at step 2\n" in outcome.out
    assert outcome.err == "No run has recorded `nope`, which an alert is about.\n"
    assert run("watch", runs, "--once", "--alert", "accuracy > 0.9").code == 0


def test_once_as_json(run: Callable, runs: Path) -> None:
    outcome = run("watch", runs, "--once", "--json", "--alert", "accuracy > 0.7", "--score", "accuracy")
    assert outcome.code == 1
    assert [(row["run"], row["state"], row["score"]) for row in outcome.json["runs"]] == [
        ("cut", "interrupted", 0.5),
        ("whole", "finished", 0.75),
    ]
    assert [alert["run"] for alert in outcome.json["alerts"]] == ["whole"]


def test_once_names_a_corrupt_run_and_shows_the_others(run: Callable, runs: Path) -> None:
    (runs / "cut/run.json").write_text("{")
    outcome = run("watch", runs, "--once")
    assert outcome.code == 0
    assert "corrupt" in outcome.out
    assert "whole" in outcome.out
    assert "cut: corrupt file" in outcome.err


def test_an_empty_folder_is_said_to_be(run: Callable, tmp_path: Path) -> None:
    outcome = run("watch", tmp_path, "--once")
    assert (outcome.code, outcome.out, outcome.err) == (0, f"No runs in {tmp_path} so far.\n", "")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nope"], "Error: no such folder: nope. Check the path.\n"),
        (
            [".", "--alert", "dead"],
            "Error: an alert is NAME OP NUMBER, with OP one of <, <=, >, >=, ==, !=; got 'dead'.",
        ),
        (
            [".", "--alert", "predicted < 0.6"],
            "Error: an alert on `predicted` needs a predictor; got none. Pass --predictor",
        ),
        ([".", "--predictor", "nope.bin"], "nope.bin"),
        ([".", "--port", "70000"], "--port"),
    ],
)
def test_bad_input_is_one_line(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run("watch", *words)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert line in outcome.err


def test_a_busy_port_is_one_line(run: Callable, tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    with socket.create_server(("127.0.0.1", 0)) as busy:
        outcome = run("watch", tmp_path, "--port", busy.getsockname()[1])
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "Choose another with --port" in outcome.err


def interrupted_after(monkeypatch: pytest.MonkeyPatch, *changes: Callable[[], object]) -> None:
    """Pauses make one change each, the last one is Ctrl-C."""
    left = [*changes]

    def pause(_: float) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop(0)()

    monkeypatch.setattr(module.time, "sleep", pause)


def test_text_says_a_line_for_each_change(run: Callable, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted_after(monkeypatch, lambda: None, (runs / "cut/run.json").unlink)
    outcome = run("watch", runs, "--text", "--alert", "accuracy > 0.7")
    assert (outcome.code, outcome.err) == (terminal.INTERRUPTED, "Watching has ended; the runs go on.\n")
    assert outcome.out.splitlines() == [
        "cut: interrupted, step 0, accuracy 0.5",
        "whole: finished, step 2, accuracy 0.75",
        "Alert: accuracy > 0.7: whole: 0.75 at step 2",
        "cut: deleted, step 0, accuracy 0.5",
    ]


def test_text_as_json_is_a_document_a_line(run: Callable, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted_after(monkeypatch)
    outcome = run("watch", runs, "--text", "--json", "--alert", "accuracy > 0.7")
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert [line.get("run") or line["alert"]["rule"] for line in lines] == ["cut", "whole", "accuracy > 0.7"]


def test_text_waits_for_runs(run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted_after(monkeypatch)
    assert run("watch", tmp_path, "--text").out == f"No runs in {tmp_path} so far; waiting.\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_table_is_drawn_in_its_place(
    run: Callable, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("LINES", "8")
    monkeypatch.setenv("COLUMNS", "80")
    interrupted_after(monkeypatch, lambda: None, (runs / "whole/run.json").unlink)
    run("watch", runs, "--text", "--alert", "accuracy > 0.7")
    shown = screen.getvalue()
    assert shown.count("accuracy > 0.7: whole") == 1, (
        "nothing is drawn where nothing changed, and no alert of a deleted run"
    )
    assert "deleted" in shown.rpartition("interrupted")[2]
    assert "\x1b[1A" in shown, "the second table is drawn over the first"


@pytest.mark.slow
def test_ctrl_c_ends_the_page(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    process = subprocess.Popen([*WATCH, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first, second = process.stdout.readline(), process.stdout.readline()
    assert first.startswith(f"Watching {tmp_path} at http://127.0.0.1:")
    assert "/?token=" in first
    assert second == f"No runs in {tmp_path} so far; waiting.\n"
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert error == "Watching has ended; the runs go on.\n"
