"""The networks of each experiment, at the scale of two cores and at the paper's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from axonometry.papers.lin2025.items import ADDITION, Item, Network, Plan, Task, Training, spread

Scale = Literal["small", "full"]
SEEDS: Mapping[Scale, int] = {"small": 3, "full": 5}

CLASSES = 10
_INPUTS = {"mnist": 784, "digits": 64}
BASINS = ("test_samples", "test_weights")
_BEGINNINGS: tuple[Literal["he", "torch"], ...] = ("he", "torch")


@dataclass(frozen=True)
class Sizes:
    """What differs between the scales.

    Attributes:
        images: Training images where their number is not what is varied.
        tests: Test images.
        updates: Factor on the numbers of updates.
        samples: Samples that basins and sharpness are taken on.
        ranked: Samples that are put in order.
    """

    images: int
    tests: int
    updates: int
    samples: int
    ranked: int


SIZES: Mapping[Scale, Sizes] = {
    "small": Sizes(images=10_000, tests=2000, updates=1, samples=300, ranked=1000),
    "full": Sizes(images=60_000, tests=10_000, updates=20, samples=2000, ranked=10_000),
}


def lmap(scale: Scale, seed: int) -> Iterable[Item]:
    """Tanh and linear networks of one hidden layer over the number of training images."""
    sizes, width = SIZES[scale], {"small": 512, "full": 2048}[scale]
    steps = 800 * sizes.updates
    few = (100, 300, 600, 2000, 6000, 20_000, 60_000)
    for n in few:
        for kind, activation in (("tanh", "tanh"), ("linear", "identity")):
            measures = ("ranks", "truncation", *(("densities",) if n in (600, 60_000) else ()))
            yield Item(
                "lmap",
                f"{kind}, {n} images",
                seed,
                Task("mnist", n, sizes.tests),
                Network((width,), activation),
                Training("adam", 1e-3, 100, steps),
                Plan((), spread(steps, 8, 5), measures, sizes.samples, sizes.ranked),
            )


def phases(scale: Scale, seed: int) -> Iterable[Item]:
    """Ten layers of 512 ReLU neurons by two learning rates of SGD, and by Adam."""
    sizes = SIZES[scale]
    steps = 1000 * sizes.updates
    for optimiser, rate in (("sgd", 0.03), ("sgd", 0.37), ("adam", 0.001), ("adam", 0.0003)):
        name = "SGD" if optimiser == "sgd" else "Adam"
        yield Item(
            "phases",
            f"{name} {rate}",
            seed,
            Task("mnist", 2 * sizes.images if scale == "small" else sizes.images, sizes.tests),
            Network((512,) * 10, initial="he"),
            Training("sgd" if optimiser == "sgd" else "adam", rate, 50, steps),
            Plan((), spread(steps, 8, 10), ("ranks", "modes"), sizes.samples, sizes.ranked),
        )


def depth(scale: Scale, seed: int) -> Iterable[Item]:
    """Networks of one to a hundred hidden layers, of several widths, from two ways to begin."""
    sizes = SIZES[scale]
    steps = 700 * sizes.updates
    for width in {"small": (32, 128), "full": (64, 128, 256, 512)}[scale]:
        for layers in (1, 2, 4, 6, 8, 12, 20, 30, 100):
            for initial in _BEGINNINGS if width == 128 else _BEGINNINGS[:1]:
                yield Item(
                    "depth",
                    f"{layers} layers of {width}, {initial}",
                    seed,
                    Task("mnist", sizes.images, sizes.tests),
                    Network((width,) * layers, initial=initial),
                    Training("adam", 1e-3, 100, steps),
                    Plan(spread(steps, 6, 20), (), BASINS, sizes.samples, sizes.ranked),
                )


def flat_minima(scale: Scale, seed: int) -> Iterable[Item]:
    """The same network trained to the same loss with batches of 16 to 4,000."""
    sizes = SIZES[scale]
    images = {"small": 4000, "full": 60_000}[scale]
    for batch in (16, 64, 256, 1000, 4000):
        steps = sizes.updates * max(900, 8000 * 16 // batch)
        yield Item(
            "flat-minima",
            f"batch of {batch}",
            seed,
            Task("mnist", images, sizes.tests),
            Network((128, 128)),
            Training("adam", 1e-3, batch, steps, enough=0.02),
            Plan(tuple(range(20, steps, 20)), (), (*BASINS, "train_weights", "flatness"), sizes.samples),
        )


def grokking(scale: Scale, seed: int) -> Iterable[Item]:
    """Modular addition; and 1,000 images from initial weights times eight."""
    sizes = SIZES[scale]
    modulus = {"small": 59, "full": 97}[scale]
    steps = {"small": 4000, "full": 30_000}[scale]
    both = ("ranks", "modes", *BASINS, "train_samples")
    yield Item(
        "grokking",
        f"addition modulo {modulus}",
        seed,
        Task(ADDITION, round(0.6 * modulus**2), 1000, modulus=modulus),
        Network((256,)),
        Training("adamw", 3e-3, modulus**2, steps, weight_decay=1.0),
        Plan(spread(steps, 40, 10), spread(steps, 12, 30), both, sizes.samples, sizes.ranked),
    )
    for decay, steps in {"small": ((0.3, 6000), (0.1, 15_000)), "full": ((0.3, 100_000), (0.01, 100_000))}[scale]:
        yield _omnigrok(scale, seed, decay, steps, both)


def _omnigrok(scale: Scale, seed: int, decay: float, steps: int, measures: tuple[str, ...]) -> Item:
    sizes = SIZES[scale]
    return Item(
        "grokking",
        f"1,000 images, weights times 8, decay {decay}",
        seed,
        Task("mnist", 1000, sizes.tests),
        Network((200, 200), factor=8.0),
        Training("adamw", 1e-3, 200, steps, weight_decay=decay, loss="mse"),
        Plan(spread(steps, 40, 10), spread(steps, 12, 30), measures, sizes.samples, sizes.ranked),
    )


def double_descent(scale: Scale, seed: int) -> Iterable[Item]:
    """One hidden layer of two to hundreds of neurons on images of which 15% have a false label."""
    sizes = SIZES[scale]
    images = {"small": 1000, "full": 4000}[scale]
    steps = {"small": 3000, "full": 100_000}[scale]
    for width in (2, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, *((512, 1024) if scale == "full" else ())):
        yield Item(
            "double-descent",
            f"width {width}",
            seed,
            Task("mnist", images, sizes.tests, label_noise=0.15),
            Network((width,)),
            Training("adam", 3e-3, 100, steps),
            Plan(spread(steps, 8, 100), (), ("ranks", "modes", *BASINS, "train_samples"), sizes.samples, sizes.ranked),
        )


EXPERIMENTS: Mapping[str, Callable[[Scale, int], Iterable[Item]]] = {
    "lmap": lmap,
    "phases": phases,
    "depth": depth,
    "flat-minima": flat_minima,
    "grokking": grokking,
    "double-descent": double_descent,
}
"""Networks of each experiment, of one seed."""


def items(experiment: str, scale: Scale, seeds: int) -> tuple[Item, ...]:
    """All networks of an experiment, seed after seed."""
    return tuple(item for seed in range(seeds) for item in EXPERIMENTS[experiment](scale, seed))


def operations(item: Item, steps: float) -> float:
    """Multiplications of so many updates, about: three for each weight and sample."""
    task = item.task
    inputs = 2 * task.modulus if task.name == ADDITION else _INPUTS.get(task.name, _INPUTS["mnist"])
    sizes = (inputs, *item.network.widths, task.modulus or CLASSES)
    weights = sum(before * behind for before, behind in pairwise(sizes))
    return 3.0 * weights * min(item.training.batch, task.n_train) * steps
