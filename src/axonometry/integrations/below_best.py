"""The rule by which a search ends a training: its predicted final accuracy surely lies below the best one so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from axonometry.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

RUN = "run"
"""Under which a trial names its run folder."""


@runtime_checkable
class Predictor(Protocol):
    """What the rule needs of :class:`axonometry.predict.AccuracyPredictor`."""

    def history(self, run: str | Path, level: float = 0.9) -> pd.DataFrame:
        """A row for each complete epoch, from 1: prediction, low, high."""
        ...


@dataclass(frozen=True)
class BelowBest:
    """Whether the upper end of a run's interval was below the best accuracy for ``patience`` epochs in a row.

    Args:
        predictor: A fitted :class:`axonometry.predict.AccuracyPredictor` for regression.
        level: Confidence level of the interval: the higher, the fewer trials end early.
        startup: Completed trials before the first may end early.
        warmup: Epochs of a trial before it may end.
        patience: Epochs in a row at which the interval lies below the best value.

    Raises:
        ConfigurationError: A number makes no sense.
    """

    predictor: Predictor
    level: float = 0.9
    startup: int = 1
    warmup: int = 1
    patience: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ConfigurationError("`level` is between 0 and 1", str(self.level))
        for name in ("startup", "warmup", "patience"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"`{name}` is at least 1", str(getattr(self, name)))

    def ends(self, run: str | Path, epoch: int, completed: Sequence[float]) -> bool:
        """Whether to end a trial now.

        Args:
            run: Its folder.
            epoch: How many epochs it has reported; no more of the run are looked at.
            completed: Final accuracies of the trials that were trained to their end.

        Raises:
            PredictionError: The run lacks features that the predictor was fitted to.
            RunError: The run is corrupt.
        """
        if len(completed) < self.startup or epoch < self.warmup:
            return False
        highs = self.predictor.history(run, self.level)["high"].iloc[:epoch]
        # Only complete epochs count: NaN is not below.
        return len(highs) >= self.patience and bool((highs.iloc[-self.patience :] < max(completed)).all())
