"""A predictor from the content of its file, each part of which is checked before it is followed or computed with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from axonometry.errors import PredictionError
from axonometry.predict.checked import finite_numbers, part, part_list, places, whole
from axonometry.predict.ensemble import FoldModel, StackedEnsemble
from axonometry.predict.forest import Forest
from axonometry.predict.horizon_model import HorizonModel
from axonometry.predict.inputs import check_choices
from axonometry.predict.kernel_ridge import KernelModel, KernelState
from axonometry.predict.learners import Learner, LearnerKind, kinds_of
from axonometry.predict.rank_gauss import RankGaussTransformer

REMEDY = "Fit and save the predictor again"
MOST = 10**6
"""What a choice may be."""


def restored(content: Any, make: Callable[..., Any], *, relative: bool = True) -> Any:
    """The predictor that a file's content describes.

    Args:
        content: Dictionaries, lists, texts, numbers and arrays of numbers.
        make: The class ``AccuracyPredictor``, called with the choices that the file holds.
        relative: Which intervals it predicts, see :class:`HorizonModel`.

    Raises:
        PredictionError: Parts do not go together.
        ValueError: A part is missing, of another type, or out of range.
    """
    predictor = make(**_choices(part(content, "choices")))
    state = part(content, "state")
    _restore_columns(predictor, state)
    _restore_digests(predictor, state)
    low, high = (_bound(value) for value in part_list(state, "bounds_", 2))
    if not low < high:
        raise ValueError(f"bounds_ ascend, and do not go from {low} to {high}")
    predictor.bounds_ = (low, high)
    targets = 1
    if predictor.task == "classification":
        predictor.thresholds_ = finite_numbers(part(state, "thresholds_"), "thresholds_", (None,))
        if not (np.diff(predictor.thresholds_) > 0).all():
            raise ValueError("thresholds_ ascend")
        targets = len(predictor.thresholds_) + 1
        predictor.classes_ = np.arange(targets)
    models = _horizons(part(content, "horizons"), predictor, targets)
    predictor.models_ = {epochs: replace(model, relative=relative) for epochs, model in models.items()}
    return predictor


def _choices(choices: Any) -> dict[str, Any]:
    if not isinstance(choices, dict):
        raise ValueError("no choices")
    check_choices(choices)
    for name in ("epochs", "folds", "trees"):
        whole(choices[name], name, 1, MOST)
    whole(choices["random_state"], "random_state", 0, 2**32 - 1)  # what scikit-learn takes
    if choices["per_group"] is not None and not isinstance(choices["per_group"], bool):
        raise ValueError("per_group is true, false or nothing")
    classes = choices["classes"]
    for value in classes if isinstance(classes, list) else (classes,):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("classes are numbers")
    return choices


def _restore_columns(predictor: Any, state: Any) -> None:
    columns, named = part_list(state, "columns_"), part(state, "named_")
    if not isinstance(named, bool) or not isinstance(part(state, "per_group_"), bool):
        raise ValueError("named_ and per_group_ are true or false")
    if named and not (all(isinstance(name, str) for name in columns) and len(set(columns)) == len(columns)):
        raise ValueError("columns_ are names, each once")
    if not named and columns != list(range(len(columns))):
        raise ValueError("columns_ are counted from 0")
    predictor.columns_, predictor.named_, predictor.per_group_ = columns, named, state["per_group_"]
    predictor.n_features_in_ = whole(part(state, "n_features_in_"), "n_features_in_", len(columns), len(columns))
    if named:
        predictor.feature_names_in_ = np.array(columns, dtype=object)


def _restore_digests(predictor: Any, state: Any) -> None:
    """The digests of training rows, which older files lack."""
    digests = state.get("digests_", []) if isinstance(state, dict) else []
    if not isinstance(digests, list) or not all(isinstance(one, str) and len(one) <= 64 for one in digests):
        raise ValueError("digests_ are short texts")
    predictor.digests_ = digests


def _bound(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise ValueError("bounds_ are two numbers")
    return float(value)


def _horizons(horizons: Any, predictor: Any, targets: int) -> dict[int, HorizonModel]:
    # A table without names has one model, of all its epochs; one with names a model of each number of known epochs.
    wanted = range(1, predictor.epochs + 1) if predictor.named_ else [predictor.epochs]
    if not isinstance(horizons, dict) or len(horizons) != len(wanted) or not all(str(n) in horizons for n in wanted):
        raise ValueError(f"horizons are those of {len(wanted)} numbers of known epochs up to {predictor.epochs}")
    return {n: _horizon(horizons[str(n)], len(predictor.columns_), targets) for n in wanted}


def _horizon(of: Any, columns: int, targets: int) -> HorizonModel:
    views = tuple(_view(view, columns) for view in part_list(of, "views"))
    folds = tuple(_fold(fold, [len(view) for view in views], targets) for fold in part_list(of, "folds"))
    fold_of = part(of, "fold_of")
    goals = finite_numbers(part(of, "targets"), "targets", (None, targets))
    out_of_fold = finite_numbers(part(of, "out_of_fold"), "out_of_fold", (None, targets))
    inside = _within(fold_of, len(folds))
    if not inside or goals.shape != out_of_fold.shape or fold_of.shape != goals.shape[:1]:
        raise PredictionError("a predictor's parts have sizes that go together", "sizes that do not", REMEDY)
    return HorizonModel(views, StackedEnsemble(folds, fold_of.astype(np.int64), out_of_fold, goals))


def _view(view: Any, columns: int) -> Any:
    if not _within(view, columns) or not len(view):
        raise PredictionError("a predictor's views and columns go together", "views of other columns", REMEDY)
    return view.astype(np.int64)


def _within(value: Any, count: int) -> bool:
    try:
        places(value, "places", count)
    except ValueError:
        return False
    return True


def _fold(of: Any, widths: list[int], targets: int) -> FoldModel:
    ranks = tuple(_ranks(one, width) for one, width in zip(part_list(of, "ranks", len(widths)), widths, strict=True))
    learners = []
    for rank, width, made in zip(ranks, widths, part_list(of, "learners", len(widths)), strict=True):
        kinds = kinds_of(width)
        if not isinstance(made, list) or len(made) != len(kinds):
            raise ValueError(f"{len(kinds)} learners do not fit together with others")
        learners.append(
            tuple(_learner(kind, one, len(rank.columns), targets) for kind, one in zip(kinds, made, strict=True))
        )
    weights, count = part(of, "weights"), sum(map(len, learners))
    if not isinstance(weights, np.ndarray) or weights.shape != (count,):
        shown = getattr(weights, "shape", type(weights).__name__)
        raise PredictionError("every learner of a saved predictor has its weight", f"{shown} weights", REMEDY)
    weights = finite_numbers(weights, "weights", (count,))
    if (weights < 0).any() or abs(weights.sum() - 1) > 1e-6:
        raise ValueError("weights are at least 0 and add up to 1")
    return FoldModel(ranks, tuple(learners), weights)


def _ranks(of: Any, width: int) -> RankGaussTransformer:
    columns = part(of, "columns")
    if not _within(columns, width) or not len(columns):
        raise PredictionError("a saved predictor's quantiles belong to its columns", "others", REMEDY)
    found = RankGaussTransformer(
        columns.astype(np.int32), finite_numbers(part(of, "grid"), "grid", (None, len(columns)))
    )
    found.check(width)
    return found


def _learner(kind: LearnerKind, of: Any, columns: int, targets: int) -> Learner:
    return _kernel(of, columns, targets) if kind == "kernel" else _forest(of, columns, targets)


def _kernel(of: Any, columns: int, targets: int) -> KernelModel:
    rows = finite_numbers(part(of, "rows"), "rows", (None, columns))
    if (np.abs(rows) > np.finfo(np.float32).max).any():
        raise ValueError("rows are finite in 32 bits")
    weights = finite_numbers(part(of, "weights"), "weights", (None, targets))
    length = part(of, "length")
    if isinstance(length, bool) or not isinstance(length, int | float) or not length > 0:
        raise ValueError("length is above 0")
    mean = finite_numbers(part(of, "mean"), "mean", (targets,))
    state: KernelState = {
        "rows": rows.astype(np.float32),
        "weights": weights,
        "mean": mean,
        "length": float(length),
    }
    return KernelModel.restore(state, columns)


def _forest(of: Any, columns: int, targets: int) -> Forest:
    value = finite_numbers(part(of, "value"), "value", (None, targets))
    threshold = finite_numbers(part(of, "threshold"), "threshold", (len(value),))
    ways = {name: places(part(of, name), f"nodes {name}", len(value)) for name in ("roots", "left", "right")}
    column = places(part(of, "column"), "columns of nodes", columns)
    depth = whole(part(of, "depth"), "depth", 0, len(value) - 1)
    whole_numbers = {name: found.astype(np.int32) for name, found in {**ways, "column": column}.items()}
    found = Forest(**whole_numbers, threshold=threshold, value=value, depth=depth)
    found.check(columns)
    return found
