"""A callback for skorch.

>>> from axonometry.integrations.skorch import AxonometryCallback  # doctest: +SKIP
>>> net = skorch.NeuralNetClassifier(Net, callbacks=[AxonometryCallback("runs/lenet")])  # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skorch.callbacks import Callback

from axonometry.integrations import loop
from axonometry.integrations.names import ScalarNames


class AxonometryCallback(loop.AxonometryCallback, Callback):  # type: ignore[misc]  # it has no types
    """Records the module of a skorch net: :class:`axonometry.integrations.loop.AxonometryCallback` says what it takes.

    A step is a batch of training, from 1; with ``every="epoch"`` an epoch, from 1, with the numbers of the net's
    history (``valid_acc`` is ``accuracy``, ``valid_loss`` is ``loss``). One net, one folder: of a grid search every net
    needs its own.
    """

    def __init__(self, folder: str | Path, **choices: Any) -> None:
        super().__init__(folder, **choices)
        self._choices = {"folder": folder, **choices}
        self._batches = 0
        self._names = ScalarNames()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """What the callback was made of, for scikit-learn's ``clone``."""
        return dict(self._choices)

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **_: Any) -> None:
        """Wait for the first batch of the network."""
        self.watch(net.module_)

    def on_grad_computed(self, net: Any, named_parameters: Any, X: Any = None, y: Any = None, **_: Any) -> None:
        """Keep the weights before an update that is recorded."""
        self.before_update(self._batches + 1, net.optimizer_)

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **_: Any) -> None:
        """Record after the update, while the gradients are there."""
        if training:
            self._batches += 1
            self._stop_if(self.after_update(self._batches, **self._scalars(net.history[-1, "batches", -1])))

    def on_epoch_end(self, net: Any, **_: Any) -> None:
        """Record the epoch, which was validated before."""
        if self.every == "epoch":
            self._stop_if(self.record(len(net.history), **self._scalars(net.history[-1])))

    def on_train_end(self, net: Any, **_: Any) -> None:
        """End the recording; a net that was stopped before its epochs counts as stopped early."""
        self.close(stopped=len(net.history) < net.max_epochs)

    def _scalars(self, row: dict[str, Any]) -> dict[str, Any]:
        numbers = {name: value for name, value in row.items() if isinstance(value, float) and name != "dur"}
        return self._names.scalars(numbers)

    @staticmethod
    def _stop_if(stop: bool) -> None:
        if stop:
            raise KeyboardInterrupt  # how skorch's own early stopping ends a training
