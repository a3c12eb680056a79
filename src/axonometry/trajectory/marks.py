"""What a recorder keeps between records for measures of gradients and updates, and only for these."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from axonometry.metrics import TrainingState, gradients, second_moments
from axonometry.metrics.catalogue import needing_training
from axonometry.trajectory.choices import state_tensors

_ZEROED = (
    "no gradients to measure: they were zeroed before the record, or backward was not called; their measures are NaN "
    "at such steps. Call record before optimizer.zero_grad()"
)


class Marks:
    """The weights before the last update, and the optimizer.

    Args:
        measures: What is recorded; of nothing that needs it, nothing is kept.
    """

    def __init__(self, measures: Iterable[str]) -> None:
        names = needing_training(measures)
        self._needed = bool(names)
        self._updates = any(name.startswith("update") for name in names)
        self._gradients = any(name.startswith("gradient.") for name in names)
        self._before: Mapping[str, Tensor] | None = None
        self._optimizer: torch.optim.Optimizer | None = None
        self._warned = False

    def mark(self, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> None:
        """Keep the weights as they are now, where an update is measured."""
        self._optimizer = optimizer or self._optimizer
        if self._updates:
            self._before = {name: tensor.clone() for name, tensor in state_tensors(model).items()}

    def keep(self, state: Mapping[str, Tensor]) -> None:
        """Keep weights that were copied already; the next update is measured from them, unless there is a mark."""
        if self._updates:
            self._before = state

    def taken(self, model: nn.Module) -> TrainingState | None:
        """What training did up to now; None where nothing of it is measured."""
        if not self._needed:
            return None
        found = gradients(model)
        if self._gradients and not found and not self._warned:
            self._warned = True
            warnings.warn(_ZEROED, stacklevel=4)
        moments = second_moments(model, self._optimizer) if self._optimizer is not None else None
        return TrainingState(found or None, self._before, moments)
