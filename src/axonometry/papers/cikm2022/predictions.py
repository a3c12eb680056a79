"""Features of the runs, and how well each set of them predicts the final accuracy, in the same folds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from axonometry.experiments import Context, Estimate, Measurements, estimate_of_row
from axonometry.papers.cikm2022.scales import BOTH, LINEAR_MAP, MEASURES, Grid, Options
from axonometry.populations import Population
from axonometry.predict import (
    Evaluation,
    EvaluationPlan,
    RunTable,
    evaluate,
    importances,
    learning_curve,
    read_runs,
    transfer,
)
from axonometry.predict.evaluation import score_predictions
from axonometry.predict.feature_sets import CONFIGURATION, CURVE, MOVEMENT, PARAMETER, FeatureName

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.progress import Progress

LEARNED = 0.2
"""Final accuracy from which a network of the paper's grid has learned something: twice that of a guess [our choice]."""
ALONE = ("degree", "centrality", "graph", "last-accuracy", "curve", "hyperparameters", "weights", "snapshot")
COMBINED = ("graph+last-accuracy", "graph+hyperparameters", "graph+weights")
"""Looked at after the first and the last horizon alone: they take longest."""
TRANSFERRED = ("degree", "graph", "curve", BOTH)

_FINAL, _GROUP, _ANY = "final accuracy", "group", "any: "
_FAMILIES = {*MEASURES, LINEAR_MAP, MOVEMENT, PARAMETER, CONFIGURATION, *CURVE}


def measure(population: Population, context: Context) -> pd.DataFrame:
    """A row a run: the features of its own layers, those that any network has (``any: …``), final accuracy, group."""
    import pandas as pd

    horizon = max(context.options.horizons)
    runs = list(population.runs.values())
    own, common = (
        read_runs(runs, epochs=horizon, per_group=per_group, progress=context.progress) for per_group in (None, False)
    )
    frame = pd.concat([_of_families(own.features), _of_families(common.features).add_prefix(_ANY)], axis=1)
    frame[_FINAL], frame[_GROUP], frame["run"] = own.final_accuracy, own.groups, list(population.runs)
    return frame


def _of_families(features: pd.DataFrame) -> pd.DataFrame:
    """Runs may have been recorded with further measures, some of them and others not."""
    named = {name: FeatureName.parse(str(name)) for name in features}
    return features[[name for name, parsed in named.items() if parsed is None or parsed.family in _FAMILIES]]


def tables(found: Measurements, name: str) -> tuple[RunTable, RunTable]:
    """The features of a population: those of its own layers, and those that any network has."""
    frame = found.frames[name, name].set_index("run")
    features = frame.drop(columns=[_FINAL, _GROUP])
    common = [column for column in features if str(column).startswith(_ANY)]
    own, shared = features.drop(columns=common), features[common].rename(columns=lambda c: str(c).removeprefix(_ANY))
    return tuple(RunTable(part, frame[_FINAL], frame[_GROUP]) for part in (own, shared))  # type: ignore[return-value]


def joined(found: Measurements, names: Iterable[str]) -> RunTable:
    """Several populations as one table of the features that any network has."""
    import pandas as pd

    chosen = [tables(found, name)[1] for name in names]
    return RunTable(
        *(pd.concat([getattr(table, part) for table in chosen]) for part in ("features", "final_accuracy", "groups"))
    )


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
        names = [grid.name for grid in self.grids]
        return tables(self.found, names[0])[0] if len(names) == 1 else joined(self.found, names)

    @property
    def options(self) -> Options:
        """Those of the scale."""
        options: Options = self.found.options
        return options

    @property
    def large(self) -> bool:
        """Whether it is looked at after every epoch."""
        return len(self.table.features) >= self.options.few

    @cached_property
    def median(self) -> Evaluation:
        """The scores; classes are above and below the median."""
        import pandas as pd

        horizons, context = self.options.horizons, self.found.context
        ends = (1, max(horizons))
        asked = [(name, horizons if self.large else ends) for name in (*ALONE, BOTH)] + [
            (name, ends) for name in COMBINED
        ]
        saying = context.saying(self.grids[0].name).progress
        frames = [
            context.cached(_predictions, self.table, name, epochs, self.options.plan, unkeyed=(context.workers, saying))
            for name, epochs in asked
        ]
        return score_predictions(pd.concat(frames, ignore_index=True), self.table, self.options.plan)

    @cached_property
    def learned(self) -> Evaluation:
        """The same for the classes of :data:`LEARNED`."""
        return score_predictions(self.median.predictions, self.table, replace(self.options.plan, threshold=LEARNED))

    @cached_property
    def importances(self) -> pd.DataFrame:
        """What carries the graph's prediction after one epoch."""
        return self.found.context.cached(_importances, self.table, self.options.plan)

    @cached_property
    def sizes(self) -> pd.DataFrame:
        """Scores by the number of runs that were learned from."""
        plan, context = self.options.plan, self.found.context
        most = len(self.table.features) * (plan.folds - 1) // plan.folds
        sizes = [size for size in self.options.sizes if size <= most]
        return context.cached(_sizes, self.table, sizes, plan, unkeyed=(context.workers, context.progress))

    @property
    def n(self) -> int:
        """Runs."""
        return len(self.table.features)


def predictions(found: Measurements, kind: str) -> list[Prediction]:
    """The populations of one kind of grid, those of one subject together."""
    subjects: dict[str, list[Grid]] = {}
    for grid in _grids(found):
        if grid.kind == kind:
            subjects.setdefault(grid.subject or grid.name, []).append(grid)
    return [Prediction(tuple(grids), found) for grids in subjects.values()]


def _grids(found: Measurements) -> list[Grid]:
    """Those whose runs are there."""
    return [grid for grid in found.options.grids(found.context.seeds) if (grid.name, grid.name) in found.frames]


@dataclass(frozen=True)
class Transfer:
    """Prediction of one kind of networks by what was learned from others.

    Attributes:
        kind: What is unseen: an architecture, a width, a data set.
        source: Populations that were learned from.
        target: Populations that were predicted.
        n_source: Runs learned from.
        n: Runs predicted.
        evaluation: The scores; no folds. Classes are those of :data:`LEARNED` on the paper's grid, above and below the
            target's median on the hard one.
    """

    kind: str
    source: str
    target: str
    n_source: int
    n: int
    evaluation: Evaluation


def transfers(found: Measurements) -> Iterator[Transfer]:
    """Every architecture of the paper's grid from all others, and what the scale's options name."""
    paper = [grid for grid in _grids(found) if grid.kind == "paper"]
    kinds, there = dict.fromkeys(grid.architecture for grid in paper), {grid.name for grid in _grids(found)}
    pairs: list[tuple[str, list[str], list[str]]] = []
    for kind in kinds if len(kinds) > 1 else ():
        seen = [grid.name for grid in paper if grid.architecture != kind]
        pairs.append(("architecture", seen, [grid.name for grid in paper if grid.architecture == kind]))
    pairs += [(kind, [source], [target]) for kind, source, target in found.options.others]
    for number, (kind, seen, unseen) in enumerate(pairs):
        if not {*seen, *unseen} <= there:
            continue
        found.context.progress(number, len(pairs), f"predicting an unseen {kind}")
        train, test = joined(found, seen), joined(found, unseen)
        plan = found.options.plan if kind == "data set" else replace(found.options.plan, threshold=LEARNED)
        judged = transfer(train, test, TRANSFERRED, (1, max(found.options.horizons)), plan=plan)
        yield Transfer(kind, ", ".join(seen), ", ".join(unseen), len(train.features), len(test.features), judged)


def score(rows: pd.DataFrame, features: str, epochs: int, name: str, n: int) -> Estimate:
    """One score, or one difference, of an evaluation.

    Args:
        rows: Scores or differences.
        features: The feature set.
        epochs: Known epochs.
        name: The score.
        n: Runs.
    """
    chosen = rows[(rows["features"] == features) & (rows["epochs"] == epochs) & (rows["score"] == name)]
    return estimate_of_row(chosen.to_dict("records")[0], n, "runs")


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
