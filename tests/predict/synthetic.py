"""Runs whose final accuracy is a known function of what is recorded, in tables and in folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

import axonometry as ax
from axonometry.predict import RunTable


def table(n: int = 60, *, seed: int = 0, noise: float = 0.02, planted: bool = True, per_group: int = 1) -> RunTable:
    """The final accuracy follows the degree's logarithm; the curve sees it through heavy noise."""
    random = np.random.default_rng(seed)
    cause = np.repeat(random.uniform(0, 1, n // per_group), per_group)
    truth = 0.2 + 0.6 * cause if planted else random.uniform(0.2, 0.8, n)
    truth = truth + random.normal(0, noise, n)
    columns: dict[str, np.ndarray] = {"epochs": np.full(n, 2.0)}
    for epoch in (0, 1, 2):
        columns[f"channel_degree.log_mean@{epoch}"] = cause * (1 if epoch else 0) + random.normal(0, 0.02, n)
        columns[f"channel_degree.std@{epoch}"] = random.normal(0, 1, n)
        columns[f"accuracy@{epoch}"] = (truth if epoch else 0.1) + random.normal(0, 0.3, n)
    for epoch in (1, 2):
        name = "channel_degree.log_mean"
        columns[f"{name}@{epoch}-0"] = columns[f"{name}@{epoch}"] - columns[f"{name}@0"]
    names = pd.Index([f"run{number}" for number in range(n)], name="run")
    groups = pd.Series(np.arange(n) // per_group, index=names).map(str)
    return RunTable(pd.DataFrame(columns, index=names), pd.Series(truth, index=names), groups)


def record(folder: Path, *, seed: int, epochs: int = 2, end: bool = True) -> Path:
    """A run of a small network: the initial network and a record an epoch; its size decides its accuracy."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    rate = 0.1 * (1 + seed)
    configuration = {"learning_rate": rate, "seed": seed, "optimiser": ("sgd", "adam")[seed % 2]}
    recorder = ax.Recorder(
        folder, network, torch.zeros(1, 4), measures=("channel_degree",), configuration=configuration
    )
    recorder.record(0, accuracy=0.1, epoch=0.0)
    for epoch in range(1, epochs + 1):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(rate * torch.randn_like(parameter))
        recorder.record(epoch, accuracy=min(0.9, 0.1 + rate / 3 * epoch / epochs), train_loss=1.0, epoch=float(epoch))
    if end:
        recorder.close()
    return folder
