"""Runs of one kind in one loop: each with its own folder, all of them with one stack of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

from axonometry.errors import AxonometryError
from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.datasets import Dataset
from axonometry.populations.layers import dropouts
from axonometry.populations.loop import Stop
from axonometry.populations.sampling import used_images
from axonometry.populations.schedule import Segment, optimiser_of, planned_records, segments
from axonometry.populations.stacked.sampling import StackedSampler
from axonometry.populations.stacked.stack import Stack
from axonometry.populations.training import (
    checked_dataset,
    dataset_of,
    initial_network,
    network_of,
    reproducible,
    samples_for,
)
from axonometry.populations.workers import Report, Work
from axonometry.trajectory import Recorder, load


@dataclass(frozen=True, eq=False)
class Member:
    """A run of a stack, with a network and an optimiser as they are when it is trained alone.

    Attributes:
        configuration: What it is.
        network: On the CPU; it stands where the last record was made.
        optimiser: Likewise.
        recorder: Of its folder.
        dataset: The images that it uses, with its labels.
        reached: The last step that was there already.
    """

    configuration: RunConfiguration
    network: nn.Module
    optimiser: Optimizer
    recorder: Recorder
    dataset: Dataset
    reached: int | None

    def abandon(self, error: BaseException) -> str:
        """Let go of the folder as after a crash; what went wrong in one line."""
        self.recorder.__exit__(type(error), error, error.__traceback__)
        return _words(error)


def run_together(
    configurations: Sequence[RunConfiguration],
    work: Work,
    report: Report,
    *,
    device: torch.device,
    say: Callable[[str], object],
) -> None:
    """Train runs that are alike as one stack.

    Args:
        configurations: As :func:`axonometry.populations.stacked.alike` groups them.
        work: What is done with each.
        report: Called when a run has ended.
        device: Where to train.
        say: Called with a few words after each record.
    """
    with reproducible(), ExitStack() as stack:
        members = []
        for configuration in configurations:
            try:
                members.append(_member(configuration, work))
                stack.enter_context(members[-1].recorder)
            except AxonometryError as error:
                report(configuration, _words(error))
        if members:
            _Training(members, work.stop, report, device=device, say=say).go()


def _member(configuration: RunConfiguration, work: Work) -> Member:
    dataset = dataset_of(configuration, work.data)
    network = initial_network(configuration, dataset)
    used = checked_dataset(configuration, used_images(configuration, dataset), network)
    recorder = Recorder(
        work.folder / configuration.identity,
        network,
        used.test_inputs[:1],
        measures=work.measures,
        samples=samples_for(dataset, work.measures),
        configuration=configuration.to_dict(),
        planned_steps=planned_records(configuration, len(used.train_labels)),
        resume=True,
    )
    optimiser = optimiser_of(configuration, network)
    try:
        return Member(configuration, network, optimiser, recorder, used, recorder.restore(optimiser))
    except AxonometryError as error:
        recorder.__exit__(type(error), error, error.__traceback__)
        raise


class _Training:
    """The loop of :func:`axonometry.populations.train`, for all members at once."""

    def __init__(
        self,
        members: Sequence[Member],
        stop: Stop | None,
        report: Report,
        *,
        device: torch.device,
        say: Callable[[str], object],
    ) -> None:
        self._members, self._stop, self._report, self._say = list(members), stop, report, say
        data = members[0].dataset
        self._test = data.test_inputs.to(device), data.test_labels.to(device)
        self._plan = segments(members[0].configuration, len(data.train_labels))
        # `alike` groups runs that stand at the same step: here there is one value, and more would be a fault of ours.
        (self._reached,) = {member.reached for member in members}
        # Updates done at each record: of 100 images in batches of 32, record 2 stands at update 8.
        before = {None: 0, 0: 0} | {segment.step: segment.stop for segment in self._plan}
        self._stack = _stack(members, device, before[self._reached])
        self._feed = _feed(members, device)

    def go(self) -> None:
        """Train to the end, or to where the runs are told to stop."""
        if self._reached is None:
            self._record(0, [{"epoch": 0.0} for _ in self._members])
        for segment in self._plan:
            if segment.step > (self._reached or 0):
                told = [member for member in self._members if self._stop and self._stop(load(member.recorder.folder))]
                self._end(told, stopped=True)
                if not self._members:
                    return
                self._train(segment)
        self._end(self._members, stopped=False)

    def _train(self, segment: Segment) -> None:
        total = torch.zeros(len(self._members), dtype=torch.float64, device=self._test[0].device)
        for batch in self._feed.batches(segment.start, segment.stop):
            total += self._stack.update(*batch)
        losses = (total / (segment.stop - segment.start)).tolist()
        self._record(segment.step, [{"train_loss": loss, "epoch": segment.epoch} for loss in losses])
        self._say(f"{len(self._members)} together: {segment.stop} of {self._plan[-1].stop} updates")

    def _record(self, step: int, scalars: Sequence[dict[str, float]]) -> None:
        members = self._members
        # Twice the training batch, without its memory for gradients, fits where training does.
        results = self._stack.evaluate(*self._test, 2 * members[0].configuration.batch_size)
        self._stack.write([member.network for member in members], [member.optimiser for member in members])
        failed = []
        for member, accuracy, loss, more in zip(members, *results, scalars, strict=True):
            try:
                member.recorder.record(step, optimizer=member.optimiser, accuracy=accuracy, loss=loss, **more)
            except AxonometryError as error:
                failed.append(member)
                self._report(member.configuration, member.abandon(error))
        self._leave(failed)

    def _end(self, members: Sequence[Member], *, stopped: bool) -> None:
        for member in members:
            try:
                member.recorder.close(stopped=stopped)
                self._report(member.configuration, None)
            except AxonometryError as error:
                self._report(member.configuration, member.abandon(error))
        self._leave(members)

    def _leave(self, members: Sequence[Member]) -> None:
        rows = [row for row, member in enumerate(self._members) if member not in members]
        if len(rows) < len(self._members):
            self._members = [self._members[row] for row in rows]
            if rows:
                self._stack.keep(rows)
                self._feed.keep(rows)


def _stack(members: Sequence[Member], device: torch.device, step: int) -> Stack:
    # A network with dropout layers serves those without too: at a rate of 0 they drop nothing.
    widest = max((member.configuration for member in members), key=lambda c: c.dropout)
    data = members[0].dataset
    return Stack(
        network_of(widest, data.shape, data.n_classes, data.n_tokens),
        [member.configuration for member in members],
        networks=[member.network for member in members],
        optimisers=[member.optimiser for member in members],
        step=step,
        device=device,
    )


def _feed(members: Sequence[Member], device: torch.device) -> StackedSampler:
    widest = max(members, key=lambda member: member.configuration.dropout)
    return StackedSampler(
        [member.configuration for member in members],
        members[0].dataset.train_inputs,
        torch.stack([member.dataset.train_labels for member in members]),
        units=[layer.units for layer in dropouts(widest.network)],
        device=device,
    )


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
