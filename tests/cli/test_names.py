"""Names that strangers chose, of tensors, keys and files: nothing in them is obeyed by a terminal or a page."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

NAMES = {
    "escape": "w\x1b[31mred\x1b]0;title\x07",
    "zero": "w\0x",
    "lines": "w\n\rError: all is well",
    "next line": "w\x85\u2028\u2029x",
    "direction": "w\u202egnp.exe\u2066x\u200f",
    "joiners": "w\u200b\u2060\ufeffx",
    "surrogate": "w\ud800x",
    "C1": "w\x9b31mx",
    "markup": "[/nothing][red]w[/red]",
}


def plain(text: str) -> bool:
    """Whether a terminal only shows it: no controls, no turns of direction, no halves of pairs."""
    return all(char == "\n" or char.isprintable() for char in text)


def save(path: Path, name: str) -> None:
    torch.save({name: torch.ones(2, 2), "b": {name: torch.ones(3)}, f"optim{name}": {"m": torch.ones(1)}}, path)


@pytest.mark.parametrize("name", NAMES)
def test_tensors(run, tmp_path: Path, name: str) -> None:
    bad, path = NAMES[name], tmp_path / "a.pt"
    save(path, "plain")
    lines = len(run("analyze", path).out.splitlines())
    save(path, bad)
    shown = run("analyze", path, "--report", tmp_path / "page.html")
    assert shown.code == 0
    assert plain(shown.out + shown.err)
    assert len(shown.out.splitlines()) == lines
    found = run("analyze", path, "--json")
    assert plain(found.out)
    assert json.loads(found.out)[0]["link_weights"][0]["tensor"] == bad.replace("\ud800", "\\ud800")
    assert b"</html>" in (tmp_path / "page.html").read_bytes()


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"zero", "surrogate"}))
def test_files_and_arguments(run, tmp_path: Path, name: str) -> None:
    bad = NAMES[name].replace("/", "_")
    torch.save({"w": torch.ones(2, 2)}, tmp_path / f"{bad}.pt")
    shown = run("analyze", tmp_path / f"{bad}.pt", "--report", tmp_path / f"{bad}.html")
    assert shown.code == 0
    assert plain(shown.out + shown.err)
    for words in (["analyze", f"no{bad}"], [bad], ["runs", "show", bad], ["paper", bad], ["analyze", f"--{bad}"]):
        refused = run(*words)
        assert refused.code == 2
        assert plain(refused.err)
        assert len(refused.err.splitlines()) == 1


def test_names_of_bytes_that_are_no_text(run, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.pt"))
    torch.save({"w": torch.ones(2, 2)}, path)
    shown = run("analyze", path, "--report", tmp_path / "page.html")
    assert shown.code == 0
    assert plain(shown.out + shown.err)
    assert json.loads(run("analyze", path, "--json").out)[0]["kind"] == "torch"
    assert b"</html>" in (tmp_path / "page.html").read_bytes()
