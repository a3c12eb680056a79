"""A callback for Keras 3 on torch.

>>> from axonometry.integrations.keras import AxonometryCallback  # doctest: +SKIP
>>> model.fit(inputs, labels, callbacks=[AxonometryCallback("runs/lenet")])  # doctest: +SKIP
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

from axonometry.errors import ConfigurationError
from axonometry.integrations import loop
from axonometry.integrations.names import ScalarNames

os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras' own default is TensorFlow, whose absence is an error
import keras


class KerasNetwork(nn.Module):
    """A Keras model as a module whose parameters are the model's own, under their paths in it.

    ``torch.export`` sees the variables of a Keras model as constants; here they are parameters:
    ``sequential/dense/kernel`` is ``sequential.dense.kernel``.

    Args:
        model: A built Keras model, on the torch backend.

    Raises:
        ConfigurationError: The backend is another one.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        if keras.backend.backend() != "torch":
            came = keras.backend.backend()
            raise ConfigurationError("networks are read on Keras' torch backend", came, "Set KERAS_BACKEND=torch")
        self._held = [model]  # in a list: the model's own parameters are registered below, once
        for variable in (*model.trainable_variables, *model.non_trainable_variables):
            *path, name = _path(variable)
            place: nn.Module = self
            for part in path:
                if part not in place._modules:
                    place.add_module(part, nn.Module())
                place = place.get_submodule(part)
            value = variable.value
            if variable.trainable and isinstance(value, nn.Parameter):
                place.register_parameter(name, value)
            else:
                place.register_buffer(name, value.detach())

    def forward(self, *inputs: Tensor) -> Any:
        """What the model computes when it does not train."""
        model = self._held[0]
        states = [[self._now(one) for one in of] for of in (model.trainable_variables, model.non_trainable_variables)]
        given = inputs[0] if len(inputs) == 1 else list(inputs)
        outputs, _ = model.stateless_call(*states, given, training=False)
        return outputs

    def _now(self, variable: Any) -> Any:
        *path, name = _path(variable)
        return getattr(self.get_submodule(".".join(path)), name)


class AxonometryCallback(loop.AxonometryCallback, keras.callbacks.Callback):  # type: ignore[misc]  # it has no types
    """Records a Keras model: :class:`axonometry.integrations.loop.AxonometryCallback` says what it takes.

    A step is a batch, from 1; with ``every="epoch"`` an epoch, from 1, with its logs (``val_accuracy`` is
    ``accuracy``, and ``accuracy`` is ``train_accuracy``).
    """

    def on_train_begin(self, logs: Any = None) -> None:
        """Capture the model from the shape that it was built for."""
        self._batches = 0
        self._names = ScalarNames(plain_is_training=True)
        if self._example is None:
            dtype = getattr(torch, str(self.model.inputs[0].dtype))
            shapes = [[1, *(size or 1 for size in one.shape[1:])] for one in self.model.inputs]
            self._example = tuple(torch.zeros(shape, dtype=dtype) for shape in shapes)
        self.watch(KerasNetwork(self.model))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Keep the weights before an update that is recorded."""
        self.before_update(self._batches + 1)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Record after the update."""
        self._batches += 1
        self._stop_if(self.after_update(self._batches, **self._names.scalars(logs or {})))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Record the epoch, which was validated before."""
        if self.every == "epoch":
            self._stop_if(self.record(epoch + 1, **self._names.scalars(logs or {})))

    def on_train_end(self, logs: Any = None) -> None:
        """End the recording."""
        self.close(stopped=self.stopped)

    def _stop_if(self, stop: bool) -> None:
        self.model.stop_training = self.model.stop_training or stop


def _path(variable: Any) -> list[str]:
    return [part.replace(".", "_") for part in variable.path.split("/")]
