r"""Attraction basins in the space of the samples: how much noise on its inputs a network tolerates.

Accuracy at the amplitude s is :math:`a(s)`, the mean over samples and over draws :math:`\xi \sim N(0, I)`, a number for
each component of a sample, of whether :math:`\arg\max F(x + s \xi)` is the sample's class. The basin's amplitude s* is
the first s at which :math:`a(s)` is down at the threshold, 1/2 by default. s is in the unit of the samples, so that it
compares networks only where these are scaled alike.

Source: Lin et al. 2025 (arXiv 2501.02436) name the quantity and the threshold; noise, grid, bisection and draws are
our choice. Accuracy may rise again beyond s*.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from axonometry.annotations import Seed
from axonometry.errors import SamplesError
from axonometry.metrics.basins.basin import Basin, basin_of
from axonometry.metrics.basins.classifier import Classifier, classes_of, examined, logits_of
from axonometry.metrics.basins.rows import basin_rows
from axonometry.metrics.basins.search import Search, level, on_grid, refined
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.rows import Row
from axonometry.program.entry import of_module
from axonometry.program.readings.samples import Samples
from axonometry.progress import Progress

_UNIT = 256
"""Samples times draws whose noise is drawn in one piece: the numbers do not depend on how many are passed at once."""


def _rows(shared: Shared) -> Iterator[Row]:
    return basin_rows(shared, sample_basin)


@measured(
    name="sample_basin",
    title="Basin of the samples",
    units="that of the samples; clean has none",
    range="0 and more, infinite where no noise that is tried suffices; clean from 0 to 1",
    invariances="permuting the neurons of a layer; the network's function alone counts",
    source="Lin et al. 2025, arXiv 2501.02436; noise, grid and bisection are our choice",
    needs_samples=True,
    needs_labels=True,
    cost="about 500 forward passes over the samples: 32 amplitudes with 16 draws of noise each",
    opt_in=True,
    table=_rows,
)
@of_module
def sample_basin(  # noqa: PLR0913 - of what, how it is looked for, and who is told
    model: nn.Module,
    samples: Samples,
    labels: Any = None,
    *,
    threshold: float = 0.5,
    precision: float = 0.02,
    amplitudes: tuple[float, float] = (1e-3, 10.0),
    draws: int = 16,
    seed: Seed = 0,
    progress: Progress | None = None,
) -> Basin:
    """The amplitude of Gaussian noise on the samples at which a network's accuracy falls to a threshold.

    For all samples together, for each class and for each sample, each bisected to the precision with the same draws at
    every amplitude. A sample that is misclassified without noise has the amplitude 0. With P samples and M draws the
    accuracy of all is known from P M trials, that of one sample from M.

    Args:
        model: From a batch of samples to a row of logits each; it is measured in evaluation mode and left as it was.
        samples: Floating point, shape (P, ...), moved to the model's device and type; or batches of samples and labels.
        labels: The class of each, shape (P,); none where the batches have them.
        threshold: Accuracy that is looked for.
        precision: Relative width to which brackets are halved; the intervals say what the draws leave open.
        amplitudes: Least and greatest amplitude that is tried, in the unit of the samples.
        draws: Draws of noise for each sample.
        seed: What the draws follow from: the same seed, the same numbers on one kind of device.
        progress: Called with passes made, out of how many, and a few words.

    Raises:
        ConfigurationError: A setting makes no sense.
        SamplesError: Samples and labels do not fit each other or the network.

    Warns:
        NoCrossingWarning: Noise alone cannot bring the accuracy below the threshold, as with two classes.

    >>> basin = sample_basin(nn.Identity(), torch.eye(3).repeat(100, 1), torch.arange(3).repeat(100))
    >>> round(basin.network.amplitude, 1), basin.network.state
    (1.8, 'crossed')
    """
    search = Search(threshold, precision, amplitudes, draws, seed)
    with examined(model, samples, labels) as classifier:
        noisy = NoisySamples(classifier, draws, seed)
        tick = Steps(progress, len(search.grid) + 3 * search.halvings)
        grid = on_grid(noisy.right, len(classifier.samples), search, tick)
        right = classifier.right.cpu()
        groupings = (
            ("network", torch.zeros(len(classifier.samples), dtype=torch.int64)),
            ("classes", classifier.labels.cpu().unique(return_inverse=True)[1]),
            ("samples", torch.arange(len(classifier.samples))),
        )
        network, classes, each = (
            refined(noisy.right, level(name, of, right, grid, search), search, tick) for name, of in groupings
        )
        return basin_of("samples", classifier, (network, classes, each), search)


class Steps:
    """Counts passes for whoever follows the progress."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, words: str) -> None:
        """One more pass begins."""
        if self.progress is not None:
            self.progress(self.done, self.total, words)
        self.done += 1


@dataclass(frozen=True)
class NoisySamples:
    """Samples with noise, and what the network makes of them; the same noise whenever it is asked.

    Attributes:
        classifier: The network and its samples.
        draws: Draws for each sample.
        seed: What they follow from.
        directions: Whether each draw is divided by its length, which makes it a random direction.

    Raises:
        SamplesError: Noise cannot be added to the samples.
    """

    classifier: Classifier
    draws: int
    seed: int
    directions: bool = False

    def __post_init__(self) -> None:
        if not self.classifier.samples.is_floating_point():
            came = str(self.classifier.samples.dtype)
            remedy = "Convert images with .float(); of token numbers measure the weight basin"
            raise SamplesError("noise is added to samples in floating point", came, remedy)

    def right(self, amplitudes: Float[Tensor, " samples"]) -> Bool[Tensor, "draws samples"]:
        """Whether each sample is classified right in each draw, at an amplitude of its own; False where that is NaN."""
        return self.right_each(amplitudes.expand(self.draws, -1))

    def right_each(self, amplitudes: Float[Tensor, "draws samples"]) -> Bool[Tensor, "draws samples"]:
        """The same with an amplitude for each draw of each sample."""
        c = self.classifier
        amplitudes = amplitudes.to(c.samples.device, c.samples.dtype)
        found = torch.zeros(amplitudes.shape, dtype=torch.bool, device=c.samples.device)
        for draws, rows, noisy in self._passes(amplitudes):
            found[draws, rows] = classes_of(logits_of(c.model(noisy))) == c.labels[rows]
        return found.cpu()

    def _passes(self, amplitudes: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Draws, samples and what goes through the network, as much at once as there is room for."""
        waiting: list[tuple[Tensor, Tensor, Tensor]] = []
        for unit in self._units(amplitudes):
            if sum(len(rows) for _, rows, _ in waiting) + len(unit[1]) > self.classifier.rows and waiting:
                yield _together(waiting)
                waiting = []
            waiting.append(unit)
        if waiting:
            yield _together(waiting)

    def _units(self, amplitudes: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        samples = self.classifier.samples
        height = min(len(samples), _UNIT)
        depth = _UNIT // height
        generator = torch.Generator(samples.device)
        for start, first in product(range(0, len(samples), height), range(0, self.draws, depth)):
            part = amplitudes[first : first + depth, start : start + height]
            draws, rows = (~part.isnan()).nonzero(as_tuple=True)
            if len(rows) == 0:
                continue
            generator.manual_seed(mixed_seed(self.seed, start // height, first // depth))
            shape = (depth, height, *samples.shape[1:])
            noise = torch.randn(shape, generator=generator, device=samples.device)[draws, rows]
            if self.directions:
                noise /= noise.flatten(1).norm(dim=1).view(-1, *[1] * (noise.dim() - 1))
            factor = part[draws, rows].view(-1, *[1] * (noise.dim() - 1))
            rows = rows + start
            yield draws + first, rows, samples[rows] + factor * noise.to(samples.dtype)


def _together(units: list[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    if len(units) == 1:
        return units[0]
    draws, rows, noisy = zip(*units, strict=True)
    return torch.cat(draws), torch.cat(rows), torch.cat(noisy)


def mixed_seed(*numbers: int) -> int:
    """One seed from several numbers, so that neighbours share nothing.

    >>> mixed_seed(0, 1) == mixed_seed(0, 1), mixed_seed(0, 1) == mixed_seed(1, 0)
    (True, False)
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
