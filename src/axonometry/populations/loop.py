"""The loop of one run: updates, evaluations and records, from wherever an earlier process left off.

A run is cut into segments, each of which ends with a record:

    record 0 | updates 1 to 45 | record 1 | updates 46 to 90 | record 2 ...

A killed process loses the segment that it was in and nothing else: weights, the optimiser's state and the random states
come back from the last record, and batches, augmentation and dropout follow from the seed and the *number* of the
update. So update 46 sees the same batch whether 45 others went before it in this process or in another one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from math import isfinite

import torch
from torch import Tensor, nn

from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.datasets import Dataset
from axonometry.populations.layers import draw_noise
from axonometry.populations.objectives import EVALUATION_METRICS, evaluate_network, loss_of
from axonometry.populations.optimisers import SCHEDULES
from axonometry.populations.sampling import BatchSampler
from axonometry.populations.schedule import Segment, optimiser_of, segments
from axonometry.populations.seeds import generator
from axonometry.progress import Progress
from axonometry.trajectory import Recorder, Trajectory, load

Stop = Callable[[Trajectory], bool]
"""Called with a run after each of its records; true ends the run there."""

TRAIN_EVAL_LOSS = "train_eval_loss"
"""The loss on training samples of the network as it is, beside ``train_loss``, the mean over the updates before."""

SCALARS = (
    *(*EVALUATION_METRICS, "loss", "train_loss", "epoch"),
    *(*(f"train_{name}" for name in EVALUATION_METRICS), TRAIN_EVAL_LOSS),
)
"""What is recorded beside the measures: accuracy (of reconstruction the share of variance explained) and loss on the
test images, loss while training, epochs done; where the configuration asks for it also both on training samples."""

_SECONDS_BETWEEN_REPORTS = 0.2

Batch = tuple[Tensor, Tensor]


class TrainingLoop:
    """One run's training.

    Args:
        configuration: The run's.
        dataset: What it is trained and tested on, as ``sampling.used_images`` gives it.
        network: The initial one.
        recorder: Of the run's folder.
        progress: Called with updates done, updates in all, and the last performance in words.
    """

    def __init__(
        self,
        configuration: RunConfiguration,
        dataset: Dataset,
        network: nn.Module,
        recorder: Recorder,
        progress: Progress,
    ) -> None:
        self._configuration, self._dataset, self._network = configuration, dataset, network
        self._recorder, self._progress, self._words = recorder, progress, ""
        self._optimiser = optimiser_of(configuration, network)
        self._sampler = BatchSampler(configuration, dataset)
        self._plan = segments(configuration, len(dataset.train_labels))
        self._total = self._plan[-1].stop if self._plan else 0

    def run(self, stop: Stop | None) -> bool:
        """Train to the end, from the last record if there is one; whether ``stop`` ended it before."""
        reached = self._recorder.restore(self._optimiser)
        found = self._record(0, epoch=0.0) if reached is None else self._last_found()
        left = [segment for segment in self._plan if segment.step > (reached or 0)]
        batches = enumerate(self._sampler.batches(left[0].start), left[0].start) if left else iter(())
        for segment in left:
            if has_ended(self._configuration, found):
                return False
            if stop is not None and stop(load(self._recorder.folder)):
                return True
            found = self._train(segment, batches)
            self._words = _in_words(found)
            self._progress(segment.stop, self._total, self._words)
        return False

    def _train(self, segment: Segment, batches: Iterator[tuple[int, Batch]]) -> dict[str, float]:
        """The updates of a segment, and the record at its end, or earlier where the run ends inside."""
        total, done = 0.0, segment.start
        for until in _looks(segment, self._configuration.stop_check_every):
            total += self._update(islice(batches, until - done))
            done = until
            if until < segment.stop and has_ended(self._configuration, self._on_training_samples()):
                break
        # A run that ends inside an epoch has that epoch's number, as where max_steps cuts the epoch short.
        step = done if segment.step == segment.stop else segment.step
        return self._record(step, train_loss=total / (done - segment.start), epoch=done / self._sampler.per_epoch)

    def _update(self, batches: Iterable[tuple[int, Batch]]) -> float:
        """One update per batch; the sum of their losses."""
        configuration, network = self._configuration, self._network
        network.train()
        total = torch.zeros((), dtype=torch.float64)
        for number, (inputs, labels) in self._reporting(batches):
            if configuration.dropout:
                draw_noise(network, len(labels), generator(configuration.seed, "dropout", number))
            self._set_rate(number)
            loss = loss_of(configuration.objective, network(inputs), inputs, labels)
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
            total += loss.detach()
        return float(total)

    def _set_rate(self, number: int) -> None:
        """The learning rate of an update, from its number alone, so that a run resumes at the same rate."""
        rate = self._configuration.learning_rate
        if rate is not None and self._configuration.schedule != "constant":
            for group in self._optimiser.param_groups:
                group["lr"] = rate * SCHEDULES[self._configuration.schedule](number / self._total)

    def _reporting(self, batches: Iterable[tuple[int, Batch]]) -> Iterator[tuple[int, Batch]]:
        """The batches, with a report about five times a second."""
        reported = time.monotonic()
        for number, batch in batches:
            if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
                self._progress(number, self._total, self._words)
                reported = time.monotonic()
            yield number, batch

    def _record(self, step: int, **more: float) -> dict[str, float]:
        data = self._dataset
        found = evaluate_network(self._configuration.objective, self._network, data.test_inputs, data.test_labels)
        found |= self._on_training_samples()
        self._recorder.record(step, optimizer=self._optimiser, **found, **more)
        return found

    def _on_training_samples(self) -> dict[str, float]:
        """Performance and loss on the first training samples, where the configuration asks for them."""
        n, data = self._configuration.n_train_evaluated, self._dataset
        if n is None:
            return {}
        objective = self._configuration.objective
        found = evaluate_network(objective, self._network, data.train_inputs[:n], data.train_labels[:n])
        return {TRAIN_EVAL_LOSS: found.pop("loss"), **{f"train_{name}": value for name, value in found.items()}}

    def _last_found(self) -> dict[str, float]:
        """What was found at the last record, which another process may have made."""
        last = load(self._recorder.folder).scalars().iloc[-1]
        return {str(name): float(value) for name, value in last.items()}


def has_ended(configuration: RunConfiguration, found: Mapping[str, float]) -> bool:
    """Whether a run ends where this was found: its loss on training samples is low enough, or no number any more.

    Without ``n_train_evaluated`` no run ends so: one that diverges is trained to the end, since populations that
    predictions are learned from have the same steps in every run.

    >>> asked = RunConfiguration(stop_at_train_loss=0.02)
    >>> [has_ended(asked, {"train_eval_loss": loss}) for loss in (0.5, 0.02, float("nan"))]
    [False, True, True]
    """
    if configuration.n_train_evaluated is None:
        return False
    loss = found[TRAIN_EVAL_LOSS]
    return not isfinite(loss) or loss <= configuration.stop_at_train_loss


def _looks(segment: Segment, every: int | None) -> list[int]:
    """Where to look inside a segment, as numbers of updates: multiples of ``every``, then the segment's end.

    Multiples, and not counted from the segment's start: what is recorded does not move the looks.
    """
    inside = () if every is None else range((segment.start // every + 1) * every, segment.stop, every)
    return [*inside, segment.stop]


def _in_words(found: Mapping[str, float]) -> str:
    name = next(name for name in EVALUATION_METRICS if name in found)
    words = f"{name.replace('_', ' ')} {found[name]:.3f}"
    return words if isfinite(found["loss"]) else f"{words}, diverged"
