"""Tables, JSON and progress bars."""

from __future__ import annotations

import io
import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from axonometry.cli import terminal


def test_json_has_no_numbers_that_json_does_not_have(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_json({"a": (np.float64(1.5), np.int64(2), math.nan, -math.inf), "b": Path("x"), "c": None, 3: True})
    assert json.loads(capsys.readouterr().out) == {"a": [1.5, 2, None, None], "b": "x", "c": None, "3": True}


def test_records_keep_whole_numbers_whole() -> None:
    frame = pd.DataFrame({"n": [1, 2], "x": [0.5, math.nan], "s": ["a", "b"]})
    assert [[type(value) for value in row.values()] for row in terminal.records(frame)] == [[int, float, str]] * 2


def test_a_piped_table_has_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    name = "layer." * 60
    terminal.show_table(("tensor", "mean"), [(name, 0.123456), ("b", None)], "Title")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Title"
    assert f" {name}   0.1235" in lines
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize(("width", "left_out"), [(80, ""), (30, "b"), (22, "b, c")])
def test_a_narrow_terminal_gets_fewer_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int, left_out: str
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    terminal.show_table(("name", "a", "b", "c"), [("layer", 1.23456, 2.34567, 3.45678)], spare=("b", "c"))
    captured = capsys.readouterr()
    assert "1.235" in captured.out
    assert ("2.346" in captured.out) == (not left_out)
    assert ("3.457" in captured.out) == ("c" not in left_out)
    assert captured.err == (f"This terminal is too narrow for: {left_out}; --json prints all.\n" if left_out else "")
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in captured.out.splitlines()) <= width


def test_markup_in_names_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_table(("name", "[/nothing]"), [("[red]x[/red]", 1.0)])
    out = capsys.readouterr().out
    assert "[red]x[/red]" in out
    assert "[/nothing]" in out


def test_progress_is_drawn_on_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for is_terminal in (False, True):
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda answer=is_terminal: answer)
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        with terminal.progress("Starting") as move:
            move(1, 3, "[a] of three")
        assert ("[a] of three" in stream.getvalue()) == is_terminal


def test_a_long_table_keeps_first_and_last(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"step": range(1000)})
    thin = terminal.thinned_rows(frame, 7)
    assert (len(thin), thin["step"].iloc[0], thin["step"].iloc[-1]) == (7, 0, 999)
    assert "7 of 1000" in capsys.readouterr().err
    assert terminal.thinned_rows(frame[:7], 7) is not thin


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nb", "a\rb", "a\0b", "\ud800", "a\u202eb", "a\x9bb", "a\u2028b"])
def test_what_a_terminal_obeys_is_escaped_in_names(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal.note(text)
    terminal.fail(text)
    terminal.show_table([text], [[text]], text)
    terminal.show_table([text], [[text]] * (terminal.LONG + 1), text)
    terminal.show_json({text: text})
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with terminal.progress(text) as move:
        move(1, 2, text)
    captured = capsys.readouterr()
    found = captured.out + captured.err
    assert not any(char in found for char in text if char != "\n" and not (char.isprintable() and char.isascii()))
    assert "a\nb" not in found
    assert terminal.printable("Grüße, 網絡 – ∞ e\u0301") == "Grüße, 網絡 – ∞ e\u0301"


def test_tables_of_many_rows_are_laid_out_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [[f"layer{i}.weight", i / 7, None if i % 2 else i] for i in range(5000)]
    terminal.show_table(["tensor", "mean", "count"], rows, "Weights")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Weights"
    assert lines[1].split() == ["tensor", "mean", "count"]
    assert lines[3].split() == ["layer0.weight", "0", "0"]
    assert lines[4].split() == ["layer1.weight", "0.1429", "–"]
    assert len({len(line) for line in lines[3:-1]}) == 1, "the last column is to the right"
    assert len(lines) == 5000 + 4
