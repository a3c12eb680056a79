"""``python -m tests.checkpoints.writers FORMAT FOLDER``: files of the real libraries, in a process of their own.

Beside the files each writes ``expected.npz``: what the tensors are, by name, in float64. Libraries such as JAX and
Keras start threads and set up warnings when they are imported; none of that comes into the process of the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NEEDS = {
    "keras": ("keras", "h5py"),
    "onnx": ("onnx",),
    "gguf": ("gguf",),
    "flax": ("flax", "msgpack"),
    "orbax": ("orbax.checkpoint", "tensorstore"),
    "distributed": (),
    "cut": (),
}
"""The libraries that write and read each format."""


def missing(name: str) -> str:
    """Which library a format lacks here; empty where none."""
    for package in NEEDS[name]:
        try:
            found = util.find_spec(package) is not None
        except ModuleNotFoundError:
            found = False
        if not found:
            return f"{package} is not installed"
    return ""


def write(name: str, folder: Path) -> None:
    """Let a library write its files into a folder."""
    environment = {**os.environ, "KERAS_BACKEND": "torch", "JAX_PLATFORMS": "cpu"}
    words = [sys.executable, "-W", "ignore", "-m", "tests.checkpoints.writers", name, str(folder)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd=root)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def written(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Callable[[str], Path]:
    """Files of a format, written once for all tests; the test is skipped where a library is missing."""

    def folder(name: str) -> Path:
        if reason := missing(name):
            pytest.skip(reason)
        return made_once(f"format-{name}", lambda place: write(name, place))

    return folder


def _expect(folder: Path, arrays: Mapping[str, Any]) -> None:
    np.savez(folder / "expected.npz", **{name: np.asarray(array, np.float64) for name, array in arrays.items()})


def _keras(folder: Path) -> None:
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(3, name="first"),
            layers.BatchNormalization(),
            layers.Dense(2, dtype="bfloat16"),
        ]
    )
    model.compile(optimizer="adam", loss="mse")
    model.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
    model.save(folder / "model.keras")
    model.save_weights(folder / "a.weights.h5")
    model.save(folder / "old.h5")
    (folder / "shards").mkdir()
    model.save_weights(folder / "shards" / "s.weights.json", max_shard_size=1e-7)
    names = ("dense", "batch_normalization", "dense_1")
    layers_by_name = dict(zip(names, model.layers, strict=True))
    values = {
        f"layers/{name}/vars/{number}": np.asarray(weight.value.detach().float())
        for name, layer in layers_by_name.items()
        for number, weight in enumerate(layer.weights)
    }
    _expect(folder, values)


def _onnx(folder: Path) -> None:
    import ml_dtypes
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    arrays = {
        "w": rng.standard_normal((40, 30)).astype(np.float32),
        "half": rng.standard_normal(8).astype(np.float16),
        "brain": rng.standard_normal((3, 4)).astype(ml_dtypes.bfloat16),
        "eight": rng.standard_normal((3, 4)).astype(ml_dtypes.float8_e4m3fn),
        "four": np.arange(-8, 8).astype(ml_dtypes.int4),
        "floats": np.array([0.5, -6, 3, 1]).astype(ml_dtypes.float4_e2m1fn),
        "count": np.array(3),
        "flag": np.array([True, False]),
    }
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    tensors.append(helper.make_tensor("typed", TensorProto.FLOAT16, [2], [1.5, -2.0]))
    inside = numpy_helper.from_array(np.ones((2, 2), np.float32), "v")
    branch = helper.make_graph([], "branch", [], [], [inside])
    nodes = [
        helper.make_node("If", ["flag"], ["y"], name="choice", then_branch=branch, else_branch=branch),
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.full((2, 3), 7.0), "value")),
    ]
    words = numpy_helper.from_array(np.array(["a", "b"], dtype=object), "words")
    graph = helper.make_graph(nodes, "graph", [], [], [*tensors, words])
    model = helper.make_model(graph)
    onnx.save(model, folder / "a.onnx")
    (folder / "outside").mkdir()
    onnx.save(model, folder / "outside" / "b.onnx", save_as_external_data=True, location="b.data", size_threshold=16)
    more = {"choice/then_branch/v": np.ones((2, 2)), "choice/else_branch/v": np.ones((2, 2)), "c": np.full((2, 3), 7.0)}
    _expect(folder, {**arrays, "typed": [1.5, -2.0], **more})


def _gguf(folder: Path) -> None:
    import gguf

    rng = np.random.default_rng(0)
    values = {"blk.0.ffn.weight": rng.standard_normal((4, 256)).astype(np.float32)}
    kinds = ("Q4_0", "Q5_1", "Q8_0", "BF16")
    writer = gguf.GGUFWriter(folder / "a.gguf", "llama")
    writer.add_block_count(1)
    writer.add_token_list(["a", "b", "c"])
    writer.add_tensor("blk.0.ffn.weight", values["blk.0.ffn.weight"])
    writer.add_tensor("half", rng.standard_normal(8).astype(np.float16))
    expected: dict[str, Any] = dict(values)
    for kind in kinds:
        code = gguf.GGMLQuantizationType[kind]
        data = gguf.quantize(values["blk.0.ffn.weight"], code)
        writer.add_tensor(kind, data, raw_dtype=code)
        expected[kind] = gguf.dequantize(data, code)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    _expect(folder, expected)


def _tree() -> dict[str, Any]:
    import jax.numpy as jnp

    dense = {"kernel": jnp.arange(600.0).reshape(20, 30), "bias": jnp.ones(3, jnp.bfloat16)}
    return {
        "params": {"Dense_0": dense, "eight": jnp.ones((2, 2), jnp.float8_e4m3fn), "count": jnp.array(3)},
        "opt_state": {"0": {"mu": jnp.zeros(3)}},
        "step": 7,
    }


def _expect_tree(folder: Path) -> None:
    tree = _tree()["params"]
    names = {"Dense_0.kernel": tree["Dense_0"]["kernel"], "Dense_0.bias": tree["Dense_0"]["bias"]}
    names |= {"eight": tree["eight"], "count": tree["count"]}
    _expect(folder, {f"params.{name}": np.asarray(array).astype(np.float64) for name, array in names.items()})


def _flax(folder: Path) -> None:
    from flax import serialization

    (folder / "a.msgpack").write_bytes(serialization.to_bytes(_tree()))
    serialization.MAX_CHUNK_SIZE = 100
    (folder / "cut.msgpack").write_bytes(serialization.to_bytes(_tree()))
    _expect_tree(folder)


def _orbax(folder: Path) -> None:
    import orbax.checkpoint as orbax

    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder.resolve() / "standard", _tree())
    with orbax.Checkpointer(orbax.PyTreeCheckpointHandler(use_ocdbt=False)) as checkpointer:
        checkpointer.save(folder.resolve() / "folders", _tree())
    options = orbax.CheckpointManagerOptions(enable_async_checkpointing=False)
    with orbax.CheckpointManager(folder.resolve() / "steps", options=options) as manager:
        for step in (2, 10):
            manager.save(step, args=orbax.args.StandardSave(_tree()))
    _expect_tree(folder)


def _distributed(folder: Path) -> None:
    import torch
    import torch.distributed.checkpoint as distributed

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(30, 20), torch.nn.BatchNorm1d(20))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 30)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    distributed.save(state, checkpoint_id=folder / "whole")
    distributed.save({"half": torch.ones(3).half(), "b": torch.ones(2).bfloat16()}, checkpoint_id=folder / "flat")
    _expect(folder, {name: tensor.numpy() for name, tensor in model.state_dict().items()})


def _cut(folder: Path) -> None:
    """Two processes that hold half of a matrix each."""
    place = str(folder / "halves")
    words = [sys.executable, "-W", "ignore", "-m", "tests.checkpoints.writers", "rank"]
    port = 20_000 + os.getpid() % 20_000
    ranks = [subprocess.Popen([*words, place, str(rank), str(port)]) for rank in range(2)]
    assert [rank.wait() for rank in ranks] == [0, 0]
    _expect(folder, {"w": np.arange(35.0).reshape(7, 5), "all": np.arange(3.0)})


def _rank(place: str, rank: str, port: str) -> None:
    import torch
    import torch.distributed.checkpoint as distributed
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": rank, "WORLD_SIZE": "2"}
    torch.distributed.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (2,))
    state = {
        "w": distribute_tensor(torch.arange(35.0).reshape(7, 5), mesh, [Shard(0)]),
        "all": distribute_tensor(torch.arange(3.0), mesh, [Replicate()]),
    }
    distributed.save(state, checkpoint_id=place)
    torch.distributed.destroy_process_group()


WRITERS = {
    "keras": _keras,
    "onnx": _onnx,
    "gguf": _gguf,
    "flax": _flax,
    "orbax": _orbax,
    "distributed": _distributed,
    "cut": _cut,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1] == "rank":
        _rank(*sys.argv[2:])
    else:
        WRITERS[sys.argv[1]](Path(sys.argv[2]))
