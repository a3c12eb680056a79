"""A logger for Weights & Biases, online or offline: ``pip install 'axonometry[wandb]'``.

>>> from axonometry.integrations.wandb import WandbLogger  # doctest: +SKIP
>>> callback = AxonometryCallback("runs/a", loggers=[WandbLogger(wandb.init())])  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axonometry.errors import MissingExtraError
from axonometry.integrations.loggers import PREFIX, Histogram

STEP = f"{PREFIX}step"
"""The horizontal axis of our numbers: W&B's own step counts calls of ``log``, the loop's among them."""


class WandbLogger:
    """Scalars and ``wandb.Histogram`` in a W&B run.

    Args:
        run: What ``wandb.init`` returned.

    Raises:
        MissingExtraError: W&B is not installed.
    """

    def __init__(self, run: Any) -> None:
        try:
            import wandb
        except ImportError as error:
            missing = MissingExtraError.of("wandb", "wandb")
            raise missing from error
        self._run, self._drawn = run, wandb.Histogram
        run.define_metric(STEP)
        run.define_metric(f"{PREFIX}*", step_metric=STEP)

    def log(self, step: int, scalars: Mapping[str, float], histograms: Mapping[str, Histogram]) -> None:
        """Log one step.

        Args:
            step: Its number.
            scalars: Numbers by name.
            histograms: Histograms by name.
        """
        drawn = {name: self._drawn(np_histogram=one.arrays) for name, one in histograms.items()}
        self._run.log({STEP: step, **scalars, **drawn})
