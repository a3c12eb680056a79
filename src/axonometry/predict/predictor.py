"""The final accuracy of a network from its first epochs: a scikit-learn estimator on run folders."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from axonometry.arguments import argument_errors
from axonometry.predict.design_matrix import DesignMatrix, epoch_by_epoch, row_digests
from axonometry.predict.ensemble import fit_ensemble
from axonometry.predict.feature_sets import DEFAULT_FEATURES
from axonometry.predict.features import Run, RunTable, feature_table, read_runs
from axonometry.predict.folds import fold_numbers
from axonometry.predict.horizon_model import HorizonModel, view_indices
from axonometry.predict.inputs import (
    check_choices,
    check_groups,
    class_indicators,
    class_thresholds,
    is_named,
    numbers_of_runs,
    probabilities,
    runs_of,
    training_data,
)
from axonometry.predict.stopping import StopBelow

if TYPE_CHECKING:
    from sklearn.utils import Tags


def _is(task: str) -> Callable[[AccuracyPredictor], bool]:
    return lambda predictor: predictor.task == task


@argument_errors
class AccuracyPredictor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Predicts how accurate networks become from what is known after a few epochs.

    It is fitted to finished runs and applied to runs that have just begun; runs are folders or
    :class:`axonometry.Trajectory`. Inside are forests of randomised trees and kernel ridge regression on ranked
    features, combined by their errors on configurations that they did not see
    (:class:`axonometry.predict.ensemble.StackedEnsemble`). One model is fitted for each number of known epochs from 1
    to ``epochs``; a run under way gets the latest that it has the epochs for.

    It also takes tables: those of :func:`axonometry.predict.feature_table`, of which it uses the columns of
    ``features``, and any other numeric table, of which it uses all columns.

    >>> accuracy = np.linspace(0.1, 0.9, 40)
    >>> seen = pd.DataFrame({"accuracy@1": accuracy - 0.05})
    >>> predictor = AccuracyPredictor("curve", epochs=1, trees=5).fit(seen, accuracy)
    >>> predictor.predict_interval(pd.DataFrame({"accuracy@1": [0.5]}), level=0.9).round(2).to_dict("list")
    {'prediction': [0.55], 'low': [0.5...], 'high': [0.5...]}

    Args:
        features: A feature set, or several joined by +; see ``axonometry.predict.FEATURE_SETS``.
        epochs: The most epochs that are looked at.
        task: ``"regression"`` predicts the final accuracy, ``"classification"`` its class, 0 for the lowest.
        classes: Of classification: into how many classes of equal size the training runs fall, 2 for above or below
            the median; or the accuracies at which a new class begins.
        per_group: Whether every neuron group has features of its own; False serves any architecture; None is True
            where all training runs are of one.
        folds: Into how many folds the training runs are cut.
        trees: Of each forest, of which there is one a fold and view.
        random_state: Seed of folds and trees.

    Attributes:
        models_: By number of known epochs, what was fitted.
        columns_: Names of the columns; numbers for a table without.
        per_group_: Whether neuron groups have features of their own.
        digests_: A digest of every training run's row, by which the run is known again.
        thresholds_: Of classification: the accuracies at which a new class begins.
        classes_: Of classification: the classes' numbers.
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's estimators say all their choices at construction
        self,
        features: str = DEFAULT_FEATURES,
        epochs: int = 5,
        *,
        task: Literal["regression", "classification"] = "regression",
        classes: int | Sequence[float] = 2,
        per_group: bool | None = None,
        folds: int = 5,
        trees: int = 40,
        random_state: int = 0,
    ) -> None:
        self.features = features
        self.epochs = epochs
        self.task = task
        self.classes = classes
        self.per_group = per_group
        self.folds = folds
        self.trees = trees
        self.random_state = random_state

    def fit(self, runs: Any, y: Any = None, groups: Iterable[Hashable] | None = None) -> AccuracyPredictor:
        """Learn from runs.

        Args:
            runs: Run folders, runs, a :class:`RunTable` or a table.
            y: The final accuracies, in the runs' order; None for those that the runs recorded last.
            groups: Runs of one group stand on one side of every fold. None for the runs' configurations without
                their seeds; of a table, every row is a group.

        Returns:
            This predictor.

        Raises:
            PredictionError: There are too few runs, or features are missing.
            RunError: A run is damaged or has not come so far.
        """
        choices = self.get_params(deep=False)
        check_choices(choices)
        table, y, groups, self.per_group_ = training_data(runs, y, groups, choices)
        values, y = self._checked(table, y)
        self.digests_ = row_digests(values)
        groups = check_groups(groups, len(y), self.folds)
        targets = self._targets(y)
        fold_of = fold_numbers(groups, self.folds, self.random_state)
        self.models_ = {}
        for epochs, views in view_indices(self.columns_, self.features, self.epochs, named=self.named_).items():
            seen = [values[:, view] for view in views]
            ensemble = fit_ensemble(seen, targets, fold_of, trees=self.trees, seed=self.random_state)
            self.models_[epochs] = HorizonModel(views, ensemble)
        self.bounds_ = (0.0, 1.0) if y.min() >= 0 and y.max() <= 1 else (-np.inf, np.inf)
        return self

    def predict(self, runs: Any) -> Float[np.ndarray, " rows"] | Int[np.ndarray, " rows"]:
        """The final accuracy of each run, or the number of its class.

        Args:
            runs: As for :meth:`fit`; they may be under way.

        Raises:
            PredictionError: A run has not a whole epoch yet, or features are missing.
            RunError: A run is damaged.
        """
        if self.task == "classification":
            return self.predict_proba(runs).argmax(axis=1)
        return self._rows(runs).predict_rows(self.models_, lambda horizon, rows: horizon.predict(rows)[:, 0])

    @available_if(_is("classification"))  # type: ignore[untyped-decorator]
    @argument_errors
    def predict_proba(self, runs: Any) -> Float[np.ndarray, "rows classes"]:
        """The probability of each class.

        Args:
            runs: As for :meth:`predict`.

        Raises:
            PredictionError: As for :meth:`predict`.
            RunError: A run is damaged.
        """
        return probabilities(self._rows(runs).predict_rows(self.models_, HorizonModel.predict))

    @available_if(_is("regression"))  # type: ignore[untyped-decorator]
    @argument_errors
    def predict_interval(self, runs: Any, level: float = 0.9) -> pd.DataFrame:
        """The final accuracy of each run with its interval (:func:`axonometry.predict.spread.relative_cv_plus`).

        It is as wide as runs of such a prediction are uncertain: narrow for dead runs, wide in the middle.

        Args:
            runs: As for :meth:`predict`.
            level: Part of new runs, of configurations drawn as the training runs' were, that shall lie inside.

        Returns:
            A row a run: prediction, low, high; inside 0 to 1 where all training accuracies are.

        Raises:
            PredictionError: There were too few training runs for the level; or as for :meth:`predict`.
            RunError: A run is damaged.
        """
        new = self._rows(runs)
        found = new.predict_rows(self.models_, lambda horizon, rows: horizon.interval(rows, level))
        found[:, 1:] = found[:, 1:].clip(*self.bounds_)
        return pd.DataFrame(found, index=new.names, columns=["prediction", "low", "high"])

    @available_if(_is("regression"))  # type: ignore[untyped-decorator]
    @argument_errors
    def history(self, run: Run, level: float = 0.9) -> pd.DataFrame:
        """What would have been predicted for one run after every epoch so far.

        Args:
            run: A run, or its folder.
            level: As for :meth:`predict_interval`.

        Returns:
            A row an epoch, from 1: prediction, low, high.

        Raises:
            PredictionError: The run has not a whole epoch yet.
            RunError: The run is damaged.
        """
        check_is_fitted(self)
        table = epoch_by_epoch(run, self.epochs, per_group=self.per_group_, features=self.features)
        return self.predict_interval(table, level).set_axis(pd.Index(range(1, len(table) + 1), name="epoch"))

    @available_if(_is("regression"))  # type: ignore[untyped-decorator]
    @argument_errors
    def stop_below(self, threshold: float, level: float = 0.9) -> StopBelow:
        """A callback that says when a run under way is not worth going on with.

        Args:
            threshold: An accuracy that the run shall reach.
            level: Confidence level of the interval, whose upper end must lie below the threshold.
        """
        return StopBelow(self, threshold, level)

    def score(self, runs: Any, y: Any = None, sample_weight: Any = None) -> float:
        """R2 of the predicted accuracies; the share of right classes for classification.

        Args:
            runs: As for :meth:`predict`.
            y: The final accuracies; None for those that the runs recorded last.
            sample_weight: What each run counts.

        Raises:
            PredictionError: As for :meth:`predict`.
            RunError: A run is damaged.
        """
        from sklearn.metrics import accuracy_score, r2_score

        if y is None:
            table = runs if isinstance(runs, RunTable) else read_runs(runs, epochs=0, features="last-accuracy")
            y = table.final_accuracy
        found = self.predict(runs)
        with numbers_of_runs():
            if self.task == "classification":
                right = np.digitize(np.asarray(y, dtype=float), self.thresholds_)
                return float(accuracy_score(right, found, sample_weight=sample_weight))
            return float(r2_score(y, found, sample_weight=sample_weight))

    def was_trained_on(self, runs: Any) -> Bool[np.ndarray, " rows"]:
        """Whether each run is one that the predictor was fitted to, as it was then.

        Args:
            runs: As for :meth:`predict`.

        Returns:
            False for all where the predictor was saved by a version that did not note them.

        Raises:
            PredictionError: As for :meth:`predict`.
            RunError: A run is damaged.
        """
        known = set(getattr(self, "digests_", ()))
        return np.array([digest in known for digest in row_digests(self._rows(runs).values)], dtype=bool)

    def save(self, path: str | Path) -> None:
        """Write the fitted predictor to a file that holds numbers and texts alone.

        Args:
            path: The file.
        """
        from axonometry.predict.files import save_predictor

        save_predictor(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> AccuracyPredictor:
        """Read what :meth:`save` wrote; nothing in the file is run, and a file that was changed is refused.

        Args:
            path: The file.

        Raises:
            PredictionError: The file is not a saved predictor, is corrupt, or is of a newer format.
        """
        from axonometry.predict.files import load_predictor

        loaded: AccuracyPredictor = load_predictor(Path(path), cls)
        return loaded

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "models_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        if self.task == "classification":  # of accuracies, not of labels: no classifier of scikit-learn's
            tags.estimator_type, tags.regressor_tags = None, None
        return tags

    def _checked(self, table: Any, y: Any) -> tuple[Float[np.ndarray, "rows columns"], Float[np.ndarray, " rows"]]:
        self.named_ = is_named(table)
        with numbers_of_runs():
            values, y = validate_data(
                self, table, y, dtype=np.float64, ensure_all_finite=False, y_numeric=True, ensure_min_samples=1
            )
        self.columns_ = [str(name) for name in table.columns] if self.named_ else list(range(values.shape[1]))
        return values, np.asarray(y, dtype=np.float64)

    def _targets(self, y: Float[np.ndarray, " rows"]) -> Float[np.ndarray, "rows targets"]:
        if self.task == "regression":
            return y[:, None]
        self.thresholds_ = class_thresholds(self.classes, y)
        self.classes_ = np.arange(len(self.thresholds_) + 1)
        return class_indicators(y, self.thresholds_)

    def _rows(self, runs: Any) -> DesignMatrix:
        """New runs, or a table of them, in the columns of the fit."""
        check_is_fitted(self)
        if given := runs_of(runs):
            runs = feature_table(
                given, epochs=self.epochs, per_group=self.per_group_, features=self.features, under_way=True
            )
        runs = runs.features if isinstance(runs, RunTable) else runs
        if self.named_ and isinstance(runs, pd.DataFrame):
            return DesignMatrix.from_table(runs, self.columns_, self.models_)
        with numbers_of_runs():
            values = validate_data(self, runs, dtype=np.float64, ensure_all_finite=False, reset=False)
        return DesignMatrix(
            values, np.full(len(values), self.epochs), getattr(runs, "index", pd.RangeIndex(len(values)))
        )
