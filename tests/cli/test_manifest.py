"""Checksums of files and tensors, written and checked."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return {"a": torch.randn(6, 4), "b": torch.randn(5).bfloat16(), "n": torch.tensor(3)}


def test_checksums_are_those_of_hashlib(run, tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    file = tmp_path / "w.safetensors"
    save_file(state, file)
    found = run("manifest", file).json
    assert found["files"] == {
        "w.safetensors": {"bytes": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    }
    expected = {
        "a": ("float32", [6, 4], state["a"].numpy().tobytes()),
        "b": ("bfloat16", [5], state["b"].view(torch.uint16).numpy().tobytes()),
        "n": ("int64", [], state["n"].numpy().tobytes()),
    }
    assert {name: tuple(row.values()) for name, row in found["tensors"]["."].items()} == {
        name: (dtype, shape, hashlib.sha256(raw).hexdigest()) for name, (dtype, shape, raw) in expected.items()
    }


def test_what_is_as_it_was_and_what_is_not(run, tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    folder = tmp_path / "steps"
    folder.mkdir()
    for step in (1, 2):
        torch.save({**state, "a": state["a"] + step}, folder / f"step_{step}.pt")
    kept = folder / "manifest.json"
    assert run("manifest", folder, "--out", kept).code == 0
    assert set(json.loads(kept.read_text())["tensors"]) == {"step_1.pt", "step_2.pt"}
    outcome = run("manifest", folder, "--check", kept)
    assert (outcome.code, outcome.out) == (0, "2 files, 6 tensors: all as the manifest says.\n")
    changed = state["a"] + 2
    changed[5, 3] += 1
    torch.save({"a": changed, "b": state["b"].float(), "n": state["n"]}, folder / "step_2.pt")
    (folder / "note.md").write_text("x")
    outcome = run("manifest", folder, "--check", kept, "--json")
    assert outcome.code == 1
    told = {row["place"]: row["problem"].partition(":")[0] for row in outcome.json["differences"]}
    assert told.pop("step_2.pt")
    assert told == {
        "note.md": "not in the manifest",
        "step_2.pt: a": "other content",
        "step_2.pt: b": "dtype float32, bfloat16 by the manifest",
    }
    (folder / "step_1.pt").unlink()
    assert "step_1.pt  missing" in " ".join(run("manifest", folder, "--check", kept).out.split(" ")).replace("   ", " ")


def test_another_format_has_the_same_tensors(run, tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    save_file(state, tmp_path / "w.safetensors")
    torch.save(state, tmp_path / "w.pt")
    first, second = (run("manifest", tmp_path / name).json for name in ("w.safetensors", "w.pt"))
    assert first["tensors"] == second["tensors"]
    assert first["files"] != second["files"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "a manifest is a JSON file"),
        ("[]", "a manifest has files and tensors"),
        ('{"format": 1, "files": {}, "tensors": {"a": 3}}', "a manifest has files and tensors"),
        ('{"format": 9, "files": {}, "tensors": {}}', "a manifest of format 1 is read; got format 9"),
    ],
)
def test_what_is_no_manifest(run, tmp_path: Path, state: dict[str, torch.Tensor], text: str, words: str) -> None:
    save_file(state, tmp_path / "w.safetensors")
    (tmp_path / "m.json").write_text(text)
    outcome = run("manifest", tmp_path / "w.safetensors", "--check", tmp_path / "m.json")
    assert outcome.code == 2
    assert words in outcome.err


def test_a_manifest_of_a_strangers_may_hold_anything(run, tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    save_file(state, tmp_path / "w.safetensors")
    told = {"format": 1, "files": {"w.safetensors": {}}, "tensors": {".": {"a": 3, "b": {"sha256": [1]}}}}
    (tmp_path / "m.json").write_text(json.dumps(told))
    outcome = run("manifest", tmp_path / "w.safetensors", "--check", tmp_path / "m.json", "--json")
    assert (outcome.code, len(outcome.json["differences"])) == (1, 4)
