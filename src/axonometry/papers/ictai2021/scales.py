"""What is trained for the experiment on La Malfa et al. 2021: ensembles of networks of one architecture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from axonometry.experiments import Scale, Trial
from axonometry.populations import RunConfiguration, draw, ictai2021, ictai2021_cnn_ensemble

EPOCH = 938
"""Updates of one epoch: 60,000 images in batches of 64."""
_BEGIN = {"initialiser": "random-normal", "scale": 0.05}
WORDS = {"max_steps": "number of updates", "epochs": "number of epochs"}


def ensemble(name: str, configurations: Sequence[RunConfiguration], trained_alike: Sequence[str]) -> tuple[Trial, ...]:
    """The trials of an ensemble, in a folder of its name.

    Args:
        name: Its name.
        configurations: One network each.
        trained_alike: Attributes in which networks of one stratum agree, so that they differ by their seed alone.
    """

    def stratum(one: RunConfiguration) -> str:
        return ", ".join(f"{WORDS.get(key, key)}: {getattr(one, key)}" for key in trained_alike)

    return tuple(Trial(one, name, stratum(one), population=name) for one in configurations)


def tiny_ensembles(seeds: int) -> tuple[Trial, ...]:
    """Two ensembles on the digits."""
    common: dict[str, Any] = {"dataset": "digits", "epochs": 3, "record_every": 135, **_BEGIN}
    convolutional = {"family": "convolutional", "optimiser": "adam", **common}
    cnn = draw(range(20_000, 20_000 + seeds * 3 // 5), {"max_steps": (2, 20, 60)}, **convolutional)
    return (
        *ensemble("fc-tiny", draw(range(seeds), {"max_steps": (1, 20, 45, 90, 135)}, **common), ["max_steps"]),
        *ensemble("cnn-tiny", cnn, ["max_steps"]),
    )


def small_ensembles(seeds: int) -> tuple[Trial, ...]:
    """Three ensembles on MNIST that two cores train in minutes.

    The networks, initialisers, optimisers, rates and batches are the paper's. Trainings end after a drawn number of
    updates, not only after whole epochs, so that all accuracies occur [our choice]; each optimiser has the range in
    which it learns. The convolutional networks see the first 15% of the images, as in the paper's ensembles, and learn
    by Adam alone: with SGD they do not learn at all in that time.
    """
    steps = {"max_steps": (2, 4, 8, 12, 16, 24, 36, 54, 72, 108)}
    common: dict[str, Any] = {"dataset": "mnist", "family": "convolutional", "train_fraction": 0.15, **_BEGIN}
    training: dict[str, Any] = {"optimiser": "adam", "batch_size": 256, "epochs": 3, "record_every": 108}
    cnn = draw(range(20_000, 20_000 + seeds * 3 // 20), steps, **common, **training)
    alike = ("optimiser", "max_steps")
    return (
        *ensemble("fc-small-0.05", _fully_connected(0.05, range(seeds)), alike),
        *ensemble("fc-small-0.5", _fully_connected(0.5, range(10_000, 10_000 + seeds * 3 // 10)), alike),
        *ensemble("cnn-small-0.05", cnn, ["max_steps"]),
    )


def _fully_connected(scale: float, seeds: range) -> tuple[RunConfiguration, ...]:
    """784-32-32-200-10, even seeds by SGD for half an epoch to five, odd ones by Adam from 20 updates on."""
    common: dict[str, Any] = {"dataset": "mnist", "family": "fully-connected", "size": "small"}
    common |= {**_BEGIN, "scale": scale, "batch_size": 64, "epochs": 5}
    halves = tuple(EPOCH * half // 2 for half in range(1, 11))
    early = (20, 40, 80, 160, 320, 640, *halves[1::2][:3], 5 * EPOCH)
    sgd = draw(seeds[::2], {"max_steps": halves}, optimiser="sgd", **common)
    return sgd + draw(seeds[1::2], {"max_steps": early}, optimiser="adam", **common)


_PROTOCOLS = {"fully-connected": ictai2021, "convolutional": ictai2021_cnn_ensemble}
_FULL = tuple(product(("mnist", "cifar10"), _PROTOCOLS, ("small", "medium", "big"), (0.05, 0.5, 5.0)))


def full_ensembles(seeds: int) -> tuple[Trial, ...]:
    """The paper's families and sizes, scales 0.05, 0.5 and 5, all nine initialisers, on both data sets.

    Each seed draws one initialiser, where the paper trains all nine from one seed and so has samples that are not
    independent.
    """
    seen, alike = range(10_000, 10_000 + seeds), ("initialiser", "optimiser", "epochs")
    found: list[Trial] = []
    for dataset, family, size, scale in _FULL:
        networks = _PROTOCOLS[family](seen, dataset=dataset, family=family, size=size, scale=scale)
        found += ensemble(f"{dataset}-{family}-{size}-{scale}", networks, alike)
    return tuple(found)


_NORMAL = "networks, random normal weights of scale"
_ON_DIGITS = {"fc-tiny": "small fully connected networks", "cnn-tiny": "small convolutional networks"}
_ON_MNIST = {
    "fc-small-0.05": f"small fully connected {_NORMAL} 0.05",
    "fc-small-0.5": f"small fully connected {_NORMAL} 0.5",
    "cnn-small-0.05": f"small convolutional {_NORMAL} 0.05",
}
_ALL = {f"{d}-{f}-{s}-{x}": f"{s} {f} networks on {d}, nine initialisers of scale {x}" for d, f, s, x in _FULL}
SCALES = {
    "tiny": Scale(tiny_ensembles, 30, "48 networks on the digits, a minute.", _ON_DIGITS),
    "small": Scale(small_ensembles, 400, "580 networks on MNIST, about ten minutes on two cores.", _ON_MNIST),
    "medium": Scale(small_ensembles, 4000, "The same with 5,800 networks, about two hours on two cores.", _ON_MNIST),
    "full": Scale(full_ensembles, 1000, "36,000 networks on MNIST and CIFAR-10, for a cluster.", _ALL),
}
