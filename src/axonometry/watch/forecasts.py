"""The predicted final accuracy of runs that are followed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from axonometry.errors import AxonometryError, PredictionError

if TYPE_CHECKING:
    from axonometry.predict import AccuracyPredictor

LEVEL = 0.9
"""Confidence level of the intervals."""


@dataclass(frozen=True)
class Forecast:
    """A predicted final accuracy.

    Attributes:
        prediction: The accuracy.
        low: Lower end of its interval.
        high: Upper end.
        epochs: After how many whole epochs it was made.
        final: Whether the predictor looks at no later epochs.
    """

    prediction: float
    low: float
    high: float
    epochs: int
    final: bool


class Forecaster:
    """Predicts with a fitted predictor.

    Args:
        path: Its file.

    Raises:
        PredictionError: The file holds no predictor of accuracies.
    """

    def __init__(self, path: Path) -> None:
        from axonometry.predict import AccuracyPredictor

        self._predictor: AccuracyPredictor = AccuracyPredictor.load(path)
        if self._predictor.task != "regression":
            raise PredictionError(f"{path} is a classifier", "", "Fit one with: axonometry predict fit")

    def forecast(self, folder: Path) -> Forecast | str:
        """The prediction for a run as it is on disk now, or why there is none."""
        from axonometry.predict.features import epochs_of
        from axonometry.trajectory.run import load

        try:
            run = load(folder)
            epochs = min(epochs_of(run), self._predictor.epochs)
            if epochs < 1:
                return "no whole epoch yet"
            prediction, low, high = self._predictor.predict_interval([run], LEVEL).iloc[0]
        except AxonometryError as error:
            return str(error)
        except OSError as error:  # deleted at this instant
            return str(error.strerror)
        return Forecast(float(prediction), float(low), float(high), epochs, epochs >= self._predictor.epochs)
