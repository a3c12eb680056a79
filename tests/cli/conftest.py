"""Running commands as a user does: words in, exit code and two streams out."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Outcome:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs one command in this process."""

    def invoke(*words: object) -> Outcome:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return invoke


@pytest.fixture
def network() -> nn.Module:
    """4 inputs, 3 hidden, 2 outputs."""
    return small_network()


def small_network() -> nn.Module:
    """The same weights each time: those of the folder of runs, whatever was drawn before it was made."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


@pytest.fixture
def runs(tmp_path: Path, made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A folder with a whole run of three steps and one that was cut off after one, to read and to change."""
    return Path(shutil.copytree(made_once("cli-runs", _two_runs), tmp_path / "runs"))


def _two_runs(folder: Path) -> None:
    network, example = small_network(), torch.zeros(1, 4)
    with ax.Recorder(folder / "whole", network, example, configuration={"lr": 0.1}) as recorder:
        for step in range(3):
            recorder.record(step, accuracy=0.25 * (step + 1))
    with suppress(KeyboardInterrupt), ax.Recorder(folder / "cut", network, example) as recorder:
        recorder.record(0, accuracy=0.5)
        raise KeyboardInterrupt
