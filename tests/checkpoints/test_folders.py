"""Folders that trainers and hubs write."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from axonometry.checkpoints import open_checkpoint, open_checkpoints
from axonometry.checkpoints.folders import in_order, step_of
from axonometry.errors import CheckpointError


@pytest.fixture
def state() -> dict[str, Tensor]:
    return nn.Linear(3, 2).state_dict()


def transformers(folder: Path, state: dict[str, Tensor], suffix: str = ".safetensors") -> None:
    """What Transformers' Trainer writes at a step."""
    folder.mkdir(parents=True)
    if suffix == ".safetensors":
        save_file(state, folder / "model.safetensors")
    else:
        torch.save(state, folder / "pytorch_model.bin")
    optimizer = {"state": {0: {"exp_avg": torch.ones(6)}}, "param_groups": []}
    torch.save(optimizer, folder / "optimizer.pt")
    torch.save({"last_epoch": 3}, folder / "scheduler.pt")
    torch.save({"python": (3,), "cpu": torch.get_rng_state()}, folder / "rng_state.pth")
    torch.save({"lr": 0.1}, folder / "training_args.bin")
    (folder / "trainer_state.json").write_text("{}")
    (folder / "config.json").write_text('{"architectures": ["Net"]}')


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_a_step_of_transformers(tmp_path: Path, state: dict[str, Tensor], suffix: str) -> None:
    transformers(tmp_path / "checkpoint-500", state, suffix)
    checkpoint = open_checkpoint(tmp_path / "checkpoint-500")
    assert set(checkpoint) == set(state)
    assert torch.equal(checkpoint["weight"], state["weight"])
    left_out = ("optimizer.pt", "rng_state.pth", "scheduler.pt", "training_args.bin")
    assert checkpoint.left_out == tuple(f"{name} (none of the weights)" for name in left_out)


def test_steps_of_transformers_are_in_order(tmp_path: Path, state: dict[str, Tensor]) -> None:
    for step in (1000, 500, 10_000):
        transformers(tmp_path / f"checkpoint-{step}", {name: tensor + step for name, tensor in state.items()})
    (tmp_path / "runs").mkdir()
    found = open_checkpoints(tmp_path)
    assert list(found) == ["checkpoint-500", "checkpoint-1000", "checkpoint-10000"]
    assert torch.equal(found["checkpoint-1000"]["bias"], state["bias"] + 1000)
    with pytest.raises(CheckpointError, match=r"is one checkpoint; got .* with 3\. Open checkpoint-10000, or all as"):
        open_checkpoint(tmp_path)


def test_a_state_of_accelerate(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "model.safetensors")
    for name in ("optimizer.bin", "scheduler.bin", "sampler.bin", "optimizer_1.bin", "scaler.pt"):
        torch.save({"state": {}}, tmp_path / name)
    (tmp_path / "random_states_0.pkl").write_bytes(pickle.dumps({"step": 3}))
    assert set(open_checkpoint(tmp_path)) == set(state)
    assert list(open_checkpoints(tmp_path)) == [tmp_path.name]


def test_accelerate_itself(tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate")
    model = nn.Linear(3, 2)
    accelerator = accelerate.Accelerator(cpu=True)
    prepared, _ = accelerator.prepare(model, torch.optim.Adam(model.parameters()))
    accelerator.save_state(str(tmp_path / "state"))
    checkpoint = open_checkpoint(tmp_path / "state")
    assert torch.equal(checkpoint["weight"], prepared.weight.detach())
    accelerator.free_memory()


def test_a_hub_with_several_formats(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "model.safetensors")
    torch.save(state, tmp_path / "pytorch_model.bin")
    (tmp_path / "tf_model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "flax_model.msgpack").write_bytes(b"\x80")
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.kind == "safetensors"
    names = ("flax_model.msgpack", "pytorch_model.bin", "tf_model.h5")
    assert checkpoint.left_out == tuple(f"{name} (another format)" for name in names)
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"weight": "absent.bin"}}))
    assert open_checkpoint(tmp_path).kind == "safetensors"
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin.index.json").unlink()
    assert open_checkpoint(tmp_path).kind == "torch"


def test_steps_of_lightning(tmp_path: Path, state: dict[str, Tensor]) -> None:
    names = ("epoch=0-step=100.ckpt", "epoch=1-step=200.ckpt", "epoch=10-step=1100.ckpt", "last.ckpt")
    for number, name in enumerate(names):
        saved = {"epoch": number, "state_dict": state, "optimizer_states": [{"m": torch.ones(2)}]}
        torch.save(saved, tmp_path / name)
    assert list(open_checkpoints(tmp_path)) == list(names)


def test_steps_of_anybody(tmp_path: Path, state: dict[str, Tensor]) -> None:
    for number in (10, 2, 1):
        torch.save(state, tmp_path / f"model_{number}.pt")
    assert list(open_checkpoints(tmp_path)) == ["model_1.pt", "model_2.pt", "model_10.pt"]
    with pytest.raises(CheckpointError, match=r"in one of them; got bias|weight in model_.*all as steps"):
        open_checkpoint(tmp_path)


def test_shards_are_one(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file({"weight": state["weight"]}, tmp_path / "model-00001-of-00002.safetensors")
    with pytest.raises(CheckpointError, match=r"holds them all; got no model-00002-of-00002\.safetensors in"):
        open_checkpoint(tmp_path)
    save_file({"bias": state["bias"]}, tmp_path / "model-00002-of-00002.safetensors")
    assert [set(one) for one in open_checkpoints(tmp_path).values()] == [set(state)]


def test_weights_in_the_only_folder_that_has_some(tmp_path: Path, state: dict[str, Tensor]) -> None:
    (tmp_path / "global_step5").mkdir()
    torch.save({"module": state}, tmp_path / "global_step5" / "mp_rank_00_model_states.pt")
    torch.save(
        {"optimizer": {"m": torch.ones(3)}}, tmp_path / "global_step5" / "zero_pp_rank_0_mp_rank_00_optim_states.pt"
    )
    (tmp_path / "latest").write_text("global_step5")
    assert set(open_checkpoint(tmp_path)) == set(state)


def test_a_file_is_one(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones(3))
    assert list(open_checkpoints(tmp_path / "a.npy")) == ["a.npy"]
    with pytest.raises(CheckpointError, match=r"no such file or folder: .*absent"):
        open_checkpoints(tmp_path / "absent")


@pytest.mark.parametrize(
    ("name", "step"),
    [
        *(("checkpoint-500", 500), ("step1000", 1000), ("global_step20", 20), ("model_3.pt", 3), ("000120.pt", 120)),
        *(("epoch=2-step=300.ckpt", 300), ("epoch=7-val_loss=0.25.ckpt", 7), ("iter_0000010", 10), ("12", 12)),
        *(("resnet50-epoch_9.pth", 9), ("best.pt", None), ("loss=0.25.ckpt", None), ("v2_step-5.pt", 5)),
    ],
)
def test_steps_in_names(name: str, step: int | None) -> None:
    assert step_of(name) == step


def test_names_without_steps_come_last() -> None:
    names = ["final.pt", "model_10.pt", "best.pt", "model_9.pt"]
    assert [path.name for path in in_order(map(Path, names))] == ["model_9.pt", "model_10.pt", "best.pt", "final.pt"]
