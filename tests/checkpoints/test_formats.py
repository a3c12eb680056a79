"""Formats of other libraries: files that they wrote, read without them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from axonometry.checkpoints import open_checkpoint
from axonometry.errors import CheckpointError

# safetensors ----------------------------------------------------------------------------------------------------------


def raw_safetensors(path: Path, header: object, data: bytes) -> Path:
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_floats_of_four_bits_and_powers_of_two(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    state = {
        "w": torch.arange(64, dtype=torch.uint8).reshape(4, 16).view(torch.float4_e2m1fn_x2),
        "w_scale": torch.arange(120, 124, dtype=torch.uint8).view(torch.float8_e8m0fnu),
    }
    save_file(state, path)
    checkpoint = open_checkpoint(path)
    by_library = load_file(path)
    for name, tensor in checkpoint.items():
        assert (tensor.dtype, tensor.shape) == (by_library[name].dtype, by_library[name].shape)
        assert (checkpoint.dtypes[name], checkpoint.shapes[name]) == (tensor.dtype, tuple(tensor.shape))
        assert torch.equal(tensor.view(torch.uint8), by_library[name].view(torch.uint8))
    assert checkpoint.unread == ()


def test_types_that_torch_has_not_are_named(tmp_path: Path) -> None:
    header = {
        "a": {"dtype": "F6_E2M3", "shape": [4], "data_offsets": [0, 3]},
        "b": {"dtype": "U8", "shape": [1], "data_offsets": [3, 4]},
    }
    checkpoint = open_checkpoint(raw_safetensors(tmp_path / "a.safetensors", header, bytes(4)))
    assert (checkpoint.names, checkpoint.left_out, checkpoint.unread) == (("b",), ("a (F6_E2M3 numbers)",), ("a",))


def _told(**changed: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changed}


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"a": _told(shape=[3])}, r"a of shape \(3,\) in 8 bytes"),
        ({"a": _told(shape=[-2])}, "a with a size of -2"),
        ({"a": _told(shape=[2.0])}, "a with a size of 2.0"),
        ({"a": _told(shape=[True, 2])}, "a with a size of True"),
        ({"a": _told(shape=[10**30])}, "a with a size of 1000"),
        ({"a": _told(dtype="F99")}, "unknown type 'F99'"),
        ({"a": _told(dtype=["F32"])}, "TypeError"),
        ({"a": _told(data_offsets=[8, 16])}, "begins at byte"),
        ({"a": _told(), "b": _told()}, "begins at byte"),
        ({"a": _told(shape=[1], data_offsets=[0, 4])}, "bytes by the header"),
        ({"a": _told(dtype="F4", shape=[16, 1])}, "an odd number of floats"),
        ({"a": 3}, "TypeError"),
        (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{}}', "written twice"),
        (b'{"a":' + b"[" * 50_000, "RecursionError"),
    ],
)
def test_headers_that_make_no_sense(tmp_path: Path, header: object, words: str) -> None:
    path = raw_safetensors(tmp_path / "a.safetensors", header, bytes(8))
    with pytest.raises(CheckpointError, match=rf"corrupt file: {path}: .*{words}") as caught:
        open_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(1000), "b": torch.ones(1000)}, path)
    checkpoint = open_checkpoint(path)
    path.write_bytes(path.read_bytes()[:-4000])
    assert checkpoint["a"].sum() == 1000
    with pytest.raises(CheckpointError, match=r"corrupt file: .*: EOFError: [\d,]+ bytes are missing"):
        checkpoint["b"]


# numpy ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6, dtype=">i4"),
        np.float16(0.5),
        np.zeros((0, 3)),
        np.array([True, False]),
    ],
)
def test_a_single_array(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array)
    checkpoint = open_checkpoint(tmp_path / "a.npy")
    assert (checkpoint.kind, checkpoint.names, checkpoint.shapes) == ("numpy", ("array",), {"array": np.shape(array)})
    np.testing.assert_array_equal(checkpoint["array"].numpy(), array)
    np.testing.assert_array_equal(checkpoint.array("array"), array)


def test_a_single_array_of_no_numbers_or_cut_short(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(CheckpointError, match=r"which holds none but array \(Python objects\)"):
        open_checkpoint(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.arange(100))
    whole = (tmp_path / "a.npy").read_bytes()
    for length in (6, 8, 9, 50, 128, len(whole) - 1):
        (tmp_path / "a.npy").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="corrupt file: "):
            open_checkpoint(tmp_path / "a.npy")


# torch ----------------------------------------------------------------------------------------------------------------


def test_tied_weights_are_said(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
    model[1].weight = model[0].weight
    for zipped in (True, False):
        torch.save(model.state_dict(), tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
        assert open_checkpoint(tmp_path / "a.pt").tied == {"1.weight": "0.weight"}
