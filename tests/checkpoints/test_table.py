"""Statistics of a checkpoint's tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from safetensors.torch import save_file
from torch import nn

from axonometry.checkpoints import open_checkpoint, weight_moments, weight_table
from axonometry.metrics import link_weights
from axonometry.program import capture


def test_the_table_is_scipys(tmp_path: Path) -> None:
    state = {
        "w": torch.randn(300, 200).exp(),
        "half": torch.randn(50, 10).half(),
        "brain": torch.randn(64, 3).bfloat16(),
        "eight": torch.randn(500).to(torch.float8_e4m3fn),
        "quantised": torch.randint(-128, 127, (40, 40), dtype=torch.int8),
        "mask": torch.rand(100) > 0.3,
        "count": torch.tensor(7),
    }
    save_file(state, tmp_path / "a.safetensors")
    table = weight_table(open_checkpoint(tmp_path / "a.safetensors")).set_index("tensor")
    assert table.columns.tolist() == [
        *("shape", "dtype", "scale", "count", "nonfinite", "mean", "std", "skewness", "kurtosis", "minimum", "maximum")
    ]
    assert set(table.index) == set(state)
    for name, tensor in state.items():
        row, x = table.loc[name], tensor.double().numpy().reshape(-1)
        assert row["dtype"] == str(tensor.dtype).removeprefix("torch.")
        assert row["shape"] == "x".join(map(str, tensor.shape))
        assert (row["count"], row["nonfinite"]) == (x.size, 0)
        assert (row["minimum"], row["maximum"]) == (x.min(), x.max())
        assert row["mean"] == pytest.approx(x.mean(), rel=1e-6, abs=1e-7)
        assert row["std"] == pytest.approx(x.std(), rel=1e-6)
        if x.std():
            assert row["skewness"] == pytest.approx(scipy.stats.skew(x), rel=1e-4, abs=1e-6)
            assert row["kurtosis"] == pytest.approx(scipy.stats.kurtosis(x), rel=1e-4, abs=1e-6)


def test_broken_numbers_are_counted_and_enter_nothing_else() -> None:
    broken = torch.tensor([1.0, float("nan"), 3.0, float("inf"), -float("inf")])
    row = weight_table({"w": broken, "all": torch.full((2,), float("nan")), "none": torch.zeros(0)}).set_index("tensor")
    assert (row.loc["w", "count"], row.loc["w", "nonfinite"], row.loc["w", "mean"]) == (5, 3, 2.0)
    assert row.loc["all", "nonfinite"] == 2
    assert np.isnan(row.loc["all", "mean"])
    assert (row.loc["none", "count"], row.loc["none", "nonfinite"]) == (0, 0)


def test_complex_numbers_count_their_parts() -> None:
    row = weight_table({"w": torch.tensor([1 + 2j, 3 - 4j]).conj()}).iloc[0]
    assert (row["count"], row["mean"], row["minimum"], row["maximum"]) == (4, 1.5, -2.0, 4.0)
    assert row["dtype"] == "complex64"


SCALED = {
    "blocks": (torch.randn(300, 200), "w.weight_scale_inv", torch.rand(3, 2) + 0.5, (128, 128)),
    "rows": (torch.randn(6, 4), "w.weight_scale", torch.rand(6, 1) + 0.5, (1, 4)),
    "a number a row": (torch.randn(6, 4), "w.weight_scale", torch.rand(6) + 0.5, (1, 4)),
    "groups of columns": (torch.randn(6, 64), "w.weight_scale", torch.rand(6, 4) + 0.5, (1, 16)),
    "one": (torch.randn(6, 4), "w.weight_scale", torch.tensor(0.25), (6, 4)),
    "experts": (torch.randn(2, 256, 128), "w.weight_scale_inv", torch.rand(2, 2, 1) + 0.5, (1, 128, 128)),
}


@pytest.mark.parametrize("case", SCALED)
def test_codes_of_eight_bits_are_multiplied_with_the_scales_beside_them(tmp_path: Path, case: str) -> None:
    values, name, scale, block = SCALED[case]
    codes = (values * 30).to(torch.float8_e4m3fn)
    save_file({"w.weight": codes, name: scale, "plain": codes.clone()}, tmp_path / "a.safetensors")
    table = weight_table(open_checkpoint(tmp_path / "a.safetensors")).set_index("tensor")
    wanted = codes.double()
    for place in np.ndindex(*values.shape) if scale.numel() > 1 else ():
        at = tuple(i // side for i, side in zip(place, block, strict=True))
        wanted[place] *= float(scale.reshape(-1, 1)[at] if scale.dim() == 1 else scale[at])
    wanted = wanted * float(scale) if scale.numel() == 1 else wanted
    row = table.loc["w.weight"]
    assert (row["dtype"], row["scale"]) == ("float8_e4m3fn", f"times {name}")
    assert row["mean"] == pytest.approx(float(wanted.mean()), rel=1e-5, abs=1e-6)
    assert (row["minimum"], row["maximum"]) == pytest.approx((float(wanted.min()), float(wanted.max())), rel=1e-6)
    assert table.loc["plain", "scale"] == table.loc[name, "scale"] == ""
    assert table.loc["plain", "maximum"] == float(codes.double().max())


def test_bytes_of_bitsandbytes_and_codes_that_are_not_understood() -> None:
    codes = torch.tensor([[127, -127], [64, 0]], dtype=torch.int8)
    state = {
        "a.weight": codes,
        "a.SCB": torch.tensor([2.0, 4.0]),
        "b.weight": codes,
        "b.weight_scale": torch.ones(7, 3),
        "c.qweight": torch.ones(2, 2, dtype=torch.int32),
        "d_blocks": torch.ones(2, 2, dtype=torch.uint8),
        "e": codes,
    }
    table = weight_table(state).set_index("tensor")
    assert table.loc["a.weight", "scale"] == "times a.SCB"
    assert table.loc["a.weight", "maximum"] == pytest.approx(64 / 127 * 4)
    assert table.loc["a.weight", "minimum"] == pytest.approx(-2)
    for name in ("b.weight", "c.qweight", "d_blocks"):
        assert table.loc[name, "scale"] == "codes, not multiplied with their scale"
    assert table.loc["e", "scale"] == ""


def test_scales_of_other_names_and_the_code_that_stands_for_zero() -> None:
    codes = torch.tensor([[10, -6], [64, 0]], dtype=torch.int8)
    state = {
        "a.weight": codes.to(torch.float8_e4m3fn),
        "a.scale": torch.tensor([[2.0], [4.0]]),
        "b.weight": codes.to(torch.float8_e4m3fn),
        "b.scale_weight": torch.tensor(0.5),
        "c.weight": codes,
        "c.weight_scale": torch.tensor([[2.0], [4.0]]),
        "c.weight_zero_point": torch.tensor([[3], [-1]], dtype=torch.int8),
        "d.weight": codes.to(torch.uint8),
        "d.weight.absmax": torch.ones(2),
        "d.weight.quant_map": torch.ones(16),
        "e.weight": codes,
        "e.weight_scale": torch.tensor(1.0),
        "e.weight_zero_point": torch.ones(7, 3, dtype=torch.int8),
    }
    table = weight_table(state).set_index("tensor")
    assert table.loc["a.weight", ["scale", "minimum", "maximum"]].tolist() == ["times a.scale", -12.0, 256.0]
    assert table.loc["b.weight", ["scale", "minimum", "maximum"]].tolist() == ["times b.scale_weight", -3.0, 32.0]
    # (10 - 3) * 2 = 14, (-6 - 3) * 2 = -18, (64 + 1) * 4 = 260, (0 + 1) * 4 = 4
    assert table.loc["c.weight", ["scale", "minimum", "maximum"]].tolist() == ["times c.weight_scale", -18.0, 260.0]
    assert set(table.loc[["d.weight", "e.weight"], "scale"]) == {"codes, not multiplied with their scale"}


def test_a_file_says_that_codes_are_no_numbers(tmp_path: Path) -> None:
    state = {"w.weight": torch.ones(4, 2, dtype=torch.uint8), "w.weight.absmax": torch.ones(1)}
    save_file(state, tmp_path / "a.safetensors")
    table = weight_table(open_checkpoint(tmp_path / "a.safetensors")).set_index("tensor")
    assert table.loc["w.weight", "scale"] == "codes, not multiplied with their scale"


def test_it_agrees_with_the_link_weights_of_the_graph() -> None:
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 4))
    graph = link_weights(capture(model, torch.zeros(1, 20))).set_index("synapse")
    table = weight_table(model.state_dict()).set_index("tensor")
    for layer in ("0", "2"):
        for column in ("count", "mean", "std", "skewness", "kurtosis", "minimum", "maximum"):
            assert table.loc[f"{layer}.weight", column] == graph.loc[layer, column]


def test_tensors_come_one_at_a_time() -> None:
    read: list[str] = []

    class Watched(dict[str, torch.Tensor]):
        def __getitem__(self, name: str) -> torch.Tensor:
            read.append(name)
            return super().__getitem__(name)

    rows = weight_moments(Watched(a=torch.ones(2), b=torch.ones(3)))
    already = len(read)
    name, tensor, moments = next(rows)
    assert (name, tensor.tolist(), moments.mean) == ("a", [1.0, 1.0], 1.0)
    assert "b" not in read[already:]
