"""Types of numbers without torch: each pattern of bits is what torch says it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from axonometry.checkpoints import open_checkpoint
from axonometry.checkpoints.element_types import as_array, patterns, tensor_of_array, type_name, unpacked
from axonometry.checkpoints.entry_statistics import entry_statistics

SMALL = (
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"),
    *("bfloat16", "float16", "int8", "uint8", "int16", "uint16", "bool"),
)


@pytest.mark.parametrize("name", SMALL)
def test_every_pattern_stands_for_what_torch_says(name: str) -> None:
    dtype = getattr(torch, name)
    codes = torch.arange(2 if name == "bool" else 256**dtype.itemsize)
    held = codes.to(torch.bool if name == "bool" else {1: torch.uint8, 2: torch.uint16}[dtype.itemsize]).view(dtype)
    np.testing.assert_array_equal(patterns(name), held.double().numpy())


def test_wide_types_have_no_table() -> None:
    assert [patterns(name) for name in ("float32", "int64", "complex64")] == [None] * 3
    assert type_name(np.dtype("U3")) is type_name(np.dtype("O")) is type_name(np.dtype("longdouble")) is None


@pytest.mark.parametrize("name", [*SMALL, "float32", "float64", "int64", "uint64", "complex64", "float4_e2m1fn_x2"])
def test_tensors_and_arrays_are_the_same_bits(name: str) -> None:
    dtype = getattr(torch, name)
    raw = torch.randint(0, 2 if name == "bool" else 256, (3, 4, dtype.itemsize), dtype=torch.uint8)
    tensor = raw.view(dtype).squeeze(-1).t()
    array, found = as_array(tensor)
    assert (found, array.shape) == (name, tuple(tensor.shape))
    back = tensor_of_array(array, found)
    assert back.dtype == dtype
    assert torch.equal(back.contiguous().view(torch.uint8), tensor.contiguous().view(torch.uint8))


def test_two_floats_of_four_bits_share_a_byte() -> None:
    codes, name = unpacked(np.array([[0x10, 0xF7]], np.uint8), "float4_e2m1fn_x2")
    table = patterns(name)
    assert table is not None
    assert table[codes].tolist() == [[0.0, 0.5, 6.0, -6.0]]


def test_reading_names_and_shapes_needs_no_torch() -> None:
    code = "import sys, axonometry.checkpoints; print('torch' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_truth_values_of_other_bytes_than_0_and_1(tmp_path: Path) -> None:
    """A damaged file, or one that has 255 for true: each is read, measured and compared as what it says."""
    onnx = pytest.importorskip("onnx")
    torch.save({"mask": torch.tensor([0, 1, 191, 255], dtype=torch.uint8).view(torch.bool)}, tmp_path / "a.pt")
    helper = onnx.helper
    flags = helper.make_tensor("mask", onnx.TensorProto.BOOL, [4], bytes([0, 1, 191, 255]), raw=True)
    onnx.save(helper.make_model(helper.make_graph([], "graph", [], [], [flags])), tmp_path / "a.onnx")
    np.save(tmp_path / "a.npy", np.array([0, 1, 191, 255], np.uint8).view(bool))
    for name in ("a.pt", "a.onnx", "a.npy"):
        checkpoint = open_checkpoint(tmp_path / name)
        (key,) = checkpoint.names
        assert checkpoint.array(key).view(np.uint8).tolist() == [0, 1, 1, 1]
        assert checkpoint[key].view(torch.uint8).tolist() == [0, 1, 1, 1]
        found = entry_statistics(checkpoint.array(key), "bool")
        assert (found.count, found.zeros, found.mean) == (4, 1, 0.75)
