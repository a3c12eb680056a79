"""Non-linear Gaussian processes on a ring: inputs from which dense layers learn localised receptive fields.

x ~ N(0, C) on the sites of a ring, C_ij = exp(-d_ij² / ξ²) by their distance, with 10⁻³ more on the diagonal and then
divided by 1.001; an input is z = erf(g x / √2) / √Z, Z = (2 / π) asin(g² / (1 + g²)) the variance of the numerator. The
two classes differ by their correlation length ξ alone. The larger the gain g, the sharper the edges of z. Covariance:

E[z_i z_j] = (2 / (π Z)) asin(g² C_ij / (1 + g²)).

The control is a normal process of this same covariance: a network of which covariances are all that matters would
learn the same from both.

Source: Ingrosso and Goldt 2022, arXiv 2202.00565.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from axonometry.populations.seeds import generator

SITES, GAIN, LENGTHS, TRAINED, TESTED = 40, 5.0, (2.0, 1.0), 20_000, 2_000
"""Of the registered data sets [our choice]: sites of the ring, gain, correlation length of each class, inputs."""
RIDGE = 1e-3
"""Added to the diagonal of the covariances, that they have a root."""

Half = tuple[Float[Tensor, "_ sites"], Int[Tensor, " _"]]


def ring_covariance(sites: int, length: float) -> Float[Tensor, "sites sites"]:
    """Covariance of the process under the nonlinearity: 1 on the diagonal, falling with the distance on the ring.

    Args:
        sites: Sites of the ring.
        length: The correlation length ξ, in sites.

    >>> ring_covariance(4, 1.0)[0].round(decimals=3).tolist()
    [1.0, 0.368, 0.018, 0.368]
    """
    apart = (torch.arange(sites)[:, None] - torch.arange(sites)).abs()
    apart = torch.minimum(apart, sites - apart).double()
    return (torch.exp(-((apart / length) ** 2)) + RIDGE * torch.eye(sites, dtype=torch.float64)) / (1 + RIDGE)


def erf_covariance(covariance: Float[Tensor, "n n"], gain: float) -> Float[Tensor, "n n"]:
    """Covariance of z = erf(g x / √2) / √Z, for x of a covariance with 1 on its diagonal.

    Args:
        covariance: Of x.
        gain: g.

    >>> round(float(erf_covariance(torch.tensor([[1.0, 0.5], [0.5, 1.0]]).double(), 3.0)[0, 1]), 6)
    0.416841
    """
    share = gain**2 / (1 + gain**2)
    return torch.asin(share * covariance) / math.asin(share)


def gaussian_processes(
    *, normal: bool = False, seed: int = 0, gain: float = GAIN, lengths: tuple[float, ...] = LENGTHS
) -> tuple[Half, Half]:
    """Inputs of non-linear Gaussian processes, a class for each correlation length, or of their normal control.

    Args:
        normal: Whether to draw the control.
        seed: Of the draw.
        gain: g.
        lengths: ξ of each class, in sites.

    Returns:
        Inputs (n, 40) with variance 1 and classes, as many of each: 20,000 to learn from, 2,000 to test on.

    >>> (inputs, classes), _ = gaussian_processes()
    >>> inputs.shape, classes.bincount().tolist(), round(float(inputs.var()), 1)
    (torch.Size([20000, 40]), [10000, 10000], 1.0)
    """
    chance = generator(seed, "data")
    n = (TRAINED + TESTED) // len(lengths)
    parts = [_drawn(n, length, gain, chance, normal=normal) for length in lengths]
    inputs, classes = torch.stack(parts, 1).flatten(0, 1), torch.arange(len(lengths)).repeat(n)
    return (inputs[:TRAINED], classes[:TRAINED]), (inputs[TRAINED:], classes[TRAINED:])


def _drawn(n: int, length: float, gain: float, chance: torch.Generator, *, normal: bool) -> Float[Tensor, "n sites"]:
    covariance = ring_covariance(SITES, length)
    root = _root(erf_covariance(covariance, gain) if normal else covariance)
    x = torch.randn(n, SITES, generator=chance, dtype=torch.float64) @ root
    if normal:
        return x.float()
    scale = math.sqrt(2 / math.pi * math.asin(gain**2 / (1 + gain**2)))
    return (torch.erf(gain * x / math.sqrt(2)) / scale).float()


def _root(covariance: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T
