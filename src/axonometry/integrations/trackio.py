"""A logger for trackio, which has W&B's face and keeps runs in a local database.

>>> from axonometry.integrations.trackio import TrackioLogger  # doctest: +SKIP
>>> callback = AxonometryCallback("runs/a", loggers=[TrackioLogger(trackio.init("project"))])  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axonometry.errors import MissingExtraError
from axonometry.integrations.loggers import Histogram


class TrackioLogger:
    """Scalars and ``trackio.Histogram`` in a trackio run.

    Args:
        run: What ``trackio.init`` returned.

    Raises:
        MissingExtraError: trackio is not installed.
    """

    def __init__(self, run: Any) -> None:
        try:
            import trackio
        except ImportError as error:
            missing = MissingExtraError.of("trackio", "trackio")
            raise missing from error
        self._run, self._drawn = run, trackio.Histogram

    def log(self, step: int, scalars: Mapping[str, float], histograms: Mapping[str, Histogram]) -> None:
        """Log one step.

        Args:
            step: Its number.
            scalars: Numbers by name.
            histograms: Histograms by name.
        """
        drawn = {name: self._drawn(np_histogram=one.arrays) for name, one in histograms.items()}
        self._run.log({**scalars, **drawn}, step=step)
