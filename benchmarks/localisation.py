"""Do dense networks learn localised receptive fields on non-linear processes, and not on their normal control?"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import axonometry as ax
from axonometry.populations import RunConfiguration, train
from axonometry.statistics import Estimate, mean_estimate, paired_estimate
from benchmarks.timing import Row

SEEDS, UPDATES = 5, 6000
KINDS = {"nonlinear-gaussian": "non-linear Gaussian processes", "gaussian": "normal processes of the same covariance"}


def receptive_fields(seeds: Sequence[int] = range(SEEDS), updates: int = UPDATES) -> list[Row]:
    """Kurtosis of the weights into 16 ReLU units, before and after training, pairs of the same initial weights."""
    with tempfile.TemporaryDirectory() as folder:
        found = {kind: [_kurtosis(kind, seed, updates, Path(folder)) for seed in seeds] for kind in KINDS}
    rows = []
    for kind, words in KINDS.items():
        before, after, accuracy = np.transpose(found[kind])
        detail = f"before training {_text(mean_estimate(before))}; accuracy {accuracy.mean():.2f}"
        rows.append(_row(f"excess kurtosis of receptive fields learned on {words}", mean_estimate(after), detail))
    one, other = ({seed: values[1] for seed, values in zip(seeds, found[kind], strict=True)} for kind in KINDS)
    difference = paired_estimate(one, other)
    row = _row("the same, non-linear less normal", difference, "pairs of networks", goal="above 0")
    return [*rows, row]


def _kurtosis(kind: str, seed: int, updates: int, folder: Path) -> tuple[float, float, float]:
    configuration = RunConfiguration(
        dataset=kind, family="mlp", widths=(16,), seed=seed, optimiser="adamw", learning_rate=3e-3, weight_decay=0.1,
        batch_size=500, epochs=-(-updates // 40), max_steps=updates, record_every="epoch", record_steps=(),
    )  # fmt: skip
    run = train(configuration, folder / configuration.identity, measures=("link_weights",))
    first, last = (
        ax.measure(run.graph(step), "localisation").set_index("statistic")["value"]["kurtosis"].iloc[0]
        for step in (run.steps[0], run.steps[-1])
    )
    return first, last, float(run.scalars()["accuracy"].iloc[-1])


def _row(name: str, value: Estimate, detail: str, goal: str = "none") -> Row:
    return Row(name, _text(value), goal, goal == "none" or bool(value.low > 0), value.n, detail)


def _text(value: Estimate) -> str:
    return f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"
