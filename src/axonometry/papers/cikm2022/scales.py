"""What is trained for the experiment on Vahedian et al. 2021: populations of several architectures over grids."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from axonometry.experiments import Scale, Trial, trials_of
from axonometry.integrations.pruning import Design
from axonometry.papers.cikm2022.grids import EPOCHS, Grid
from axonometry.papers.cikm2022.learning import medium_grids
from axonometry.populations import cikm2022, draw_hard_grid
from axonometry.predict.evaluation import EvaluationPlan

BOTH = "graph+curve"
MEASURES = ("channel_degree", "channel_centrality", "spectral_norm", "node_strength")
"""What is read of the graphs, beside the movement of the weights."""
LINEAR_MAP = "linear_map"
"""Read as well for the hard grid, whose networks are small."""
NEEDED: dict[str, dict[str, Any]] = {
    "paper": {"measures": MEASURES, "sections": ("architectures", "unseen")},
    "hard": {"measures": (*MEASURES, LINEAR_MAP), "sections": ("hard-grid", "unseen", "in-time")},
    "learning": {"measures": MEASURES, "sections": ("hard-grid", "unseen", "in-time")},
}
"""What is recorded of each kind of grid, and the sections that read it."""
PLAN = EvaluationPlan(folds=5, inner_folds=4)
DESIGN = Design(features=BOTH, epochs=5)
"""How pruners are compared."""


Grids = Callable[[int], tuple[Grid, ...]]
"""For a number of seeds."""
Others = tuple[tuple[str, str, str], ...]
"""What is predicted from what: kind, source, target."""


@dataclass(frozen=True)
class GridOptions:
    """What the sections need to know.

    Attributes:
        grids: The populations, for the scale's number of seeds.
        others: Beside architectures from each other, what is predicted from what: kind, source, target.
        horizons: Numbers of known epochs.
        plan: Folds, learners and resamples.
        design: How pruners are compared.
        few: Runs from which a population is looked at after every epoch.
        sizes: Numbers of runs that are learned from.
    """

    grids: Grids
    others: Others
    horizons: tuple[int, ...] = (1, 2, 3, 4, 5)
    plan: EvaluationPlan = PLAN
    design: Design = DESIGN
    few: int = 200
    sizes: tuple[int, ...] = (50, 100, 200, 400)


def grid_trials(grids: Grids, seeds: int) -> tuple[Trial, ...]:
    """The trials of all populations; ``seeds`` is the size of the first hard grid."""
    return tuple(
        trial
        for grid in grids(seeds)
        for trial in trials_of(grid.configurations, grid.name, population=grid.name, **NEEDED[grid.kind])
    )


def tiny_grids(seeds: int) -> tuple[Grid, ...]:
    """Networks of one, two and three hidden layers on the digits."""
    common: dict[str, Any] = {"dataset": "digits", "epochs": 2, "train_fraction": 0.5, "test_fraction": 0.5}

    def paper(name: str, title: str, dropouts: Sequence[float], subject: str = "", **own: Any) -> Grid:
        fixed = {"augmentation": "none", "batch_size": 16, **common, **own}
        networks = partial(cikm2022, (1e-5, 0.005, 0.05), dropouts, **fixed)
        return Grid(name, f"{title}, the paper's grid on the digits", subject or "flat", "paper", networks, subject)

    hard = partial(draw_hard_grid, range(seeds), **common)
    return (
        Grid("hard-digits", "2 hidden layers, hard grid on digits", "flat", "hard", hard),
        paper("flat", "1 hidden layer", (0.0, 0.3, 0.6), layers=1),
        paper("flat-wide", "1 hidden layer, 64 units", (0.0, 0.3, 0.6), layers=1, units=64),
        paper("deep-2", "2 hidden layers", (0.0, 0.3), "deep", layers=2),
        paper("deep-3", "3 hidden layers", (0.0, 0.3), "deep", layers=3),
    )


_HE: dict[str, Any] = {"initialiser": "variance-scaling-normal-fan-in", "scale": 2.0}
_FOUR = (0.0, 0.3, 0.6, 0.9)


def small_grids(seeds: int) -> tuple[Grid, ...]:
    """Populations that two cores train in about two hours.

    CIFAR-10 is its first 8,000 training images here, and small machines go through a part of these: half for LeNet
    and the VGG-like networks, a quarter for the AlexNet-like ones, a tenth for ResNets, and fewer learning rates
    than the paper has. The VGG- and AlexNet-like networks start from He et al.'s distribution: from PyTorch's own, none
    of them learned anything in so few updates, and VGG-like ones learn little even so. Populations stand in the order
    in which they are wanted, so that an experiment that is interrupted has the most important ones.
    """
    lenets, fewer, half = _rates(2.0, 3.0, 3.5, 4.5), _rates(2.5), {"train_fraction": 0.5}
    vgg, alexnet = {**half, "width": 0.125, **_HE}, {"train_fraction": 0.25, "width": 0.0625, **_HE}
    wide = {**half, "width": 2.0, "dropouts": _FOUR}
    return (
        _hard("hard-fashion", "fashion-mnist", range(seeds), test_fraction=0.2),
        _paper("lenet", "LeNet", "lenet", lenets, half),
        _paper("vgg", "VGG-like, an eighth of the width", "vgg-like", _rates(4.5), vgg),
        _paper("alexnet", "AlexNet-like, a sixteenth of the width", "alexnet-like", fewer, alexnet),
        _hard("hard-cifar", "cifar10", range(10_000, 10_000 + max(1, seeds // 8)), train_fraction=0.5),
        _paper("lenet-wide", "LeNet, twice as wide", "lenet", fewer, wide),
        _resnet(32, _rates(2.0), (0.0, 0.2, 0.4, 0.6, 0.8)),
        _resnet(44, _rates(3.0)[1:], _FOUR),
        _resnet(56, _rates(4.0)[1:], (0.0, 0.5)),
    )


_LENGTHS = {"lenet": 100} | dict.fromkeys(("vgg-like", "alexnet-like", "resnet-32", "resnet-44", "resnet-56"), 50)
"""Epochs of the paper's families."""


def full_grids(seeds: int) -> tuple[Grid, ...]:
    """The paper's grids, architectures in the paper's sizes and epochs; for GPUs."""
    return (
        *(
            _on_the_grid(family + suffix, f"{family}, {width:g} times the width", family, epochs=epochs, width=width)
            for family, epochs in _LENGTHS.items()
            for suffix, width in {"": 1.0, "-half": 0.5, "-wide": 2.0}.items()
        ),
        _hard("hard-fashion", "fashion-mnist", range(seeds)),
        _hard("hard-mnist", "mnist", range(10_000, 10_000 + seeds // 2)),
        _hard("hard-cifar", "cifar10", range(20_000, 20_000 + seeds)),
    )


def _rates(*factors: float) -> tuple[float, ...]:
    """Learning rates from 1e-6 to 1e-1 times each factor, as in the paper's grid."""
    return tuple(float(f"{factor}e-{power}") for power in range(6, 0, -1) for factor in factors)


def _paper(name: str, title: str, family: str, rates: tuple[float, ...], own: dict[str, Any]) -> Grid:
    settings = {"epochs": EPOCHS, "test_fraction": 0.5, "learning_rates": rates, **own}
    return _on_the_grid(name, f"{title}, the paper's grid on CIFAR-10", family, **settings)


def _resnet(depth: int, rates: tuple[float, ...], dropouts: tuple[float, ...]) -> Grid:
    own = {"train_fraction": 0.1, "test_fraction": 0.25, "width": 0.25, "dropouts": dropouts}
    return _paper(f"resnet-{depth}", f"ResNet-{depth}, a quarter of the width", f"resnet-{depth}", rates, own)


def _on_the_grid(name: str, title: str, family: str, **settings: Any) -> Grid:
    """Networks of one family; ResNets of all depths are one architecture, and of one width one subject."""
    architecture, subject = (re.sub(r"-\d+", "", words) for words in (family, name))
    networks = partial(cikm2022, family=family, **settings)
    return Grid(name, title, architecture, "paper", networks, subject if architecture != family else "")


def _hard(name: str, dataset: str, seeds: range, **fixed: float) -> Grid:
    settings: dict[str, Any] = {"dataset": dataset, "family": "lenet", "epochs": EPOCHS, **fixed}
    return Grid(name, f"LeNet, hard grid on {dataset}", "lenet", "hard", partial(draw_hard_grid, seeds, **settings))


def _scale(grids: Grids, seeds: int, about: str, others: Others, **options: Any) -> Scale:
    titles = {grid.name: grid.title for grid in grids(1)}
    return Scale(partial(grid_trials, grids), seeds, about, titles, GridOptions(grids, others, **options))


_OTHERS = (
    ("width", "lenet", "lenet-wide"),
    ("data set", "hard-fashion", "hard-cifar"),
    ("data set", "hard-cifar", "hard-fashion"),
)
SCALES = {
    "tiny": _scale(
        tiny_grids,
        24,
        "54 networks on the digits, a minute.",
        (("width", "flat", "flat-wide"),),
        horizons=(1, 2),
        plan=EvaluationPlan(folds=3, inner_folds=2, trees=5, resamples=200),
        design=Design(BOTH, 2, trials=8, splits=2, studies=3, trees=5),
        few=20,
        sizes=(6, 12),
    ),
    "small": _scale(small_grids, 480, "About 1,000 small or narrow networks, two hours on two cores.", _OTHERS),
    "medium": _scale(
        medium_grids,
        160,
        "About 1,000 small networks on 14 x 14 Fashion-MNIST, CIFAR-10 and MNIST-1D, most of which learn; an hour.",
        (("width", "lenet", "lenet-double"), ("data set", "lenet", "cifar")),
        sizes=(30, 50, 100),
        few=100,
    ),
    "full": _scale(full_grids, 2000, "The paper's sizes, for GPUs.", _OTHERS),
}
