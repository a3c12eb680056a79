"""Is grokking told from weights alone, before the test accuracy has moved by half? And what of runs that stand still?

What is looked at is the excess kurtosis of the weights into the outputs (:func:`axonometry.trajectory.grokking_onset`):
learning by heart makes it fall below that of the uniform weights it began with (to about -1.8).

This was chosen among 12 series of the networks of seeds 0 to 4; those from seed 5 on had no part in it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import torch
from torch import nn

import axonometry as ax
from axonometry.papers.lin2025.grokking import JUMP, Jump
from axonometry.papers.lin2025.scales import addition
from axonometry.populations import train_population
from axonometry.populations.datasets import load_dataset
from axonometry.trajectory import Trajectory, grokking_onset, onset_series
from benchmarks.timing import Row

FOLDER = Path("runs/grokking")
"""Networks of grokking are kept there, a minute of a core each."""
CHOSEN, SEEDS, STATIONARY = 5, 8, 20
"""Seeds that the way was chosen by come first; runs that stand still."""
STEPS, EVERY = 2000, 10


def grokking() -> list[Row]:
    """The onset in networks that grok, and alarms in trainings that have come to rest."""
    trials = [
        addition(59, round(0.6 * 59**2), STEPS, EVERY, seed=seed, widths=(256,), learning_rate=3e-3)
        for seed in range(SEEDS)
    ]
    configurations = [trial.configuration for trial in trials]
    with ThreadPoolExecutor(1) as executor:
        runs = train_population(configurations, FOLDER, executor=executor, measures=("link_weights",)).runs
    found = [_compared(runs[configuration.identity]) for configuration in configurations]
    rows = [_row("of which nothing was chosen", found[CHOSEN:]), _row("by which it was chosen", found[:CHOSEN])]
    flagged = sum(grokking_onset(_at_rest(seed)) is not None for seed in range(STATIONARY))
    text = f"{flagged} of {STATIONARY}"
    detail = "SGD with weight decay on the digits, after 5 times the time in which weights are forgotten"
    name = "trainings that have come to rest in which an onset is told"
    return [*rows, Row(name, text, "at most 5 %", flagged <= STATIONARY // 20, STATIONARY, detail)]


def _compared(run: Trajectory) -> tuple[int | None, int | None, float, float]:
    """Onset, when it was told, when the test accuracy had moved by :data:`JUMP`, and by half."""
    scalars = run.scalars().reset_index()
    jump = Jump.of(scalars.rename(columns={"accuracy": "test_accuracy"}))
    after = scalars[scalars["step"] >= jump.memorised].set_index("step")["accuracy"]
    moved = float(after.index[after >= after.iloc[0] + JUMP][0])
    onset = grokking_onset(onset_series(run))
    return (onset and onset.step, onset and onset.told, moved, jump.step)


def _row(words: str, found: list[tuple[int | None, int | None, float, float]]) -> Row:
    near = [
        place is not None and told is not None and abs(place - moved) <= 0.02 * STEPS and told < half
        for place, told, moved, half in found
    ]
    name = f"grokking, addition modulo 59, networks {words}: onset told from weights alone within 2 % of the steps, "
    detail = "; ".join(
        f"onset {place} (told at {told}), test accuracy moved by {JUMP:g} at {moved:g}, by half at {half:g}"
        for place, told, moved, half in found
    )
    name += "before the test accuracy has moved by half"
    return Row(name, f"{sum(near)} of {len(near)}", "all", all(near), len(near), detail)


def _at_rest(seed: int, records: int = 160, updates: int = 10) -> pd.DataFrame:
    """Kurtosis and norm of a small network that keeps learning and gets no further."""
    torch.manual_seed(seed)
    data = load_dataset("digits")
    inputs, labels = data.train_inputs.flatten(1), data.train_labels
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
    rows = {}
    for update in range(1, 5000 + records * updates + 1):
        some = torch.randint(len(labels), (32,))
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(inputs[some]), labels[some]).backward()
        optimiser.step()
        if update > 5000 and update % updates == 0:
            weights = [layer.weight.detach().double() for layer in model if isinstance(layer, nn.Linear)]
            norm = float(torch.cat([w.flatten() for w in weights]).norm())
            rows[update] = {"kurtosis": float(ax.statistics.moments(weights[-1]).kurtosis), "norm": norm}
    return pd.DataFrame.from_dict(rows, orient="index")
