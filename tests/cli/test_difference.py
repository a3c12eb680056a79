"""What changed between two checkpoints."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return {"a.weight": torch.randn(96, 64), "a.bias": torch.randn(96), "b.weight": torch.randn(10, 96)}


def test_how_far_tensors_moved(run, tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    save_file(state, tmp_path / "a.safetensors")
    moved = {**state, "a.weight": state["a.weight"].clone()}
    moved["a.weight"][:48] *= -1
    torch.save(moved, tmp_path / "b.pt")
    found = run("diff", tmp_path / "a.safetensors", tmp_path / "b.pt", "--json").json
    rows = {row["tensor"]: row for row in found["tensors"]}
    before, now = state["a.weight"].double(), moved["a.weight"].double()
    row = rows["a.weight"]
    assert row["relative"] == pytest.approx(float((now - before).norm() / before.norm()))
    assert row["cosine"] == pytest.approx(float((now * before).sum() / before.norm() / now.norm()))
    assert (row["changed"], row["flipped"], row["identical"]) == (0.5, 0.5, False)
    assert (found["identical"], rows["a.bias"]["relative"], rows["a.bias"]["cosine"]) == (2, 0.0, 1.0)
    text = run("diff", tmp_path / "a.safetensors", tmp_path / "b.pt").out
    assert ": 1 tensor moved, 2 are identical" in text


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_change_of_low_rank_shows_its_rank(run, tmp_path: Path, dtype: torch.dtype) -> None:
    weight = torch.randn(128, 96)
    low = torch.randn(128, 8) @ torch.randn(8, 96) * 0.1
    save_file({"w": weight.to(dtype), "v": weight.to(dtype).clone()}, tmp_path / "a.safetensors")
    save_file({"w": (weight.to(dtype).float() + low).to(dtype), "v": weight.to(dtype)}, tmp_path / "b.safetensors")
    rows = run("diff", tmp_path / "a.safetensors", tmp_path / "b.safetensors", "--ranks", "--json").json["tensors"]
    assert {row["tensor"]: row["rank"] for row in rows} == {"w": 8, "v": 0}


@pytest.mark.parametrize("seed", range(4))
def test_a_change_larger_than_the_weights_has_the_rank_of_what_was_added(run, tmp_path: Path, seed: int) -> None:
    """Its own rounding counts, too, and all the more where few rows and columns hold most of it."""
    torch.manual_seed(seed)
    weight = torch.rand(64, 576) * 0.08 - 0.04
    added = torch.outer(torch.randn(64), torch.randn(576)) * 0.05
    save_file({"w": weight}, tmp_path / "a.safetensors")
    save_file({"w": weight + added}, tmp_path / "b.safetensors")
    rows = run("diff", tmp_path / "a.safetensors", tmp_path / "b.safetensors", "--ranks", "--json").json["tensors"]
    assert [row["rank"] for row in rows] == [1]


def test_what_came_went_and_changed_its_form(run, tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    save_file(state, tmp_path / "a.safetensors")
    other = {"a.weight": state["a.weight"].bfloat16(), "a.bias": torch.randn(3), "new": torch.ones(1)}
    save_file(other, tmp_path / "b.safetensors")
    found = run("diff", tmp_path / "a.safetensors", tmp_path / "b.safetensors", "--json").json
    assert (found["removed"], found["added"]) == (["b.weight"], ["new"])
    assert found["reshaped"] == [{"tensor": "a.bias", "first": [96], "second": [3]}]
    assert found["tensors"][0]["dtype"] == "float32 → bfloat16"
    assert 0 < found["tensors"][0]["relative"] < 0.01
    text = run("diff", tmp_path / "a.safetensors", tmp_path / "b.safetensors").out
    assert "reshaped: a.bias from (96,) to (3,)" in text


def test_another_prefix(run, tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    save_file(state, tmp_path / "a.safetensors")
    save_file({f"module.net.{name}": tensor for name, tensor in state.items()}, tmp_path / "b.safetensors")
    found = run("diff", tmp_path / "a.safetensors", tmp_path / "b.safetensors", "--json").json
    assert (found["prefixes"], found["identical"], found["added"]) == (["", "module.net."], 3, [])
    assert found["tensors"][0]["renamed"].startswith("module.net.")


def test_from_nothing_and_broken_numbers(run, tmp_path: Path) -> None:
    save_file({"zero": torch.zeros(3), "nan": torch.tensor([math.nan, 1.0])}, tmp_path / "a.safetensors")
    save_file({"zero": torch.ones(3), "nan": torch.tensor([2.0, 1.0])}, tmp_path / "b.safetensors")
    outcome = run("diff", tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert outcome.code == 0
    assert "∞" in outcome.out
    assert run("diff", tmp_path / "a.safetensors", tmp_path / "absent").code == 2
