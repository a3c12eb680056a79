"""What one training run is: every choice that its result depends on, apart from the data's bytes and the machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from axonometry.errors import ConfigurationError, closest
from axonometry.files import parse_json
from axonometry.populations.datasets import DATASETS
from axonometry.populations.families import NETWORKS, Architecture
from axonometry.populations.field_values import require_field, require_numbers, typed_values
from axonometry.populations.initialisers import INITIALISERS
from axonometry.populations.objectives import OBJECTIVES
from axonometry.populations.optimisers import OPTIMISERS, SCHEDULES
from axonometry.populations.text import sha256_of_text

AUGMENTATIONS = ("none", "crop-flip")

MODULUS = 97
"""Of modular addition, where nothing else is said."""
N_TRAIN_EVALUATED = 2000
"""Training samples that are evaluated where a loss on them ends the run, and nothing else is said."""

# Fields that came after the first version. While they have their defaults they are no part of the identity, so that
# older folders keep their names: RunConfiguration().identity is 69c7aabe5258 since the first day.
_SECOND = (
    *("test_fraction", "label_noise", "augmentation", "width", "activation", "dropout"),
    *("units", "cell", "objective", "data_sha256"),
)
# Fields of the third version are not even written then: a run that an older version began is continued by comparing
# what is written, and predictions group runs by it.
_THIRD = (
    *("widths", "normalisation", "norm_momentum", "initial_factor", "n_train", "n_test", "modulus"),
    *("record_steps", "n_train_evaluated", "stop_at_train_loss", "stop_check_every"),
    *("schedule", "components"),
)


@dataclass(frozen=True)
class RunConfiguration:
    """One training run. The defaults train paper 1's small fully connected network on the digits to over 90%.

    Everything is checked at construction. ``size``, ``layers`` and ``learning_rate`` left out become the family's and
    the optimiser's usual ones there and then: who changes the family or the optimiser of an existing configuration
    with :func:`dataclasses.replace` says what they shall be.

    Attributes:
        dataset: Name of the data set, in ``datasets.DATASETS`` or of one that is passed along when training.
        train_fraction: Part of the training images that is used, in (0, 1]: the first ones, rounded down, as in paper
            1's code, at least one.
        test_fraction: Part of the test images that accuracy and loss are taken on: the first ones, likewise.
        label_noise: Part of the used training images, in [0, 1), whose label is another class, drawn at random.
        augmentation: "none", or "crop-flip": at each use a training image is cut out anew of its own with 4 pixels of
            zeros around it, and turned left to right or not.
        family: Kind of network, a name in ``families.NETWORKS``.
        size: small, medium or big; None for families of one size.
        layers: Hidden layers before the last of 200 units, or convolutions; None for families of one size. See
            ``families.Architecture`` for the newer families.
        width: Factor on all channels and units, for the families of paper 3.
        activation: A name in ``layers.ACTIVATIONS``.
        dropout: Probability to drop a hidden unit of a linear layer while training.
        initialiser: A name in ``initialisers.INITIALISERS``; "torch" is short for "torch-default".
        scale: The initialiser's scale, positive.
        seed: All randomness comes from it: initial parameters, order of the images, dropout.
        optimiser: A name in ``optimisers.OPTIMISERS``, such as "sgd", "adam" or "adamw".
        learning_rate: The optimiser's usual one where left out: 0.01 for SGD, 0.001 for the others.
        momentum: Of SGD; the others have none.
        weight_decay: As torch's optimisers take it: an L2 penalty, or AdamW's decay beside the gradient.
        batch_size: Images per update; an epoch's last batch may be smaller.
        epochs: Passes over the training images.
        max_steps: Most updates; the run ends there, in the middle of an epoch too. 0 leaves the network untrained.
        record_every: ``"epoch"``, or a number of updates. The end is always recorded.
        units: Units or channels of hidden layers, in place of ``size``; see ``families.Architecture``.
        cell: Of recurrent networks, a name in ``sequence_networks.CELLS``.
        objective: The loss, a name in ``objectives.OBJECTIVES``: of classes, or "bce" and "mse" of the network's own
            input: the task is then reconstruction, and the labels are not looked at.
        data_sha256: For the text, which differs between versions of Python: the SHA-256 of it; this Python's where
            None. None for all other data sets.
        widths: Units of each hidden layer of the families ``mlp``, () for one linear map, and ``residual-mlp``.
        normalisation: Of these, in front of each activation: "none", "batch" or "layer".
        norm_momentum: How far batch norm's running mean and variance go to each batch's, as torch takes it.
        initial_factor: All initial parameters are multiplied by it, biases and normalisations too.
        n_train: Training samples that are used, drawn by the seed; all where None. Of modular addition the draw also
            says what is tested on: all other sums.
        n_test: Test samples that are used, the first ones; all where None.
        modulus: Of modular addition; 97 where None. None for all other data sets.
        record_steps: Updates after which to record, beside the start and the end, in place of ``record_every``; those
            beyond the end are left out.
        n_train_evaluated: At each record, ``train_accuracy`` and ``train_eval_loss`` are taken on so many training
            samples, the first ones, with the labels that are trained on; on none where None. A run whose
            ``train_eval_loss`` is not finite any more has diverged, and ends there.
        stop_at_train_loss: The run ends where ``train_eval_loss`` is this low; 0 is never. ``n_train_evaluated`` is
            then 2,000 where it is left out.
        stop_check_every: Look at that loss after so many updates, between records too; at the records alone where None.
        schedule: How the learning rate goes over the updates, a name in ``optimisers.SCHEDULES``: "constant", or
            "cosine" from the whole rate down to 0.
        components: Inputs are projected on so many principal components of the training images, as
            ``datasets.projected``; the images themselves where None.

    Raises:
        ConfigurationError: A value has the wrong type or does not exist; the message names the key.

    >>> RunConfiguration(optimiser="sgd").learning_rate
    0.01
    >>> RunConfiguration(family="mlp", widths=(64, 32), initialiser="he").widths
    (64, 32)
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
    widths: tuple[int, ...] | None = None
    normalisation: str = "none"
    norm_momentum: float = 0.1
    initial_factor: float = 1.0
    n_train: int | None = None
    n_test: int | None = None
    modulus: int | None = None
    record_steps: tuple[int, ...] | None = None
    n_train_evaluated: int | None = None
    stop_at_train_loss: float = 0.0
    stop_check_every: int | None = None
    schedule: str = "constant"
    components: int | None = None

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in _annotations()}
        for name, value in typed_values(_annotations(), given).items():
            if value is not given[name]:
                self._set(name, value)
        require_field("dataset", "is not empty", self.dataset, self.dataset != "")
        _ = self.architecture
        require_field(
            "augmentation",
            f"is one of {', '.join(AUGMENTATIONS)}",
            self.augmentation,
            self.augmentation in AUGMENTATIONS,
        )
        self._fill_in()
        INITIALISERS.lookup(self.initialiser)
        self._check_objective()
        require_numbers(self)
        self._check_optimiser()
        self._check_data()
        self._check_records()

    def _fill_in(self) -> None:
        """What is left out becomes what it stands for, so that both ways of writing it are one run."""
        family, optimiser = NETWORKS[self.family], OPTIMISERS.lookup(self.optimiser)
        if family.sizes and self.units is None:
            self._set("size", self.size or "small")
        usual = dict(family.usual) | {"learning_rate": optimiser.learning_rate}
        if self.dataset == "text":
            usual["data_sha256"] = sha256_of_text() if self.data_sha256 is None else None
        if self._data_has("modulus"):
            usual["modulus"] = MODULUS
        if self.stop_at_train_loss:
            usual["n_train_evaluated"] = N_TRAIN_EVALUATED
        for name, value in usual.items():
            self._set(name, value if getattr(self, name) is None else getattr(self, name))
        if self.initialiser == "torch":
            self._set("initialiser", "torch-default")
        if self.record_steps is not None:
            self._set("record_steps", tuple(sorted(set(self.record_steps))))

    def _data_has(self, option: str) -> bool:
        return self.dataset in DATASETS and option in DATASETS[self.dataset].options

    def _check_objective(self) -> None:
        reconstructs = OBJECTIVES.lookup(self.objective).reconstructs
        copies = NETWORKS[self.family].copies
        require_field("objective", f'of {self.family} is "bce" or "mse"', self.objective, reconstructs or not copies)
        require_field(
            "label_noise", "belongs to classes", self.label_noise, not (self.label_noise > 0 and reconstructs)
        )

    def _check_optimiser(self) -> None:
        having = [name for name, rule in OPTIMISERS.items() if rule.momentum]
        holds = self.momentum == 0 or self.optimiser in having
        require_field("momentum", f"belongs to {', '.join(having)}", self.momentum, holds)
        known = self.schedule in SCHEDULES
        require_field("schedule", f"is one of {', '.join(SCHEDULES)}", self.schedule, known)

    def _check_data(self) -> None:
        sha256, modulus = self.data_sha256, self.modulus
        require_field("data_sha256", "belongs to the text", sha256, sha256 is None or self.dataset == "text")
        require_field("modulus", "belongs to modular addition", modulus, modulus is None or self._data_has("modulus"))
        for half in ("train", "test"):
            n, fraction = getattr(self, f"n_{half}"), getattr(self, f"{half}_fraction")
            rule = f"stands in place of `{half}_fraction`"
            require_field(f"n_{half}", rule, f"{n} and {fraction}", n is None or fraction == 1)

    def _check_records(self) -> None:
        every, steps = self.record_every, self.record_steps
        rule = 'is "epoch" or a number of updates from 1'
        require_field("record_every", rule, every, every == "epoch" if isinstance(every, str) else every >= 1)
        if steps is not None:
            require_field(
                "record_steps", "are numbers of updates from 1", list(steps), all(step >= 1 for step in steps)
            )
            require_field("record_steps", "stand in place of `record_every`", every, every == "epoch")
        checks = self.stop_check_every
        holds = checks is None or self.stop_at_train_loss > 0
        require_field("stop_check_every", "belongs to `stop_at_train_loss`", checks, holds)

    @property
    def reconstructs(self) -> bool:
        """Whether the network learns to reconstruct its input, rather than to name its class."""
        return OBJECTIVES[self.objective].reconstructs

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def identity(self) -> str:
        """The name of the run's folder: 12 hexadecimal digits of the SHA-256 of its attributes as JSON.

        Attributes that came later are left out while they have their defaults, so that older folders keep their names.

        >>> RunConfiguration().identity, RunConfiguration(label_noise=0.0).identity, RunConfiguration(seed=1).identity
        ('69c7aabe5258', '69c7aabe5258', '...')
        """
        named = self._written(without=(*_SECOND, *_THIRD))
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def architecture(self) -> Architecture:
        """The network's family and what is chosen in it."""
        return Architecture(**{field.name: getattr(self, field.name) for field in fields(Architecture)})

    def to_dict(self) -> dict[str, Any]:
        """All attributes by name, as JSON values; what came last is left out while it has its default."""
        return self._written(without=_THIRD)

    def _written(self, without: tuple[str, ...]) -> dict[str, Any]:
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, (value, default) in values.items()
            if name not in without or value != default
        }

    def to_json(self) -> str:
        """The configuration as JSON on one line, keys in alphabetical order."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_dict(cls, values: Any) -> RunConfiguration:
        """The configuration of a mapping; attributes that it leaves out get their defaults.

        Raises:
            ConfigurationError: It is no mapping, a key is unknown or a value is wrong.
        """
        if not isinstance(values, Mapping):
            raise ConfigurationError("a configuration is a JSON object", type(values).__name__)
        known = _annotations()
        unknown = [str(key) for key in values if key not in known]
        if unknown:
            rule = f"a run's configuration has no key `{'`, `'.join(unknown)}`"
            raise ConfigurationError(rule, "", closest(unknown, known, f"It has the keys {', '.join(known)}"))
        return cls(**typed_values(known, values))

    @classmethod
    def from_json(cls, text: str) -> RunConfiguration:
        """The configuration of a JSON object.

        Raises:
            ConfigurationError: The text is not a JSON object, a key is unknown or a value is wrong.
        """
        try:
            return cls.from_dict(parse_json(text))
        except ValueError as error:
            raise ConfigurationError("a configuration is a JSON object", str(error)) from error


@cache
def _annotations() -> dict[str, str]:
    """The types of the attributes, as they are written."""
    return {field.name: str(field.type) for field in fields(RunConfiguration)}


def is_run_configuration(values: Mapping[str, Any] | None) -> bool:
    """Whether a mapping is a configuration of ours, of this version or an older one.

    >>> is_run_configuration(RunConfiguration().to_dict()), is_run_configuration({"epochs": 3})
    (True, False)
    """
    known = {field.name for field in fields(RunConfiguration)}
    return values is not None and known - {*_SECOND, *_THIRD} <= set(values) <= known
