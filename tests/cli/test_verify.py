"""Whether checkpoints are one training run, as the command tells it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.checkpoints.trained import saved, trained

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(tmp_path / "steps", trained("dense", "cosine", "sgd", seed=3)[:10])


def test_one_run(run, folder: Path) -> None:
    outcome = run("verify", folder)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.endswith("10 checkpoints, 6 of 6 tensors move: one run.\n")
    found = run("verify", folder, "--json").json
    assert [step["step"] for step in found["steps"]] == [f"step_{number}.npz" for number in range(10)]
    states = [np.load(folder / f"step_{number}.npz") for number in range(2)]
    way = sum(float(((states[1][name] - states[0][name]) ** 2).sum()) for name in states[0])
    length = sum(float((states[0][name] ** 2).sum()) for name in states[0])
    assert found["steps"][0]["moved"] is None
    assert found["steps"][1]["moved"] == pytest.approx((way / length) ** 0.5, rel=0.05)


def test_a_fault_is_told_with_its_evidence(run, folder: Path) -> None:
    (folder / "step_7.npz").write_bytes((folder / "step_3.npz").read_bytes())
    outcome = run("verify", folder)
    assert outcome.code == 1
    assert "all 6 tensors have the numbers of step_3.npz, bit for bit" in outcome.out
    assert outcome.out.endswith("1 of the steps is not what it should be.\n")
    outcome = run("verify", folder, "--json")
    assert (outcome.code, [one["kind"] for one in outcome.json["findings"]]) == (1, ["copy"])


def test_a_recorded_run_is_a_sequence_too(run, runs: Path) -> None:
    """`runs verify` looks at checksums, this one at the weights: the network of the fixture does not learn."""
    assert run("runs", "verify", runs / "whole").code == 0
    outcome = run("verify", runs / "whole")
    assert outcome.code == 1
    assert outcome.out.count("have the numbers of 0.safetensors, bit for bit") == 2


def test_what_cannot_be_looked_at(run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    outcome = run("verify", tmp_path / "empty")
    assert outcome.code == 2
    assert outcome.err.startswith("Error: ")
    assert len(outcome.err.splitlines()) == 1


def test_two_at_once(folder: Path) -> None:
    command = [sys.executable, "-m", "axonometry", "verify", str(folder), "--json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert told[0] == told[1]
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"step_{number}.npz" for number in range(10))


NAMES = ("слой.вес", "层.权重", "طبقة.وزن", "שכבה.משקל", "परत.भार", "레이어", "e\u0301.w", "🧠.w")
NAMES = (*NAMES, "a\u202eb", "\x1b[31m", "a\nb")
"""Scripts from both sides, signs of several parts, what turns a line around, and what a terminal obeys."""


def test_names_of_every_script(run, tmp_path: Path) -> None:
    folder, draw = tmp_path / "шаги 歩", np.random.default_rng(0)
    folder.mkdir()
    state = {name: draw.standard_normal((20, 20)).astype(np.float32) for name in NAMES}
    for step in range(6):
        save_file(state, folder / f"step_{step}.safetensors")
        state = {
            name: array + np.float32(0.1) * draw.standard_normal(array.shape, np.float32)
            for name, array in state.items()
        }
    assert run("verify", folder).code == 0
    held = load_file(folder / "step_3.safetensors")
    save_file(held | {name: held[name] * np.nan for name in NAMES[:1]}, folder / "step_3.safetensors")
    outcome = run("verify", folder)
    assert (outcome.code, "400 NaN or infinite values in слой.вес" in outcome.out) == (1, True)
    outcome = run("diff", folder / "step_0.safetensors", folder / "step_1.safetensors")
    assert outcome.code == 0
    assert all(name in outcome.out for name in NAMES[:5])
    assert not {"\x1b", "\u202e"} & set(outcome.out)


def test_twenty_thousand_tensors(run, tmp_path: Path) -> None:
    weights = np.random.default_rng(0).standard_normal((20_000, 4, 8)).astype(np.float32)
    for step in range(2):
        state = {f"layers.{n // 200}.experts.{n % 200}.up.weight": weights[n] + step for n in range(20_000)}
        save_file(state, tmp_path / f"step_{step}.safetensors")
    assert run("summary", tmp_path / "step_0.safetensors", "--json").json[0]["parameters"] == 640_000
    found = run("verify", tmp_path, "--json").json
    assert (found["tensors"], found["findings"]) == (20_000, [])
