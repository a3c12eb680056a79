"""Stopping a run that will not become good enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pandas as pd

from axonometry.predict.features import Run, epochs_of, open_runs
from axonometry.trajectory import Recorder, Trajectory


@runtime_checkable
class PredictsIntervals(Protocol):
    """A fitted :class:`axonometry.AccuracyPredictor` of regression."""

    def predict_interval(self, runs: list[Trajectory], level: float = ...) -> pd.DataFrame:
        """Prediction, low and high end for each run."""
        ...


@dataclass(frozen=True)
class StopBelow:
    """Says whether to stop a run: True once the upper end of its predicted interval lies below the threshold.

    Attributes:
        predictor: Of regression, fitted.
        threshold: An accuracy that the run shall reach.
        level: Confidence level of the interval.

    >>> stop = predictor.stop_below(0.8)  # doctest: +SKIP
    >>> for epoch in range(1, 11):  # doctest: +SKIP
    ...     recorder.record(epoch, accuracy=train_one_epoch(model))
    ...     if stop(recorder):
    ...         recorder.close(stopped=True)  # else a predictor would take its accuracy for the final one
    ...         break
    """

    predictor: PredictsIntervals
    threshold: float
    level: float = 0.9

    def __call__(self, run: Run | Recorder) -> bool:
        """Whether to stop; False before the first whole epoch.

        Args:
            run: A run, its folder, or the recorder that writes it.

        Raises:
            RunError: The run is damaged, or was recorded without what the predictor needs.
        """
        (opened,) = open_runs(run.folder if isinstance(run, Recorder) else run)
        if not opened.steps or epochs_of(opened) < 1:
            return False
        return bool(self.predictor.predict_interval([opened], self.level)["high"].iloc[0] < self.threshold)
