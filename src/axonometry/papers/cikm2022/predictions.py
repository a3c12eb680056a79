"""Features of the runs, and how well each set of them predicts the final accuracy, in the same folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from axonometry.experiments import Context, Estimate, Measurements, estimate_of_row
from axonometry.papers.cikm2022.grids import Grid
from axonometry.papers.cikm2022.scales import BOTH, LINEAR_MAP, MEASURES
from axonometry.populations import Population
from axonometry.predict import Evaluation, EvaluationPlan, RunTable, evaluate, read_runs
from axonometry.predict.analysis import importances, learning_curve, transfer
from axonometry.predict.evaluation import score_predictions
from axonometry.predict.feature_sets import CONFIGURATION, CURVE, MOVEMENT, PARAMETER, FeatureName
from axonometry.progress import Progress

LEARNED = 0.2
"""Final accuracy from which a network of the paper's grid has learned something: twice that of a guess [our choice]."""
ALONE = ("degree", "centrality", "graph", "last-accuracy", "curve", "hyperparameters", "weights", "snapshot")
COMBINED = ("graph+last-accuracy", "graph+hyperparameters", "graph+weights")
"""Looked at after the first and the last horizon alone: they take longest."""
TRANSFERRED = ("degree", "graph", "curve", BOTH)

_FINAL, _GROUP, _ANY = "final accuracy", "group", "any: "
_FAMILIES = {*MEASURES, LINEAR_MAP, MOVEMENT, PARAMETER, CONFIGURATION, *CURVE}


def measure_grids(population: Population, context: Context) -> pd.DataFrame:
    """A row a run: the features of its own layers, those that any network has (``any: …``), final accuracy, group."""
    horizon = max(context.options.horizons)
    runs = list(population.runs.values())
    own, common = (
        read_runs(runs, epochs=horizon, per_group=per_group, progress=context.progress) for per_group in (None, False)
    )
    frame = pd.concat([_of_families(own.features), _of_families(common.features).add_prefix(_ANY)], axis=1)
    frame[_FINAL], frame[_GROUP], frame["run"] = own.final_accuracy, own.groups, list(population.runs)
    return frame


def _of_families(features: pd.DataFrame) -> pd.DataFrame:
    """Runs may have been recorded with other measures besides, some of them and others not."""
    named = {name: FeatureName.parse(str(name)) for name in features}
    return features[[name for name, parsed in named.items() if parsed is None or parsed.family in _FAMILIES]]


def run_table(found: Measurements, names: Sequence[str], *, common: bool) -> RunTable:
    """The runs of some populations.

    Args:
        found: The measurements.
        names: Of the populations.
        common: Whether the features are those that any network has, instead of those of a population's own layers.
    """
    frame = pd.concat([found.frames[name, name] for name in names]).set_index("run")
    final, group = frame.pop(_FINAL), frame.pop(_GROUP)
    shared = frame.columns.str.startswith(_ANY)
    chosen = frame.loc[:, shared if common else ~shared].rename(columns=lambda name: name.removeprefix(_ANY))
    return RunTable(chosen, final, group)


@dataclass(frozen=True)
class Prediction:
    """Every feature set at every horizon, of one population or of several that are one architecture in several depths.

    Attributes:
        grids: The populations.
        found: The measurements.
    """

    grids: tuple[Grid, ...]
    found: Measurements

    @property
    def title(self) -> str:
        """What it is, in words."""
        return "; ".join(grid.title for grid in self.grids)

    @cached_property
    def table(self) -> RunTable:
        """The runs."""
        return run_table(self.found, [grid.name for grid in self.grids], common=len(self.grids) > 1)

    @property
    def large(self) -> bool:
        """Whether it is looked at after every epoch."""
        return self.n >= self.found.options.few

    @cached_property
    def median(self) -> Evaluation:
        """The scores; classes are above and below the median."""
        context, horizons = self.found.context.saying(self.grids[0].name), self.found.options.horizons
        ends = (1, max(horizons))
        asked = dict.fromkeys((*ALONE, BOTH), horizons if self.large else ends) | dict.fromkeys(COMBINED, ends)
        unkeyed = (context.workers, context.progress)
        frames = [
            context.cached(_predictions, self.table, name, epochs, self.found.options.plan, unkeyed=unkeyed)
            for name, epochs in asked.items()
        ]
        return score_predictions(pd.concat(frames, ignore_index=True), self.table, self.found.options.plan)

    @cached_property
    def learned(self) -> Evaluation:
        """The same for the classes of :data:`LEARNED`."""
        return score_predictions(
            self.median.predictions, self.table, replace(self.found.options.plan, threshold=LEARNED)
        )

    @cached_property
    def importances(self) -> pd.DataFrame:
        """What carries the graph's prediction after one epoch."""
        return self.found.context.cached(_importances, self.table, self.found.options.plan)

    @cached_property
    def sizes(self) -> pd.DataFrame:
        """Scores by the number of runs that were learned from."""
        plan, context = self.found.options.plan, self.found.context
        most = self.n * (plan.folds - 1) // plan.folds
        sizes = [size for size in self.found.options.sizes if size <= most]
        return context.cached(_sizes, self.table, sizes, plan, unkeyed=(context.workers, context.progress))

    @property
    def n(self) -> int:
        """Runs."""
        return len(self.table.features)


def predictions(found: Measurements, *kinds: str) -> list[Prediction]:
    """The populations of some kinds of grid, those of one subject together."""
    subjects: dict[str, list[Grid]] = {}
    for grid in _grids(found):
        if grid.kind in kinds:
            subjects.setdefault(grid.subject or grid.name, []).append(grid)
    return [Prediction(tuple(grids), found) for grids in subjects.values()]


def _grids(found: Measurements) -> list[Grid]:
    """Those whose runs are there."""
    return [grid for grid in found.options.grids(found.context.seeds) if (grid.name, grid.name) in found.frames]


def transfers(found: Measurements) -> pd.DataFrame:
    """Prediction of one kind of networks by what was learned from others.

    Every architecture of the paper's grid is predicted from all others, and then what the scale's options name.

    Returns:
        The scores of each: kind (what is unseen: an architecture, a width, a data set), source and target (populations,
        with their number of runs), n (runs predicted), features, epochs, score, value, low, high. Classes are those of
        :data:`LEARNED` on the paper's grid, above and below the target's median on the hard one.
    """
    grids = _grids(found)
    paper = {grid.name: grid.architecture for grid in grids if grid.kind == "paper"}
    pairs = []
    for kind in dict.fromkeys(paper.values()):
        seen, unseen = ([name for name in paper if (paper[name] == kind) is new] for new in (False, True))
        pairs += [("architecture", seen, unseen)] if seen else []
    there = {grid.name for grid in grids}
    pairs += [(kind, [a], [b]) for kind, a, b in found.options.others if {a, b} <= there]
    frames = []
    for number, (kind, *names) in enumerate(pairs):
        found.context.progress(number, len(pairs), f"predicting an unseen {kind}")
        train, test = (run_table(found, some, common=True) for some in names)
        plan = found.options.plan if kind == "data set" else replace(found.options.plan, threshold=LEARNED)
        scores = transfer(train, test, TRANSFERRED, (1, max(found.options.horizons)), plan=plan).scores
        source, target = (
            f"{', '.join(some)} ({len(of.groups)})" for some, of in zip(names, (train, test), strict=True)
        )
        frames.append(scores.assign(kind=kind, source=source, target=target, n=len(test.groups)))
    return pd.concat(frames, ignore_index=True)


def score(rows: pd.DataFrame, n: int = 0, **where: object) -> Estimate:
    """One score, or one difference, of an evaluation.

    Args:
        rows: Scores or differences.
        n: Runs; a column ``n`` says it better.
        where: The row's ``score``, ``features``, ``epochs``.
    """
    for column, value in where.items():
        rows = rows[rows[column] == value]
    return estimate_of_row(rows.to_dict("records")[0], n, "runs")


def _predictions(
    table: RunTable, name: str, epochs: Sequence[int], plan: EvaluationPlan, workers: int, progress: Progress
) -> pd.DataFrame:
    return evaluate(table, [name], epochs, plan=replace(plan, workers=workers), progress=progress).predictions


def _importances(table: RunTable, plan: EvaluationPlan) -> pd.DataFrame:
    return importances(table, "graph", 1, plan=plan)


def _sizes(
    table: RunTable, sizes: Sequence[int], plan: EvaluationPlan, workers: int, progress: Progress
) -> pd.DataFrame:
    return learning_curve(table, sizes, plan=replace(plan, workers=workers), progress=progress)
