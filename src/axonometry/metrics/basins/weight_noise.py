r"""Attraction basins in the space of the weights: how much noise on its weights a network tolerates.

In each draw every weight tensor :math:`W^l` becomes :math:`W^l + s\,\sigma(W^l)\,\xi`, with :math:`\xi \sim N(0, I)`
and :math:`\sigma` the population standard deviation of the tensor's entries; s* is the first s at which the mean
accuracy over draws is down at the threshold. s has no unit, and scaling a tensor changes nothing where the network's
function allows it (a ReLU layer and the one behind it). Biases, gains of normalisation and running statistics stay.

Source: Lin et al. 2025 (arXiv 2501.02436) put noise on weights that are normalised by their mean and variance. That the
variance is each layer's own, and that biases stay, is our choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from axonometry.annotations import Seed
from axonometry.errors import WeightsError
from axonometry.metrics.basins.basin import Basin, basin_of
from axonometry.metrics.basins.classifier import Classifier, classes_of, examined, logits_of
from axonometry.metrics.basins.rows import basin_rows
from axonometry.metrics.basins.sample_noise import Steps, mixed_seed
from axonometry.metrics.basins.search import Search, level, on_grid, refined
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.rows import Row
from axonometry.program.entry import of_module
from axonometry.program.readings.samples import Samples
from axonometry.progress import Progress

_KEPT = 2**26
"""Random numbers that are kept from one amplitude to the next; more are drawn again each time."""
_STACKED = 2**27
"""Weights of stacked networks in memory at once."""


def _rows(shared: Shared) -> Iterator[Row]:
    return basin_rows(shared, weight_basin)


@measured(
    name="weight_basin",
    title="Basin of the weights",
    units="standard deviations of each layer's weights; clean has none",
    range="0 and more, infinite where no noise that is tried suffices; clean from 0 to 1",
    invariances="scaling a layer's weights where the function allows it; permuting neurons, but for the noise's draws",
    source="Lin et al. 2025, arXiv 2501.02436; that biases stay is our choice",
    needs_samples=True,
    needs_labels=True,
    cost="about 900 networks with noise on the samples: 27 amplitudes with 32 draws each, and as many for each class",
    opt_in=True,
    table=_rows,
)
@of_module
def weight_basin(  # noqa: PLR0913 - of what, how it is looked for, and who is told
    model: nn.Module,
    samples: Samples,
    labels: Any = None,
    *,
    threshold: float = 0.5,
    precision: float = 0.02,
    amplitudes: tuple[float, float] = (1e-3, 10.0),
    draws: int = 32,
    seed: Seed = 0,
    biases: bool = False,
    stacked: bool | None = None,
    progress: Progress | None = None,
) -> Basin:
    """The amplitude of Gaussian noise on the weights at which a network's accuracy falls to a threshold.

    For all samples together and for each class, each bisected to the precision with the same draws at every amplitude;
    for each sample from the grid of four amplitudes to a decade, interpolated. All samples share the networks of a
    draw, so that the intervals are as wide as networks differ: a few hundred samples tell as much as thousands.

    Args:
        model: From a batch of samples to a row of logits each; it is measured in evaluation mode and left as it was.
        samples: What the model takes, shape (P, ...).
        labels: The class of each, shape (P,); none where the batches have them.
        threshold: Accuracy that is looked for.
        precision: Relative width to which brackets are halved; the intervals say what the draws leave open.
        amplitudes: Least and greatest amplitude that is tried, in standard deviations of each layer's weights.
        draws: Networks with noise at each amplitude.
        seed: What the draws follow from.
        biases: Whether parameters of one dimension move too: biases and gains.
        stacked: Whether the networks of several draws run as one (``torch.func.vmap``); where None, on accelerators if
            the model allows it. On CPUs one after the other is as fast or faster.
        progress: Called with passes made, out of how many, and a few words.

    Raises:
        ConfigurationError: A setting makes no sense.
        SamplesError: Samples and labels do not fit each other or the network.
        WeightsError: The network has no weights that noise could move.

    Warns:
        NoCrossingWarning: Noise alone cannot bring the accuracy below the threshold, as with two classes.

    >>> from axonometry.testing import layers_of
    >>> model, samples = layers_of(torch.eye(3).tolist()), torch.eye(3)
    >>> basin = weight_basin(model, samples, torch.arange(3))
    >>> round(basin.network.amplitude, 1), basin.network.clean, basin.network.n
    (4.2, 1.0, 3)
    """
    search = Search(threshold, precision, amplitudes, draws, seed)
    with examined(model, samples, labels) as classifier:
        noisy = NoisyWeights(classifier, draws, seed, biases=biases, stacked=stacked)
        tick = Steps(progress, len(search.grid) + 2 * search.halvings)
        grid = on_grid(noisy.right, len(classifier.samples), search, tick)
        right = classifier.right.cpu()
        whole = torch.zeros(len(classifier.samples), dtype=torch.int64)
        by_class = classifier.labels.cpu().unique(return_inverse=True)[1]
        network = refined(noisy.right, level("network", whole, right, grid, search), search, tick)
        classes = refined(noisy.right, level("classes", by_class, right, grid, search), search, tick)
        each = level("samples", torch.arange(len(classifier.samples)), right, grid, search)
        return basin_of("weights", classifier, (network, classes, each), search)


@dataclass(frozen=True)
class NoisyWeights:
    """A network with noise on its weights, and what it makes of the samples; the same noise whenever it is asked.

    Attributes:
        classifier: The network and its samples.
        draws: Networks with noise.
        seed: What they follow from.
        biases: Whether parameters of one dimension move too.
        stacked: Whether several run as one; where None, on accelerators if the network allows it.
    """

    classifier: Classifier
    draws: int
    seed: int
    biases: bool = False
    stacked: bool | None = None

    def right(self, amplitudes: Float[Tensor, " samples"]) -> Bool[Tensor, "draws samples"]:
        """Whether each draw's network classifies each sample right, at an amplitude of its own; False where NaN."""
        c = self.classifier
        found = torch.zeros(self.draws, len(c.samples), dtype=torch.bool, device=c.samples.device)
        # Classes are halved at amplitudes of their own: for each, the networks are made once and see its samples alone.
        for amplitude in amplitudes[~amplitudes.isnan()].unique().tolist():
            rows = (amplitudes == amplitude).nonzero()[:, 0].to(c.samples.device)
            samples = c.samples if len(rows) == len(c.samples) else c.samples[rows]
            for start in range(0, self.draws, self._at_once):
                draws = range(start, min(start + self._at_once, self.draws))
                found[start : draws.stop, rows] = self._classes(amplitude, draws, samples) == c.labels[rows]
        return found.cpu()

    def networks(self, amplitude: float, draws: range) -> dict[str, Float[Tensor, "draws ..."]]:
        """The moved parameters of some draws, stacked."""
        moved = {}
        for name, (weight, deviation) in self._moved.items():
            noise = torch.stack([self._noise(draw)[name] for draw in draws])
            moved[name] = (weight + amplitude * deviation * noise).to(weight.dtype)
        return moved

    def _classes(self, amplitude: float, draws: range, samples: Tensor) -> Tensor:
        """The class that each of some networks gives to each of some samples."""
        networks, size = self.networks(amplitude, draws), max(1, self.classifier.rows // len(draws))
        return torch.cat([classes_of(self._logits(networks, part)) for part in samples.split(size)], dim=1)

    def _logits(self, networks: Mapping[str, Tensor], samples: Tensor) -> Float[Tensor, "draws rows classes"]:
        def one(parameters: Mapping[str, Tensor]) -> Tensor:
            return logits_of(functional_call(self.classifier.model, dict(parameters), (samples,)))

        if self._runs_stacked:
            return vmap(one)(networks)
        stack = zip(*networks.values(), strict=True)
        return torch.stack([one(dict(zip(networks, parameters, strict=True))) for parameters in stack])

    @cached_property
    def _moved(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Each parameter that moves, with the standard deviation of its entries."""
        moved = {
            name: (parameter.detach(), parameter.detach().double().std(correction=0).float())
            for name, parameter in self.classifier.model.named_parameters()
            if parameter.is_floating_point() and parameter.numel() and (parameter.dim() > 1 or self.biases)
        }
        if not any(float(deviation) for _, deviation in moved.values()):
            raise WeightsError(
                "noise is scaled by the standard deviation of a layer's weights, which is above 0 somewhere",
                f"{len(moved)} weight tensors, none with two different entries",
                "Train or initialise the network first",
            )
        return moved

    @cached_property
    def _at_once(self) -> int:
        """Draws whose networks are in memory together."""
        if not self._runs_stacked:
            return 1
        return max(1, min(self.draws, _STACKED // self._size, self.classifier.rows))

    @property
    def _size(self) -> int:
        return sum(weight.numel() for weight, _ in self._moved.values())

    @cached_property
    def _runs_stacked(self) -> bool:
        if self.stacked is not None:
            return self.stacked
        return self.classifier.samples.device.type != "cpu" and self._can_be_stacked()

    def _can_be_stacked(self) -> bool:
        """Whether torch can run two of the networks as one, with the same logits."""
        one_by_one, together = (
            NoisyWeights(self.classifier, 2, self.seed, self.biases, stacked) for stacked in (False, True)
        )
        samples = self.classifier.samples[:2]
        try:
            found = together._logits(together.networks(0.1, range(2)), samples)
        except RuntimeError:  # an operation that vmap has no rule for, or that looks at values
            return False
        return torch.allclose(found, one_by_one._logits(one_by_one.networks(0.1, range(2)), samples), 1e-2, 1e-3)

    @cached_property
    def _kept(self) -> list[dict[str, Tensor]]:
        return list(self._drawn(range(self.draws))) if self.draws * self._size <= _KEPT else []

    def _noise(self, draw: int) -> dict[str, Tensor]:
        return self._kept[draw] if self._kept else next(self._drawn(range(draw, draw + 1)))

    def _drawn(self, draws: range) -> Iterator[dict[str, Tensor]]:
        device = self.classifier.samples.device
        generator = torch.Generator(device)
        for draw in draws:
            # A seed for each draw: the noise of draw 7 is the same at every amplitude, whatever else is drawn. An
            # accuracy then falls as the noise grows, and not because other noise was drawn.
            generator.manual_seed(mixed_seed(self.seed, draw))
            yield {
                name: torch.randn(weight.shape, generator=generator, device=device)
                for name, (weight, _) in self._moved.items()
            }
