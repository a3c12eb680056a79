"""Telling the networks of paper 2's experiment apart: by each measure, before and after training, in the same folds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from axonometry.papers.ijcai2024_features import BASELINE, CONTROL, MEASURES
from axonometry.papers.keeping import kept
from axonometry.populations import RunConfiguration
from axonometry.predict.classification import macro_auc, out_of_fold
from axonometry.predict.evaluation import EvaluationPlan as Folds
from axonometry.predict.scores import resamples
from axonometry.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.papers.ijcai2024_plans import Question

TOGETHER = "all five"
"""The paper's measures together."""
SETS = (*MEASURES, TOGETHER, CONTROL, BASELINE)
"""What networks are told apart by."""
CHOICES = "hyperparameters"
"""What was chosen before training: told apart by it too is what differs in performance; cells do not differ in it."""
FOLDS = Folds(folds=5, inner_folds=4)
LOW, HIGH = "lowest third", "highest third"

_DRAWN = ("optimiser", "learning_rate", "momentum", "scale", "weight_decay", "label_noise")
"""Networks that share these are never on both sides of a fold, whichever cells they are of."""


@dataclass(frozen=True)
class Reading:
    """What was read of a cell.

    Attributes:
        features: A row a network and time: run, when, the features, and the network's group, performance and label,
            which is the cell's name.
        values: Columns run, when, measure, value, label.
    """

    features: pd.DataFrame
    values: pd.DataFrame

    def cut(self) -> Reading:
        """The networks of the lowest and the highest third in performance, labelled so."""
        low, high = np.quantile(self.features["performance"], [1 / 3, 2 / 3])
        label = np.where(self.features["performance"] <= low, LOW, HIGH)
        outer = (self.features["performance"] <= low) | (self.features["performance"] >= high)
        features = self.features.assign(label=label)[outer]
        of = dict(zip(features["run"], features["label"], strict=True))
        return Reading(features, self.values.assign(label=self.values["run"].map(of)).dropna(subset=["label"]))


def group_of(configuration: RunConfiguration) -> str:
    """What networks of one group share: these are never on both sides of a fold."""
    return ", ".join(str(getattr(configuration, name)) for name in _DRAWN)


def choices(configurations: Sequence[RunConfiguration]) -> dict[str, list[float]]:
    """Hyper-parameters as numbers; learners look at their order alone, so that they need no logarithm."""
    numbers: dict[str, list[float]] = {}
    for name in _DRAWN:
        values = [getattr(configuration, name) for configuration in configurations]
        if isinstance(values[0], str):
            for one in sorted(set(values)):
                numbers[f"{CHOICES}.{name}.{one}"] = [float(value == one) for value in values]
        else:
            numbers[f"{CHOICES}.{name}.value"] = values
    return numbers


def sets_of(question: Question) -> tuple[str, ...]:
    """What the networks of a question are told apart by."""
    return SETS if len(question.cells) > 1 else (*SETS, CHOICES)


def asked(question: Question, readings: Mapping[str, Reading]) -> list[Reading]:
    """The readings that a question compares."""
    chosen = [readings[name] for name in question.cells]
    return chosen if len(chosen) > 1 else [chosen[0].cut()]


def told_apart(
    questions: Sequence[Question], readings: Mapping[str, Reading], tables: Path, progress: Progress | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every question by every set of features, before and after training.

    Args:
        questions: What is asked.
        readings: What was read of each cell, by its name.
        tables: Where predictions are kept.
        progress: Called with what is done, out of what, and a few words.

    Returns:
        The scores and differences of :class:`axonometry.papers.ijcai2024.Results`.
    """
    import pandas as pd

    scores: list[dict[str, object]] = []
    differences: list[dict[str, object]] = []
    for number, question in enumerate(questions):
        networks = pd.concat([one.features for one in asked(question, readings)], ignore_index=True)
        found: dict[tuple[str, str], np.ndarray] = {}
        for place, (measure, when) in enumerate((m, w) for m in sets_of(question) for w in ("before", "after")):
            if progress is not None:
                words = f"telling apart: {question.name} by {measure.replace('_', ' ')}"
                progress(2 * len(SETS) * number + place, 2 * len(SETS) * len(questions), words)
            part = networks[networks["when"] == when]
            found[measure, when] = areas = _areas(part, measure, tables)
            about: dict[str, object] = {"question": question.name, "measure": measure, "when": when}
            scores.append(about | _estimate(areas) | {"n": len(part), "classes": part["label"].nunique()})
        differences += _differences(question, found)
    return pd.DataFrame(scores), pd.DataFrame(differences)


def _differences(question: Question, found: Mapping[tuple[str, str], np.ndarray]) -> list[dict[str, object]]:
    """After training minus before it, and minus the baseline after training."""
    rows: list[dict[str, object]] = []
    for measure in sets_of(question):
        others = {"before": found[measure, "before"]}
        if measure != BASELINE:
            others[BASELINE] = found[BASELINE, "after"]
        for minus, other in others.items():
            about: dict[str, object] = {"question": question.name, "measure": measure, "minus": minus}
            rows.append(about | _estimate(found[measure, "after"] - other))
    return rows


def _areas(networks: pd.DataFrame, measure: str, tables: Path) -> np.ndarray:
    """The macro AUC of all resamples, the sample itself first."""
    import pandas as pd

    wanted = MEASURES if measure == TOGETHER else (measure,)
    columns = [name for name in networks if str(name).split(".")[0] in wanted]
    values, labels, groups = networks[columns].to_numpy(dtype=float), list(networks["label"]), list(networks["group"])
    about = (hashlib.sha256(values.tobytes()).hexdigest(), columns, labels, groups, FOLDS)
    predicted = kept(
        tables, about, lambda: pd.DataFrame(out_of_fold(values, labels, groups, FOLDS)).add_prefix("class")
    )
    return macro_auc(labels, predicted.to_numpy(dtype=float), resamples(groups, FOLDS.resamples, FOLDS.seed))


def _estimate(areas: np.ndarray) -> dict[str, object]:
    drawn, tail = areas[1:][np.isfinite(areas[1:])], (1 - FOLDS.level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail]) if len(drawn) else (np.nan, np.nan)
    return {"value": float(areas[0]), "low": float(low), "high": float(high)}
