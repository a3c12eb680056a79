"""Runs that are written while they are followed; the network is captured once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.trajectory import store
from axonometry.trajectory.lock import LOCK, FolderLock
from axonometry.trajectory.tables import compact, write_piece

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOLD = """
import sys, time
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


class Writer:
    """Writes a run as a recorder does: the lock, run.json, a file a step, and at the end one table."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.lock: FolderLock | None = FolderLock(folder)
        if not (folder / store.DESCRIPTION).exists():
            shutil.copy(template / store.DESCRIPTION, folder / store.DESCRIPTION)
        self.describe(complete=False, stopped=False)

    def describe(self, **changes: object) -> None:
        store.write_description(self.folder, replace(store.read_description(self.folder), **changes))

    def write(self, *steps: int, **scalars: float) -> Writer:
        import pandas as pd

        for step in steps:
            rows = [("0", "node_strength", "mean", step / 10), ("2", "node_strength", "mean", -step / 10)]
            rows += [("0", "neuron_activation", "dead", 1.0)]
            frame = pd.DataFrame(rows, columns=["group", "metric", "statistic", "value"])
            write_piece(self.folder, step, frame, {"accuracy": 1 - 1 / (step + 2)} | scalars)
        return self

    def release(self) -> None:
        if self.lock is not None:
            self.lock.release()
        self.lock = None

    def finish(self, *, stopped: bool = False) -> None:
        compact(self.folder)
        self.describe(complete=True, stopped=stopped)
        self.release()


@pytest.fixture(scope="session")
def template(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A recorded run of a network of two layers, of 4 and 2 neurons."""

    def make(folder: Path) -> None:
        model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        ax.Recorder(folder, model, torch.zeros(1, 3), planned_steps=6).close(stopped=True)

    return made_once("watched-network", make)


@pytest.fixture
def writer(template: Path) -> Iterator[Callable[[Path], Writer]]:
    """Begins runs, or resumes them; their locks are let go in the end."""
    made: list[Writer] = []

    def begin(folder: Path) -> Writer:
        made.append(Writer(folder, template))
        return made[-1]

    yield begin
    for one in made:
        one.release()


@pytest.fixture
def holder() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """A process that holds a run's lock, to be killed."""
    held: list[subprocess.Popen[str]] = []

    def hold(folder: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder / LOCK)], stdout=subprocess.PIPE, text=True)
        held.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in held:
        process.kill()
        process.communicate()


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for something that happens by itself."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
