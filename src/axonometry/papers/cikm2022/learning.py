"""Populations in which most networks learn: small images and signals, hyper-parameters drawn at random.

Of the paper's own grid on few images, few networks learn anything, and whoever predicts them tells a network that
stands still from one that moves. Here two fifths or more of each population learn, and some do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from axonometry.papers.cikm2022.grids import EPOCHS, Grid
from axonometry.populations import RunConfiguration, cikm2022, draw_hard_grid
from axonometry.populations.protocols import CIKM2022_LEARNING_RATES

FASHION: dict[str, Any] = {"dataset": "fashion-mnist-14", "test_fraction": 0.2}
CIFAR: dict[str, Any] = {"dataset": "cifar10-16", "train_fraction": 0.5}
SIGNALS: dict[str, Any] = {"dataset": "mnist-1d", "train_fraction": 1.0}
HE = "variance-scaling-normal-fan-in"
APART = 20_000
"""Between the seeds of two populations: more than any has runs."""

Change = Callable[[RunConfiguration], RunConfiguration]


def _as_drawn(configuration: RunConfiguration) -> RunConfiguration:
    return configuration


def _more_updates(configuration: RunConfiguration) -> RunConfiguration:
    """Smaller batches, for 4,000 inputs: from 16 to 64."""
    return replace(configuration, batch_size=max(16, configuration.batch_size // 4))


def _fewer_updates(configuration: RunConfiguration) -> RunConfiguration:
    """Batches from 32 on, for networks whose updates are slow."""
    return replace(configuration, batch_size=max(32, configuration.batch_size))


def _he(configuration: RunConfiguration) -> RunConfiguration:
    """From He et al.'s distribution, times the drawn scale: from PyTorch's own, eight layers without norms stand."""
    return replace(configuration, initialiser=HE, scale=2 * configuration.scale)


def _he_fewer_updates(configuration: RunConfiguration) -> RunConfiguration:
    return _he(_fewer_updates(configuration))


@dataclass(frozen=True)
class Kind:
    """One population, before its size is known.

    Attributes:
        name: The folder of its runs.
        title: What it is, in words.
        architecture: As of :class:`Grid`.
        part: Its size, as a part of the first population's.
        place: Which block of seeds is its own.
        fixed: What is not drawn.
        change: What is changed of each drawn configuration.
    """

    name: str
    title: str
    architecture: str
    part: float
    place: int
    fixed: dict[str, Any]
    change: Change = _as_drawn

    def grid(self, seeds: int) -> Grid:
        """The population, where the first one has so many runs."""
        first = APART * self.place
        numbers = range(first, first + max(2, round(seeds * self.part)))
        return Grid(self.name, self.title, self.architecture, "learning", partial(self._draw, numbers))

    def _draw(self, seeds: Iterable[int]) -> tuple[RunConfiguration, ...]:
        return tuple(map(self.change, draw_hard_grid(seeds, epochs=EPOCHS, **self.fixed)))


def _lenet(name: str, width: float, part: float, place: int) -> Kind:
    return Kind(name, f"LeNet, {width:g} times the width", "lenet", part, place, FASHION | _of("lenet", width=width))


def _resnet(depth: int, part: float, place: int) -> Kind:
    fixed = FASHION | _of(f"resnet-{depth}", width=0.25, train_fraction=0.025)
    return Kind(
        f"resnet-{depth}", f"ResNet-{depth}, a quarter of the width", "resnet", part, place, fixed, _fewer_updates
    )


def _of(family: str, **fixed: Any) -> dict[str, Any]:
    return {"family": family, **fixed}


_VGG = _of("vgg-like", width=0.125, train_fraction=0.05)
_ALEXNET = _of("alexnet-like", width=0.0625, train_fraction=0.05)
_DENSE = _of("mlp", widths=(64, 32))
_GRU = _of("recurrent", cell="gru", units=32, activation="relu")
KINDS = (
    Kind("lenet", "LeNet", "lenet", 1.0, 0, FASHION | _of("lenet")),
    Kind("mlp", "MLP 64-32", "mlp", 0.75, 1, FASHION | _DENSE),
    Kind("signal-mlp", "MLP 64-32 on MNIST-1D", "signal-mlp", 0.75, 10, SIGNALS | _DENSE, _more_updates),
    Kind("signal-recurrent", "GRU on MNIST-1D", "signal-recurrent", 0.5, 12, SIGNALS | _GRU, _more_updates),
    Kind(
        "signal-convolutional",
        "convolutional network on MNIST-1D",
        "signal-convolutional",
        0.5,
        11,
        SIGNALS | _of("signal-convolutional"),
        _more_updates,
    ),
    _resnet(8, 0.375, 4),
    Kind("vgg", "VGG-like, an eighth of the width", "vgg-like", 0.375, 2, FASHION | _VGG, _he_fewer_updates),
    Kind("alexnet", "AlexNet-like, a sixteenth of the width", "alexnet-like", 0.375, 3, FASHION | _ALEXNET, _he),
    Kind("cifar", "LeNet on CIFAR-10, 16 x 16", "lenet", 0.375, 9, CIFAR | _of("lenet"), _more_updates),
    _lenet("lenet-double", 2.0, 0.375, 7),
    _lenet("lenet-half", 0.5, 0.375, 6),
    _lenet("lenet-quadruple", 4.0, 0.1875, 8),
    _resnet(14, 0.125, 5),
)
"""In the order in which they are wanted; 14 x 14 Fashion-MNIST where nothing else is said."""


def medium_grids(seeds: int) -> tuple[Grid, ...]:
    """The populations of :data:`KINDS`, and the paper's grid of rates for LeNet on 14 x 14 Fashion-MNIST.

    Args:
        seeds: Runs of the first population; the others are parts of it.
    """
    fixed = {"family": "lenet", "epochs": EPOCHS, "train_fraction": 0.2, "augmentation": "none", **FASHION}
    rates = partial(cikm2022, CIKM2022_LEARNING_RATES, (0.0, 0.5), **fixed)
    paper = Grid("lenet-grid", "LeNet, the paper's learning rates on 14 x 14 Fashion-MNIST", "lenet", "paper", rates)
    return (*(kind.grid(seeds) for kind in KINDS), paper)
