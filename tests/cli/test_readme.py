"""The README's three ways to a first value: their lines are counted and run, and its commands after them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import axonometry as ax

SECTION = (Path(__file__).parents[2] / "README.md").read_text().split("## From what you have")[1].split("\n## ")[0]
BLOCKS = re.findall(r"^```(py)?\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
LOOP, LIGHTNING = (block for language, block in BLOCKS if language)
REPORT, ANALYZE = (block for language, block in BLOCKS if not language)
IMAGES, LABELS = torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 2


def told(run: Callable[..., Any], line: str) -> str:
    """What a command of the README wrote to the terminal."""
    program, *words = line.split()
    outcome = run(*words)
    assert (program, outcome.code) == ("axonometry", 0)
    return str(outcome.out + outcome.err)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))


def train(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    nn.functional.cross_entropy(model(IMAGES), LABELS).backward()
    optimizer.step()
    optimizer.zero_grad()


def accuracy(model: nn.Module) -> float:
    return float((model(IMAGES).argmax(1) == LABELS).float().mean())


def test_they_are_short() -> None:
    assert all(len(block.splitlines()) <= 5 for block in (LOOP, LIGHTNING))
    assert len(REPORT.splitlines()) == len(ANALYZE.splitlines()) == 1


def test_a_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"ax": ax, "model": network(), "images": IMAGES, "epochs": 2}
    exec(LOOP, {**names, "train": train, "accuracy": accuracy})
    assert ax.load("runs/mine").steps == (0, 1)
    assert "report.html" in told(run, REPORT)
    assert (tmp_path / "report.html").stat().st_size > 100_000


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]) -> None:
    pytest.importorskip("lightning")
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def training_step(self, batch: Any, _: int) -> Any:
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def validation_step(self, batch: Any, _: int) -> None:
            self.log("val_acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"lightning": lightning, "epochs": 2}
    exec(LIGHTNING, names)
    data = DataLoader(TensorDataset(IMAGES, LABELS), batch_size=16)
    names["trainer"].fit(Module(), data, data)
    assert ax.load("runs/mine").steps == (1, 2)
    assert "report.html" in told(run, REPORT)


def test_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]) -> None:
    monkeypatch.chdir(tmp_path)
    save_file(network().state_dict(), tmp_path / "model.safetensors")
    printed = told(run, ANALYZE)
    assert "3.weight" in printed
    assert "166" in printed  # 18 + 2 + 144 + 2 parameters
