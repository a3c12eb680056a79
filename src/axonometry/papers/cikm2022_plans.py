"""What is trained for the experiment on Vahedian et al. 2021: populations of several architectures over grids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from axonometry.populations import RunConfiguration, cikm2022, hard_grid

EPOCHS = 10
"""Length of every training of the small scale."""


@dataclass(frozen=True)
class Plan:
    """One population.

    Attributes:
        name: A short name, the folder of its runs.
        title: What it is, in words.
        architecture: What networks of it are called where architectures are compared; ResNets of all depths are one.
        grid: ``"paper"`` or ``"hard"``.
        configurations: One network each.
        subject: Populations of one subject are judged together; each by itself where it is empty.
    """

    name: str
    title: str
    architecture: str
    grid: str
    configurations: tuple[RunConfiguration, ...]
    subject: str = ""


def small() -> tuple[Plan, ...]:
    """Populations that two cores train in about two hours.

    CIFAR-10 is its first 8,000 training images here, and small machines go through a part of these: half for LeNet
    and the VGG-like networks, a quarter for the AlexNet-like ones, a tenth for ResNets, and fewer learning rates
    than the paper has. The VGG- and AlexNet-like networks start from He et al.'s law: from PyTorch's own, none of
    them learned anything in so few updates, and VGG-like ones learn little even so. Populations stand in the order
    in which they are wanted, so that an experiment that is cut off has the most important ones.
    """
    lenets = _rates(2.0, 3.0, 3.5, 4.5)
    fewer = _rates(2.5)
    return (
        _hard("hard-fashion", "fashion-mnist", range(480), test_fraction=0.2),
        _paper("lenet", "LeNet", "lenet", lenets, train_fraction=0.5),
        _paper(
            "vgg", "VGG-like, an eighth of the width", "vgg-like", _rates(4.5), train_fraction=0.5, width=0.125, **_HE
        ),
        _paper(
            "alexnet",
            "AlexNet-like, a sixteenth of the width",
            "alexnet-like",
            fewer,
            train_fraction=0.25,
            width=0.0625,
            **_HE,
        ),
        _hard("hard-cifar", "cifar10", range(10_000, 10_060), train_fraction=0.5),
        _paper("lenet-wide", "LeNet, twice as wide", "lenet", fewer, train_fraction=0.5, width=2.0, dropouts=_FOUR),
        *(
            _paper(name, f"{title}, a quarter of the width", name, rates, **_QUARTER, dropouts=dropouts)
            for name, title, rates, dropouts in (
                ("resnet-32", "ResNet-32", _rates(2.0), (0.0, 0.2, 0.4, 0.6, 0.8)),
                ("resnet-44", "ResNet-44", _rates(3.0)[1:], (0.0, 0.3, 0.6, 0.9)),
                ("resnet-56", "ResNet-56", _rates(4.0)[1:], (0.0, 0.5)),
            )
        ),
    )


_HE: dict[str, Any] = {"initialiser": "variance-scaling-normal-fan-in", "scale": 2.0}
_QUARTER: dict[str, Any] = {"train_fraction": 0.1, "test_fraction": 0.25, "width": 0.25}
_FOUR = (0.0, 0.3, 0.6, 0.9)


def full() -> tuple[Plan, ...]:
    """The paper's grids, architectures in the paper's sizes and epochs; for GPUs."""
    widths = {"": 1.0, "-half": 0.5, "-wide": 2.0}
    return (
        *(
            Plan(
                f"{family}{suffix}",
                f"{family}, {width:g} times the width",
                _architecture(family),
                "paper",
                cikm2022(family=family, epochs=100 if family == "lenet" else 50, width=width),
                f"resnet{suffix}" if family.startswith("resnet") else "",
            )
            for family in ("lenet", "vgg-like", "alexnet-like", "resnet-32", "resnet-44", "resnet-56")
            for suffix, width in widths.items()
        ),
        _hard("hard-fashion", "fashion-mnist", range(2000)),
        _hard("hard-mnist", "mnist", range(10_000, 11_000)),
        _hard("hard-cifar", "cifar10", range(20_000, 22_000)),
    )


SCALES: Mapping[str, Callable[[], tuple[Plan, ...]]] = {"small": small, "full": full}


def _rates(*factors: float) -> tuple[float, ...]:
    """Learning rates from 1e-6 to 1e-1 times each factor, as in the paper's grid."""
    return tuple(float(f"{factor}e-{power}") for power in range(6, 0, -1) for factor in factors)


def _paper(name: str, title: str, family: str, rates: tuple[float, ...], **fixed: Any) -> Plan:
    settings: dict[str, Any] = {"family": family, "epochs": EPOCHS, "test_fraction": 0.5, "learning_rates": rates}
    return Plan(
        name,
        f"{title}, the paper's grid on CIFAR-10",
        _architecture(family),
        "paper",
        cikm2022(**{**settings, **fixed}),
        "resnet" if family.startswith("resnet") else "",
    )


def _architecture(family: str) -> str:
    return "resnet" if family.startswith("resnet") else family


def _hard(name: str, dataset: str, seeds: range, **fixed: float) -> Plan:
    settings: dict[str, Any] = {"dataset": dataset, "family": "lenet", "epochs": EPOCHS, **fixed}
    return Plan(name, f"LeNet, hard grid on {dataset}", "lenet", "hard", hard_grid(seeds, **settings))
