"""Tables of checkpoints and runs."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

import axonometry as ax

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.tensor([1.0, 2.0, 3.0, 10.0]), "b.weight": torch.zeros(2, 3, dtype=torch.bfloat16)}, path)
    return path


def test_a_checkpoint_tensor_by_tensor(run, checkpoint: Path) -> None:
    (found,) = run("analyze", checkpoint, "--json").json
    a, b = found["link_weights"]
    assert (a["tensor"], a["shape"], a["count"], a["mean"], a["maximum"]) == ("a", "4", 4, 4.0, 10.0)
    assert a["std"] == pytest.approx(math.sqrt(12.5))
    assert (b["tensor"], b["shape"], b["dtype"], b["std"]) == ("b.weight", "2x3", "bfloat16", 0.0)


def test_nan_is_counted_and_not_hidden(run, tmp_path: Path) -> None:
    save_file({"a": torch.tensor([math.nan, 1.0]), "b": torch.tensor([math.nan])}, tmp_path / "w.safetensors")
    (found,) = run("analyze", tmp_path / "w.safetensors", "--json").json
    assert [(row["nonfinite"], row["mean"]) for row in found["link_weights"]] == [(1, 1.0), (1, None)]
    assert "nonfinite" in run("analyze", tmp_path / "w.safetensors").out


def test_columns_that_say_nothing_are_left_out_of_the_table(run, checkpoint: Path) -> None:
    text = run("analyze", checkpoint).out
    assert "nonfinite" not in text
    assert "dtype" in text  # there are two types


def test_a_run_step_by_step(run, runs: Path, network: nn.Module) -> None:
    (found,) = run("analyze", runs / "whole", "--json").json
    assert (found["kind"], found["step"]) == ("run", 2)
    assert [row["synapse"] for row in found["link_weights"]] == ["0", "2"]
    assert found["link_weights"][0]["count"] == 12
    assert [row["step"] for row in found["layer_fluctuation"]] == [0, 1, 2]
    first, second = (network[i].weight.detach().double() for i in (0, 2))
    bias = network[0].bias.detach().double()
    hidden = first.sum(1) + second.sum(0)
    assert found["layer_fluctuation"][0]["0"] == pytest.approx(float(hidden.std(correction=0)), rel=1e-6)
    mean = found["node_strength"][0]["0"]
    assert mean in (pytest.approx(float(hidden.mean())), pytest.approx(float((hidden + bias).mean())))


def test_several_paths_in_one_report(run, runs: Path, checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    page = tmp_path / "page.html"
    outcome = run("analyze", checkpoint, runs / "whole", "--report", page)
    assert outcome.code == 0
    assert outcome.err == f"Wrote {page}\n"
    assert all(name in page.read_text(encoding="utf-8") for name in ("weights.safetensors", "whole", "b.weight"))


def test_all_weights_of_a_file_are_read_and_what_is_left_out_is_said(run, tmp_path: Path) -> None:
    saved = {"best_loss": torch.tensor(0.5), "generator": {"w": torch.ones(2, 2)}, "epoch": 3}
    torch.save(saved, tmp_path / "a.pt")
    outcome = run("analyze", tmp_path / "a.pt", "--json")
    (found,) = outcome.json
    assert outcome.code == 0
    assert [row["tensor"] for row in found["link_weights"]] == ["best_loss", "generator.w"]
    assert found["left_out"] == ["epoch (none of the weights)"]
    assert "epoch (none of the weights)" in run("analyze", tmp_path / "a.pt").err


def test_a_part_of_the_weights_is_exit_code_3(run, tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2), "m": torch.ones(2, device="meta")}, tmp_path / "a.pt")
    outcome = run("analyze", tmp_path / "a.pt", "--json")
    assert (outcome.code, outcome.json[0]["unread"]) == (3, ["m"])
    assert "Incomplete: 1 tensors" in run("analyze", tmp_path / "a.pt").err
    save_file({"a.qweight": torch.ones(2, dtype=torch.int32)}, tmp_path / "q.safetensors")
    assert run("analyze", tmp_path / "q.safetensors").code == 3


def test_scaled_codes_are_shown_as_numbers(run, tmp_path: Path) -> None:
    codes = torch.tensor([[1.0, 2.0], [4.0, 8.0]]).to(torch.float8_e4m3fn)
    save_file({"w": codes, "w_scale": torch.tensor([[0.5], [0.25]])}, tmp_path / "a.safetensors")
    (found,) = run("analyze", tmp_path / "a.safetensors", "--json").json
    assert (found["link_weights"][0]["maximum"], found["link_weights"][0]["scale"]) == (2.0, "times w_scale")
    assert "times w_scale" in run("analyze", tmp_path / "a.safetensors").out


def test_pickled_code_is_not_run(run, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("exploded").touch, ())

    torch.save({"a": Bomb()}, tmp_path / "bomb.pt")
    outcome = run("analyze", tmp_path / "bomb.pt")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "exploded").exists()


def test_a_run_without_link_weights(run, tmp_path: Path, network: nn.Module) -> None:
    with ax.Recorder(tmp_path / "run", network, torch.zeros(1, 4), measures=["node_strength"]) as recorder:
        recorder.record(0)
        recorder.record(1)
    outcome = run("analyze", tmp_path / "run")
    assert outcome.code == 0
    assert "no link weights" in outcome.err
    assert "Node strength" in outcome.out
    assert run("analyze", tmp_path / "run", "--json").json[0]["link_weights"] == []


def test_quantiles_norms_and_findings(run, tmp_path: Path) -> None:
    weight = torch.randn(64, 32)
    weight[3] = 0
    save_file({"fc.weight": weight, "fc.bias": torch.arange(5.0)}, tmp_path / "a.safetensors")
    (found,) = run("analyze", tmp_path / "a.safetensors", "--json", "--spectra").json
    bias, row = found["link_weights"]
    assert (bias["median"], bias["q25"], bias["norm"], bias["zeros"]) == (2.0, 1.0, pytest.approx(math.sqrt(30)), 1)
    assert row["spectral_norm"] == pytest.approx(float(torch.linalg.matrix_norm(weight, 2)), rel=1e-5)
    assert [(one["kind"], one["tensor"], one["value"]) for one in found["findings"]] == [("dead", "fc.weight", 1)]
    assert found["summary"]["parameters"] == 64 * 32 + 5
    assert "spectral_norm" in run("analyze", tmp_path / "a.safetensors", "--spectra").out
    text = run("analyze", tmp_path / "a.safetensors").out
    assert text.index("2,053 parameters") < text.index("Link weights of") < text.index("1 of 64 rows are 0")


def test_a_finding_that_is_asked_for_is_exit_code_1(run, tmp_path: Path) -> None:
    save_file({"w": torch.tensor([1.0, math.nan])}, tmp_path / "a.safetensors")
    words = ("analyze", tmp_path / "a.safetensors")
    codes = [run(*words, *more).code for more in ((), ("--fail-on", "dead"), ("--fail-on", "nonfinite"))]
    assert codes == [0, 0, 1]
    assert run(*words, "--fail-on", "dead", "--fail-on", "any").code == 1
    wrong = run(*words, "--fail-on", "nan")
    assert wrong.code == 2
    assert "There are: nonfinite, dead, outlier" in wrong.err


def test_rows_by_module_and_patterns(run, tmp_path: Path) -> None:
    state = {f"layers.{n}.{part}.weight": torch.full((2, 3), float(n)) for n in range(3) for part in ("q", "mlp")}
    save_file(state, tmp_path / "a.safetensors")
    words = ("analyze", tmp_path / "a.safetensors", "--json")
    (found,) = run(*words, "--depth", "2", "--exclude", "layers.0").json
    rows = [(row["module"], row["tensors"], row["count"], row["mean"], row["std"]) for row in found["modules"]]
    assert rows == [("layers.1", 2, 12, 1.0, 0.0), ("layers.2", 2, 12, 2.0, 0.0)]
    (all_of_it,) = run(*words, "--depth", "1").json
    assert all_of_it["modules"][0]["std"] == pytest.approx(math.sqrt(2 / 3))
    (chosen,) = run(*words, "--layers", "*.mlp").json
    assert [row["tensor"] for row in chosen["link_weights"]] == [f"layers.{n}.mlp.weight" for n in range(3)]
    assert run(*words, "--layers", "nope").code == 2
    assert "layers.1" in run("analyze", tmp_path / "a.safetensors", "--depth", "2").out


def test_a_folder_of_steps_is_shown_step_by_step(run, tmp_path: Path) -> None:
    for step in (10, 9):
        save_file({"w": torch.full((2,), float(step))}, tmp_path / f"model_{step}.safetensors")
    found = run("analyze", tmp_path, "--json").json
    assert [one["link_weights"][0]["mean"] for one in found] == [9.0, 10.0]


def test_the_short_form(run, tmp_path: Path) -> None:
    save_file({"conv.weight": torch.ones(2, 3, 3, 3), "bn.running_mean": torch.ones(2)}, tmp_path / "a.safetensors")
    outcome = run("summary", tmp_path / "a.safetensors")
    assert outcome.code == 0
    assert "54 parameters and 2 numbers that are not learned in 2 tensors, 224 B" in outcome.out
    assert run("summary", tmp_path / "a.safetensors", "--json").json[0]["roles"] == {"convolution": 54}
    assert run("summary", tmp_path / "absent").code == 2


def test_safetensors_are_analysed_without_torch(tmp_path: Path) -> None:
    save_file({"w": torch.randn(64, 64).bfloat16()}, tmp_path / "a.safetensors")
    code = (
        "import sys; from axonometry.cli import main; main(['analyze', sys.argv[1]]); "
        "print([name for name in ('torch', 'pandas') if name in sys.modules])"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "a.safetensors")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
