"""What the callbacks of all frameworks share: capturing at the first batch, recording every so many steps, stopping.

In a loop of your own it is the callback itself:

>>> import tempfile
>>> import torch
>>> from axonometry.trajectory import load
>>> model, folder = torch.nn.Linear(3, 2), tempfile.TemporaryDirectory()
>>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
>>> with AxonometryCallback(f"{folder.name}/run", measures=["update_ratio"], every=2) as callback:
...     callback.watch(model)
...     for step in range(1, 7):
...         model(torch.randn(8, 3)).sum().backward()
...         callback.before_update(step, optimizer)
...         optimizer.step()
...         stop = callback.after_update(step, loss=0.5)
...         optimizer.zero_grad()
>>> load(f"{folder.name}/run").steps
(2, 4, 6)
>>> folder.cleanup()
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import torch
from torch import Tensor, nn

from axonometry.errors import ConfigurationError, RunError
from axonometry.integrations.loggers import Logger, log_step
from axonometry.integrations.team import Team
from axonometry.program import capture
from axonometry.program.readings.samples import Samples
from axonometry.program.untouched import unwrapped
from axonometry.trajectory import Recorder
from axonometry.trajectory.choices import is_sharded
from axonometry.trajectory.recorder import MEASURES

Stop = Callable[[Recorder], bool]
"""Says whether to stop a run, as ``predictor.stop_below(0.8)`` does."""
LABELS = ("labels", "label", "targets", "start_positions", "end_positions")
"""Inputs by name that are for the loss alone."""


class AxonometryCallback:
    """Records a network while any loop trains it; every framework's callback is one of these.

    The network is captured from the first batch that it sees. A folder that cannot be written any more, such as on a
    full disk, ends the recording with one warning, and never the training. Of several processes that train one
    network, the first one records; each of them makes the same calls. A network that is sharded (``fully_shard``) is
    watched before, with ``example``.

    Args:
        folder: The run's folder.
        measures: As for :class:`axonometry.Recorder`.
        every: Record every so many optimizer steps; ``"epoch"`` for every epoch.
        layers: As for :class:`axonometry.Recorder`.
        samples: As for :class:`axonometry.Recorder`.
        stop_below: Called with the recorder after every record; where it says true, training is stopped.
        loggers: Where each record's numbers and histograms go besides, such as
            :class:`axonometry.integrations.tensorboard.TensorBoardLogger`. One that fails is one warning, and is left
            out from then on.
        example: Example inputs: a tensor, a tuple, or a mapping of inputs by name. The first sample of the first
            batch where None.
        options: Further arguments of :class:`axonometry.Recorder`: ``configuration``, ``planned_steps``, ``network``,
            ``keep_weights``, ``resume``.

    Attributes:
        recorder: What writes the run, once the network was captured.
        stopped: Whether ``stop_below`` said to stop.
        seconds: What recording took so far, capture apart.

    Raises:
        ConfigurationError: ``every`` is neither a number from 1 nor "epoch"; or the network is sharded already.
    """

    def __init__(  # noqa: PLR0913 - the same choices in every framework
        self,
        folder: str | Path,
        *,
        measures: str | Iterable[str] = MEASURES,
        every: int | str = "epoch",
        layers: str | Iterable[str] | None = None,
        samples: Samples | None = None,
        stop_below: Stop | None = None,
        loggers: Iterable[Logger] = (),
        example: Any = None,
        **options: Any,
    ) -> None:
        whole = isinstance(every, int) and not isinstance(every, bool) and every >= 1
        if not whole and every != "epoch":
            raise ConfigurationError("`every` is a number of steps from 1, or 'epoch'", repr(every))
        super().__init__()  # a framework's own callback may follow
        self.folder, self.every, self.stop_below = Path(folder), every, stop_below
        self.recorder: Recorder | None = None
        self.stopped = False
        self.seconds = 0.0
        self._options = {"measures": measures, "layers": layers, "samples": samples, **options}
        self._example, self._loggers = example, list(loggers)
        self._hooks: list[Any] = []
        self._team = Team(measures)
        self._ended = not self._team.is_first

    # capture ------------------------------------------------------------------------------------------------------

    def watch(self, model: nn.Module, *others: nn.Module) -> None:
        """Record this network: now where there is an example, or from the first batch that it sees.

        Args:
            model: The network.
            *others: Networks inside it, one of which is recorded where the model itself is never called.

        Raises:
            ConfigurationError: It is sharded already.
        """
        self._team.model = unwrapped(model)
        if is_sharded(self._team.model) and self._example is None:
            rule = "a network is watched, with example=, before it is sharded"
            raise ConfigurationError(rule, "sharded parameters", "Call watch(model) before fully_shard(model)")
        if self._ended or self.recorder is not None or self._hooks:
            return
        if self._example is not None:
            given = self._example
            self._begin(model, () if isinstance(given, Mapping) else _as_tuple(given), given)
            return
        # Of a wrapper (DDP, torch.compile) the hook is outside, where no compiled graph has to hold it.
        self._hooks = [one.register_forward_pre_hook(self._seen, with_kwargs=True) for one in (model, *others)]

    def _seen(self, model: nn.Module, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        if not torch.compiler.is_compiling() and self._hooks:
            self._unhook()
            kept = {name: value for name, value in named.items() if name not in LABELS and value is not None}
            self._begin(model, *first_rows(given, kept))

    def _begin(self, model: nn.Module, given: tuple[Any, ...], named: Any) -> None:
        inner, keywords = unwrapped(model), dict(named) if isinstance(named, Mapping) else {}
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            if keywords:
                graph = capture(inner, *given, **keywords)
                self.recorder = Recorder(self.folder, inner, graph=graph, **self._options)
            else:
                self.recorder = Recorder(self.folder, inner, *given, **self._options)

    def _unhook(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    # recording ----------------------------------------------------------------------------------------------------

    def is_due(self, step: int) -> bool:
        """Whether a step of the optimizer is recorded."""
        return isinstance(self.every, int) and step % self.every == 0

    def before_update(self, step: int, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Before the optimizer's step: keep the weights where the step is recorded and a measure needs them.

        Args:
            step: The number of the optimizer's step, from 1.
            optimizer: For measures of its second moments.
        """
        if self.is_due(step):
            if self.recorder is not None and not self._ended:
                self.recorder.mark(optimizer)
            else:
                self._team.mark(optimizer)

    def after_update(self, step: int, **scalars: Any) -> bool:
        """After the optimizer's step, before gradients are zeroed: record, where the step is due.

        Args:
            step: The number of the optimizer's step, from 1.
            **scalars: Numbers that belong to the step, such as ``loss``.

        Returns:
            Whether to stop training.
        """
        return self.record(step, **scalars) if self.is_due(step) else self.stopped

    def record(self, step: int, **scalars: Any) -> bool:
        """Record a step in any case.

        Args:
            step: A number greater than the last one.
            **scalars: Numbers that belong to the step.

        Returns:
            Whether to stop training.
        """
        begun = time.perf_counter()
        if self.recorder is None or self._ended or (self._last is not None and step <= self._last):
            self._team.record()
        else:
            self._write(step, scalars)
        if self.stop_below is not None:
            self.stopped = self._team.agreed(self.stopped)
        self.seconds += time.perf_counter() - begun
        return self.stopped

    def _write(self, step: int, scalars: Mapping[str, Any]) -> None:
        assert self.recorder is not None
        try:
            self.recorder.record(step, **{name: value for name, value in scalars.items() if _is_number(value)})
        except (RunError, OSError) as error:
            self._give_up(error)
        else:
            self._log()
            self.stopped = self.stopped or (self.stop_below is not None and bool(self.stop_below(self.recorder)))

    def close(self, *, stopped: bool = False) -> None:
        """End the recording.

        Args:
            stopped: Whether training ended before its plan.
        """
        if self._hooks and self.recorder is None:
            words = "it was never called, or inside a compiled graph alone: watch what is called, or pass example="
            warnings.warn(f"nothing was recorded into {self.folder}, the network was not seen: {words}", stacklevel=2)
        self._unhook()
        if self.recorder is None or self._ended:
            return
        try:
            self.recorder.close(stopped=stopped or self.stopped)
        except (RunError, OSError) as error:
            self._give_up(error)
        self._ended = True

    @property
    def _last(self) -> int | None:
        return None if self.recorder is None else self.recorder.last_step

    def _log(self) -> None:
        for logger in tuple(self._loggers):
            try:
                log_step(cast("Recorder", self.recorder), logger)
            except Exception as error:  # noqa: BLE001 - a logger is another library and a network behind it
                self._loggers.remove(logger)
                warnings.warn(f"{type(logger).__name__} has ended, training goes on: {error}", stacklevel=4)

    def _give_up(self, error: Exception) -> None:
        """One warning, and no more attempts: a training of days is worth more than its record."""
        self._ended = True
        warnings.warn(f"recording into {self.folder} has ended, training goes on: {error}", stacklevel=3)

    def __enter__(self) -> AxonometryCallback:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        self._unhook()
        if self.recorder is not None:
            self.recorder.__exit__(kind, error, trace)


def first_rows(given: Sequence[Any], named: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The first sample of a batch of inputs; what has another first axis stays as it is.

    Args:
        given: Inputs by place.
        named: Inputs by name.

    >>> first_rows((torch.zeros(8, 3),), {"mask": torch.ones(8), "scale": 2.0})
    ((tensor([[0., 0., 0.]]),), {'mask': tensor([1.]), 'scale': 2.0})
    """
    tensors = [value for value in (*given, *named.values()) if isinstance(value, Tensor) and value.dim() > 0]
    rows = len(tensors[0]) if tensors else 0

    def first(value: Any) -> Any:
        batched = isinstance(value, Tensor) and value.dim() > 0 and len(value) == rows
        return value[:1].detach().clone() if batched else value

    return tuple(map(first, given)), {name: first(value) for name, value in named.items()}


def _as_tuple(given: Any) -> tuple[Any, ...]:
    return tuple(given) if isinstance(given, tuple | list) else (given,)


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1
    return isinstance(value, int | float) or (hasattr(value, "item") and getattr(value, "size", 0) == 1)
