"""A logger for TensorBoard: ``pip install 'axonometry[tensorboard]'``.

>>> from axonometry.integrations.tensorboard import TensorBoardLogger  # doctest: +SKIP
>>> writer = SummaryWriter("logs")  # doctest: +SKIP
>>> callback = AxonometryCallback("runs/a", loggers=[TensorBoardLogger(writer)])  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from axonometry.integrations.loggers import Histogram

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoardLogger:
    """Scalars and histograms in TensorBoard's own types.

    Args:
        writer: An open ``SummaryWriter``, Lightning's ``logger.experiment`` among them.
    """

    def __init__(self, writer: SummaryWriter) -> None:
        self._writer = writer

    def log(self, step: int, scalars: Mapping[str, float], histograms: Mapping[str, Histogram]) -> None:
        """Log one step.

        Args:
            step: Its number.
            scalars: Numbers by name.
            histograms: Histograms by name.
        """
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)
        for name, one in histograms.items():
            self._writer.add_histogram_raw(
                name,
                min=one.edges[0],
                max=one.edges[-1],
                num=sum(one.counts),
                sum=one.total,
                sum_squares=one.squares,
                bucket_limits=one.edges[1:],
                bucket_counts=one.counts,
                global_step=step,
            )
        self._writer.flush()
