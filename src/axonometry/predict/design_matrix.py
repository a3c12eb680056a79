"""New runs in the columns that a predictor was fitted to, each predicted by what was fitted for its known epochs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from sklearn.utils.validation import check_array

from axonometry.errors import PredictionError
from axonometry.predict.feature_sets import CONFIGURATION
from axonometry.predict.features import KNOWN, Run, epochs_of, feature_table, fill_one_hot, open_runs
from axonometry.predict.horizon_model import HorizonModel

MOST_NAMED = 3
"""How many missing columns an error names."""


@dataclass(frozen=True)
class DesignMatrix:
    """Runs to be predicted.

    Attributes:
        values: A row a run, a column a column of the fit.
        known: After how many whole epochs each was read.
        names: The runs' names.
    """

    values: Float[np.ndarray, "rows columns"]
    known: Int[np.ndarray, " rows"]
    names: pd.Index

    @classmethod
    def from_table(
        cls, table: pd.DataFrame, columns: Sequence[Hashable], horizons: Mapping[int, HorizonModel]
    ) -> DesignMatrix:
        """The rows of a table with named columns.

        Args:
            table: The runs; a table that does not say how many epochs are known knows as many as were fitted.
            columns: Of the fit.
            horizons: What was fitted, by number of known epochs.

        Raises:
            PredictionError: A column is missing that a run's prediction looks at.

        >>> from axonometry.predict.ensemble import StackedEnsemble
        >>> ensemble = StackedEnsemble((), np.zeros(0, int), np.zeros((0, 1)), np.zeros((0, 1)))
        >>> table = pd.DataFrame({"epochs": [1.0, 7.0], "accuracy@2": [0.3, 0.4], "accuracy@1": [0.1, 0.2]})
        >>> models = {known: HorizonModel((np.arange(known),), ensemble) for known in (1, 2)}
        >>> matrix = DesignMatrix.from_table(table, ["accuracy@1", "accuracy@2"], models)
        >>> matrix.values.tolist(), matrix.known.tolist()
        ([[0.1, 0.3], [0.2, 0.4]], [1, 2])
        """
        most = max(horizons)
        full = np.full(len(table), float(most))
        known = np.minimum(table[KNOWN].to_numpy(dtype=float) if KNOWN in table else full, most).astype(int)
        require_columns(table, columns, [h for epochs, h in horizons.items() if epochs <= known.max(initial=0)])
        chosen = fill_one_hot(table.reindex(columns=list(columns)))
        return cls(check_array(chosen, dtype=np.float64, ensure_all_finite=False), known, table.index)

    def predict_rows(
        self,
        horizons: Mapping[int, HorizonModel],
        predict: Callable[[HorizonModel, Float[np.ndarray, "some columns"]], Float[np.ndarray, "some ..."]],
    ) -> Float[np.ndarray, "rows ..."]:
        """Each row predicted by what was fitted for its number of known epochs.

        Args:
            horizons: What was fitted, by number of known epochs.
            predict: Predictions of rows of one number of known epochs.

        Raises:
            PredictionError: A run has not a whole epoch yet, or a prediction is no number.
        """
        if (self.known < min(horizons)).any():
            came = "a run with the initial network alone"
            raise PredictionError("a prediction needs a whole epoch", came, "Wait for the run's first epoch")
        parts = {epochs: np.flatnonzero(self.known == epochs) for epochs in np.unique(self.known)}
        with np.errstate(over="ignore", invalid="ignore"):
            found = {epochs: predict(horizons[epochs], self.values[rows]) for epochs, rows in parts.items()}
        if not all(np.isfinite(one).all() for one in found.values()):
            rule = "a predictor's numbers combine to finite predictions"
            raise PredictionError(rule, "NaN or infinity", "Fit and save the predictor again")
        result = np.empty((len(self.values), *next(iter(found.values())).shape[1:]))
        for epochs, rows in parts.items():
            result[rows] = found[epochs]
        return result


def row_digests(values: Float[np.ndarray, "rows columns"]) -> list[str]:
    """The first 16 hexadecimal digits of the SHA-256 of each row's numbers.

    >>> row_digests(np.array([[0.5, 1.0], [0.5, 1.0], [0.5, np.nan]]))[:2]
    ['79eefa853821e579', '79eefa853821e579']
    """
    rows = np.where(np.isnan(values), np.nan, np.asarray(values, dtype="<f8") + 0.0)  # one NaN, one zero
    return [hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest()[:16] for row in rows]


def require_columns(table: pd.DataFrame, columns: Sequence[Hashable], horizons: Sequence[HorizonModel]) -> None:
    """A table has the columns that a prediction looks at; a text that no new run's configuration has may be missing.

    Args:
        table: The runs.
        columns: Of the fit.
        horizons: What predicts them.

    Raises:
        PredictionError: It has not.
    """
    needed = {columns[place] for horizon in horizons for view in horizon.views for place in view} - set(table.columns)
    missing = [str(name) for name in columns if name in needed and not str(name).startswith(CONFIGURATION)]
    if missing:
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        raise PredictionError(
            "runs have the features that the predictor was fitted to",
            f"runs without {', '.join(missing[:MOST_NAMED])}{more}",
            "Fit it with per_group=False for networks of another architecture, or record the same measures, "
            "or: axonometry runs measure FOLDER --measure NAME",
        )


def epoch_by_epoch(run: Run, epochs: int, *, per_group: bool, features: str) -> pd.DataFrame:
    """One run as it was known after each of its epochs so far, a row an epoch.

    Args:
        run: The run, or its folder.
        epochs: The most that are looked at.
        per_group: Whether neuron groups have columns of their own.
        features: The feature set.

    Raises:
        PredictionError: The run has not a whole epoch yet.
        RunError: The run is damaged.
    """
    (opened,) = open_runs(run)
    reached = min(epochs, epochs_of(opened))
    if reached < 1:
        raise PredictionError("a prediction needs a whole epoch", f"{opened.folder} without", "Wait for its first")
    table = feature_table(opened, epochs=reached, per_group=per_group, features=features)
    return pd.concat([table.assign(**{KNOWN: float(known)}) for known in range(1, reached + 1)])
