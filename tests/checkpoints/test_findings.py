"""Findings: each planted fault is found with its number, and none is in plain networks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from axonometry.checkpoints import open_checkpoint
from axonometry.checkpoints.channels import rows_and_columns, spectrum
from axonometry.checkpoints.checkpoint import Entry
from axonometry.checkpoints.findings import KINDS, WeightFinding, findings
from axonometry.checkpoints.roles import architecture_of, family_of, is_buffer, summary
from axonometry.checkpoints.survey import chosen_names, survey
from axonometry.errors import CheckpointError


def trained(rows: int = 128, columns: int = 96) -> Tensor:
    """A matrix as training leaves it: heavy tails, channels of different sizes."""
    tails = torch.distributions.StudentT(5.0).sample((rows, columns))
    return 0.05 * tails * (0.5 + torch.rand(rows, 1))


def found_in(folder: Path, state: dict[str, Tensor], *, spectra: bool = False) -> list[WeightFinding]:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "a.safetensors")
    checkpoint = open_checkpoint(folder / "a.safetensors")
    return findings(survey(checkpoint, spectra=spectra), checkpoint.tied)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_nothing_is_found_in_networks_that_are_trained(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {f"layers.{n}.weight": trained().to(dtype) for n in range(30)}
    assert found_in(tmp_path, state, spectra=True) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "saturated"])
def test_every_planted_fault_is_found_where_it_is(tmp_path: Path, kind: str, dtype: torch.dtype) -> None:
    state = {f"layers.{n}.weight": trained() for n in range(6)}
    damaged = state["layers.3.weight"]
    if kind == "nonfinite":
        damaged[2, 3], damaged[4, 5] = math.nan, math.inf
    elif kind == "dead":
        damaged[7] = 0
    elif kind == "outlier":
        damaged[:, 11] *= 40
    elif kind == "initial":
        state["layers.3.weight"] = nn.Linear(96, 128).weight.detach()
    elif kind == "copies":
        state["layers.3.weight"] = state["layers.1.weight"] + 0.002 * torch.randn(128, 96)
    elif kind == "rank":
        state["layers.3.weight"] = 3 * trained(128, 1) @ trained(1, 96) + 0.0001 * trained()
    found = found_in(tmp_path, {name: tensor.to(dtype) for name, tensor in state.items()}, spectra=True)
    assert [(one.kind, one.tensor) for one in found if one.kind == kind] == [(kind, "layers.3.weight")]
    assert not {one.tensor for one in found} - {"layers.3.weight"}
    assert all(one.text and one.source and one.reference for one in found)


def test_numbers_of_findings(tmp_path: Path) -> None:
    state = {"a": trained(), "b": trained()}
    state["a"][3:5] = 0
    state["a"][0, 0] = math.nan
    (broken, dead) = found_in(tmp_path, state)
    assert (broken.text, broken.value) == ("1 NaN and 0 infinite of 12,288", 1)
    assert (dead.text, dead.value) == ("2 of 128 rows are 0", 2)
    codes = torch.full((64, 64), 127, dtype=torch.int8)
    codes[:32] = 5
    (saturated,) = [one for one in found_in(tmp_path, {"q": codes}) if one.kind == "saturated"]
    assert saturated.value == 0.5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Linear(200, 100).weight, "uniform within 1/√200"),
        (lambda: nn.Conv2d(32, 64, 3).weight, "uniform within 1/√288"),
        (lambda: nn.init.xavier_uniform_(torch.empty(100, 200)), "uniform within √(6/300), Glorot's"),
        (lambda: nn.init.kaiming_normal_(torch.empty(100, 200)), "normal of deviation √(2/200), He's"),
        (lambda: nn.init.normal_(torch.empty(100, 200), std=0.02), "normal of deviation 0.02"),
        (lambda: nn.Embedding(100, 200).weight, "normal of deviation 1"),
        (lambda: nn.init.uniform_(torch.empty(100, 200), -0.37, 0.37), "uniform within 0.3"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_initialisers_are_named(tmp_path: Path, make: object, words: str, dtype: torch.dtype) -> None:
    (found,) = found_in(tmp_path, {"w": make().detach().to(dtype)})  # type: ignore[operator]
    assert (found.kind, found.value < found.threshold) == ("initial", True)
    assert words in found.text


def test_many_experts_are_compared_quickly(tmp_path: Path) -> None:
    state = {f"experts.{n}.w": trained(8, 64) for n in range(600)}
    state["experts.555.w"] = state["experts.17.w"].clone()
    found = [one for one in found_in(tmp_path, state) if one.kind == "copies"]
    assert [(one.tensor, one.text) for one in found] == [("experts.555.w", "the same as experts.17.w")]


@pytest.mark.parametrize("shape", [(10, 7), (128, 70), (70, 128), (80, 20, 3, 3)])
def test_channels_and_spectra_are_numpys(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    x[2] = 0
    rows, columns = rows_and_columns(x, "float32", float(np.abs(x).max()))
    flat = x.reshape(*shape[:2], -1)
    by_row, by_column = np.sqrt((flat**2).mean((1, 2))), np.sqrt((flat**2).mean((0, 2)))
    assert (rows.dead, columns.dead, rows.place) == (1, 0, int(by_row.argmax()))
    assert rows.largest == pytest.approx(by_row.max() / np.median(by_row), rel=1e-5)
    assert columns.largest == pytest.approx(by_column.max() / np.median(by_column), rel=1e-5)
    norm = float(np.linalg.norm(x))
    found, exact = spectrum(x, "float32", norm), np.linalg.norm(x.reshape(shape[0], -1), 2)
    assert found.norm == pytest.approx(exact, rel=1e-5)
    assert found.stable_rank == pytest.approx(norm**2 / exact**2, rel=1e-5)


def test_patterns_choose_tensors_and_modules() -> None:
    names = ["a.0.weight", "a.0.bias", "a.1.weight", "b/0", "c"]
    assert chosen_names(names, ["a.0"]) == ["a.0.weight", "a.0.bias"]
    assert chosen_names(names, ["*.weight", "b"], ["a.1"]) == ["a.0.weight", "b/0"]
    assert chosen_names(names, exclude=["a.*"]) == ["b/0", "c"]
    with pytest.raises(CheckpointError, match=r"choose some tensors; got none by --layers x\. There are: a\.0\.weight"):
        chosen_names(names, ["x"])


def test_what_a_checkpoint_is(tmp_path: Path) -> None:
    model = nn.ModuleDict(
        {
            "embed_tokens": nn.Embedding(10, 4),
            "self_attn": nn.Linear(4, 4, bias=False),
            "mlp": nn.Linear(4, 8),
            "norm": nn.BatchNorm1d(8),
            "lm_head": nn.Linear(4, 10, bias=False),
        }
    )
    model["lm_head"].weight = model["embed_tokens"].weight
    torch.save(model.state_dict(), tmp_path / "model.pt")
    (tmp_path / "config.json").write_text('{"architectures": ["ToyForCausalLM"], "auto_map": {"x": "code.py"}}')
    told = summary(open_checkpoint(tmp_path / "model.pt"))
    assert (told.architecture, told.tied) == ("ToyForCausalLM", {"lm_head.weight": "embed_tokens.weight"})
    assert told.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert told.buffers == 8 + 8 + 1
    assert told.roles == {"embedding": 40, "feed-forward": 40, "attention": 16, "normalisation": 16}
    assert told.types == {"float32": 128, "int64": 1}
    assert told.bytes == 128 * 4 + 8
    for text in ("[", "[]", '{"architectures": 3, "model_type": 7}', "[" * 100_000):
        (tmp_path / "config.json").write_text(text)
        assert architecture_of(tmp_path / "model.pt") == ""


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "learned"),
    [
        ("transformer.h.0.attn.c_attn.bias", (288,), "float32", True),
        ("transformer.h.0.attn.bias", (1, 1, 64, 64), "float32", False),
        ("model.layers.0.self_attn.bias", (64,), "float32", True),
        ("blocks.0.attn.bias", (64,), "float32", True),
        ("LayerNorm_0/scale", (64,), "float32", True),
        ("logit_scale", (), "float32", True),
        ("stages.0.layer_scale", (64,), "float32", True),
        ("layers.0.weight_scale_inv", (4, 4), "float32", False),
        ("layers.0.input_scale", (), "float32", False),
        ("layers.0.scales", (4, 4), "float8_e8m0fnu", False),
        ("rotary_emb.inv_freq", (32,), "float32", False),
        ("bn/moving_mean", (8,), "float32", False),
        ("drunning_mean", (8,), "float32", True),
    ],
)
def test_what_is_learned(name: str, shape: tuple[int, ...], dtype: str, learned: bool) -> None:
    assert is_buffer(name, Entry(shape, dtype)) is not learned


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["h.0.attn.c_attn.weight", "h.1.attn.c_attn.weight"], "GPT-2, 2 layers"),
        (
            ["model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.gate_proj.weight"],
            "Llama and its kin (Mistral, Qwen, Gemma), 1 layer",
        ),
        (["gpt_neox.layers.5.attention.query_key_value.weight"], "GPT-NeoX (Pythia), 1 layer"),
        (["conv1.weight", "layer1.0.conv1.weight", "layer2.0.conv1.weight", "fc.weight"], "ResNet"),
        (["base.q_proj.lora_A.weight", "base.q_proj.lora_B.weight"], "low-rank adapters (LoRA)"),
        (["0.weight", "0.bias"], ""),
    ],
)
def test_whose_names_tensors_have(names: list[str], told: str) -> None:
    assert family_of(names) == told
