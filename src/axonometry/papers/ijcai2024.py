"""La Malfa et al. 2022 (arXiv 2209.05488) and 2024 (2404.11172, IJCAI): do these measures tell networks apart?

The paper's claim is that link weights, node strength, layer fluctuation, neuron strength and neuron activation
discriminate networks that differ in their number of parameters, the type of their layers, their activation, their task
and their performance. It shows densities. Here the claim is measured: cells of networks that differ in one thing and
are trained with the same draws of hyper-parameters; learners that see a measure's moments alone; networks that were not
learned from; and beside each area under the ROC curve, what the same networks' initial weights give, since sizes of
layers show before anything is learned.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from axonometry.errors import ConfigurationError
from axonometry.papers import ijcai2024_features as reading
from axonometry.papers.ijcai2024_apart import Reading, asked, choices, group_of, told_apart
from axonometry.papers.ijcai2024_features import read_cell
from axonometry.papers.ijcai2024_plans import QUESTIONS, SCALES, Cell, Question
from axonometry.populations import Population, RunConfiguration, train_population
from axonometry.populations.objectives import EVALUATION_METRICS
from axonometry.populations.training import dataset_of
from axonometry.progress import Progress
from axonometry.report.samples import curve, varies

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Results:
    """What the experiment found.

    Attributes:
        scale: ``"small"`` or ``"full"``.
        questions: What was asked.
        cells: A row a cell: name, title, n, parameters, performance (its name), least, lower, median, upper, most.
        scores: A row a question, set of features and time: question, measure, when ("before" or "after" training),
            value (macro one-vs-rest AUC), low, high, n, classes.
        differences: AUC after training minus another one on the same resamples: question, measure, minus ("before":
            of the same measure before training; "weights": of the baseline after training), value, low, high.
        densities: Columns label (a cell, or a third in performance), when, measure, x, density.
        text: SHA-256 of the text, where a cell learned from it.
        seconds: Duration of the call.
        trained: Networks that this call trained; the others were there.
    """

    scale: str
    questions: tuple[Question, ...]
    cells: pd.DataFrame
    scores: pd.DataFrame
    differences: pd.DataFrame
    densities: pd.DataFrame
    text: str | None
    seconds: float
    trained: int


def run(
    *,
    scale: str = "small",
    folder: str | Path,
    data: str | Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Results:
    """Train the cells, or go on with them, and tell them apart.

    Args:
        scale: ``"small"``: 720 small networks, about half an hour on two cores. ``"full"``: 4,800 networks on all
            images, for a cluster.
        folder: Where the runs are kept; what is there is not trained again.
        data: Directory of the data sets' files; ``$AXONOMETRY_DATA`` where None.
        executor: Where to train; local processes where None.
        progress: Called with what is done, out of what, and a few words.

    Raises:
        ConfigurationError: There is no such scale.
        DataError: A data set's file is missing.
        RunError: Runs failed, or the folder holds something else.
    """
    if scale not in SCALES:
        raise ConfigurationError("the experiment has its scales", repr(scale), f"Choose from: {', '.join(SCALES)}")
    return carry_out(
        SCALES[scale](), QUESTIONS, scale=scale, folder=folder, data=data, executor=executor, progress=progress
    )


def carry_out(  # noqa: PLR0913 - as run
    cells: Sequence[Cell],
    questions: Sequence[Question],
    *,
    scale: str,
    folder: str | Path,
    data: str | Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Results:
    """The experiment on cells and questions of one's own; as :func:`run`."""
    start, place = time.monotonic(), Path(folder) / "networks"
    before = len(list(place.glob("*/metrics.parquet")))
    population = train_population(
        [configuration for cell in cells for configuration in cell.configurations],
        place,
        data=data,
        executor=executor,
        measures=("link_weights",),
        progress=progress,
    )
    tables = Path(folder) / "tables"
    readings = {cell.name: _reading(cell, population, data, tables, progress) for cell in cells}
    scores, differences = told_apart(questions, readings, tables, progress)
    return Results(
        scale,
        tuple(questions),
        _described(cells, population),
        scores,
        differences,
        _densities(questions, readings),
        next((c.data_sha256 for cell in cells for c in cell.configurations if c.data_sha256), None),
        time.monotonic() - start,
        max(0, len(population) - before),
    )


def _reading(
    cell: Cell, population: Population, data: str | Path | None, tables: Path, progress: Progress | None
) -> Reading:
    first = cell.configurations[0]
    samples = dataset_of(first, data).test_inputs[: reading.SAMPLES]
    features, values = read_cell(cell, population, samples, place=tables, progress=progress)
    configurations = [population.configurations[name] for name in features["run"]]
    about = {
        "group": [group_of(configuration) for configuration in configurations],
        **choices(configurations),
        "performance": population.frame.loc[features["run"], _performance_name(first)].to_numpy(dtype=float),
        "label": cell.name,
    }
    return Reading(features.assign(**about), values.assign(label=cell.name))


def _performance_name(configuration: RunConfiguration) -> str:
    return EVALUATION_METRICS[1] if configuration.reconstructs else EVALUATION_METRICS[0]


def _described(cells: Sequence[Cell], population: Population) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for cell in cells:
        first, names = cell.configurations[0], [c.identity for c in cell.configurations]
        performance = _performance_name(first)
        quantiles = population.frame.loc[names, performance].quantile([0, 0.25, 0.5, 0.75, 1])
        snapshot = population.runs[names[0]].snapshots[population.runs[names[0]].steps[0]]
        about = {
            "name": cell.name,
            "title": cell.title,
            "n": len(names),
            "parameters": sum(tensor.numel() for tensor in snapshot.values()),
            "performance": performance,
        }
        rows.append(about | dict(zip(("least", "lower", "median", "upper", "most"), quantiles, strict=True)))
    return pd.DataFrame(rows)


def _densities(questions: Sequence[Question], readings: Mapping[str, Reading]) -> pd.DataFrame:
    """The density of each measure's values over the networks of each cell, and of the thirds where one is cut."""
    import pandas as pd

    shown = [*readings.values(), *(asked(q, readings)[0] for q in questions if len(q.cells) == 1)]
    curves = []
    for one in shown:
        for key, part in one.values.groupby(["label", "when", "measure"], sort=False):
            values = part["value"].to_numpy(dtype=np.float32)
            if varies(values):
                about = dict(zip(("label", "when", "measure"), map(str, key), strict=True))
                curves.append(curve(values).assign(**about))
    return pd.concat(curves, ignore_index=True)
