"""A callback for Lightning.

>>> from axonometry.integrations.lightning import AxonometryCallback  # doctest: +SKIP
>>> trainer = lightning.Trainer(callbacks=[AxonometryCallback("runs/lenet", every=100)])  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

from axonometry.integrations import loop
from axonometry.integrations.names import ScalarNames

if TYPE_CHECKING:
    import torch
    from lightning.pytorch import LightningModule, Trainer


class AxonometryCallback(loop.AxonometryCallback, Callback):
    """Records a ``LightningModule``: :class:`axonometry.integrations.loop.AxonometryCallback` says what it takes.

    The network is the module itself where it is called, or the one module inside it that the training step calls. A
    step is ``trainer.global_step``; with ``every="epoch"`` an epoch, from 1, with all that was logged
    (``val_acc`` and ``val_accuracy`` are ``accuracy``, ``val_loss`` is ``loss``).
    """

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for the first batch of the network."""
        if not trainer.is_global_zero:
            self._ended = True
        if self._example is None and pl_module.example_input_array is not None:
            self._example = pl_module.example_input_array
        self._names = ScalarNames()
        self.watch(pl_module, *(module for module in pl_module.children() if any(True for _ in module.parameters())))

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Keep the weights before an update that is recorded."""
        self.before_update(trainer.global_step + 1, optimizer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record after the update, while the gradients are there."""
        self._stop_if(trainer, self.after_update(trainer.global_step, **self._names.scalars(trainer.callback_metrics)))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the epoch, which was validated before."""
        if self.every == "epoch":
            self._stop_if(
                trainer, self.record(trainer.current_epoch + 1, **self._names.scalars(trainer.callback_metrics))
            )

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the recording."""
        self.close(stopped=trainer.interrupted)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """The run stays as it is, interrupted."""
        if self.recorder is not None:
            self.__exit__(type(exception), exception, exception.__traceback__)

    @staticmethod
    def _stop_if(trainer: Trainer, stop: bool) -> None:
        trainer.should_stop = trainer.should_stop or stop
