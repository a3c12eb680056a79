"""Is grokking told from weights alone, before the test accuracy has moved by half? And what of runs that stand still?

What is looked at is the excess kurtosis of the weights into the outputs: learning by heart makes it fall below that of
the uniform weights it began with (to about -1.8), a rule that generalises concentrates them. From the step on at which
the norm of all weights is largest, learning by heart is over. Behind it, the *onset* is where the kurtosis bends up
most: the largest difference of two slopes, of the last 5 records and of 5 records 10 earlier. It is told where it has
not been larger for 10 records, and only if the differences of the kurtosis so far have a change point, whose rate of
false alarms is calibrated on the run itself. Nothing behind the step at which it is told is used.

This was chosen among 12 series of the networks of seeds 0 to 4; those from seed 5 on had no part in it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

import axonometry as ax
from axonometry.papers.lin2025.grokking import JUMP, Jump
from axonometry.papers.lin2025.scales import addition
from axonometry.populations import train_population
from axonometry.populations.datasets import load_dataset
from axonometry.trajectory import Trajectory, change_points
from benchmarks.timing import Row

FOLDER = Path("runs/grokking")
"""Networks of grokking are kept there, a minute of a core each."""
CHOSEN, SEEDS, STATIONARY = 5, 8, 20
"""Seeds that the way was chosen by come first; runs that stand still."""
STEPS, EVERY = 2000, 10
WINDOW, APART, QUIET = 5, 10, 10
"""In records: of a slope, between two slopes, and without a larger bend before it is told."""


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
    flagged = sum(onset(_at_rest(seed)) is not None for seed in range(STATIONARY))
    text = f"{flagged} of {STATIONARY}"
    detail = "SGD with weight decay on the digits, after 5 times the time in which weights are forgotten"
    name = "trainings that have come to rest in which an onset is told"
    return [*rows, Row(name, text, "at most 5 %", flagged <= STATIONARY // 20, STATIONARY, detail)]


def onset(table: pd.DataFrame) -> tuple[int, int] | None:
    """Where the kurtosis bends up, and the step at which that is told; None where nothing is.

    Args:
        table: A row a record, the steps as its index, columns ``kurtosis`` and ``norm``.
    """
    kurtosis = table.loc[table["norm"].idxmax() :, "kurtosis"]
    bend = kurtosis.diff(WINDOW).diff(APART).dropna()
    for place in range(QUIET, len(bend)):
        best = int(np.argmax(bend.iloc[: place + 1]))
        if place - best >= QUIET and bend.iloc[best] > 0:
            known = kurtosis.loc[: bend.index[place]].diff().iloc[1:].to_frame()
            if change_points(known):
                return int(bend.index[best]), int(bend.index[place])
    return None


def series(run: Trajectory) -> pd.DataFrame:
    """The table that :func:`onset` takes, from a run's link weights: of its last layer, and of all layers."""
    wide = run.metrics.query("metric == 'link_weights'").pivot_table(
        index="step", columns=["group", "statistic"], values="value"
    )
    layers = [synapse.name for synapse in run.synapses]
    squares = [
        wide[name]["count"] * (wide[name]["mean"] ** 2 + wide[name]["std"] ** 2) for name in layers if name in wide
    ]
    return pd.DataFrame({"kurtosis": wide[layers[-1]]["kurtosis"], "norm": np.sqrt(sum(squares))})


def _compared(run: Trajectory) -> tuple[int | None, int | None, float, float]:
    """Onset, when it was told, when the test accuracy had moved by :data:`JUMP`, and by half."""
    scalars = run.scalars().reset_index()
    jump = Jump.of(scalars.rename(columns={"accuracy": "test_accuracy"}))
    after = scalars[scalars["step"] >= jump.memorised].set_index("step")["accuracy"]
    moved = float(after.index[after >= after.iloc[0] + JUMP][0])
    return *(onset(series(run)) or (None, None)), moved, jump.step


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
