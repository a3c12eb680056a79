"""What many networks are shown at once: the batches and random numbers that each would get alone, side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from math import ceil
from typing import TypeVar

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.sampling import augmentation, order, padded_for_crop, random_crop
from axonometry.populations.seeds import generator

T = TypeVar("T")

Batch = tuple[Tensor, Tensor, list[Tensor]]
"""Inputs (networks, batch, C, H, W), labels (networks, batch), and the noise of each dropout layer."""

_AHEAD = 8
"""Updates whose dropout noise is drawn while a GPU works, by as many threads."""


class StackedSampler:
    """The batches of runs that go through as many images in batches of one size.

    The images are on the device once, whatever the number of networks; an epoch's order and moves are sent there as a
    whole. Random numbers are drawn on the CPU, as for a network that is trained alone, or they would be others; for a
    GPU the dropout's, one for each hidden unit and image, are drawn ahead by threads.

    Args:
        configurations: The runs'.
        inputs: The training images that all of them use.
        labels: Each run's own, which label noise makes different.
        units: Units of each dropout layer.
        device: Where the networks are.
    """

    def __init__(
        self,
        configurations: Sequence[RunConfiguration],
        inputs: Shaped[Tensor, "n ..."],
        labels: Int[Tensor, "networks n"],
        *,
        units: Sequence[int],
        device: torch.device,
    ) -> None:
        self._configurations, self._units, self._device = list(configurations), units, device
        self._augmented = configurations[0].augmentation == "crop-flip"
        self._inputs, self._labels = inputs.to(device), labels.to(device)
        if self._augmented:
            self._inputs = padded_for_crop(self._inputs)

        self._epoch: tuple[int, Tensor, Tensor | None, Tensor | None] | None = None

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these runs alone."""
        self._configurations = [self._configurations[row] for row in rows]
        self._labels = self._labels[torch.tensor(rows, dtype=torch.int64, device=self._device)]
        self._epoch = None

    def batches(self, start: int, stop: int) -> Generator[Batch, None, None]:
        """The batches of the updates from number ``start`` up to ``stop``."""
        n, size = self._labels.shape[1], self._configurations[0].batch_size
        per_epoch = ceil(n / size)
        places = [divmod(number, per_epoch) for number in range(start, stop)]
        draws = [partial(self._noise, number, min(size, n - i * size)) for number, (_, i) in enumerate(places, start)]
        with closing(_ahead(draws, _AHEAD if self._device.type == "cuda" else 0)) as noise:
            # Update 7 of 100 images in batches of 32, 4 an epoch, is batch 3 of epoch 1, which has 100 - 3 * 32 = 4
            # images: the last batch of an epoch is smaller, as a DataLoader's is.
            for (epoch, index), numbers in zip(places, noise, strict=True):
                every, moves, flips = self._drawn(epoch)
                chosen = every[:, index * size : (index + 1) * size]
                sent = [part.to(self._device, non_blocking=True) for part in numbers]
                yield random_crop(self._inputs, chosen, moves, flips), self._labels.gather(1, chosen), sent

    def _drawn(self, epoch: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The order of every run's images in an epoch, and how they are cut out."""
        if self._epoch is None or self._epoch[0] != epoch:
            seeds, n = [c.seed for c in self._configurations], self._labels.shape[1]
            orders = torch.stack([order(seed, n, epoch) for seed in seeds]).to(self._device)
            moves = flips = None
            if self._augmented:
                cuts = [augmentation(seed, n, epoch) for seed in seeds]
                moves, flips = (torch.stack(part).to(self._device) for part in zip(*cuts, strict=True))
            self._epoch = epoch, orders, moves, flips
        return self._epoch[1:]

    def _noise(self, number: int, batch: int) -> list[Tensor]:
        """Uniform numbers for every dropout layer; zeros, at which nothing is dropped, for runs without dropout."""
        shapes = [(len(self._configurations), batch, units) for units in self._units]
        layers = [torch.zeros(shape, pin_memory=self._device.type == "cuda") for shape in shapes]
        # A generator a run and update, seeded by both: run 3 gets the same numbers whoever else is in the stack, and
        # whether it is in one at all.
        for row, configuration in enumerate(self._configurations):
            if configuration.dropout and layers:
                source = generator(configuration.seed, "dropout", number)
                for layer in layers:
                    torch.rand(layer.shape[1:], generator=source, out=layer[row])
        return layers


def _ahead(jobs: Sequence[Callable[[], T]], depth: int) -> Generator[T, None, None]:
    """The jobs' results in order; ``depth`` jobs are done ahead by as many threads, none where it is 0."""
    if not depth:
        yield from (job() for job in jobs)
        return
    with ThreadPoolExecutor(depth) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for job in jobs:
                waiting.append(pool.submit(job))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
