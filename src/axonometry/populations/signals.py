"""MNIST-1D: digits as short signals, made from a seed by the ``mnist1d`` package; nothing is downloaded."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from axonometry.errors import MissingExtraError

Signals = tuple[Float[Tensor, "_ 1 moments"], Int[Tensor, " _"]]


def mnist_1d() -> tuple[Signals, Signals]:
    """The signals of MNIST-1D with its own choices: 4,000 for training and 1,000 for testing, 40 moments each.

    Ten templates of twelve points, one a digit, are each padded, scaled, moved, sheared and covered with noise. Numbers
    are in units of the standard deviation over all of them, around 0.

    Raises:
        MissingExtraError: ``mnist1d`` is not installed.

    Source: Greydanus and Kobak 2024, Scaling down deep learning with MNIST-1D, arXiv 2011.14439.
    """
    try:
        from mnist1d.data import get_dataset_args, make_dataset
    except ImportError as error:
        missing = MissingExtraError.of("mnist1d", "mnist1d")
        raise missing from error
    with _random_states_kept():  # the package seeds the global generators
        made = make_dataset(get_dataset_args())
    train, test = (
        (torch.from_numpy(made[f"x{half}"]).float()[:, None], torch.from_numpy(made[f"y{half}"]).long())
        for half in ("", "_test")
    )
    return train, test


@contextmanager
def _random_states_kept() -> Iterator[None]:
    ours, numpys = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)
