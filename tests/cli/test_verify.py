"""Whether checkpoints are one training run, as the command tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

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
