"""Small networks trained in a second each, as sequences of checkpoints in memory, and faults planted in them."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

State = dict[str, np.ndarray[Any, Any]]
SCHEDULES = ("constant", "cosine", "step", "cyclic", "restarts", "warm-up")


def rate(schedule: str, u: float) -> float:
    """The learning rate at a share of the training, relative to its largest."""
    return {
        "constant": 1.0,
        "cosine": 0.5 * (1 + math.cos(math.pi * u)) + 1e-3,
        "step": 1.0 if u < 0.5 else 0.1 if u < 0.8 else 0.01,
        "cyclic": 0.05 + 0.95 * abs(((u * 6) % 1) * 2 - 1),
        "restarts": 0.5 * (1 + math.cos(math.pi * ((u * 4) % 1))) + 1e-3,
        "warm-up": min(1.0, u * 5) * (1 - u * 0.9),
    }[schedule]


def network(kind: str) -> nn.Module:
    """A small network for the digits."""
    if kind == "dense":
        return nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 10))
    convolution = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
    return nn.Sequential(convolution, nn.Conv2d(8, 12, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(108, 10))


@cache
def trained(
    kind: str, schedule: str, optimiser: str, seed: int, steps: int = 24, tuned: bool = False
) -> tuple[State, ...]:
    """The weights before training and after each of so many times eight batches of digits.

    Those that are tuned begin with the last ones of another training, at a tenth of the rate and without momentum.
    """
    x, y = load_digits(return_X_y=True)
    inputs, labels = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = network(kind)
    if tuned:
        last = trained(kind, "constant", "adam", seed=3)[-1]
        model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in last.items()})
    choose = torch.Generator().manual_seed(seed)
    make = {"sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), "adam": lambda p: torch.optim.Adam(p, 2e-3)}
    optimizer = torch.optim.SGD(model.parameters(), 0.01) if tuned else make[optimiser](model.parameters())
    base, found = optimizer.param_groups[0]["lr"], []
    for number in range(8 * steps):
        if number % 8 == 0:
            found.append({name: tensor.numpy().copy() for name, tensor in model.state_dict().items()})
        optimizer.param_groups[0]["lr"] = base * rate(schedule, number / (8 * steps))
        batch = torch.randint(0, 1400, (48,), generator=choose)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
        optimizer.step()
    return tuple(found)


def saved(folder: Path, run: Any, numbers: Any = None) -> Path:
    """The checkpoints as files of a folder."""
    folder.mkdir(exist_ok=True)
    for number, state in zip(numbers or range(len(run)), run, strict=True):
        np.savez(folder / f"step_{number}.npz", **state)
    return folder
