"""Formats of other libraries: files that they wrote, read without them."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from axonometry.checkpoints import open_checkpoint
from axonometry.checkpoints.element_types import patterns
from axonometry.errors import CheckpointError, MissingExtraError

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
    for name in ("a", "b"):  # the first is whole, by chance: nothing says that it is of the file whose header was read
        with pytest.raises(CheckpointError, match=r"a file stays as it is while it is read; got .*, written meanwhile"):
            checkpoint[name]


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


# other libraries ------------------------------------------------------------------------------------------------------

FILES = {
    "keras": ("model.keras", "a.weights.h5", "shards"),
    "onnx": ("a.onnx", "outside/b.onnx"),
    "gguf": ("a.gguf",),
    "flax": ("a.msgpack", "cut.msgpack"),
    "orbax": ("standard", "folders", "steps/10"),
    "distributed": ("whole",),
    "cut": ("halves",),
}
CASES = [(name, file) for name, files in FILES.items() for file in files]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "file"), CASES)
def test_what_a_library_wrote_is_read_number_for_number(written: Callable[[str], Path], name: str, file: str) -> None:
    folder = written(name)
    with np.load(folder / "expected.npz") as expected:
        wanted = dict(expected)
    checkpoint = open_checkpoint(folder / file)
    assert set(checkpoint) >= set(wanted)
    assert not checkpoint.unread
    for key, array in wanted.items():
        assert checkpoint.shapes[key] == array.shape
        np.testing.assert_array_equal(checkpoint[key].double().numpy(), array, key)
        bits, dtype = checkpoint.array(key), checkpoint.entries[key].dtype
        table = patterns(dtype)
        np.testing.assert_array_equal(bits if table is None else table[bits.view(f"u{bits.itemsize}")], array, key)


@pytest.mark.slow
def test_types_and_what_is_left_out(written: Callable[[str], Path]) -> None:
    keras = open_checkpoint(written("keras") / "model.keras")
    assert (keras.kind, keras.left_out) == ("keras", ("optimizer (none of the weights)",))
    assert keras.entries["layers/dense_1/vars/0"].dtype == "bfloat16"
    old = open_checkpoint(written("keras") / "old.h5")
    assert "model_weights/first/sequential/first/kernel" in old
    assert old.left_out == ("optimizer_weights (none of the weights)",)


@pytest.mark.slow
def test_types_of_onnx(written: Callable[[str], Path]) -> None:
    onnx = open_checkpoint(written("onnx") / "a.onnx")
    types = {name: (entry.dtype, entry.stored) for name, entry in onnx.entries.items()}
    assert types["brain"] == ("bfloat16", "")
    assert types["eight"] == ("float8_e4m3fn", "")
    assert types["four"] == ("int8", "INT4")
    assert types["floats"] == ("float32", "FLOAT4E2M1")
    assert onnx.left_out == ("words (text)",)


@pytest.mark.slow
def test_types_of_gguf(written: Callable[[str], Path]) -> None:
    gguf = open_checkpoint(written("gguf") / "a.gguf")
    types = {name: (entry.dtype, entry.stored) for name, entry in gguf.entries.items()}
    assert types["Q4_0"] == ("float32", "Q4_0")
    assert types["BF16"] == ("bfloat16", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flax", "orbax"])
def test_types_of_jax(written: Callable[[str], Path], name: str) -> None:
    checkpoint = open_checkpoint(written(name) / {"flax": "a.msgpack", "orbax": "standard"}[name])
    assert checkpoint.left_out == ("opt_state (none of the weights)", "step (none of the weights)")
    assert checkpoint.entries["params.eight"].dtype == "float8_e4m3fn"


@pytest.mark.slow
def test_a_distributed_checkpoint_says_what_it_left_out(written: Callable[[str], Path]) -> None:
    checkpoint = open_checkpoint(written("distributed") / "whole")
    assert (checkpoint.kind, checkpoint.keys_within, checkpoint.code) == ("torch distributed", ("model",), ())
    assert checkpoint.left_out == ("optimizer (none of the weights)", "epoch (none of the weights)")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "file"), [case for case in CASES if case[1] not in ("shards", "steps/10")])
def test_files_cut_short_are_refused_in_one_line(
    written: Callable[[str], Path], tmp_path: Path, name: str, file: str
) -> None:
    copy = tmp_path / "copy"
    source = written(name) / file
    shutil.copytree(source if source.is_dir() else source.parent, copy)
    places = sorted(path for path in copy.rglob("*") if path.is_file()) if source.is_dir() else [copy / source.name]
    for place in places:
        whole = place.read_bytes()
        for length in sorted({0, 1, 20, len(whole) // 3, len(whole) * 9 // 10, len(whole) - 1} - {len(whole)}):
            place.write_bytes(whole[: max(length, 0)])
            try:
                opened = open_checkpoint(copy if source.is_dir() else place)
                for tensor in opened:
                    opened.array(tensor)
            except CheckpointError as error:
                assert "\n" not in str(error)  # noqa: PT017 - some files of a folder are not needed
            else:
                assert source.is_dir() or name in ("gguf",), f"{place} of {length} bytes is read as if it were whole"
        place.write_bytes(whole)


def test_a_distributed_checkpoint_runs_no_code_and_stays_in_its_folder(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[()]]:
            return tmp_path.joinpath("exploded").touch, ()

    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".metadata").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError, match=r"corrupt file: .*\.metadata: "):
        open_checkpoint(tmp_path / "a")
    assert not (tmp_path / "exploded").exists()


def test_hdf5_does_not_lead_out_of_its_file(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["w"] = np.ones(3)
    (tmp_path / "raw.bin").write_bytes(bytes(24))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["own"] = np.ones(2)
        file["link"] = h5py.ExternalLink("secret.h5", "w")
        file["soft"] = h5py.SoftLink("/own")
        file.create_dataset("outside", (3,), "f8", external=[(str(tmp_path / "raw.bin"), 0, 24)])
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "w", (3,))
        file.create_virtual_dataset("virtual", layout)
    checkpoint = open_checkpoint(tmp_path / "a.h5")
    assert checkpoint.names == ("own",)
    assert checkpoint.unread == ("outside", "virtual")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("w", (2**40,), "f8", chunks=(1024,), compression="gzip")
    with pytest.raises(CheckpointError, match=r"corrupt file: .* of shape"):
        open_checkpoint(tmp_path / "b.h5")


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "", "absent"])
def test_onnx_does_not_lead_out_of_its_folder(tmp_path: Path, place: str) -> None:
    onnx = pytest.importorskip("onnx")
    (tmp_path / "secret").write_bytes(bytes(8))
    (tmp_path / "model").mkdir()
    tensor = onnx.TensorProto(name="w", dims=[2], data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=place)
    graph = onnx.helper.make_graph([], "g", [], [], [tensor])
    (tmp_path / "model" / "a.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    with pytest.raises(CheckpointError, match=r"names files beside it|names the files of its weights"):
        open_checkpoint(tmp_path / "model" / "a.onnx")


@pytest.mark.parametrize(
    ("name", "content", "package", "extra"),
    [
        ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "h5py", "keras"),
        ("a.onnx", b"\x08\x08\x12\x00", "onnx", "onnx"),
        ("a.gguf", b"GGUF" + bytes(100), "gguf", "gguf"),
        ("a.msgpack", b"\x81\xa1a\xc0", "msgpack", "flax"),
    ],
)
def test_a_missing_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, package: str, extra: str
) -> None:
    (tmp_path / name).write_bytes(content)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"missing package: {package}\. .*axonometry\[{extra}\]"):
        open_checkpoint(tmp_path / name)
