"""Configurations: round trips, identities, and what is refused."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from axonometry.errors import ConfigurationError
from axonometry.populations.configuration import AUGMENTATIONS, OBJECTIVES, OPTIMISERS, RunConfiguration
from axonometry.populations.families import FAMILIES
from axonometry.populations.initialisers import INITIALISERS
from axonometry.populations.layers import ACTIVATIONS
from axonometry.populations.sequence_networks import CELLS

POSITIVE = st.floats(1e-6, 1e6)


@st.composite
def configurations(draw: st.DrawFn) -> RunConfiguration:
    family = draw(st.sampled_from(sorted(FAMILIES)))
    sized, choices = bool(FAMILIES[family].sizes), FAMILIES[family].choices
    size = draw(st.sampled_from([None, "small", "medium", "big"])) if sized else None
    objective = draw(st.sampled_from(OBJECTIVES[1:] if FAMILIES[family].copies else OBJECTIVES))
    optimiser = draw(st.sampled_from(sorted(OPTIMISERS)))
    return RunConfiguration(
        dataset=draw(st.text(min_size=1, max_size=8)),
        train_fraction=draw(st.floats(0.001, 1.0)),
        family=family,
        size=size,
        layers=draw(st.none() | st.integers(1, 9)) if "layers" in choices else None,
        units=draw(st.none() | st.integers(1, 99)) if "units" in choices and size is None else None,
        cell=draw(st.sampled_from(sorted(CELLS))) if "cell" in choices else "tanh",
        objective=objective,
        initialiser=draw(st.sampled_from(sorted(INITIALISERS))),
        scale=draw(POSITIVE),
        seed=draw(st.integers(0, 2**70)),
        optimiser=optimiser,
        learning_rate=draw(st.none() | POSITIVE),
        momentum=draw(st.floats(0, 1)) if optimiser == "sgd" else 0.0,
        weight_decay=draw(st.floats(0, 1)),
        batch_size=draw(st.integers(1, 10**6)),
        epochs=draw(st.integers(1, 1000)),
        max_steps=draw(st.none() | st.integers(0, 10**6)),
        record_every=draw(st.just("epoch") | st.integers(1, 1000)),
        test_fraction=draw(st.floats(0.001, 1.0)),
        label_noise=draw(st.floats(0, 0.99)) if objective == "cross-entropy" else 0.0,
        augmentation=draw(st.sampled_from(AUGMENTATIONS)),
        width=draw(st.floats(0.01, 4)) if "width" in choices else 1.0,
        activation=draw(st.sampled_from(sorted(ACTIVATIONS))) if "activation" in choices else "relu",
        dropout=draw(st.floats(0, 0.99)) if "dropout" in choices else 0.0,
    )


@given(configurations())
def test_json_gives_the_same_configuration_back(configuration: RunConfiguration) -> None:
    again = RunConfiguration.from_json(configuration.to_json())
    assert again == configuration
    assert again.identity == configuration.identity
    assert RunConfiguration.from_dict(configuration.to_dict()) == configuration


@given(configurations(), configurations())
def test_identities_are_equal_exactly_where_configurations_are(one: RunConfiguration, other: RunConfiguration) -> None:
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


def test_frozen() -> None:
    with pytest.raises(FrozenInstanceError, match="seed"):
        RunConfiguration().seed = 1  # type: ignore[misc]


def test_unknown_keys_are_named() -> None:
    with pytest.raises(ConfigurationError, match=r"has the keys dataset, .*; got `sead`, `tempo`"):
        RunConfiguration.from_dict({"sead": 1, "tempo": 2})


@pytest.mark.parametrize("name", [field.name for field in fields(RunConfiguration)])
@pytest.mark.parametrize("value", [True, [1], {"a": 1}, b"x"])
def test_wrong_types_are_named(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"`{name}` is .*; got "):
        RunConfiguration.from_dict({name: value})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 1.5}, "`epochs` is a whole number; got 1.5"),
        ({"epochs": "5"}, "`epochs` is a whole number; got '5'"),
        ({"epochs": None}, "`epochs` is a whole number; got None"),
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
        ({"initialiser": "he"}, "`initialiser` is one of random-normal"),
        ({"optimiser": "lion"}, "`optimiser` is one of sgd, adam, rmsprop; got 'lion'"),
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


def test_json_is_plain() -> None:
    values = json.loads(RunConfiguration().to_json())
    assert list(values) == sorted(field.name for field in fields(RunConfiguration))
    assert values["learning_rate"] == 0.001


def test_replace_checks_too() -> None:
    with pytest.raises(ConfigurationError, match="`epochs`"):
        replace(RunConfiguration(), epochs=0)
