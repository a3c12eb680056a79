"""Independent random streams, one for each purpose, all from one seed.

One generator for everything would tie a run's parts together and to its history: whoever draws one number more for the
dropout gets other batches behind it. So each purpose has a stream of its own, named by words and numbers:

    derive(7, "initialiser")     the initial parameters
    derive(7, "order", 3)        the order of the samples in epoch 3
    derive(7, "dropout", 120)    the dropout of update 120

A killed run needs no state of these streams: it makes the stream of epoch 3 anew from its name. And two runs that
differ in one choice alone, say the dropout, begin with the same parameters and see the same batches.
"""

from __future__ import annotations

import hashlib

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A number for one purpose of a seed: unrelated to any other purpose's, the same on every machine.

    Seeding every purpose with the seed itself would tie them together: in the official code of paper 1 the choice of
    the optimiser and the initial weights come from the same number.

    Args:
        seed: The run's seed.
        purpose: What the number is for, for example ``"order", 3`` for the order of the images in epoch 3.

    Returns:
        The first 63 bits of a SHA-256, below 2**63.

    >>> derive(1, "order", 0) == derive(1, "order", 0), derive(1, "order", 0) == derive(1, "order", 1)
    (True, False)
    """
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A generator on the CPU for one purpose of a seed.

    >>> [int(torch.randint(100, (1,), generator=generator(seed, "order", 0))) for seed in (1, 1, 2)]
    [95, 95, 44]
    """
    return torch.Generator().manual_seed(derive(seed, *purpose))
