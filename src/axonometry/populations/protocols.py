"""Sets of configurations: grids, random draws, the protocols of papers 1 and 3, and one that is harder to predict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from axonometry.errors import ConfigurationError
from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.initialisers import PAPER_INITIALISERS
from axonometry.populations.seeds import derive


def grid(choices: Mapping[str, Iterable[Any]], **fixed: Any) -> tuple[RunConfiguration, ...]:
    """Every combination of the choices; the last key's values vary fastest.

    Args:
        choices: Values to combine, by attribute of :class:`RunConfiguration`.
        fixed: The other attributes.

    Raises:
        ConfigurationError: An attribute is unknown or a value is wrong.

    >>> [c.seed for c in grid({"optimiser": ["sgd", "adam"], "seed": range(2)}, epochs=1)]
    [0, 1, 0, 1]
    """
    combinations = product(*(list(values) for values in choices.values()))
    return tuple(RunConfiguration.from_dict({**fixed, **dict(zip(choices, values))}) for values in combinations)


def draw(seeds: Iterable[int], choices: Mapping[str, Sequence[Any]], **fixed: Any) -> tuple[RunConfiguration, ...]:
    """One configuration per seed: one seed is one sample, so that the runs are independent of each other.

    Each attribute is drawn evenly from its choices by a random stream of its own, made of the seed and the attribute's
    name: adding a choice leaves the other attributes' draws as they were.

    Args:
        seeds: Seeds of the runs.
        choices: Values to draw from, by attribute of :class:`RunConfiguration`.
        fixed: The other attributes.

    Raises:
        ConfigurationError: An attribute is unknown, has nothing to draw from, or a value is wrong.

    >>> runs = draw(range(4), {"optimiser": ("sgd", "adam")}, epochs=1)
    >>> [(run.seed, run.optimiser) for run in runs]
    [(0, 'sgd'), (1, 'adam'), (2, 'sgd'), (3, 'adam')]
    """
    empty = [name for name, values in choices.items() if not len(values)]
    if empty:
        raise ConfigurationError(f"there is something to draw `{empty[0]}` from", "no values")
    return tuple(
        RunConfiguration.from_dict(
            {**fixed, "seed": seed}
            | {name: values[derive(seed, "draw", name) % len(values)] for name, values in choices.items()}
        )
        for seed in seeds
    )


CIKM2022_LEARNING_RATES = tuple(
    float(f"{factor}e-{power}") for power in range(6, 0, -1) for factor in (2, 2.5, 3, 3.5, 4, 4.5)
)
"""The paper's 36 learning rates, ascending (definitions 3.3)."""
CIKM2022_DROPOUTS = tuple(tenths / 10 for tenths in range(10))
"""The paper's ten dropout rates."""


def cikm2022(
    learning_rates: Iterable[float] = CIKM2022_LEARNING_RATES,
    dropouts: Iterable[float] = CIKM2022_DROPOUTS,
    **fixed: Any,
) -> tuple[RunConfiguration, ...]:
    """The grid of paper 3: every learning rate with every dropout rate (definitions 3.3, from its code).

    SGD with momentum 0.9, batches of 128, images cut out anew and turned; PyTorch's own initial parameters.

    Args:
        learning_rates: The paper's 36 unless given.
        dropouts: The paper's ten unless given.
        fixed: Other attributes of :class:`RunConfiguration`: ``family``, ``epochs`` (in the paper 100 for LeNet and 50
            for the others) and what else should differ from the protocol.

    Raises:
        ConfigurationError: An attribute is unknown or a value is wrong.

    >>> len(cikm2022(family="lenet", epochs=100))
    360
    """
    protocol = {
        "dataset": "cifar10",
        "optimiser": "sgd",
        "momentum": 0.9,
        "batch_size": 128,
        "augmentation": "crop-flip",
    }
    return grid({"learning_rate": learning_rates, "dropout": dropouts}, **{**protocol, **fixed})


def draw_hard_grid(seeds: Iterable[int], **fixed: Any) -> tuple[RunConfiguration, ...]:
    """Trainings whose hyper-parameters do not give their outcome away: all of them are drawn at random [our choice].

    One configuration per seed. Optimiser (SGD with momentum 0.9, Adam, RMSprop), learning rate (evenly on a log scale,
    over the range in which the optimiser learns well, badly and not at all), weight decay, batch size, scale of the
    initial weights, activation, part of the training images, part of wrong labels.

    Args:
        seeds: Seeds of the runs.
        fixed: The other attributes of :class:`RunConfiguration`, or those that should not be drawn.

    Raises:
        ConfigurationError: An attribute is unknown or a value is wrong.

    >>> (run,) = draw_hard_grid([0], dataset="digits", epochs=2)
    >>> run.optimiser, run.learning_rate, run.batch_size, run.epochs
    ('adam', 0.000127, 16, 2)
    """
    choices: dict[str, Sequence[Any]] = {
        "weight_decay": (0.0, 1e-5, 1e-4, 1e-3, 1e-2),
        "batch_size": (16, 32, 64, 128, 256),
        "scale": (0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0),
        "activation": ("relu", "leaky-relu", "elu", "gelu", "tanh"),
        "train_fraction": (0.02, 0.05, 0.1),
        "label_noise": (0.0, 0.1, 0.2, 0.4),
    }
    choices = {name: values for name, values in choices.items() if name not in fixed}
    drawn: list[RunConfiguration] = []
    for seed in seeds:
        optimiser = fixed.get("optimiser", tuple(_HARD_RATES)[derive(seed, "draw", "optimiser") % len(_HARD_RATES)])
        momentum = 0.9 if optimiser == "sgd" else 0.0
        common = {"initialiser": "torch-default", "optimiser": optimiser, "momentum": momentum}
        rates = {} if "learning_rate" in fixed else {"learning_rate": _HARD_RATES[optimiser]}
        drawn += draw([seed], choices | rates, **{**common, **fixed})
    return tuple(drawn)


def _log_spaced(low: float, high: float, n: int = 25) -> tuple[float, ...]:
    """Numbers at equal ratios, to three digits."""
    return tuple(float(f"{low * (high / low) ** (step / (n - 1)):.3g}") for step in range(n))


_HARD_RATES: Mapping[str, Sequence[float]] = {
    "sgd": _log_spaced(1e-4, 0.3),
    "adam": _log_spaced(3e-5, 3e-2),
    "rmsprop": _log_spaced(3e-5, 3e-2),
}


def ictai2021(seeds: Iterable[int], *, initialisers: Sequence[str] = (), **fixed: Any) -> tuple[RunConfiguration, ...]:
    """The protocol of paper 1 as of January 2021, the last before later work changed it (definitions 1.2).

    Batches of 64; for each seed the optimiser is drawn from {SGD at 0.01, Adam at 0.001} and the number of epochs from
    1 to 5. The official code trains all nine initialisers for each seed, with one optimiser object, and counts every
    epoch as a sample; here the initialiser is drawn too and a run is one sample (definitions 1.4, item 9).

    Args:
        seeds: Seeds of the runs; the paper has 1,000 from 10,000 i, i = 1, 3 ... 19.
        initialisers: Initialisers to draw from; the nine of the paper where empty.
        fixed: Other attributes: ``dataset`` ("mnist" unless given), ``family``, ``size``, ``layers``, ``scale`` (0.05,
            0.5 or 5.0 in the paper) and what else should differ from the protocol.

    Raises:
        ConfigurationError: An attribute is unknown or a value is wrong.

    >>> {c.batch_size for c in ictai2021(range(30))}, {c.epochs for c in ictai2021(range(30))}
    ({64}, {1, 2, 3, 4, 5})
    """
    return _paper(seeds, initialisers, range(1, 6), {"batch_size": 64, **fixed})


def ictai2021_cnn_ensemble(
    seeds: Iterable[int], *, initialisers: Sequence[str] = (), **fixed: Any
) -> tuple[RunConfiguration, ...]:
    """The protocol of paper 1's ensembles of convolutional networks, December 2020 (definitions 1.2).

    As :func:`ictai2021`, with batches of 256, the first 15% of the training images, and 1 to 3 epochs.

    Args:
        seeds: Seeds of the runs.
        initialisers: Initialisers to draw from; the nine of the paper where empty.
        fixed: As for :func:`ictai2021`; ``family`` is "convolutional" unless given.

    Raises:
        ConfigurationError: An attribute is unknown or a value is wrong.

    >>> (run,) = ictai2021_cnn_ensemble([0])
    >>> run.family, run.optimiser, run.epochs
    ('convolutional', 'sgd', 3)
    """
    protocol = {"family": "convolutional", "batch_size": 256, "train_fraction": 0.15}
    return _paper(seeds, initialisers, range(1, 4), {**protocol, **fixed})


_ICTAI2021_OPTIMISERS = ("sgd", "adam")
"""At their usual learning rates; optimisers that this package has beside them are not the paper's."""


def _paper(
    seeds: Iterable[int], initialisers: Sequence[str], epochs: Sequence[int], fixed: Mapping[str, Any]
) -> tuple[RunConfiguration, ...]:
    drawn = {
        "optimiser": _ICTAI2021_OPTIMISERS,
        "epochs": epochs,
        "initialiser": tuple(initialisers) or tuple(PAPER_INITIALISERS),
    }
    choices = {name: values for name, values in drawn.items() if name not in fixed}
    return draw(seeds, choices, **{"dataset": "mnist", "scale": 0.05, **fixed})
