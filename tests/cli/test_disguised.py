"""Files that stand in the place of others: every reader says what they are and what to do."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from axonometry.cli import main

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
PAGE = b"\n<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n"
FILES = {
    "pointer": (POINTER, "a git-lfs pointer to the file, not the file", "git lfs pull"),
    "page": (PAGE, "a web page", "Download the file itself"),
    "empty": (b"", "an empty file", "Copy or download it again"),
}


@pytest.fixture(params=FILES)
def disguise(request: pytest.FixtureRequest) -> tuple[bytes, str, str]:
    found: tuple[bytes, str, str] = FILES[request.param]
    return found


def say(outcome, what: str, remedy: str) -> None:
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1
    assert what in outcome.err
    assert remedy in outcome.err


@pytest.mark.parametrize("name", ["a.safetensors", "pytorch_model.bin", "a.ckpt", "a.npz", "a.h5", "a.gguf", "a.onnx"])
def test_checkpoints(run, tmp_path: Path, disguise: tuple[bytes, str, str], name: str) -> None:
    content, what, remedy = disguise
    (tmp_path / name).write_bytes(content)
    say(run("analyze", tmp_path / name), what, remedy)
    say(run("analyze", tmp_path), what, remedy)


def test_shards_of_an_index(run, tmp_path: Path, disguise: tuple[bytes, str, str]) -> None:
    content, what, remedy = disguise
    (tmp_path / "w.safetensors").write_bytes(content)
    (tmp_path / "w.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": "w.safetensors"}}))
    say(run("analyze", tmp_path), what, remedy)
    (tmp_path / "w.safetensors.index.json").write_bytes(content)
    say(run("analyze", tmp_path), what, remedy)


@pytest.mark.parametrize("name", ["run.json", "metrics.parquet", "snapshots/1.safetensors"])
def test_files_of_runs(run, runs: Path, disguise: tuple[bytes, str, str], name: str) -> None:
    content, what, remedy = disguise
    (runs / "whole" / name).write_bytes(content)
    outcome = run("runs", "verify", runs / "whole")
    assert outcome.code == 1
    assert what in outcome.out + outcome.err
    if name != "snapshots/1.safetensors":
        say(run("runs", "show", runs / "whole"), what, remedy)


def test_predictors_configurations_and_data(run, runs: Path, tmp_path: Path, disguise: tuple[bytes, str, str]) -> None:
    content, what, remedy = disguise
    path = tmp_path / "file"
    path.write_bytes(content)
    say(run("predict", "apply", path, runs), what, remedy)
    say(run("runs", "train", "--config", path, "--folder", tmp_path / "out"), what, remedy)
    for stem in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / f"{stem}-ubyte.gz").write_bytes(content)
    say(run("modes", "nothing.py:net", "--dataset", "mnist", "--data", tmp_path), what, remedy)


def test_a_warning_is_a_note_of_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def warn(*_: object, **__: object) -> int:
        warnings.simplefilter("always")
        warnings.warn("layer \x1b[31m\nof a stranger", UserWarning, stacklevel=1)
        return 0

    monkeypatch.setattr("axonometry.cli.app", warn)
    assert main(["anything"]) == 0
    assert capsys.readouterr().err == "Warning: layer \\x1b[31m of a stranger\n"
