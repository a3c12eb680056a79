"""What a published zoo holds, whatever its format: networks with their choices, curves and weights."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

SPLITS = ("train", "validation", "test")
"""What a network is for: to learn from, to choose by, to be predicted."""

SOURCE = "zoo"
"""The entry of a run's configuration that says which format it comes from."""

Weights = Callable[[], dict[str, Tensor]]


@dataclass(frozen=True)
class PublishedNetwork:
    """One network of a published zoo.

    Attributes:
        name: Its name, which becomes a folder's.
        split: For what the publishers use it: one of :data:`SPLITS`.
        configuration: Its hyper-parameters and architecture, as JSON values.
        scalars: By epoch, ``accuracy`` on test images and what else was published.
        weights: By epoch, a function that reads the weights, by the names of our module.
    """

    name: str
    split: str
    configuration: Mapping[str, Any]
    scalars: Mapping[int, Mapping[str, float]]
    weights: Mapping[int, Weights]


@dataclass(frozen=True)
class PublishedZoo:
    """A published zoo as its files say, with weights that are read when asked for.

    Attributes:
        source: The format's name.
        folder: Where the files are.
        networks: The networks.
    """

    source: str
    folder: Path
    networks: tuple[PublishedNetwork, ...]

    def __len__(self) -> int:
        return len(self.networks)


def split_in_half(n: int) -> list[str]:
    """The split of n networks in their order that NFN published: the second half is the test set.

    Of the first half, shuffled by ``random.Random(0)``, the first 80 % are to learn from and the rest to validate.

    Source: Zhou et al. 2023, Permutation Equivariant Neural Functionals, their data set of the Small CNN Zoo.

    >>> [split_in_half(20).count(split) for split in SPLITS]
    [8, 2, 10]
    """
    half = list(range(int(0.5 * n)))
    random.Random(0).shuffle(half)
    found = ["test"] * n
    for place, number in enumerate(half):
        found[number] = "train" if place < int(0.8 * len(half)) else "validation"
    return found


def split_shuffled(names: Sequence[str], shares: tuple[float, float] = (0.7, 0.15)) -> dict[str, str]:
    """The split of the Model Zoos: folders shuffled with seed 42, then 70 %, 15 % and 15 %.

    They shuffle in the order in which the file system names folders, which differs from disk to disk; here folders are
    sorted by name first [our choice].

    Source: Schürholt et al. 2022, Model Zoos, arXiv 2209.14764, ``dataset_base.py``.

    >>> [list(split_shuffled([str(n) for n in range(20)]).values()).count(split) for split in SPLITS]
    [14, 3, 3]
    """
    shuffled = sorted(names)
    random.Random(42).shuffle(shuffled)
    first = int(shares[0] * len(shuffled))
    second = first + int(shares[1] * len(shuffled))
    return {
        name: "train" if place < first else "validation" if place < second else "test"
        for place, name in enumerate(shuffled)
    }
