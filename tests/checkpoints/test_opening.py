"""Checkpoints written by the real libraries, whole, damaged and hostile."""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from axonometry.checkpoints import Checkpoint, open_checkpoint
from axonometry.checkpoints.npz_file import NpzFile
from axonometry.checkpoints.torch_file import TorchFile
from axonometry.errors import CheckpointError

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
OTHERS = (
    *(torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool, torch.complex64),
)


@pytest.fixture
def state() -> dict[str, Tensor]:
    """A state dict of every shape and several types."""
    return {
        "embed.weight": torch.randn(7, 3),
        "half": torch.randn(2, 2).half(),
        "brain": torch.randn(5).bfloat16(),
        "steps": torch.tensor(12),
        "none": torch.zeros(0, 4),
        "conv": torch.randn(4, 3, 2, 2),
    }


def same(checkpoint: Checkpoint, state: dict[str, Tensor]) -> None:
    """Names, shapes, dtypes and every number are those of the state dict."""
    assert set(checkpoint.names) == set(checkpoint) == set(state)
    assert len(checkpoint) == len(state)
    assert checkpoint.shapes == {name: tuple(state[name].shape) for name in checkpoint}
    assert checkpoint.dtypes == {name: state[name].dtype for name in checkpoint}
    for name, tensor in checkpoint.items():
        assert name in checkpoint
        assert tensor.dtype == state[name].dtype
        assert tensor.shape == state[name].shape
        assert torch.equal(as_bytes(tensor), as_bytes(state[name]))


def as_bytes(tensor: Tensor) -> Tensor:
    """The numbers as they lie in memory; types such as fp8 cannot be compared otherwise."""
    return tensor.contiguous().reshape(-1).view(torch.uint8)


# every kind -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS + OTHERS, ids=str)
@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
def test_every_type_comes_back_bit_for_bit(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    raw = torch.randint(0, 2 if dtype == torch.bool else 256, (6, 5, dtype.itemsize), dtype=torch.uint8)
    state = {"w": raw.view(dtype).squeeze(-1), "one": raw[0, 0].clone().view(dtype).squeeze(-1)}
    (save_file if name.endswith("safetensors") else torch.save)(state, tmp_path / name)
    same(open_checkpoint(tmp_path / name), state)


def test_safetensors(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "a.safetensors", {"format": "pt"})
    checkpoint = open_checkpoint(str(tmp_path / "a.safetensors"))
    same(checkpoint, state)
    assert (checkpoint.kind, checkpoint.keys_within, checkpoint.left_out) == ("safetensors", (), ())
    assert repr(checkpoint) == f"Checkpoint({tmp_path / 'a.safetensors'}, safetensors, 6 tensors)"
    with pytest.raises(CheckpointError, match=r"asked for by its name; got 'x'\. There are: .*embed\.weight"):
        checkpoint["x"]
    assert "x" not in checkpoint


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_new_and_old(tmp_path: Path, state: dict[str, Tensor], suffix: str, zipped: bool) -> None:
    path = tmp_path / f"a{suffix}"
    torch.save(OrderedDict(state), path, _use_new_zipfile_serialization=zipped)
    checkpoint = open_checkpoint(path)
    same(checkpoint, state)
    assert checkpoint.names == tuple(state), "in the file's order"
    assert checkpoint.kind == "torch"


def test_parameters_views_and_ties_in_a_torch_file(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    state = {**model.state_dict(keep_vars=True), "view": model[0].weight.detach().t()[1:]}
    torch.save(state, tmp_path / "a.pt")
    checkpoint = open_checkpoint(tmp_path / "a.pt")
    assert all(torch.equal(checkpoint[name], tensor) for name, tensor in state.items())
    assert not any(tensor.requires_grad for tensor in checkpoint.values())


def test_sparse_and_quantised_tensors_become_numbers(tmp_path: Path) -> None:
    torch.save({"s": torch.eye(3).to_sparse(), "d": torch.ones(2)}, tmp_path / "a.pt")
    checkpoint = open_checkpoint(tmp_path / "a.pt")
    assert torch.equal(checkpoint["s"], torch.eye(3))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_numpy(tmp_path: Path, save: Any) -> None:
    arrays = {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3),
        "layer/kernel:0": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.array([1.5, -2.0], dtype=">f4"),
        "half": np.float16([0.5]),
        "n": np.int64(3),
        "flags": np.array([True, False]),
        "z": np.array([1 + 2j], dtype=np.complex64),
        "none": np.zeros((0, 3), np.uint8),
    }
    extra = {
        "names": np.array(["a", "b"]),
        "objects": np.array([{"a": 1}], dtype=object),
        "when": np.array(["2020"], "M8[D]"),
    }
    save(tmp_path / "a.npz", **arrays, **extra)
    checkpoint = open_checkpoint(tmp_path / "a.npz")
    assert checkpoint.kind == "numpy"
    assert checkpoint.names == tuple(arrays)
    for name, array in arrays.items():
        native = np.asarray(array)
        assert torch.equal(checkpoint[name], torch.tensor(native.astype(native.dtype.newbyteorder("="))))
        assert checkpoint.shapes[name] == np.shape(array)
        assert checkpoint[name].dtype == checkpoint.dtypes[name]
    assert checkpoint.left_out == ("names (numpy <U1)", "objects (Python objects)", "when (numpy datetime64[D])")


# where the weights are ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrap", "keys", "left_out"),
    [
        (lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"state": {0: {"m": s["conv"]}}}}, ("state_dict",), 2),
        (lambda s: {"epoch": torch.tensor(3), "model": s, "loss": torch.tensor(0.5)}, ("model",), 2),
        (lambda s: {"model": {"state_dict": s, "name": "x"}}, ("model", "state_dict"), 1),
        (
            lambda s: {"model_state_dict": s, "optimizer_state_dict": {"state": {}, "param_groups": []}},
            ("model_state_dict",),
            1,
        ),
        (lambda s: {"generator": s, "arguments": {"lr": 0.1}}, ("generator",), 1),
        (lambda s: {**s, "epoch": 3, "name": "x"}, (), 2),
        (lambda s: {"state_dict": {**s, "_metadata": {"version": 1}}}, ("state_dict",), 1),
    ],
)
def test_weights_inside_dictionaries_are_found_and_the_choice_is_said(
    tmp_path: Path, state: dict[str, Tensor], wrap: Any, keys: tuple[str, ...], left_out: int
) -> None:
    torch.save(wrap(state), tmp_path / "a.pt")
    checkpoint = open_checkpoint(tmp_path / "a.pt")
    same(checkpoint, state)
    assert checkpoint.keys_within == keys
    assert len(checkpoint.left_out) == left_out


def test_all_dictionaries_of_tensors_are_read_under_their_keys(tmp_path: Path, state: dict[str, Tensor]) -> None:
    saved = {"best_loss": torch.tensor(0.5), "generator": state, "nets": [state, ({"w": torch.ones(2)},)], "epoch": 3}
    torch.save(saved, tmp_path / "a.pt")
    wanted = {"best_loss": saved["best_loss"], "nets.1.0.w": torch.ones(2)}
    wanted |= {f"{place}.{name}": tensor for place in ("generator", "nets.0") for name, tensor in state.items()}
    checkpoint = open_checkpoint(tmp_path / "a.pt")
    same(checkpoint, wanted)
    assert (checkpoint.keys_within, checkpoint.left_out) == ((), ("epoch (none of the weights)",))
    torch.save({"params": state, "params_ema": state}, tmp_path / "a.pt")
    same(
        open_checkpoint(tmp_path / "a.pt"), {f"{p}.{n}": t for p in ("params", "params_ema") for n, t in state.items()}
    )


def test_a_list_or_tuple_is_read_as_a_dictionary_is(tmp_path: Path) -> None:
    model = nn.Linear(2, 3)
    torch.save((7, model.state_dict(), torch.optim.Adam(model.parameters()).state_dict(), "note"), tmp_path / "a.pt")
    found = open_checkpoint(tmp_path / "a.pt")
    same(found, dict(model.state_dict()))
    assert set(found.left_out) == {f"{n} (none of the weights)" for n in (0, 2, 3)}


def test_the_moments_of_an_optimizer_are_no_weights_whatever_their_name(tmp_path: Path) -> None:
    model = nn.Linear(2, 3)
    adam = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    adam.step()
    torch.save([model.state_dict(), adam.state_dict()], tmp_path / "a.pt")
    same(open_checkpoint(tmp_path / "a.pt"), dict(model.state_dict()))


def test_the_state_of_training_is_none_of_the_weights(tmp_path: Path, state: dict[str, Tensor]) -> None:
    module = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    saved = {
        "state_dict": state,
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [{"last": torch.ones(1)}],
        "rng_state": torch.get_rng_state(),
        "hyper_parameters": {"path": Path("x"), "rate": np.float64(0.1), "space": argparse.Namespace(n=3)},
    }
    torch.save(saved, tmp_path / "a.ckpt")
    checkpoint = open_checkpoint(tmp_path / "a.ckpt")
    same(checkpoint, state)
    assert checkpoint.keys_within == ("state_dict",)
    assert checkpoint.left_out == tuple(f"{key} (none of the weights)" for key in list(saved)[1:])
    assert checkpoint.unread == ()
    assert "argparse.Namespace" in checkpoint.code


def test_one_of_several_is_asked_for(tmp_path: Path, state: dict[str, Tensor]) -> None:
    torch.save({"generator": state, "critic": {"w": torch.ones(1)}, "epoch": 3}, tmp_path / "a.pt")
    same(open_checkpoint(tmp_path / "a.pt", key="generator"), state)
    assert open_checkpoint(tmp_path / "a.pt", key="critic").keys_within == ("critic",)
    words = r"key names a dictionary in the file; got 'epoch'\. There are: generator, crit"
    with pytest.raises(CheckpointError, match=words):
        open_checkpoint(tmp_path / "a.pt", key="epoch")
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"key is for files of torch\.save"):
        open_checkpoint(tmp_path / "a.safetensors", key="x")


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"a": {"b": 1}}])
def test_no_tensors(tmp_path: Path, content: dict[str, Any]) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"holds tensors by name; got .*a\.pt, which holds none"):
        open_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("content", [torch.zeros(2), [torch.zeros(2)], 3])
def test_no_dictionary(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"a dictionary of tensors; got .*which holds (Tensor|list|int)"):
        open_checkpoint(tmp_path / "a.pt")


# shards ---------------------------------------------------------------------------------------------------------------


def shards(folder: Path, state: dict[str, Tensor], suffix: str = ".safetensors", index: bool = True) -> Path:
    """Three shards, and an index of them."""
    save = save_file if suffix == ".safetensors" else torch.save
    names, homes = list(state), {}
    for number in range(3):
        part = {name: state[name] for name in names[number::3]}
        file = f"model-{number + 1:05}-of-00003{suffix}"
        save(part, folder / file)
        homes |= dict.fromkeys(part, file)
    path = folder / f"model{suffix}.index.json"
    if index:
        path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": homes}))
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("index", [True, False])
def test_shards_with_and_without_an_index(tmp_path: Path, state: dict[str, Tensor], suffix: str, index: bool) -> None:
    path = shards(tmp_path, state, suffix, index)
    (tmp_path / "config.json").write_text("{}")
    checkpoint = open_checkpoint(tmp_path)
    same(checkpoint, state)
    assert checkpoint.kind == f"sharded {'safetensors' if suffix == '.safetensors' else 'torch'}"
    names = list(state)
    for name in names + names[::-1] + names[::2]:  # back and forth between the files
        assert torch.equal(as_bytes(checkpoint[name]), as_bytes(state[name]))
    if index:
        same(open_checkpoint(path), state)


def test_a_folder_with_one_file(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "model.safetensors")
    checkpoint = open_checkpoint(tmp_path)
    same(checkpoint, state)
    assert checkpoint.kind == "safetensors"


def test_a_folder_with_both_kinds_takes_the_index_of_safetensors(tmp_path: Path, state: dict[str, Tensor]) -> None:
    shards(tmp_path, state, ".bin")
    shards(tmp_path, state)
    assert open_checkpoint(tmp_path).kind == "sharded safetensors"
    for path in tmp_path.glob("*.json"):
        path.unlink()
    with pytest.raises(CheckpointError, match=r"one kind of file; got .* with \.bin, \.safetensors\. Open the file or"):
        open_checkpoint(tmp_path)


def test_a_tensor_in_two_shards(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "1.safetensors")
    save_file(state, tmp_path / "2.safetensors")
    with pytest.raises(CheckpointError, match=r"in one of them; got .* in 2\.safetensors and in another"):
        open_checkpoint(tmp_path)


def test_a_missing_shard(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = shards(tmp_path, state)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"got no model-00002-of-00003\.safetensors\. Download it too"):
        open_checkpoint(path)


def test_a_tensor_that_is_in_no_shard(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = shards(tmp_path, state)
    content = json.loads(path.read_text())
    content["weight_map"]["ghost"] = "model-00001-of-00003.safetensors"
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"corrupt file: .*: ghost, which is not in model-00001-of-00003"):
        open_checkpoint(path)


@pytest.mark.parametrize("place", ["../secret.safetensors", "/etc/passwd", "a/b.safetensors"])
def test_an_index_does_not_lead_out_of_its_folder(tmp_path: Path, state: dict[str, Tensor], place: str) -> None:
    save_file(state, tmp_path / "secret.safetensors")
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "x.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"conv": place}}))
    with pytest.raises(CheckpointError, match=r"an index names files beside it"):
        open_checkpoint(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {}}'])
def test_a_damaged_index(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.safetensors.index.json"
    path.write_text(text)
    with pytest.raises(CheckpointError, match=r"corrupt file: .*index\.json: "):
        open_checkpoint(path)


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no such file or folder: .*Check the path"):
        open_checkpoint(tmp_path / "absent.pt")
    with pytest.raises(CheckpointError, match=r"a checkpoint's folder holds .*with none"):
        open_checkpoint(tmp_path)
    (tmp_path / "model.h5").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"a file of safetensors, .*model\.h5, which is an unknown kind of"):
        open_checkpoint(tmp_path / "model.h5")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", r"a git-lfs pointer .* git lfs pull"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", r"a web page\. Download the file itself"),
        (b'{"error": "not found"}', "a JSON text"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
        (b"GGUF" + bytes(100), "a GGUF file"),
        (bytes(257) + b"ustar" + bytes(300), "a tar archive"),
        (b"\x1f\x8b" + bytes(100), "a gzip archive"),
    ],
)
@pytest.mark.parametrize("name", ["a.bin", "a.pt", "a.safetensors", "a.npz", "weights"])
def test_a_file_that_is_something_else_is_called_what_it_is(
    tmp_path: Path, name: str, content: bytes, what: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"which is {what}"):
        open_checkpoint(tmp_path / name)


def test_the_kind_is_told_by_the_bytes(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "a.bin")
    torch.save(state, tmp_path / "a.safetensors")
    np.savez(tmp_path / "b.npz", w=np.ones(2))
    (tmp_path / "b.npz").rename(tmp_path / "weights")
    torch.save(state, tmp_path / "a.pth.tar")
    kinds = [open_checkpoint(tmp_path / name).kind for name in ("a.bin", "a.safetensors", "weights", "a.pth.tar")]
    assert kinds == ["safetensors", "torch", "numpy", "torch"]


# damaged --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt", "old.pt", "a.npz"])
def test_a_file_cut_short_anywhere_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    state = {"w": torch.arange(12.0).view(3, 4), "b": torch.ones(3)}
    if name == "a.npz":
        np.savez_compressed(path, **{key: tensor.numpy() for key, tensor in state.items()})
    elif name == "a.safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=name == "a.pt")
    whole = path.read_bytes()
    # In the old format a name may be cut short, and then looks like one that is not allowed.
    refusal = "which asks for|corrupt file: " if name == "old.pt" else rf"^corrupt file: {path}: .*Copy or"
    for length in sorted({0, 1, 7, 8, 9, len(whole) - 1, *range(0, len(whole), max(1, len(whole) // 40))}):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=refusal) as caught:
            list(open_checkpoint(path).values())
        assert "\n" not in str(caught.value)
    for content in (b"\0" * 200, b"hello world" * 30, b"PK\x03\x04" + b"\0" * 50, b"\x80\x02}q\0.", b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"which is an unknown kind|corrupt file: |holds none") as caught:
            list(open_checkpoint(path).values())
        assert "\n" not in str(caught.value)


def test_a_turned_bit_in_a_npz_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, w=np.arange(1000.0))
    turned = bytearray(path.read_bytes())
    turned[4000] ^= 1
    path.write_bytes(turned)
    with pytest.raises(CheckpointError, match="Bad CRC-32"):
        NpzFile(path).read("w")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").mkdir()
    with pytest.raises(CheckpointError, match=r"a checkpoint's folder holds .*; got .*a\.safetensors with none"):
        open_checkpoint(tmp_path / "a.safetensors")


# hostile --------------------------------------------------------------------------------------------------------------


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = str(place)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.place,)


def bombs(tmp_path: Path) -> dict[str, bytes]:
    """The bomb in every file that could hold a pickle."""
    bomb = Bomb(tmp_path / "exploded")
    new, old, array, inside = io.BytesIO(), io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save({"w": torch.zeros(1), "b": bomb}, new)
    torch.save({"w": torch.zeros(1), "b": bomb}, old, _use_new_zipfile_serialization=False)
    np.savez(array, w=np.array([bomb], dtype=object))
    with zipfile.ZipFile(inside, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({"w": bomb}))
        archive.writestr("a/version", "3\n")
    return {
        "new.pt": new.getvalue(),
        "old.pt": old.getvalue(),
        "plain.pt": pickle.dumps({"w": bomb}),
        "plain4.pth": pickle.dumps(bomb, protocol=4),
        "inside.ckpt": inside.getvalue(),
        "array.npz": array.getvalue(),
        "plain.npz": pickle.dumps(bomb),
        "plain.safetensors": pickle.dumps(bomb),
    }


@pytest.mark.parametrize("name", list(bombs(Path())))
def test_a_pickle_bomb_does_not_explode(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bombs(tmp_path)[name])
    if name in ("new.pt", "old.pt"):  # what is no code of it is read
        checkpoint = open_checkpoint(tmp_path / name)
        same(checkpoint, {"w": torch.zeros(1)})
        assert checkpoint.left_out == (f"b ({os.name}.mkdir: code, not run)",)
        assert checkpoint.code == (f"{os.name}.mkdir",)
    else:
        with pytest.raises(CheckpointError, match=r"holds tensors by name|corrupt file: |a dictionary of") as caught:
            dict(open_checkpoint(tmp_path / name))
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "exploded").exists()


def test_the_bombs_are_real(tmp_path: Path) -> None:
    torch.load(io.BytesIO(bombs(tmp_path)["new.pt"]), weights_only=False)
    assert (tmp_path / "exploded").is_dir()


class Own(nn.Module):
    """A module of the user's, which the reading process does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(4, 4))
        self.tied = self.body[2]
        self.register_buffer("kept", torch.ones(2))
        self.register_buffer("passing", torch.ones(2), persistent=False)
        self.no_bias = nn.Linear(2, 2, bias=False)


def test_a_whole_module_is_read_as_its_state_dict(tmp_path: Path) -> None:
    model = Own()
    torch.save(model, tmp_path / "model.pt")
    same(open_checkpoint(tmp_path / "model.pt"), model.state_dict())
    torch.save({"model": model, "epoch": 3}, tmp_path / "model.pt")
    checkpoint = open_checkpoint(tmp_path / "model.pt")
    same(checkpoint, model.state_dict())
    assert checkpoint.keys_within == ("model",)


def test_a_torchscript_archive_is_read_as_its_state_dict(tmp_path: Path) -> None:
    import warnings

    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(model).save(str(tmp_path / "script.pt"))
    same(open_checkpoint(tmp_path / "script.pt"), model.state_dict())


def test_quantised_sparse_and_expanded_tensors_are_their_numbers(tmp_path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = torch.quantize_per_tensor(torch.randn(3, 4), 0.1, 3, torch.qint8)
        rows = torch.quantize_per_channel(
            torch.randn(3, 4), torch.tensor([0.1, 0.2, 0.3]), torch.ones(3).long(), 0, torch.qint8
        )
        sparse = torch.eye(3).to_sparse_csr()
        torch.save(
            {"q": whole, "r": rows, "s": sparse, "e": torch.ones(1).expand(7), "t": torch.rand(3, 4).t()},
            tmp_path / "a.pt",
        )
        wanted = {"q": whole.dequantize(), "r": rows.dequantize()}
    checkpoint = open_checkpoint(tmp_path / "a.pt")
    for name, tensor in wanted.items():
        assert torch.allclose(checkpoint[name], tensor, rtol=1e-6, atol=0)
        assert checkpoint.dtypes[name] == torch.float32
    assert torch.equal(checkpoint["s"], torch.eye(3))
    assert torch.equal(checkpoint["e"], torch.ones(7))


def test_what_another_machine_wrote_has_its_bytes_turned(tmp_path: Path) -> None:
    state = {"a": torch.tensor([1.5, -2.0]), "c": torch.tensor([1 + 2j]), "n": torch.tensor([7, 8], dtype=torch.int16)}
    torch.save(state, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as old, zipfile.ZipFile(tmp_path / "b.pt", "w") as new:
        for member in old.namelist():
            content = old.read(member)
            if "/data/" in member:
                size = {8: 4, 4: 2}[len(content)]
                content = np.frombuffer(content, np.uint8).reshape(-1, size)[:, ::-1].tobytes()
            new.writestr(member, b"big" if member.endswith("byteorder") else content)
    same(open_checkpoint(tmp_path / "b.pt"), state)


def crafted(content: Any, storages: dict[str, bytes], compress: int = zipfile.ZIP_STORED) -> bytes:
    """An archive as torch writes them, of a pickle and storages of one's own."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compress) as archive:
        archive.writestr("a/data.pkl", content)
        archive.writestr("a/version", "3\n")
        for key, data in storages.items():
            archive.writestr(f"a/data/{key}", data)
    return written.getvalue()


def tensor_pickle(size: str, stride: str, *, numel: int = 4, offset: int = 0) -> bytes:
    """The pickle of ``{"w": tensor}`` in protocol 0, with sizes of one's own."""
    return (
        "(dVw\nctorch._utils\n_rebuild_tensor_v2\n((Vstorage\nctorch\nFloatStorage\nV0\nVcpu\n"
        f"L{numel}L\ntQL{offset}L\n{size}{stride}I00\nNtRs."
    ).encode()


def ints(*values: int) -> str:
    return "(" + "".join(f"L{value}L\n" for value in values) + "t"


@pytest.mark.parametrize(
    ("size", "stride", "more", "what"),
    [
        (ints(10**13), ints(0), {}, "10,000,000,000,000 elements of which the file holds 4"),
        (ints(5), ints(1), {}, "5 elements in a storage of 4"),
        (ints(4), ints(1), {"offset": 1}, "5 elements in a storage of 4"),
        (ints(4), ints(-1), {}, "a size of -1"),
        (ints(2**63), ints(0), {}, "a size of 9223372036854775808"),
        (ints(2, 2), ints(1), {}, "a shape without strides"),
        (ints(4), ints(1), {"numel": 10**12}, "storage 0 of 4,000,000,000,000 bytes, of which the file holds 16"),
    ],
)
def test_tensors_that_reach_out_of_their_storage(tmp_path: Path, size: str, stride: str, more: Any, what: str) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(crafted(tensor_pickle(size, stride, **more), {"0": bytes(16)}))
    with pytest.raises(CheckpointError, match=what):
        open_checkpoint(path)
    path.write_bytes(crafted(tensor_pickle(ints(2, 2), ints(2, 1)), {"0": np.arange(4, dtype="f4").tobytes()}))
    assert open_checkpoint(path)["w"].tolist() == [[0, 1], [2, 3]]


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_sparse_tensors_that_write_where_they_like(tmp_path: Path) -> None:
    beyond = torch.sparse_coo_tensor(torch.tensor([[10**9]]), torch.ones(1), (3,), check_invariants=False)
    large = torch.sparse_coo_tensor(torch.tensor([[0]]), torch.ones(1), (10**12,), check_invariants=True)
    refusals = ((beyond, "found 1000000000|size is inconsistent|out of bounds"), (large, "1,000,000,000,000 elements"))
    for tensor, what in refusals:
        torch.save({"w": tensor}, tmp_path / "a.pt")
        with pytest.raises(CheckpointError, match=what):
            TorchFile(tmp_path / "a.pt").read("w")


def doubled(times: int) -> list[Any]:
    """A list that holds a list twice, which holds a list twice, ...: few bytes, and 2^times lists for who goes in."""
    inside: list[Any] = []
    for _ in range(times):
        inside = [inside, inside]
    return inside


@pytest.mark.parametrize(
    ("pickled", "what"),
    [
        (b"\x80\x02}r\xff\xff\xff\x7f.", "numbers its objects one after the other"),
        (b"\x80\x02](h\x00e.", "corrupt file: "),
        (b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01h\x00s.", "a dictionary that holds itself"),
        (b"\x80\x02" + b"}X\x01\x00\x00\x00a" * 200 + b"K\x01" + b"s" * 200 + b".", "over 100 dictionaries"),
        (pickle.dumps({"a": doubled(60)}, 2), "over 10,000 dictionaries and lists that stand in it more than once"),
        (b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.", "corrupt file: "),
    ],
)
def test_pickles_without_end(tmp_path: Path, pickled: bytes, what: str) -> None:
    (tmp_path / "a.pt").write_bytes(crafted(pickled, {}))
    with pytest.raises(CheckpointError, match=what):
        open_checkpoint(tmp_path / "a.pt")


def test_archives_that_unpack_to_much_more(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    n = 2**24
    path.write_bytes(crafted(tensor_pickle(ints(n), ints(1), numel=n), {"0": bytes(4 * n)}, zipfile.ZIP_DEFLATED))
    with pytest.raises(CheckpointError, match=r"storage 0: 65,\d\d\d bytes that unpack to 67,108,864"):
        open_checkpoint(path)


@pytest.mark.parametrize("shape", ["(10**15,)", "(-1,)", "(1000000000000000,)", "(2, 'a')"])
def test_headers_of_numpy_that_make_no_sense(tmp_path: Path, shape: str) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("w.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(8))
    with pytest.raises(CheckpointError, match="corrupt file: "):
        open_checkpoint(tmp_path / "a.npz")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are files there")
def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pt")
    for path, what in ((tmp_path / "a.pt", "a pipe"), (Path("/dev/zero"), "a device")):
        with pytest.raises(CheckpointError, match=f"a regular file; got .*which is {what}"):
            open_checkpoint(path)
    with pytest.raises(CheckpointError, match="no such file or folder: "):
        open_checkpoint("a\0b.pt")


def test_a_compressed_archive_is_not_mapped(tmp_path: Path, state: dict[str, Tensor]) -> None:
    """Mapping one would read compressed bytes as numbers."""
    torch.save(state, tmp_path / "a.pt")
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as old,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.namelist():
            new.writestr(member, old.read(member))
    same(open_checkpoint(tmp_path / "b.pt"), state)


# large ----------------------------------------------------------------------------------------------------------------

STREAM = """
import resource, sys
from axonometry.checkpoints import checkpoint, open_checkpoint
checkpoint.HELD = 2**25
checkpoint = open_checkpoint(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = sum(float(tensor.sum()) for tensor in checkpoint.values())
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, total)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux reports it")
@pytest.mark.parametrize("name", ["a.safetensors", "a.pt", "shards"])
def test_going_through_a_large_file_takes_little_memory(tmp_path: Path, name: str) -> None:
    state = {f"layer{number}": torch.ones(1024, 1024, 4) for number in range(12)}  # 16 MiB each, 192 MiB in all
    if name == "shards":
        tmp_path.joinpath(name).mkdir()
        shards(tmp_path / name, state)
    else:
        (save_file if name == "a.safetensors" else torch.save)(state, tmp_path / name)
    del state
    done = subprocess.run(
        [sys.executable, "-c", STREAM, str(tmp_path / name)], capture_output=True, text=True, check=True
    )
    grown, total = done.stdout.split()
    assert float(total) == 12 * 2**22
    assert int(grown) < 110, "MiB: what is read through one opening, and one tensor"


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("suffix", [".pt", ".npz", ".keras"])
def test_damaged_members_of_any_compression(tmp_path: Path, compression: int, suffix: str) -> None:
    """A pickle, an array, an HDF5 file: what is wrong with a member is told as what is wrong with a file."""
    name = {".pt": "a/data.pkl", ".npz": "w.npy", ".keras": "model.weights.h5"}[suffix]
    path = tmp_path / f"a{suffix}"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(name, bytes(range(256)) * 40)
    content = bytearray(path.read_bytes())
    content[60:90] = b"\xff" * 30  # within the member's bytes, behind its header
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"a\{suffix}") as e:
        open_checkpoint(path)
    assert "\n" not in str(e.value)
