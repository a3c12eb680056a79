"""Vahedian et al. 2021 (arXiv 2111.05410, CIKM 2022): do a few epochs of a network's graph tell how good it becomes?

Networks of several architectures are trained over grids of hyper-parameters; the temporal summary of their channel
graphs over the first epochs predicts the final accuracy. The paper's three questions: per architecture (RQ1), on unseen
architectures and widths (RQ2), and in time (RQ3). Other than in the paper, whatever is simpler stands beside it, in the
same folds: the validation curve, the hyper-parameters, statistics of the weights, one late snapshot. And because the
paper's grid gives much of the answer away (learning rates of 1e-6 learn nothing), there is a second one that does not.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from axonometry.errors import ConfigurationError
from axonometry.papers.cikm2022_plans import SCALES, Plan
from axonometry.papers.keeping import kept
from axonometry.papers.pruning import Design, compare_pruners, summary
from axonometry.populations import Population, train_population
from axonometry.predict import Evaluation, RunTable, evaluate, importances, learning_curve, read_runs, transfer
from axonometry.predict.evaluation import EvaluationPlan as Folds, score_predictions
from axonometry.predict.feature_sets import CONFIGURATION, CURVE, MOVEMENT, PARAMETER, FeatureName
from axonometry.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.trajectory import Trajectory

MEASURES = ("channel_degree", "channel_centrality", "spectral_norm", "node_strength")
"""What is read of the graphs, beside the movement of the weights."""
LINEAR_MAP = "linear_map"
"""Read as well for the hard grid, whose networks are small."""
HORIZONS = (1, 2, 3, 4, 5)
"""Numbers of known epochs."""
LEARNED = 0.2
"""Final accuracy from which a network of the paper's grid has learned something: twice that of a guess [our choice]."""
ALONE = ("degree", "centrality", "graph", "last-accuracy", "curve", "hyperparameters", "weights", "snapshot")
BOTH = "graph+curve"
COMBINED = ("graph+last-accuracy", "graph+hyperparameters", "graph+weights")
"""Looked at after the first and the last horizon alone: they take longest."""
TRANSFERRED = ("degree", "graph", "curve", "graph+curve")
SIZES = (50, 100, 200, 400)
TIMED = 5
"""Runs whose reading is timed."""
FOLDS = Folds(folds=5, inner_folds=4)
DESIGN = Design(features=BOTH, epochs=max(HORIZONS))
"""How pruners are compared."""
FEW = 200
"""Runs from which a population is looked at after every epoch."""

_FINAL, _GROUP = "final accuracy", "group"
_FAMILIES = {*MEASURES, LINEAR_MAP, MOVEMENT, PARAMETER, CONFIGURATION, *CURVE}


@dataclass(frozen=True)
class Finding:
    """What was found of one population, or of several that are one architecture in different depths.

    Attributes:
        name: The population, or the architecture.
        title: What it is, in words.
        median: Every feature set at every horizon; classes are above and below the median.
        learned: The same for the classes of :data:`LEARNED`; None for the hard grid.
        importances: What carries the graph's prediction after one epoch; None for small populations.
        sizes: Scores by the number of runs that were learned from; None for small populations.
    """

    name: str
    title: str
    median: Evaluation
    learned: Evaluation | None
    importances: pd.DataFrame | None
    sizes: pd.DataFrame | None


@dataclass(frozen=True)
class Transfer:
    """Prediction of one kind of networks by what was learned from others.

    Attributes:
        kind: What is unseen: an architecture, a width, a data set.
        source: Populations that were learned from.
        target: Populations that were predicted.
        n_source: Runs learned from.
        evaluation: The scores; no folds. Classes are those of :data:`LEARNED` on the paper's grid, above and below the
            target's median on the hard one.
    """

    kind: str
    source: str
    target: str
    n_source: int
    evaluation: Evaluation


@dataclass(frozen=True)
class Results:
    """What the experiment found.

    Attributes:
        scale: ``"small"`` or ``"full"``.
        populations: A row a population: name, title, n, and the final accuracy's least, quartiles and most.
        findings: RQ1, one a population.
        transfers: RQ2.
        pruning: RQ3: what each pruner saved and lost (:func:`axonometry.papers.pruning.summary`).
        reading: Seconds to read all features of one run, by population.
        seconds: Duration of the call.
        trained: Networks that this call trained; the others were there.
    """

    scale: str
    populations: pd.DataFrame
    findings: tuple[Finding, ...]
    transfers: tuple[Transfer, ...]
    pruning: pd.DataFrame
    reading: Mapping[str, float]
    seconds: float
    trained: int


def run(
    *,
    scale: str = "small",
    folder: str | Path,
    data: str | Path | None = None,
    executor: Executor | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Results:
    """Train the populations, or go on with them, and predict.

    Args:
        scale: ``"small"``: about 1,000 small or narrow networks, about two hours on two cores. ``"full"``: the paper's
            sizes and epochs, for GPUs.
        folder: Where the runs are kept, a folder a population; what is there is not trained again.
        data: Directory of the data sets' files; ``$AXONOMETRY_DATA`` where None.
        executor: Where to train; local processes where None.
        workers: Processes that predict.
        progress: Called with what is done, out of what, and a few words.

    Raises:
        ConfigurationError: There is no such scale.
        DataError: A data set's file is missing.
        RunError: Runs failed, or the folder holds something else.
    """
    if scale not in SCALES:
        raise ConfigurationError("the experiment has its scales", repr(scale), f"Choose from: {', '.join(SCALES)}")
    return carry_out(
        SCALES[scale](), scale=scale, folder=folder, data=data, executor=executor, workers=workers, progress=progress
    )


def carry_out(  # noqa: PLR0913 - as run
    plans: Sequence[Plan],
    *,
    scale: str,
    folder: str | Path,
    data: str | Path | None = None,
    executor: Executor | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Results:
    """The experiment on populations of one's own; as :func:`run`."""
    start, trained, populations = time.monotonic(), 0, {}
    for plan in plans:
        report = _named(f"training {plan.title}", progress)
        place = Path(folder) / plan.name
        before = len(list(place.glob("*/metrics.parquet")))
        measures = MEASURES if plan.grid == "paper" else (*MEASURES, LINEAR_MAP)
        population = train_population(
            plan.configurations, place, data=data, executor=executor, measures=measures, progress=report
        )
        trained += max(0, len(population) - before)
        populations[plan.name] = population.measured(measures, _named(f"reading {plan.title}", progress))
    place = Path(folder) / "predictions"
    readings = {plan.name: _read(plan, populations[plan.name], place, progress) for plan in plans}
    tables = {name: reading.own for name, reading in readings.items()}
    common = {name: reading.common for name, reading in readings.items()}
    findings = tuple(
        _finding(some, tables, common, place=place, workers=workers, progress=progress) for some in _subjects(plans)
    )
    transfers = tuple(_transfers(plans, common, progress))
    hard = next((plan.name for plan in plans if plan.grid == "hard"), plans[0].name)
    studies = compare_pruners(
        populations[hard],
        DESIGN,
        table=tables[hard],
        progress=_named("comparing pruners", progress),
    )
    return Results(
        scale,
        _described(plans, tables),
        findings,
        transfers,
        summary(studies),
        {name: reading.seconds for name, reading in readings.items()},
        time.monotonic() - start,
        trained,
    )


@dataclass(frozen=True)
class Reading:
    """The features of a population: those of its own layers, those that any network has, seconds for one run."""

    own: RunTable
    common: RunTable
    seconds: float


def _read(plan: Plan, population: Population, place: Path, progress: Progress | None) -> Reading:
    runs = list(population.runs.values())
    report = _named(f"features of {plan.title}", progress)

    def table(per_group: bool | None) -> RunTable:
        about = [(name, run.steps, run.description.measures) for name, run in population.runs.items()]
        frame = kept(place, (about, HORIZONS, per_group), lambda: _frame(runs, per_group, report))
        return RunTable(frame.drop(columns=[_FINAL, _GROUP]), frame[_FINAL], frame[_GROUP])

    own, common = table(None), table(False)
    start = time.monotonic()
    read_runs(runs[:TIMED], epochs=max(HORIZONS))
    return Reading(own, common, (time.monotonic() - start) / len(runs[:TIMED]))


def _frame(runs: Sequence[Trajectory], per_group: bool | None, progress: Progress | None) -> pd.DataFrame:
    found = read_runs(runs, epochs=max(HORIZONS), per_group=per_group, progress=progress)
    # Runs may have been recorded with further measures, some of them and others not.
    named = {name: FeatureName.parse(str(name)) for name in found.features}
    read = [name for name, column in named.items() if column is None or column.family in _FAMILIES]
    return found.features[read].assign(**{_FINAL: found.final_accuracy, _GROUP: found.groups})


def _subjects(plans: Sequence[Plan]) -> list[list[Plan]]:
    """The populations that are judged together."""
    subjects: dict[str, list[Plan]] = {}
    for plan in plans:
        subjects.setdefault(plan.subject or plan.name, []).append(plan)
    return list(subjects.values())


def _finding(
    plans: Sequence[Plan],
    tables: Mapping[str, RunTable],
    common: Mapping[str, RunTable],
    *,
    place: Path,
    workers: int,
    progress: Progress | None,
) -> Finding:
    import pandas as pd

    names, title = [plan.name for plan in plans], "; ".join(plan.title for plan in plans)
    table = tables[names[0]] if len(plans) == 1 else _joined(common, names)
    folds, report = replace(FOLDS, workers=workers), _named(f"predicting {names[0]}", progress)
    large, ends = len(table.features) >= FEW, (1, max(HORIZONS))
    asked = [(name, HORIZONS if large else ends) for name in (*ALONE, BOTH)] + [(name, ends) for name in COMBINED]
    found = [
        kept(
            place,
            (table, name, epochs, replace(folds, workers=1)),
            partial(_predictions, table, name, epochs, folds, report),
        )
        for name, epochs in asked
    ]
    median = score_predictions(pd.concat(found, ignore_index=True), table, folds)
    name = plans[0].subject or names[0]
    if plans[0].grid == "paper":
        learned = score_predictions(median.predictions, table, replace(folds, threshold=LEARNED))
        return Finding(name, title, median, learned, None, None)
    if not large:
        return Finding(name, title, median, None, None, None)
    most = len(table.features) * (folds.folds - 1) // folds.folds
    sizes = learning_curve(table, [size for size in SIZES if size <= most], plan=folds, progress=report)
    return Finding(name, title, median, None, importances(table, "graph", 1, plan=folds), sizes)


def _predictions(
    table: RunTable, name: str, epochs: Sequence[int], folds: Folds, progress: Progress | None
) -> pd.DataFrame:
    return evaluate(table, [name], epochs, plan=folds, progress=progress).predictions


def _transfers(plans: Sequence[Plan], tables: Mapping[str, RunTable], progress: Progress | None) -> Iterable[Transfer]:
    """Every architecture of the paper's grid from all others, another width and another data set from LeNet's."""
    there = {plan.name for plan in plans}
    pairs: list[tuple[str, list[str], list[str]]] = []
    paper = [plan for plan in plans if plan.grid == "paper"]
    kinds = dict.fromkeys(plan.architecture for plan in paper)
    if len(kinds) > 1:
        for kind in kinds:
            seen = [plan.name for plan in paper if plan.architecture != kind]
            pairs.append(("architecture", seen, [plan.name for plan in paper if plan.architecture == kind]))
    pairs += [
        ("width", ["lenet"], ["lenet-wide"]),
        ("data set", ["hard-fashion"], ["hard-cifar"]),
        ("data set", ["hard-cifar"], ["hard-fashion"]),
    ]
    for number, (kind, seen, unseen) in enumerate(pairs):
        if not {*seen, *unseen} <= there:
            continue
        if progress is not None:
            progress(number, len(pairs), f"predicting an unseen {kind}")
        train, test = _joined(tables, seen), _joined(tables, unseen)
        plan = FOLDS if kind == "data set" else replace(FOLDS, threshold=LEARNED)
        found = transfer(train, test, TRANSFERRED, (1, max(HORIZONS)), plan=plan)
        yield Transfer(kind, ", ".join(seen), ", ".join(unseen), len(train.features), found)


def _joined(tables: Mapping[str, RunTable], names: Iterable[str]) -> RunTable:
    """Several tables as one."""
    import pandas as pd

    chosen = [tables[name] for name in names]
    return RunTable(
        *(pd.concat([getattr(table, part) for table in chosen]) for part in ("features", "final_accuracy", "groups"))
    )


def _described(plans: Sequence[Plan], tables: Mapping[str, RunTable]) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for plan in plans:
        accuracy = tables[plan.name].final_accuracy
        quantiles = dict(zip(("least", "lower", "median", "upper", "most"), accuracy.quantile([0, 0.25, 0.5, 0.75, 1])))
        rows.append({"name": plan.name, "title": plan.title, "n": len(accuracy), **quantiles})
    return pd.DataFrame(rows)


def _named(title: str, progress: Progress | None) -> Progress | None:
    """Progress whose words begin with what is being done."""
    if progress is None:
        return None
    return lambda done, total, words: progress(done, total, f"{title}: {words}" if words else title)
