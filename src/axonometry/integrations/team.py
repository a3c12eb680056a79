"""Several processes that train one network: one of them records, and all of them gather what is sharded."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from axonometry.trajectory.choices import as_tuple, is_sharded, known_measures, state_tensors
from axonometry.trajectory.marks import Marks


class Team:
    """What a process does that does not record, or does not any more.

    To gather a sharded tensor takes all processes, in the same order::

        process 0   record: gathers the weights, the gradients; measures; writes
        process 1   record: gathers the weights, the gradients; lets go of each at once

    A process whose disk is full goes on gathering, since the others would wait for it. Where nothing is sharded,
    nothing is done at all.

    Args:
        measures: What is recorded; it says what has to be gathered.

    Attributes:
        model: The network, once it is known.
        is_first: Whether this process records.
    """

    def __init__(self, measures: str | Iterable[str]) -> None:
        self.model: nn.Module | None = None
        self._marks = Marks(known_measures(as_tuple(measures)))
        distributed = torch.distributed
        self._several = distributed.is_available() and distributed.is_initialized()
        self.is_first = not (self._several and distributed.get_rank() > 0)

    def mark(self, optimizer: torch.optim.Optimizer | None) -> None:
        """Gather what a mark gathers.

        Args:
            optimizer: As for :meth:`axonometry.Recorder.mark`.
        """
        if self.model is not None and is_sharded(self.model):
            self._marks.mark(self.model, optimizer)

    def record(self) -> None:
        """Gather what a record gathers."""
        if self.model is not None and is_sharded(self.model):
            state_tensors(self.model)
            self._marks.taken(self.model)

    def agreed(self, stop: bool) -> bool:
        """Whether the recording process says to stop: all have to stop at the same step, or the others would wait.

        Args:
            stop: What this process says.

        >>> Team(()).agreed(True)
        True
        """
        if not self._several:
            return stop
        said: list[bool] = [stop]
        torch.distributed.broadcast_object_list(said, src=0)
        return said[0]
