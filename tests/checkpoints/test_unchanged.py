"""Files that are written while they are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from axonometry.checkpoints import open_checkpoint, open_checkpoints
from axonometry.checkpoints.verification import verify_sequence
from axonometry.errors import CheckpointError

State = dict[str, torch.Tensor]
WRITERS: dict[str, Callable[[State, Path], object]] = {
    "safetensors": save_file,
    "pt": torch.save,
    "npz": lambda state, path: np.savez(path, **{name: tensor.numpy() for name, tensor in state.items()}),
}


def state_of(number: float, more: int = 0) -> State:
    names = ["a", "b", *(f"c{n}" for n in range(more))]
    return {name: torch.full((40, 30), number) for name in names}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("more", [0, 3], ids=["of the same size", "longer"])
@pytest.mark.parametrize("in_place", [False, True], ids=["renamed", "in place"])
def test_no_number_of_another_file_is_read(tmp_path: Path, kind: str, more: int, in_place: bool) -> None:
    file, other = tmp_path / f"model.{kind}", tmp_path / f"next.{kind}"
    WRITERS[kind](state_of(1.0), file)
    WRITERS[kind](state_of(2.0, more), other)
    os.utime(file, ns=(10**18, 10**18))
    checkpoint = open_checkpoint(file)
    assert (checkpoint["a"] == 1).all()
    if in_place:
        file.write_bytes(other.read_bytes())
    else:
        other.replace(file)
    with pytest.raises(CheckpointError, match=r"a file stays as it is while it is read; got .*, written meanwhile"):
        checkpoint.array("b")
    assert (open_checkpoint(file)["b"] == 2).all()


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    save_file(state_of(1.0), tmp_path / "model.safetensors")
    checkpoint = open_checkpoint(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="written meanwhile"):
        checkpoint.array("a")


def test_other_steps_may_be_written(tmp_path: Path) -> None:
    for step in range(3):
        save_file(state_of(float(step)), tmp_path / f"step_{step}.safetensors")
    opened = open_checkpoints(tmp_path)
    save_file(state_of(3.0), tmp_path / "step_3.safetensors")
    assert [float(one["a"].mean()) for one in opened.values()] == [0.0, 1.0, 2.0]


def test_a_step_that_is_written_is_named(tmp_path: Path) -> None:
    """The writer is faster than the reader: while one step is read, a later one, whose header was read, changes."""
    torch.manual_seed(0)
    weight = torch.randn(40, 30)
    for step in range(8):
        save_file({"w": weight + 0.1 * step}, tmp_path / f"step_{step}.safetensors")
        os.utime(tmp_path / f"step_{step}.safetensors", ns=(10**18, 10**18))

    def write(done: int, total: int, words: str) -> None:
        if done == 3:
            save_file({"w": weight * 5}, tmp_path / "step_6.safetensors")

    findings = verify_sequence([tmp_path], progress=write).findings
    assert [(finding.step, finding.kind) for finding in findings] == [("step_6.safetensors", "unread")]
    assert "written meanwhile" in findings[0].text
