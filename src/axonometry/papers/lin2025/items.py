"""One network of an experiment: what it is, what it is trained on and how, when and what is measured of it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from axonometry.errors import ConfigurationError

Loss = Literal["cross-entropy", "mse"]
Optimiser = Literal["sgd", "adam", "adamw"]
ADDITION = "addition"
"""The task of adding two numbers modulo a third; all others are data sets."""
FORMAT = 1
"""Part of every identity: raised when the same item would be measured differently."""


@dataclass(frozen=True)
class Task:
    """What is learned.

    Attributes:
        name: A data set, or :data:`ADDITION`.
        n_train: Samples that are trained on, drawn at random by the network's seed.
        n_test: Test samples, the first ones; of additions, drawn from those that are not trained on.
        label_noise: Share of the training samples whose label is another class, drawn by the seed.
        modulus: Of additions.
    """

    name: str
    n_train: int
    n_test: int
    label_noise: float = 0.0
    modulus: int = 0

    @property
    def title(self) -> str:
        """The data set's name as it is written."""
        return self.name.upper() if self.name == "mnist" else self.name


@dataclass(frozen=True)
class Network:
    """Linear layers in a row with one activation function between them.

    Attributes:
        widths: Neurons of the hidden layers.
        activation: ``"relu"``, ``"tanh"`` or ``"identity"``.
        initial: ``"torch"``: weights and biases from U(±1/√fan_in), as in the paper; ``"he"``: weights from N(0,
            2/fan_in), biases 0, with which deep ReLU networks keep the scale of their signals.
        factor: All initial parameters are multiplied by it.
    """

    widths: tuple[int, ...]
    activation: str = "relu"
    initial: Literal["torch", "he"] = "torch"
    factor: float = 1.0


@dataclass(frozen=True)
class Training:
    """How it is learned.

    Attributes:
        optimiser: ``"sgd"`` (no momentum), ``"adam"`` or ``"adamw"``.
        learning_rate: Of the optimiser.
        batch: Samples an update.
        steps: Most updates.
        weight_decay: As torch's optimisers take it.
        loss: Cross entropy, or squared error to one-hot vectors (mean over samples and classes).
        enough: Training ends when the loss on the training samples is this low, where it is looked at; 0 is never.
    """

    optimiser: Optimiser
    learning_rate: float
    batch: int
    steps: int
    weight_decay: float = 0.0
    loss: Loss = "cross-entropy"
    enough: float = 0.0


@dataclass(frozen=True)
class Plan:
    """When and what is measured; before training and at the end always.

    Attributes:
        looked: Steps at which accuracies and losses are taken.
        moments: Steps at which the measures are taken too.
        measures: Names in ``measuring.MEASURES``.
        samples: How many samples basins and sharpness are taken on.
        ranked: How many samples are put in order.
    """

    looked: tuple[int, ...] = ()
    moments: tuple[int, ...] = ()
    measures: tuple[str, ...] = ()
    samples: int = 300
    ranked: int = 1000


@dataclass(frozen=True)
class Item:
    """One network of an experiment.

    Attributes:
        experiment: Name of the experiment.
        cell: What it has in common with the networks that differ from it by their seed alone.
        seed: Initial parameters, drawn samples and their order come from it.
        task: What is learned.
        network: By what.
        training: How.
        plan: What is measured.

    Raises:
        ConfigurationError: A number makes no sense.
    """

    experiment: str
    cell: str
    seed: int
    task: Task
    network: Network
    training: Training
    plan: Plan

    def __post_init__(self) -> None:
        for name, value in (
            ("n_train", self.task.n_train),
            ("n_test", self.task.n_test),
            ("batch", self.training.batch),
            ("learning_rate", self.training.learning_rate),
        ):
            if value <= 0:
                raise ConfigurationError(f"`{name}` is above 0", str(value))
        if self.task.name == ADDITION and not 0 < self.task.n_train < self.task.modulus**2:
            came = f"{self.task.n_train} of {self.task.modulus**2}"
            raise ConfigurationError("some of the additions are trained on, some are not", came)

    @property
    def identity(self) -> str:
        """A name that follows from everything that the outcome depends on."""
        text = json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)
        return f"{self.experiment}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Outcome:
    """What became of an item.

    Attributes:
        item: The item.
        curve: By looked-at step: step, train_accuracy, train_loss, test_accuracy, test_loss.
        moments: By moment: step, and what was measured.
        seconds: Processor time that it took.
    """

    item: Item
    curve: list[dict[str, float]]
    moments: list[dict[str, Any]]
    seconds: float

    @property
    def last(self) -> dict[str, float]:
        """The curve's last row."""
        return self.curve[-1]

    @property
    def diverged(self) -> bool:
        """Whether training ended because the loss was no number any more; nothing is measured then."""
        return not math.isfinite(self.last["train_loss"])

    @property
    def end(self) -> dict[str, Any]:
        """What was measured at the end."""
        return self.moments[-1]

    def to_json(self) -> str:
        """All but the item, which names the file."""
        return json.dumps({"curve": self.curve, "moments": self.moments, "seconds": self.seconds})

    @classmethod
    def of(cls, item: Item, found: Mapping[str, Any]) -> Outcome:
        """The outcome of an item, read from its file."""
        return cls(item, found["curve"], found["moments"], found["seconds"])


def spread(steps: int, count: int, first: int = 1) -> tuple[int, ...]:
    """About so many steps from the first to the last one, evenly spaced in their logarithm.

    >>> spread(1000, 4)
    (1, 10, 100, 1000)
    """
    return tuple(int(step) for step in np.unique(np.geomspace(first, steps, count).round().astype(int)))
