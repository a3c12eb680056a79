"""Fitted predictors on disk: one line that names the format and the content's SHA-256, then numbers and texts in skops.

The content holds dictionaries, lists, texts, numbers and arrays of numbers, and no other type: skops is told to trust
nothing, so a file that asks for anything else is refused before anything is built. The checksum finds files that were
damaged; a forger can write a new one, which is why every number that is followed is checked as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from axonometry.errors import PredictionError
from axonometry.files import atomic_write, read_whole
from axonometry.predict.ensemble import FoldModel, StackedEnsemble
from axonometry.predict.forest import Forest
from axonometry.predict.horizon_model import HorizonModel
from axonometry.predict.kernel_ridge import KernelModel
from axonometry.predict.learners import Learner, LearnerKind, kinds_of
from axonometry.predict.rank_gauss import RankGaussTransformer

FORMAT = 1
"""The version of the format that this software writes and reads.

To change the format: raise the number, keep reading the old one where that can be done (``_content`` knows which it
is), add a file of the old format to the tests, and say in CHANGELOG.md what changed.
"""

LARGEST = 2**28
"""Bytes of a file."""
_MAGIC = b"axonometry-predictor"
_REMEDY = "Fit and save the predictor again"
_STATE = ("columns_", "named_", "per_group_", "bounds_", "n_features_in_")


def save_predictor(predictor: Any, path: Path) -> None:
    """Write a fitted predictor, whole or not at all.

    Args:
        predictor: An ``AccuracyPredictor``, whose module imports this one.
        path: The file.

    Raises:
        RunError: The file cannot be written.
    """
    import skops.io
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(predictor)
    state = {name: _plain(getattr(predictor, name)) for name in (*_STATE, "thresholds_") if hasattr(predictor, name)}
    content = {
        "choices": {name: _plain(value) for name, value in predictor.get_params(deep=False).items()},
        "state": state,
        "horizons": {str(epochs): _state_of(horizon) for epochs, horizon in predictor.models_.items()},
    }
    body = skops.io.dumps(content)
    with atomic_write(path) as partial:
        partial.write_bytes(b"%s %d %s\n%s" % (_MAGIC, FORMAT, hashlib.sha256(body).hexdigest().encode(), body))


def load_predictor(path: Path, make: Callable[..., Any]) -> Any:
    """Read a predictor.

    Args:
        path: The file.
        make: The class ``AccuracyPredictor``, called with the choices that the file holds.

    Raises:
        PredictionError: It is not a saved predictor, corrupt, of another format, or holds more than numbers and texts.
    """
    content = _content(path)
    try:
        return _predictor(content, make)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        refused = _refused(path, f"content that does not fit together ({error})")
        raise refused from error


def _content(path: Path) -> Any:
    import skops.io

    try:
        data = read_whole(path, LARGEST)
    except ValueError as error:
        raise _refused(path, str(error)) from error
    head, _, body = data.partition(b"\n")
    words = head.split(b" ")
    if len(words) != 3 or words[0] != _MAGIC or not words[1].isdigit():
        raise _refused(path, "another kind of file")
    if int(words[1]) != FORMAT:
        raise _refused(path, f"format {int(words[1])}; this software reads format {FORMAT}")
    if hashlib.sha256(body).hexdigest().encode() != words[2]:
        raise _refused(path, "a file that was changed or cut off after it was written")
    try:
        if unsafe := skops.io.get_untrusted_types(data=body):
            raise _refused(path, f"the types {', '.join(unsafe)}, which a predictor has no use for")
        return skops.io.loads(body, trusted=[])
    except PredictionError:
        raise
    except Exception as error:  # skops raises what zip, JSON and its own readers raise; all of it means: not our file
        raise _refused(path, f"what skops cannot read ({type(error).__name__}: {error})") from error


def _refused(path: Path, came: str) -> PredictionError:
    return PredictionError(f"{path} is a predictor that AccuracyPredictor.save wrote", came, _REMEDY)


def _plain(value: Any) -> Any:
    """Numbers, texts, lists and arrays stay; tuples and numpy's scalars become what skops knows without trust."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return [_plain(inside) for inside in value]
    return value


def _state_of(horizon: HorizonModel) -> dict[str, Any]:
    ensemble = horizon.ensemble
    return {
        "views": [np.asarray(view) for view in horizon.views],
        "fold_of": ensemble.fold_of,
        "out_of_fold": ensemble.out_of_fold,
        "targets": ensemble.targets,
        "folds": [
            {
                "weights": fold.weights,
                "ranks": [_fields(ranks) for ranks in fold.ranks],
                "learners": [[_learner_state(learner) for learner in of] for of in fold.learners],
            }
            for fold in ensemble.folds
        ],
    }


def _fields(part: RankGaussTransformer | Forest) -> dict[str, Any]:
    return {field.name: _plain(getattr(part, field.name)) for field in fields(part)}


def _learner_state(learner: Learner) -> dict[str, Any]:
    return _fields(learner) if isinstance(learner, Forest) else dict(learner.state())


def _predictor(content: Any, make: Callable[..., Any]) -> Any:
    predictor = make(**content["choices"])
    for name in _STATE:
        setattr(predictor, name, content["state"][name])
    low, high = predictor.bounds_
    predictor.bounds_ = (float(low), float(high))
    if predictor.task == "classification":
        predictor.thresholds_ = np.asarray(content["state"]["thresholds_"], dtype=np.float64)
        predictor.classes_ = np.arange(len(predictor.thresholds_) + 1)
    if predictor.named_:
        predictor.feature_names_in_ = np.array(predictor.columns_, dtype=object)
    columns = len(predictor.columns_)
    predictor.models_ = {int(epochs): _horizon(of, columns) for epochs, of in content["horizons"].items()}
    return predictor


def _horizon(of: Any, columns: int) -> HorizonModel:
    views = tuple(np.asarray(view, dtype=np.int64) for view in of["views"])
    folds = tuple(_fold(fold, [len(view) for view in views]) for fold in of["folds"])
    targets, out_of_fold = (np.asarray(of[name], dtype=np.float64) for name in ("targets", "out_of_fold"))
    fold_of = np.asarray(of["fold_of"], dtype=np.int64)
    inside = all(_within(view, columns) for view in views) and _within(fold_of, len(folds))
    if not inside or targets.shape != out_of_fold.shape or fold_of.shape != targets.shape[:1]:
        raise PredictionError("a predictor's parts have sizes that go together", "sizes that do not", _REMEDY)
    return HorizonModel(views, StackedEnsemble(folds, fold_of, out_of_fold, targets))


def _fold(of: Any, widths: list[int]) -> FoldModel:
    ranks = tuple(RankGaussTransformer(**part) for part in of["ranks"])
    learners = []
    for rank, width, parts in zip(ranks, widths, of["learners"], strict=True):
        rank.check(width)
        named = zip(kinds_of(width), parts, strict=True)
        learners.append(tuple(_learner(kind, part, len(rank.columns)) for kind, part in named))
    weights = np.asarray(of["weights"], dtype=np.float64)
    if weights.shape != (sum(map(len, learners)),):
        raise PredictionError("every learner of a saved predictor has its weight", f"{weights.shape} weights", _REMEDY)
    return FoldModel(ranks, tuple(learners), weights)


def _learner(kind: LearnerKind, part: Any, columns: int) -> Learner:
    if kind == "kernel":
        return KernelModel.restore(part, columns)
    forest = Forest(**part)
    forest.check(columns)
    return forest


def _within(numbers: np.ndarray, count: int) -> bool:
    return numbers.ndim == 1 and bool(((numbers >= 0) & (numbers < count)).all())
