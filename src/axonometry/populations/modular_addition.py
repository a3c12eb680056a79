"""Addition modulo p: a task that is small, whole, and learned long after its training samples are (grokking)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from axonometry.errors import ConfigurationError
from axonometry.populations.seeds import generator

TRAINED_SHARE = 0.6
"""Share of all sums that is trained on where nothing else is said [our choice]."""

Half = tuple[Float[Tensor, "_ inputs"], Int[Tensor, " _"]]


def modular_addition(modulus: int = 97, n_train: int | None = None, seed: int = 0) -> tuple[Half, Half, int]:
    """All sums of two numbers modulo p, some to learn from and all others to test on.

    An input is two one-hot vectors side by side, its class the sum. Modulo 3, 2 + 2 is 1:
    (0 0 1 | 0 0 1) -> 1. Which of the p² sums are trained on is drawn by the seed.

    Args:
        modulus: p, at least 2.
        n_train: Sums to learn from; 60% of all, rounded, where None.
        seed: Of the draw.

    Returns:
        Inputs (n, 2p) and classes of the sums that are trained on, the same of the others, and p.

    Raises:
        ConfigurationError: Nothing would be left to test on.

    >>> train, test, classes = modular_addition(3, n_train=8)
    >>> train[0].shape, test[0].shape, classes
    (torch.Size([8, 6]), torch.Size([1, 6]), 3)
    """
    n = round(TRAINED_SHARE * modulus**2) if n_train is None else n_train
    if not 0 < n < modulus**2:
        remedy = "Choose another `n_train`"
        raise ConfigurationError("some of the sums are trained on and some are not", f"{n} of {modulus**2}", remedy)
    first, second = torch.cartesian_prod(torch.arange(modulus), torch.arange(modulus)).T
    inputs = torch.cat([F.one_hot(first, modulus), F.one_hot(second, modulus)], dim=1).float()
    labels = (first + second) % modulus
    order = torch.randperm(modulus**2, generator=generator(seed, "subset"))
    train, test = order[:n], order[n:]
    return (inputs[train], labels[train]), (inputs[test], labels[test]), modulus
