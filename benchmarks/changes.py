"""Change points where something is done to a training: a rate that drops, a restart, divergence; or nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from axonometry.populations.datasets import load_dataset
from axonometry.trajectory import Recorder, change_points, load, measures_of
from benchmarks.timing import Row

SEEDS, STEPS, EVENT, UPDATES = 10, 100, 60, 4
"""Runs of each kind; records of a run; the record at which it happens; updates between two records."""
NEAR = 2
"""Records by which a change point may miss: 2 % of the steps."""

Event = Callable[[nn.Module, torch.optim.Optimizer], None]


def events() -> list[Row]:
    """How often the event is found in graph measures alone, within 2 % of the steps, and what else is."""
    kinds: dict[str, Event] = {
        "the learning rate drops to a tenth": lambda model, optimiser: _rate(optimiser, 0.1),
        "the weights are drawn anew": lambda model, optimiser: model.apply(_again),
        "the rate grows until it diverges": lambda model, optimiser: _rate(optimiser, 200.0),
        "nothing is done": lambda model, optimiser: None,
    }
    rows = []
    for words, event in kinds.items():
        found = [_found(event, seed) for seed in range(SEEDS)]
        hits = sum(any(abs(step - EVENT) <= NEAR for step in steps) for steps in found)
        others = sum(any(abs(step - EVENT) > NEAR for step in steps) for steps in found)
        first = f"{hits} of {SEEDS}"
        detail = f"other change points in {others} of {SEEDS} runs"
        rows.append(Row(f"trainings with a change point where {words}", first, "none", True, SEEDS, detail))
    return rows


def _found(event: Event, seed: int) -> tuple[int, ...]:
    """The change points of a training's graph measures, in differences from record to record."""
    torch.manual_seed(seed)
    data = load_dataset("digits")
    inputs, labels = data.train_inputs.flatten(1), data.train_labels
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.0)
    measures = ("link_weights", "node_strength", "layer_fluctuation", "spectral_norm")
    with tempfile.TemporaryDirectory() as folder:
        with Recorder(Path(folder) / "run", model, inputs[:1], measures=measures, keep_weights=False) as recorder:
            for record in range(STEPS):
                if record == EVENT:
                    event(model, optimiser)
                for _ in range(UPDATES):
                    some = torch.randint(len(labels), (32,))
                    optimiser.zero_grad()
                    nn.functional.cross_entropy(model(inputs[some]), labels[some]).backward()
                    optimiser.step()
                recorder.record(record)
        table = measures_of(load(Path(folder) / "run").metrics)
    return change_points(table.diff().iloc[1:])


def _rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] *= factor


def _again(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        layer.reset_parameters()
