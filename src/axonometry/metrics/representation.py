r"""Representations at hand: how many directions they fill, and how alike two of them are.

- complexity C = Σ_units H(p), p the share of samples at which a ReLU unit is active, in nats (an upper bound of the
  patterns' joint entropy); ``correction`` adds 1 / (2 P) to a unit that is both on and off (Miller and Madow 1955);
- effective dimension exp(-Σ q ln q), q the shares of the PCA eigenvalues; participation ratio 1 / Σ q²;
- linear CKA ‖Y' X‖² / (‖X' X‖ ‖Y' Y‖) of centred features.

Source: Janik and Witaszczyk 2020, arXiv 2006.04791; Kornblith et al. 2019, arXiv 1905.00414. Formulas of
the first are [recalled].
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def complexity(pre_activations: Float[Tensor, "samples n"], *, correction: bool = False) -> float:
    """Sum over ReLU units of the entropy of being active, in nats; units that are always on or off have none.

    Args:
        pre_activations: A row a sample.
        correction: Whether the bias of few samples is corrected.

    >>> h = torch.tensor([[1.0, 1.0, 1.0], [-1.0, 1.0, -1.0], [1.0, 1.0, -1.0], [-1.0, 1.0, -1.0]])
    >>> round(complexity(h), 6)  # of p = .5, 1, .25
    1.255482
    """
    p = (pre_activations > 0).double().mean(0)
    both = (p > 0) & (p < 1)
    entropy = -(torch.special.xlogy(p, p) + torch.special.xlogy(1 - p, 1 - p)).sum()
    return float(entropy) + (int(both.sum()) / (2 * len(pre_activations)) if correction else 0.0)


def effective_dimension(features: Float[Tensor, "samples n"]) -> tuple[float, float]:
    """Effective dimension and participation ratio of features; NaN where all samples are alike.

    >>> from math import sqrt
    >>> scale = torch.tensor([2.0, sqrt(2.0), 1.0, 1.0], dtype=torch.float64)
    >>> [round(x, 6) for x in effective_dimension(torch.cat([scale.diag(), -scale.diag()]))]
    [3.363586, 2.909091]
    """
    x = features.double() - features.double().mean(0)
    gram = x @ x.T if len(x) < x.shape[1] else x.T @ x
    values = torch.linalg.eigvalsh(gram).clamp_min(0)
    q = values / values.sum()
    return float(torch.exp(-torch.special.xlogy(q, q).sum())), float(1 / (q * q).sum())


def linear_cka(one: Float[Tensor, "samples n"], other: Float[Tensor, "samples m"]) -> float:
    """Likeness of two representations of the same samples, from 0 to 1; rotations and one scale change nothing.

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    >>> round(linear_cka(x, 3 * x.flip(1)), 6)
    1.0
    """
    x, y = (features.double() - features.double().mean(0) for features in (one, other))
    return float((y.T @ x).square().sum() / ((x.T @ x).norm() * (y.T @ y).norm()))
