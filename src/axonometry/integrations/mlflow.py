"""A logger for MLflow: ``pip install 'axonometry[mlflow]'``.

MLflow has metrics and no histograms: these are one JSON artifact a step, ``axonometry/histograms/STEP.json``.

>>> from axonometry.integrations.mlflow import MlflowLogger  # doctest: +SKIP
>>> with mlflow.start_run() as run:  # doctest: +SKIP
...     callback = AxonometryCallback("runs/a", loggers=[MlflowLogger(run.info.run_id)])
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from axonometry.errors import MissingExtraError
from axonometry.integrations.loggers import PREFIX, Histogram

if TYPE_CHECKING:
    from mlflow import MlflowClient

_AT_ONCE = 1000  # metrics a request, MLflow's limit
_FORBIDDEN = re.compile(r"[^\w\-. :/]")


class MlflowLogger:
    """Scalars as metrics of an MLflow run, histograms as an artifact.

    Args:
        run_id: The run's.
        client: For another tracking server than ``mlflow.set_tracking_uri`` says.

    Raises:
        MissingExtraError: MLflow is not installed.
    """

    def __init__(self, run_id: str, client: MlflowClient | None = None) -> None:
        try:
            from mlflow import MlflowClient
            from mlflow.entities import Metric
        except ImportError as error:
            missing = MissingExtraError.of("mlflow", "mlflow")
            raise missing from error
        self._run_id, self._client, self._metric = run_id, MlflowClient() if client is None else client, Metric

    def log(self, step: int, scalars: Mapping[str, float], histograms: Mapping[str, Histogram]) -> None:
        """Log one step; numbers that are not finite are left out, as some of MLflow's stores refuse them.

        Args:
            step: Its number.
            scalars: Numbers by name.
            histograms: Histograms by name.
        """
        now = int(time.time() * 1000)
        metrics = [
            self._metric(_FORBIDDEN.sub("_", name), value, now, step)
            for name, value in scalars.items()
            if math.isfinite(value)
        ]
        for begin in range(0, len(metrics), _AT_ONCE):
            self._client.log_batch(self._run_id, metrics=metrics[begin : begin + _AT_ONCE])
        if histograms:
            content = {name: asdict(one) for name, one in histograms.items()}
            self._client.log_dict(self._run_id, content, f"{PREFIX}histograms/{step}.json")
