"""What changed between two checkpoints."""

from __future__ import annotations

import html
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file


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


def test_steps_of_runs_and_folders(run, runs: Path, tmp_path: Path) -> None:
    whole = runs / "whole"
    found = run("diff", f"{whole}@0", f"{whole}@last", "--json").json
    assert [Path(found[key]).name for key in ("first", "second")] == ["0.safetensors", "2.safetensors"]
    assert run("diff", whole, f"{whole}@first", "--json").json["first"].endswith("2.safetensors")
    assert run("summary", f"{whole}@first", "--json").json[0]["path"].endswith("0.safetensors")
    assert run("analyze", f"{whole}@1", "--json").json[0]["path"].endswith("1.safetensors")
    outcome = run("diff", f"{whole}@7", whole)
    assert (outcome.code, outcome.err) == (2, f"Error: {whole} has a step 7; got steps 0, 1, 2. Name one of them.\n")


def test_many_beside_the_first_and_the_one_before(run, tmp_path: Path) -> None:
    weight, folder = torch.randn(40, 30), tmp_path / "steps"
    folder.mkdir()
    for step in range(4):
        state = {"w": weight * (1 + step / 10), "b": torch.ones(3), "begun": torch.full((2,), 1e-9 * step)}
        save_file(state, folder / f"step_{step}.safetensors")
    found = run("diff", folder, "--json", "--report", tmp_path / "page.html").json
    size = float(weight.norm())
    for step, row in enumerate(found["steps"], 1):
        before = math.sqrt((size * (0.9 + step / 10)) ** 2 + 3)
        assert row["relative"] == pytest.approx(size / 10 / before, rel=1e-4)
        assert row["from_first"] == pytest.approx(size * step / 10 / math.sqrt(size**2 + 3), rel=1e-4)
        assert (row["identical"], row["other"]) == (1, 0)
    assert found["steps"][0]["moved_most"] == "w"
    assert "step_3.safetensors" in (tmp_path / "page.html").read_text()
    outcome = run("diff", *(folder / f"step_{step}.safetensors" for step in (0, 3, 1)))
    assert outcome.out.startswith(f"2 checkpoints beside {folder / 'step_0.safetensors'}")
    outcome = run("diff", folder, "--ranks")
    assert outcome.err == "Error: --ranks, --align and --network are of two checkpoints; got 4 checkpoints. Pass two.\n"


def test_neurons_are_exchanged_before_networks_are_compared(run, tmp_path: Path) -> None:
    layers = "nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 3))"
    code = f"import torch\nfrom torch import nn\ndef net():\n    return {layers}, torch.zeros(1, 6)\n"
    (tmp_path / "net.py").write_text(code)
    state = {"0.weight": torch.randn(40, 6), "0.bias": torch.randn(40), "2.weight": torch.randn(3, 40)}
    state["2.bias"] = torch.randn(3)
    order = torch.randperm(40)
    other = {"0.weight": state["0.weight"][order], "0.bias": state["0.bias"][order], "2.bias": state["2.bias"].clone()}
    other["2.weight"] = state["2.weight"][:, order].contiguous()
    for name, one in (("a", state), ("b", other)):
        save_file({key: tensor.contiguous() for key, tensor in one.items()}, tmp_path / f"{name}.safetensors")
    files = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    assert run("diff", *files, "--json").json["relative"] > 0.5
    found = run("diff", *files, "--network", f"{tmp_path / 'net.py'}:net", "--json").json
    assert (found["identical"], found["relative"], found["exchanged"]) == (4, 0.0, 3)
    outcome = run("diff", *files, "--align")
    assert outcome.code == 2
    assert "neurons are aligned in a network that is known" in outcome.err


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def net(): return nn.Linear(6, 41), torch.zeros(1, 6)", "'weight' has the shape (41, 6)"),
        ("def net(): return nn.Sequential(nn.Linear(6, 40)), torch.zeros(1, 6)", "without '0.weight'"),
        ("def net(): return nn.Linear(6, 40)", "gives a network and an example of what it takes"),
        ("def net(): raise KeyError('size')", "makes a network; got KeyError"),
        ("def other(): pass", "net"),
    ],
)
def test_a_wrong_network_is_told_in_one_line(run, tmp_path: Path, code: str, words: str) -> None:
    (tmp_path / "net.py").write_text(f"import torch\nfrom torch import nn\n{code}\n")
    for name in "ab":
        save_file({"weight": torch.randn(40, 6), "bias": torch.randn(40)}, tmp_path / f"{name}.safetensors")
    files = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    outcome = run("diff", *files, "--network", f"{tmp_path / 'net.py'}:net")
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1
    assert words in outcome.err


def test_the_page_names_the_command_that_makes_it(run, tmp_path: Path) -> None:
    first, second, page = tmp_path / "a b.safetensors", tmp_path / "c.safetensors", tmp_path / "page.html"
    for number, path in enumerate((first, second), 1):
        save_file({"w": torch.eye(3) * number}, path)
    assert run("diff", first, second, "--ranks", "--report", page).code == 0
    command = f"axonometry diff '{first}' {second} --ranks --report {page}"
    assert html.escape(command, quote=True).replace("&#x27;", "&#39;") in page.read_text()
