"""What is measured beside what is learned: final accuracy from the weights of an epoch, all in the same folds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from axonometry.errors import PredictionError
from axonometry.predict import EvaluationPlan, RunTable
from axonometry.predict.evaluation import fit_task, score_predictions
from axonometry.predict.features import configuration_group
from axonometry.predict.folds import fold_numbers
from axonometry.program.parameter_graph import ParameterGraph, parameter_graph
from axonometry.progress import Progress, silent
from axonometry.zoo.features import ACCURACY, BOTH, GRAPH, LEARNED, WEIGHTS, feature_tables
from axonometry.zoo.graph_network import Exported, GraphPlan, learned_predictions, require_geometric
from axonometry.zoo.opening import Zoo

FIRST = (1, 3)
"""Epochs that are looked at beside each network's last one."""
LAST = -1
"""Stands for each network's last step."""


@dataclass(frozen=True)
class ZooPlan:
    """How a zoo is evaluated.

    Attributes:
        folds: Into how many folds the networks are cut, configurations kept whole.
        published: Whether networks of the test split are predicted from the others, once, instead of in folds.
        trees: Of each forest.
        graph: How the graph network is trained; None to leave it out.
        seed: Of all that is drawn.
        level: Of the intervals.
    """

    folds: int = 5
    published: bool = False
    trees: int = 40
    graph: GraphPlan | None = field(default_factory=GraphPlan)
    seed: int = 0
    level: float = 0.95


@dataclass(frozen=True)
class ZooEvaluation:
    """What came out.

    Attributes:
        scores: A row a feature set, epoch and score (``tau``, ``r2``...): value, low, high. Epoch -1 is the last.
        differences: The same, less that of *both*, on the same resamples.
        predictions: A row a network, feature set and epoch.
        seconds: A row a feature set, epoch and stage: seconds of processor time a network.
        n: Networks.
    """

    scores: pd.DataFrame
    differences: pd.DataFrame
    predictions: pd.DataFrame
    seconds: pd.DataFrame
    n: int


def evaluate_zoo(
    zoo: Zoo,
    epochs: Sequence[int] | None = None,
    *,
    networks: int | None = None,
    plan: ZooPlan | None = None,
    progress: Progress | None = None,
) -> ZooEvaluation:
    """Predict the final accuracy of every network from the weights that it had after some epochs.

    Weight statistics, graph measures and both go to the ensemble of forests and kernels of
    :mod:`axonometry.predict`; the graph network learns from the weights themselves. Accuracy so far and
    hyper-parameters stand beside them.

    Args:
        zoo: The networks.
        epochs: Steps that are looked at; -1 is the last. 1, 3 and -1 where None, as far as all networks have them.
        networks: How many of them, drawn with the plan's seed; all where None.
        plan: How.
        progress: Called with fits done, out of how many, and a few words.

    Raises:
        PredictionError: There are too few networks, or some lack an epoch.
        MissingExtraError: The graph network needs torch_geometric, which is not installed.
    """
    plan, names = plan or ZooPlan(), drawn(zoo, networks, (plan or ZooPlan()).seed)
    if plan.graph is not None:
        require_geometric()
    chosen = [*dict.fromkeys(usual_epochs(zoo, names) if epochs is None else epochs)]
    parts = [predictions_at(zoo, names, epoch, plan, progress) for epoch in chosen]
    predictions, seconds = (pd.concat(each, ignore_index=True) for each in zip(*parts, strict=True))
    return score_zoo(zoo, names, predictions, seconds, plan)


def drawn(zoo: Zoo, networks: int | None, seed: int) -> list[str]:
    """The names of some networks of a zoo, all where None: those of fewer are among those of more.

    Raises:
        PredictionError: There are not so many.
    """
    names = sorted(zoo.runs)
    if networks is None:
        return names
    if networks > len(names):
        raise PredictionError("a zoo has the networks that are asked for", f"{networks} of {len(names)}", "Make more")
    return sorted(names[place] for place in np.random.default_rng(seed).permutation(len(names))[:networks])


def usual_epochs(zoo: Zoo, names: Sequence[str]) -> list[int]:
    """1, 3 and the last, as far as all networks recorded them."""
    return [*(epoch for epoch in FIRST if all(epoch in zoo.runs[name].steps[:-1] for name in names)), LAST]


def predictions_at(
    zoo: Zoo, names: Sequence[str], epoch: int, plan: ZooPlan, progress: Progress | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions of all networks by all feature sets after one epoch, and what they took.

    Args:
        zoo: The networks.
        names: Of those that are used.
        epoch: The step; -1 for each network's last.
        plan: How.
        progress: Called with fits done, out of how many, and a few words.

    Raises:
        PredictionError: A network lacks the epoch.
    """
    steps = {name: zoo.runs[name].steps[-1] if epoch == LAST else epoch for name in names}
    if lacking := [name for name in names if steps[name] not in zoo.runs[name].steps]:
        raise PredictionError(f"all networks recorded epoch {epoch}", f"{lacking[0]}, which did not", "Choose another")
    say, begun = progress or silent, time.process_time()
    tables = feature_tables(zoo, names, steps, say)
    read = (time.process_time() - begun) / len(names)
    if epoch == LAST:
        del tables[ACCURACY]  # it is what is predicted
    accuracy = zoo.final_accuracy[list(names)]
    groups = pd.Series([configuration_group(zoo.runs[name]) for name in names], index=list(names))
    cut = _cut(zoo, names, groups, plan)
    rows: list[pd.DataFrame] = []
    taken = [(features, "measure", read) for features in (WEIGHTS, GRAPH, BOTH)]
    learners: dict[str, Learner] = {
        features: _Measured(RunTable(table, accuracy, groups), plan) for features, table in tables.items()
    }
    if plan.graph is not None:
        begun = time.process_time()
        learners[LEARNED] = _Learned(_exported(zoo, names, steps), accuracy.to_numpy(), plan)
        taken.append((LEARNED, "measure", (time.process_time() - begun) / len(names)))
    for features, learner in learners.items():
        for fold, (known, new) in enumerate(cut):
            say(len(rows), len(learners) * len(cut), f"{features}, epoch {epoch}")
            begun = time.process_time()
            predicted = learner(known, new)
            taken.append((features, "learn and apply", (time.process_time() - begun) / len(names)))
            run = [names[place] for place in new]
            frame = {"run": run, "predicted": predicted, "truth": accuracy[run].to_numpy(), "fold": fold}
            rows.append(pd.DataFrame(frame).assign(features=features))
    seconds = pd.DataFrame(taken, columns=["features", "stage", "seconds"]).assign(epochs=epoch)
    return pd.concat(rows, ignore_index=True).assign(epochs=epoch, repeat=0), seconds


def score_zoo(
    zoo: Zoo, names: Sequence[str], predictions: pd.DataFrame, seconds: pd.DataFrame, plan: ZooPlan
) -> ZooEvaluation:
    """Predictions with their scores and intervals: percentiles of resamples of the networks that are predicted."""
    predicted = [name for name in names if name in set(predictions["run"])]
    accuracy = zoo.final_accuracy[predicted]
    groups = pd.Series([configuration_group(zoo.runs[name]) for name in predicted], index=predicted)
    table = RunTable(pd.DataFrame(index=predicted), accuracy, groups)
    found = score_predictions(predictions, table, _settings(plan))
    mean = seconds.groupby(["features", "epochs", "stage"], sort=False)["seconds"].mean().reset_index()
    return ZooEvaluation(found.scores, found.differences, predictions, mean, len(names))


def _settings(plan: ZooPlan) -> EvaluationPlan:
    return EvaluationPlan(folds=plan.folds, trees=plan.trees, seed=plan.seed, level=plan.level, reference=BOTH)


def _cut(zoo: Zoo, names: Sequence[str], groups: pd.Series, plan: ZooPlan) -> list[tuple[np.ndarray, np.ndarray]]:
    """Numbers of the networks to learn from and of those to predict, fold by fold."""
    if plan.published:
        tested = np.array([zoo.splits[name] == "test" for name in names])
        if tested.all() or not tested.any():
            raise PredictionError("a published split has networks of both kinds", f"{tested.sum()} of {len(names)}")
        return [(np.flatnonzero(~tested), np.flatnonzero(tested))]
    fold_of = fold_numbers(list(groups), plan.folds, plan.seed)
    return [(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)) for fold in range(plan.folds)]


Learner = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From numbers of the networks to learn from and of those to predict to predictions."""


@dataclass(frozen=True)
class _Measured:
    table: RunTable
    plan: ZooPlan

    def __call__(self, known: np.ndarray, new: np.ndarray) -> np.ndarray:
        inside = np.zeros(len(self.table.groups), dtype=bool)
        inside[known] = True
        values = [self.table.features.to_numpy(dtype=float)]
        outside = np.zeros(len(inside), dtype=bool)
        outside[new] = True
        task = fit_task(self.table, values, inside, outside, _settings(self.plan))
        return np.asarray(task.fit().predict(task.test))[:, 0]


@dataclass(frozen=True)
class _Learned:
    networks: Exported
    accuracy: np.ndarray
    plan: ZooPlan

    def __call__(self, known: np.ndarray, new: np.ndarray) -> np.ndarray:
        return learned_predictions(self.networks, self.accuracy, known, new, self.plan.graph, self.plan.seed)


def _exported(zoo: Zoo, names: Sequence[str], steps: Mapping[str, int]) -> Exported:
    structures: dict[int, ParameterGraph] = {}
    graphs = []
    for name in names:
        graph = zoo.captured(name)
        if id(graph) not in structures:
            structures[id(graph)] = parameter_graph(graph)
        graphs.append(structures[id(graph)])
    return Exported(graphs, [zoo.weights(name, steps[name]) for name in names])
