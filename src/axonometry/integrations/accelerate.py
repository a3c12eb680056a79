"""A callback for loops with Hugging Face's Accelerate.

>>> from axonometry.integrations.accelerate import AxonometryCallback  # doctest: +SKIP
>>> with AxonometryCallback("runs/lenet", accelerator=accelerator, every=100) as callback:  # doctest: +SKIP
...     callback.watch(model)
...     for inputs, labels in batches:
...         with accelerator.accumulate(model):
...             loss = loss_of(model(inputs), labels)
...             accelerator.backward(loss)
...             callback.before_step(optimizer)
...             optimizer.step()
...             if callback.after_step(loss=loss):
...                 break
...             optimizer.zero_grad()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axonometry.integrations import loop

if TYPE_CHECKING:
    from accelerate import Accelerator


class AxonometryCallback(loop.AxonometryCallback):
    """Records a prepared model: :class:`axonometry.integrations.loop.AxonometryCallback` says what else it takes.

    Steps are those in which gradients were synchronised: a step of the optimizer counts once however many batches its
    gradients are gathered from. The main process records.

    Args:
        folder: The run's folder.
        accelerator: The loop's.
        choices: As for the callback of plain loops.
    """

    def __init__(self, folder: Any, *, accelerator: Accelerator, **choices: Any) -> None:
        super().__init__(folder, **choices)
        self._accelerator, self._steps = accelerator, 0
        self._ended = self._ended or not accelerator.is_main_process

    def before_step(self, optimizer: Any = None) -> None:
        """Before ``optimizer.step()``: keep the weights where the step is recorded.

        Args:
            optimizer: The prepared optimizer, for measures of its second moments.
        """
        if self._accelerator.sync_gradients:
            self.before_update(self._steps + 1, getattr(optimizer, "optimizer", optimizer))

    def after_step(self, **scalars: Any) -> bool:
        """After ``optimizer.step()``, before gradients are zeroed: record, where the step is due.

        Args:
            **scalars: Numbers that belong to the step.

        Returns:
            Whether to stop training.
        """
        if not self._accelerator.sync_gradients:
            return self.stopped
        self._steps += 1
        return self.after_update(self._steps, **scalars)
