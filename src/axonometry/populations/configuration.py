"""What one training run is: every choice that its result depends on, apart from the data's bytes and the machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from numbers import Integral, Real
from typing import Any

from axonometry.errors import ConfigurationError
from axonometry.populations.families import FAMILIES, Architecture
from axonometry.populations.initialisers import INITIALISERS
from axonometry.populations.text import sha256_of_text

OPTIMISERS: Mapping[str, float] = {"sgd": 0.01, "adam": 0.001, "rmsprop": 0.001}
"""Optimisers and their usual learning rates, for the first two those of paper 1's protocol (definitions 1.2)."""

AUGMENTATIONS = ("none", "crop-flip")

OBJECTIVES = ("cross-entropy", "bce", "mse")
"""Cross entropy of the classes; for reconstruction binary cross entropy of sigmoids (definitions 1.2), or squared
error, of the input's own numbers."""

_LATER = (
    *("test_fraction", "label_noise", "augmentation", "width", "activation", "dropout"),
    *("units", "cell", "objective", "data_sha256"),
)


@dataclass(frozen=True)
class RunConfiguration:
    """One training run. The defaults train paper 1's small fully connected network on the digits to over 90%.

    Everything is checked at construction. ``size``, ``layers`` and ``learning_rate`` left out become the family's and
    the optimiser's usual ones there and then: who changes the family or the optimiser of an existing configuration
    with :func:`dataclasses.replace` says what they shall be.

    Attributes:
        dataset: Name of the data set.
        train_fraction: Part of the training images that is used, in (0, 1]: the first ones, rounded down, as in paper
            1's code, at least one.
        test_fraction: Part of the test images that accuracy and loss are taken on: the first ones, likewise.
        label_noise: Part of the used training images, in [0, 1), whose label is another class, drawn at random.
        augmentation: "none", or "crop-flip": at each use a training image is cut out anew of its own with 4 pixels of
            zeros around it, and turned left to right or not.
        family: Kind of network, a name in ``families.FAMILIES``.
        size: small, medium or big; None for families of one size.
        layers: Hidden layers before the last of 200 units, or convolutions; None for families of one size. See
            ``families.Architecture`` for the newer families.
        width: Factor on all channels and units, for the families of paper 3.
        activation: A name in ``layers.ACTIVATIONS``.
        dropout: Probability to drop a hidden unit of a linear layer while training.
        initialiser: A name in ``initialisers.INITIALISERS``.
        scale: The initialiser's scale, positive.
        seed: All randomness comes from it: initial parameters, order of the images, dropout.
        optimiser: ``"sgd"``, ``"adam"`` or ``"rmsprop"``.
        learning_rate: 0.01 for SGD and 0.001 for the others where left out.
        momentum: Of SGD; the others have none.
        weight_decay: L2 penalty, as torch's optimisers take it.
        batch_size: Images per update; an epoch's last batch may be smaller.
        epochs: Passes over the training images.
        max_steps: Most updates; the run ends there, in the middle of an epoch too. 0 leaves the network untrained.
        record_every: ``"epoch"``, or a number of updates. The end is always recorded.
        units: Units or channels of hidden layers, in place of ``size``; see ``families.Architecture``.
        cell: Of recurrent networks, a name in ``sequence_networks.CELLS``.
        objective: The loss, a name in :data:`OBJECTIVES`. All but cross entropy teach the network to put out its
            input: the task is then reconstruction, and the labels are not looked at.
        data_sha256: For the text, which differs between versions of Python: the SHA-256 of it; this Python's where
            None. None for all other data sets.

    Raises:
        ConfigurationError: A value has the wrong type or does not exist; the message names the key.

    >>> RunConfiguration(optimiser="sgd").learning_rate
    0.01
    """

    dataset: str = "digits"
    train_fraction: float = 1.0
    family: str = "fully-connected"
    size: str | None = None
    layers: int | None = None
    initialiser: str = "torch-default"
    scale: float = 1.0
    seed: int = 0
    optimiser: str = "adam"
    learning_rate: float | None = None
    momentum: float = 0.0
    weight_decay: float = 0.0
    batch_size: int = 32
    epochs: int = 10
    max_steps: int | None = None
    record_every: str | int = "epoch"
    test_fraction: float = 1.0
    label_noise: float = 0.0
    augmentation: str = "none"
    width: float = 1.0
    activation: str = "relu"
    dropout: float = 0.0
    units: int | None = None
    cell: str = "tanh"
    objective: str = "cross-entropy"
    data_sha256: str | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            self._set(field.name, _typed(field.name, str(field.type), getattr(self, field.name)))
        _require("dataset", "is not empty", self.dataset, self.dataset != "")
        _ = self.architecture
        _require(
            "augmentation",
            f"is one of {', '.join(AUGMENTATIONS)}",
            self.augmentation,
            self.augmentation in AUGMENTATIONS,
        )
        _require(
            "initialiser", f"is one of {', '.join(INITIALISERS)}", self.initialiser, self.initialiser in INITIALISERS
        )
        _require("optimiser", f"is one of {', '.join(OPTIMISERS)}", self.optimiser, self.optimiser in OPTIMISERS)
        self._check_objective()
        self._fill_in()
        self._check_numbers()

    def _fill_in(self) -> None:
        family = FAMILIES[self.family]
        if family.sizes and self.units is None:
            self._set("size", self.size or "small")
        for name, usual in family.usual.items():
            self._set(name, usual if getattr(self, name) is None else getattr(self, name))
        if self.learning_rate is None:
            self._set("learning_rate", OPTIMISERS[self.optimiser])
        if self.dataset == "text" and self.data_sha256 is None:
            self._set("data_sha256", sha256_of_text())

    def _check_objective(self) -> None:
        _require("objective", f"is one of {', '.join(OBJECTIVES)}", self.objective, self.objective in OBJECTIVES)
        copies = FAMILIES[self.family].copies
        _require("objective", f'of {self.family} is "bce" or "mse"', self.objective, not copies or self.reconstructs)
        noisy = self.label_noise > 0 and self.reconstructs
        _require("label_noise", "belongs to classes", self.label_noise, not noisy)
        _require(
            "data_sha256", "belongs to the text", self.data_sha256, self.data_sha256 is None or self.dataset == "text"
        )

    @property
    def reconstructs(self) -> bool:
        """Whether the network learns to put out its input, rather than its class."""
        return self.objective != "cross-entropy"

    def _check_numbers(self) -> None:
        for name in ("train_fraction", "test_fraction"):
            _require(name, "is above 0 and at most 1", getattr(self, name), 0 < getattr(self, name) <= 1)
        _require("label_noise", "is at least 0 and below 1", self.label_noise, 0 <= self.label_noise < 1)
        for name in ("scale", "learning_rate"):
            _require(name, "is above 0", getattr(self, name), getattr(self, name) > 0)
        for name in ("seed", "momentum", "weight_decay"):
            _require(name, "is at least 0", getattr(self, name), getattr(self, name) >= 0)
        for name in ("batch_size", "epochs"):
            _require(name, "is at least 1", getattr(self, name), getattr(self, name) >= 1)
        _require("momentum", "belongs to sgd", self.momentum, self.momentum == 0 or self.optimiser == "sgd")
        _require("max_steps", "is at least 0", self.max_steps, self.max_steps is None or self.max_steps >= 0)
        every = self.record_every
        rule = 'is "epoch" or a number of updates from 1'
        _require("record_every", rule, every, every == "epoch" if isinstance(every, str) else every >= 1)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def identity(self) -> str:
        """The name of the run's folder: 12 hexadecimal digits of the SHA-256 of its attributes as JSON.

        Attributes that came later are left out while they have their defaults, so that older folders keep their names.
        """
        later = {field.name: field.default for field in fields(self) if field.name in _LATER}
        named = {name: value for name, value in self.to_dict().items() if name not in later or value != later[name]}
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def architecture(self) -> Architecture:
        """The network's family and what is chosen in it."""
        return Architecture(**{field.name: getattr(self, field.name) for field in fields(Architecture)})

    def to_dict(self) -> dict[str, Any]:
        """All attributes by name; JSON values."""
        return asdict(self)

    def to_json(self) -> str:
        """The configuration as JSON on one line, keys in alphabetical order."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfiguration:
        """The configuration of a mapping; attributes that it leaves out get their defaults.

        Raises:
            ConfigurationError: A key is unknown or a value is wrong.
        """
        known = [field.name for field in fields(cls)]
        unknown = [str(key) for key in values if key not in known]
        if unknown:
            rule = f"a run's configuration has the keys {', '.join(known)}"
            raise ConfigurationError(rule, f"`{'`, `'.join(unknown)}`", "Correct the spelling or leave it out")
        annotations = {field.name: str(field.type) for field in fields(cls)}
        return cls(**{name: _typed(name, annotations[name], value) for name, value in values.items()})

    @classmethod
    def from_json(cls, text: str) -> RunConfiguration:
        """The configuration of a JSON object.

        Raises:
            ConfigurationError: The text is not a JSON object, a key is unknown or a value is wrong.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigurationError("a configuration is a JSON object", str(error)) from error
        if not isinstance(values, dict):
            raise ConfigurationError("a configuration is a JSON object", type(values).__name__)
        return cls.from_dict(values)


def _typed(name: str, annotation: str, value: Any) -> Any:
    """The value as one of the annotation's types, which stand in it as ``str | int | None``."""
    allowed = annotation.split(" | ")
    if value is None and "None" in allowed:
        return None
    if isinstance(value, str) and "str" in allowed:
        return value
    if not isinstance(value, bool):  # True is a whole number to Python, never to a reader of configurations
        if isinstance(value, Integral) and "int" in allowed:
            return int(value)
        if isinstance(value, Real) and "float" in allowed and isfinite(value):
            return float(value)
    words = {"str": "a text", "int": "a whole number", "float": "a finite number", "None": "nothing"}
    raise ConfigurationError(f"`{name}` is {' or '.join(words[kind] for kind in allowed)}", repr(value))


def _require(name: str, rule: str, value: object, holds: bool) -> None:
    if not holds:
        raise ConfigurationError(f"`{name}` {rule}", repr(value))
