"""Configurations: round trips, identities, and what is refused."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from axonometry.errors import ConfigurationError
from axonometry.populations.configuration import AUGMENTATIONS, RunConfiguration, is_run_configuration
from axonometry.populations.families import NETWORKS
from axonometry.populations.initialisers import INITIALISERS
from axonometry.populations.layers import ACTIVATIONS, NORMALISATIONS
from axonometry.populations.objectives import OBJECTIVES
from axonometry.populations.optimisers import OPTIMISERS, SCHEDULES
from axonometry.populations.sequence_networks import CELLS

POSITIVE = st.floats(1e-6, 1e6)
# Outside of the strategy: the shape checker that runs under test draws random numbers of its own.
CHOICES = {name: family.chosen for name, family in NETWORKS.items()}


@st.composite
def choices_of_a_run(draw: st.DrawFn) -> Any:
    """Arguments of a configuration, which is made outside of the strategy for the same reason."""
    family = draw(st.sampled_from(sorted(NETWORKS)))
    sized, choices = bool(NETWORKS[family].sizes), CHOICES[family]
    size = draw(st.sampled_from([None, "small", "medium", "big"])) if sized else None
    copies = NETWORKS[family].copies
    objective = draw(st.sampled_from([n for n, o in OBJECTIVES.items() if o.reconstructs or not copies]))
    classes = not OBJECTIVES[objective].reconstructs
    normalisation = draw(st.sampled_from(["none", *NORMALISATIONS])) if "normalisation" in choices else "none"
    stop_at = draw(st.just(0.0) | st.floats(0, 1))
    steps = draw(st.none() | st.lists(st.integers(1, 900), max_size=5).map(tuple))
    n_train, n_test = draw(st.none() | st.integers(1, 900)), draw(st.none() | st.integers(1, 900))
    optimiser = draw(st.sampled_from(sorted(OPTIMISERS)))
    return {
        "dataset": draw(st.text(min_size=1, max_size=8)),
        "train_fraction": draw(st.floats(0.001, 1.0)) if n_train is None else 1.0,
        "family": family,
        "size": size,
        "layers": draw(st.none() | st.integers(1, 9)) if "layers" in choices else None,
        "units": draw(st.none() | st.integers(1, 99)) if "units" in choices and size is None else None,
        "cell": draw(st.sampled_from(sorted(CELLS))) if "cell" in choices else "tanh",
        "objective": objective,
        "initialiser": draw(st.sampled_from(sorted(INITIALISERS))),
        "scale": draw(POSITIVE),
        "seed": draw(st.integers(0, 2**70)),
        "optimiser": optimiser,
        "learning_rate": draw(st.none() | POSITIVE),
        "momentum": draw(st.floats(0, 1)) if optimiser == "sgd" else 0.0,
        "weight_decay": draw(st.floats(0, 1)),
        "batch_size": draw(st.integers(1, 10**6)),
        "epochs": draw(st.integers(1, 1000)),
        "max_steps": draw(st.none() | st.integers(0, 10**6)),
        "record_every": draw(st.just("epoch") | st.integers(1, 1000)) if steps is None else "epoch",
        "test_fraction": draw(st.floats(0.001, 1.0)) if n_test is None else 1.0,
        "label_noise": draw(st.floats(0, 0.99)) if classes else 0.0,
        "augmentation": draw(st.sampled_from(AUGMENTATIONS)),
        "width": draw(st.floats(0.01, 4)) if "width" in choices else 1.0,
        "activation": draw(st.sampled_from(sorted(ACTIVATIONS))) if "activation" in choices else "relu",
        "dropout": draw(st.floats(0, 0.99)) if "dropout" in choices else 0.0,
        "widths": draw(st.none() | st.lists(st.integers(1, 9), max_size=4).map(tuple)) if "widths" in choices else None,
        "normalisation": normalisation,
        "norm_momentum": draw(st.floats(0.01, 1)) if normalisation == "batch" else 0.1,
        "initial_factor": draw(POSITIVE),
        "n_train": n_train,
        "n_test": n_test,
        "record_steps": steps,
        "n_train_evaluated": draw(st.none() | st.integers(1, 900)),
        "stop_at_train_loss": stop_at,
        "stop_check_every": draw(st.none() | st.integers(1, 900)) if stop_at else None,
        "schedule": draw(st.sampled_from(sorted(SCHEDULES))),
        "components": draw(st.none() | st.integers(1, 900)),
    }


@given(choices_of_a_run())
def test_json_gives_the_same_configuration_back(chosen: dict[str, object]) -> None:
    configuration = RunConfiguration(**chosen)
    again = RunConfiguration.from_json(configuration.to_json())
    assert again == configuration
    assert again.identity == configuration.identity
    assert RunConfiguration.from_dict(configuration.to_dict()) == configuration


@given(choices_of_a_run(), choices_of_a_run())
def test_identities_are_equal_exactly_where_configurations_are(
    first: dict[str, object], second: dict[str, object]
) -> None:
    one, other = RunConfiguration(**first), RunConfiguration(**second)
    assert (one.identity == other.identity) == (one == other)


def test_identities_never_change() -> None:
    # They name folders on disk. A new field needs a rule by which old folders keep their names.
    assert RunConfiguration().identity == "69c7aabe5258"
    assert RunConfiguration(dataset="mnist", family="lenet", seed=3, record_every=100).identity == "c0b58a65f8a5"


def test_identity_does_not_depend_on_how_numbers_are_written() -> None:
    written = RunConfiguration.from_json('{"scale": 1, "seed": 2, "weight_decay": 0}')
    assert written == RunConfiguration(scale=1.0, seed=2)
    numpy = RunConfiguration.from_dict({"seed": np.int64(2), "scale": np.float32(0.5)})
    assert numpy.identity == RunConfiguration(seed=2, scale=0.5).identity


def test_what_is_left_out_becomes_the_usual() -> None:
    assert RunConfiguration(optimiser="sgd").learning_rate == 0.01
    assert RunConfiguration(optimiser="adam").learning_rate == 0.001
    assert (RunConfiguration().size, RunConfiguration().layers) == ("small", 2)
    lenet = RunConfiguration(family="lenet")
    assert (lenet.size, lenet.layers) == (None, None)
    assert RunConfiguration().identity == RunConfiguration(size="small", layers=2, learning_rate=0.001).identity


def test_what_is_left_out_of_the_newer_fields_becomes_the_usual() -> None:
    assert RunConfiguration(initialiser="torch") == RunConfiguration()
    assert RunConfiguration(family="mlp").widths == (128, 128)
    assert RunConfiguration(dataset="modular-addition").modulus == 97
    assert RunConfiguration(stop_at_train_loss=0.1).n_train_evaluated == 2000
    assert RunConfiguration().n_train_evaluated is None
    assert RunConfiguration(record_steps=(9, 3, 9)) == RunConfiguration(record_steps=(3, 9))
    assert RunConfiguration(optimiser="adamw").learning_rate == 0.001


def test_configurations_of_older_versions_are_told_from_other_peoples() -> None:
    values = RunConfiguration().to_dict()
    first = {name: value for name, value in values.items() if name not in ("units", "cell", "label_noise")}
    assert all(map(is_run_configuration, (values, first, {**values, "n_train": 5})))
    assert not any(map(is_run_configuration, (None, {}, {"epochs": 5}, {**values, "mine": 1})))


def test_frozen() -> None:
    with pytest.raises(FrozenInstanceError, match="seed"):
        RunConfiguration().seed = 1  # type: ignore[misc]


def test_unknown_keys_are_named() -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"^a run's configuration has no key `sead`, `tempo`\. Did you mean seed\? It has the keys dataset, ",
    ):
        RunConfiguration.from_dict({"sead": 1, "tempo": 2})


LISTS = ("widths", "record_steps")


@pytest.mark.parametrize("name", [field.name for field in fields(RunConfiguration)])
@pytest.mark.parametrize("value", [True, [1], {"a": 1}, b"x"])
def test_wrong_types_are_named(name: str, value: object) -> None:
    value = [1, 0.5] if value == [1] and name in LISTS else value
    with pytest.raises(ConfigurationError, match=f"`{name}` is .*; got "):
        RunConfiguration.from_dict({name: value})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 1.5}, "`epochs` is a whole number; got 1.5"),
        ({"epochs": "5"}, "`epochs` is a whole number; got '5'"),
        ({"epochs": None}, "`epochs` is a whole number; got None"),
        ({"epochs": 10**400}, "`epochs` has at most 128 bits; got 'a number of 1329 bits'"),
        ({"scale": -(10**5000)}, "`scale` has at most 128 bits; got 'a number of 16610 bits'"),
        ({"record_steps": [10**400]}, "`record_steps` has at most 128 bits"),
        ({"max_steps": "5"}, "`max_steps` is a whole number or nothing; got '5'"),
        ({"dataset": 3}, "`dataset` is a text; got 3"),
        ({"scale": float("nan")}, "`scale` is a finite number; got nan"),
        ({"learning_rate": float("inf")}, "`learning_rate` is a finite number or nothing; got inf"),
        ({"dataset": ""}, "`dataset` is not empty"),
        ({"family": "vgg"}, "`family` is one of fully-connected"),
        ({"size": "huge"}, "`size` of fully-connected is one of small, medium, big; got 'huge'"),
        ({"family": "lenet", "layers": 2}, "lenet has no choice of `layers`; got `layers` 2"),
        ({"family": "resnet-18", "size": None, "width": 0.5}, "resnet-18 has no choice of `width`; got `width` 0.5"),
        ({"family": "lenet", "width": 0}, "`width` is above 0; got 0.0"),
        ({"activation": "swish"}, "`activation` is one of relu, .*; got 'swish'"),
        ({"dropout": 1.0}, "`dropout` is at least 0 and below 1; got 1.0"),
        ({"label_noise": 1.0}, "`label_noise` is at least 0 and below 1; got 1.0"),
        ({"test_fraction": 0.0}, "`test_fraction` is above 0 and at most 1; got 0.0"),
        ({"augmentation": "mixup"}, "`augmentation` is one of none, crop-flip; got 'mixup'"),
        ({"layers": 0}, "`layers` is at least 1; got 0"),
        ({"initialiser": "glorot"}, "`initialiser` is one of random-normal"),
        ({"optimiser": "lion"}, "`optimiser` is one of sgd, adam, rmsprop, adamw; got 'lion'"),
        ({"scale": 0}, "`scale` is above 0; got 0.0"),
        ({"learning_rate": -1.0}, "`learning_rate` is above 0; got -1.0"),
        ({"train_fraction": 0.0}, "`train_fraction` is above 0 and at most 1; got 0.0"),
        ({"train_fraction": 1.01}, "`train_fraction` is above 0 and at most 1"),
        ({"seed": -1}, "`seed` is at least 0; got -1"),
        ({"momentum": -0.1, "optimiser": "sgd"}, "`momentum` is at least 0"),
        ({"momentum": 0.9, "optimiser": "adam"}, "`momentum` belongs to sgd; got 0.9"),
        ({"weight_decay": -0.1}, "`weight_decay` is at least 0"),
        ({"batch_size": 0}, "`batch_size` is at least 1"),
        ({"epochs": 0}, "`epochs` is at least 1"),
        ({"max_steps": -1}, "`max_steps` is at least 0"),
        ({"record_every": 0}, '`record_every` is "epoch" or a number of updates from 1; got 0'),
        ({"record_every": "day"}, "`record_every` is \"epoch\" or a number of updates from 1; got 'day'"),
        ({"record_every": 1.0}, "`record_every` is a text or a whole number; got 1.0"),
        ({"widths": [3]}, r"fully-connected has no choice of `widths`; got `widths` \(3,\)"),
        ({"family": "mlp", "widths": [3, 0]}, r"`widths` are at least 1; got \[3, 0\]"),
        ({"family": "mlp", "widths": "64"}, "`widths` is a list of whole numbers or nothing; got '64'"),
        ({"family": "mlp", "widths": [True]}, r"`widths` is a list of whole numbers or nothing; got \[True\]"),
        ({"family": "mlp", "normalisation": "group"}, "`normalisation` is one of none, batch, layer; got 'group'"),
        ({"family": "mlp", "norm_momentum": 0.5}, "`norm_momentum` belongs to batch norm; got 0.5 with none"),
        (
            {"family": "mlp", "normalisation": "batch", "norm_momentum": 1.5},
            "`norm_momentum` is above 0 and at most 1; got 1.5",
        ),
        ({"initial_factor": 0}, "`initial_factor` is above 0; got 0.0"),
        ({"n_train": 0}, "`n_train` is at least 1; got 0"),
        ({"n_test": 0}, "`n_test` is at least 1; got 0"),
        ({"n_train": 5, "train_fraction": 0.5}, "`n_train` stands in place of `train_fraction`; got '5 and 0.5'"),
        ({"n_test": 5, "test_fraction": 0.5}, "`n_test` stands in place of `test_fraction`; got '5 and 0.5'"),
        ({"modulus": 7}, "`modulus` belongs to modular addition; got 7"),
        ({"dataset": "modular-addition", "modulus": 1}, "`modulus` is at least 2; got 1"),
        ({"record_steps": [0, 5]}, r"`record_steps` are numbers of updates from 1; got \[0, 5\]"),
        ({"record_steps": [5], "record_every": 2}, "`record_steps` stand in place of `record_every`; got 2"),
        ({"n_train_evaluated": 0}, "`n_train_evaluated` is at least 1; got 0"),
        ({"stop_at_train_loss": -0.1}, "`stop_at_train_loss` is at least 0; got -0.1"),
        ({"stop_check_every": 5}, "`stop_check_every` belongs to `stop_at_train_loss`; got 5"),
        ({"stop_at_train_loss": 1, "stop_check_every": 0}, "`stop_check_every` is at least 1; got 0"),
        ({"schedule": "linear"}, "`schedule` is one of constant, cosine; got 'linear'"),
        ({"components": 0}, "`components` is at least 1; got 0"),
    ],
)
def test_wrong_values_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RunConfiguration.from_dict(values)


def test_json_that_is_no_object() -> None:
    with pytest.raises(ConfigurationError, match="a configuration is a JSON object; got Expecting value"):
        RunConfiguration.from_json("not json")
    with pytest.raises(ConfigurationError, match="a configuration is a JSON object; got list"):
        RunConfiguration.from_json("[1]")


NEWEST = {
    "widths": [5, 4],
    "normalisation": "batch",
    "norm_momentum": 0.2,
    "initial_factor": 8.0,
    "n_train": 50,
    "n_test": 20,
    "modulus": 7,
    "record_steps": [1, 5],
    "n_train_evaluated": 10,
    "stop_at_train_loss": 0.5,
    "stop_check_every": 3,
    "schedule": "cosine",
    "components": 4,
}
"""The third version's fields, each with a value that is not its default."""


def test_json_is_plain() -> None:
    values = json.loads(RunConfiguration().to_json())
    assert list(values) == sorted(field.name for field in fields(RunConfiguration) if field.name not in NEWEST)
    assert values["learning_rate"] == 0.001
    asked = RunConfiguration.from_dict({"dataset": "modular-addition", "family": "mlp", **NEWEST})
    values = json.loads(asked.to_json())
    assert list(values) == sorted(field.name for field in fields(RunConfiguration))
    assert {name: values[name] for name in NEWEST} == NEWEST
    assert (asked.widths, asked.record_steps) == ((5, 4), (1, 5))


@pytest.mark.parametrize("name", NEWEST)
def test_every_new_field_is_part_of_the_identity_unless_it_has_its_default(name: str) -> None:
    given = {"dataset": "modular-addition", "family": "mlp", **NEWEST}
    whole = RunConfiguration.from_dict(given)
    # What another field needs is left out with it.
    needs = {"normalisation": ("norm_momentum",), "stop_at_train_loss": ("stop_check_every",)}
    left_out = RunConfiguration.from_dict({k: v for k, v in given.items() if k not in (name, *needs.get(name, ()))})
    assert whole.identity != left_out.identity


def test_replace_checks_too() -> None:
    with pytest.raises(ConfigurationError, match="`epochs`"):
        replace(RunConfiguration(), epochs=0)
