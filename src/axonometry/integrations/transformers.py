"""A callback for the Trainer of Hugging Face's Transformers.

>>> from axonometry.integrations.transformers import AxonometryCallback  # doctest: +SKIP
>>> trainer = Trainer(model, arguments, ..., callbacks=[AxonometryCallback("runs/gpt2", every=100)])  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from axonometry.integrations import loop
from axonometry.integrations.names import ScalarNames

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments


class AxonometryCallback(loop.AxonometryCallback, TrainerCallback):
    """Records the model of a ``Trainer``: :class:`axonometry.integrations.loop.AxonometryCallback` says what it takes.

    A step is ``state.global_step``, an optimizer step; with ``every="epoch"`` an epoch, from 1. What the trainer logged
    last belongs to it (``loss`` is ``train_loss`` here), and with ``every="epoch"`` its evaluation (``eval_accuracy``
    is ``accuracy``, ``eval_loss`` is ``loss``). A training that is resumed from a checkpoint resumes the run, at the
    checkpoint's step or later.
    """

    def __init__(self, folder: Any, **choices: Any) -> None:
        super().__init__(folder, **choices)
        self._logged: dict[str, Any] = {}
        self._pending: int | None = None
        self._names = ScalarNames(plain_is_training=True)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Wait for the first batch of the model."""
        if not state.is_world_process_zero:
            self._ended = True
        if state.global_step > 0:
            self._options.setdefault("resume", True)
        self.watch(given["model"])

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Keep the weights before an update that is recorded."""
        optimizer = given.get("optimizer")
        self.before_update(state.global_step + 1, getattr(optimizer, "optimizer", optimizer))

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Record after the update, while the gradients are there."""
        self._stop_if(control, self.after_update(state.global_step + 1, **self._scalars()))

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **given: Any
    ) -> None:
        """Keep what was logged for the next record."""
        self._logged |= logs or {}

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Record the epoch, once it has been evaluated."""
        if self.every == "epoch":
            self._pending = round(state.epoch or 0)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: Any = None, **given: Any
    ) -> None:
        """The evaluation of the epoch that has just ended."""
        self._logged |= metrics or {}
        self._flush(control)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """An epoch that was not evaluated is recorded before the next one."""
        self._flush(control)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """End the recording; a training that was stopped before its last step counts as stopped."""
        self._flush(control)
        self.close(stopped=state.global_step < state.max_steps)

    def _flush(self, control: TrainerControl) -> None:
        if self._pending is not None:
            step, self._pending = self._pending, None
            self._stop_if(control, self.record(step, **self._scalars()))

    def _scalars(self) -> dict[str, Any]:
        return self._names.scalars(self._logged)

    @staticmethod
    def _stop_if(control: TrainerControl, stop: bool) -> None:
        control.should_training_stop = control.should_training_stop or stop
