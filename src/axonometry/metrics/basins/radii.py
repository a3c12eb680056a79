"""Directional radii: how far a sample can be moved along a random direction before it is classified otherwise.

For a sample x and a unit vector u, the radius is the least r on the way out at which the network no longer gives
x + r u the sample's class. In many dimensions Gaussian noise of amplitude s is a step of about s √N along a random
direction, N the number of a sample's components, so that radii over √N compare with the amplitudes of a sample basin.

Source: our choice, an extra beside the basins of Lin et al. 2025 (arXiv 2501.02436).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from axonometry.annotations import Seed
from axonometry.metrics.basins.classifier import examined
from axonometry.metrics.basins.sample_noise import NoisySamples, Steps
from axonometry.metrics.basins.search import Search
from axonometry.program.entry import of_module
from axonometry.program.readings.samples import Samples
from axonometry.progress import Progress

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Radii:
    """Radii of samples along random directions, the same directions for every network and seed.

    Attributes:
        radii: In the unit of the samples, Euclidean; infinite where the class holds up to the greatest radius that was
            tried, 0 where the sample is misclassified as it is, the least radius that was tried where that is too far.
        labels: The class of each sample.
        tried: Least and greatest radius that was tried.
        dimensions: Components of a sample.
    """

    radii: Float[Tensor, "samples directions"]
    labels: Int[Tensor, " samples"]
    tried: tuple[float, float]
    dimensions: int

    def frame(self) -> pd.DataFrame:
        """A row a sample: label, minimum, median and maximum over the directions, and how many are infinite."""
        import pandas as pd

        middle = self.radii.double().sort(dim=1).values
        half = middle.shape[1] // 2
        median = middle[:, half] if middle.shape[1] % 2 else middle[:, half - 1 : half + 1].mean(1)
        return pd.DataFrame(
            {
                "sample": range(len(middle)),
                "label": self.labels.numpy(),
                "minimum": middle[:, 0].numpy(),
                "median": median.numpy(),
                "maximum": middle[:, -1].numpy(),
                "infinite": middle.isinf().sum(1).numpy(),
            }
        )


@of_module
def sample_radii(  # noqa: PLR0913 - of what, how it is looked for, and who is told
    model: nn.Module,
    samples: Samples,
    labels: Any = None,
    *,
    directions: int = 32,
    precision: float = 0.02,
    tried: tuple[float, float] | None = None,
    seed: Seed = 0,
    progress: Progress | None = None,
) -> Radii:
    """The distance along random directions at which each sample leaves its class.

    Each ray is followed outwards on a grid of four radii to a decade until the class changes, and the cell is halved to
    the precision; a class that changes twice inside a cell is not seen.

    Args:
        model: From a batch of samples to a row of logits each; it is measured in evaluation mode and left as it was.
        samples: Floating point, shape (P, ...).
        labels: The class of each, shape (P,).
        directions: Random directions from each sample, at least 2.
        precision: Relative width of the bracket whose geometric middle is returned.
        tried: Least and greatest radius; 0.001 √N and 10 √N where None, N the number of a sample's components.
        seed: What the directions follow from.
        progress: Called with passes made, out of how many, and a few words.

    Raises:
        ConfigurationError: A setting makes no sense.
        SamplesError: Samples and labels do not fit each other or the network.

    >>> from axonometry.testing import layers_of
    >>> model = layers_of([[1.0], [-1.0]])
    >>> sample_radii(model, torch.tensor([[2.0]]), torch.tensor([0]), directions=4).radii.round(decimals=1)
    tensor([[inf, 2., inf, inf]], dtype=torch.float64)
    """
    with examined(model, samples, labels) as classifier:
        dimensions = max(1, classifier.samples[0].numel())
        scale = math.sqrt(dimensions)
        search = Search(0.5, precision, tried or (1e-3 * scale, 10 * scale), directions, seed)
        noisy = NoisySamples(classifier, directions, seed, directions=True)
        right = classifier.right.cpu().expand(directions, -1)
        tick = Steps(progress, len(search.grid) + search.halvings)
        low, high = _brackets(noisy, right, search, tick)
        found = _halved(noisy, low, high, search, tick)
        found = torch.where(right, found, 0.0)
        return Radii(found.T.contiguous(), classifier.labels.cpu(), search.amplitudes, dimensions)


def _brackets(noisy: NoisySamples, right: Tensor, search: Search, tick: Steps) -> tuple[Tensor, Tensor]:
    """The last radius of the grid that keeps the class, and the first that does not; infinite where none does."""
    inside = right.clone()
    low = torch.full(right.shape, float(search.grid[0]), dtype=torch.float64)
    high = torch.full(right.shape, math.inf, dtype=torch.float64)
    for radius in map(float, search.grid):
        tick(f"radius {radius:.3g}")
        stays = noisy.right_each(torch.where(inside, radius, math.nan).double())
        high[inside & ~stays] = radius
        inside &= stays
        low[inside] = radius
    return low, high


def _halved(noisy: NoisySamples, low: Tensor, high: Tensor, search: Search, tick: Steps) -> Tensor:
    """The brackets' geometric middles, once they are narrow enough."""
    open_ = high.isfinite() & (low < high)
    for number in range(search.halvings):
        tick(f"halving {number + 1} of {search.halvings}")
        middle = (low * high).sqrt()
        stays = noisy.right_each(torch.where(open_, middle, math.nan))
        low, high = torch.where(open_ & stays, middle, low), torch.where(open_ & ~stays, middle, high)
    return torch.where(high.isfinite(), (low * high).sqrt(), math.inf)
