"""Messages: one line, the rule first, then what came, then the remedy with the names that were probably meant."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from axonometry.errors import AxonometryError, closest
from axonometry.experiments.running import chosen
from axonometry.metrics import CATALOGUE
from axonometry.metrics.conventions import check_convention
from axonometry.populations import Architecture, RunConfiguration
from axonometry.predict.feature_sets import parts_of
from axonometry.trajectory.choices import known_measures


def test_the_closest_names_come_first_and_each_wrong_name_has_its_own() -> None:
    assert closest(["adaam", "sdg"], ["sgd", "adam"], "Choose") == "Did you mean adam or sgd? Choose"
    assert closest("nothing like it", ["sgd"], "Choose") == "Choose"
    assert closest("sdg", ["sgd"]) == "Did you mean sgd?"


@pytest.mark.parametrize(
    ("remedy", "message"),
    [
        ("Did you mean b?", "a is b; got c. Did you mean b?"),
        ("Did you mean b? Choose from: a, b", "a is b; got c. Did you mean b? Choose from: a, b."),
        ("Pass b.", "a is b; got c. Pass b."),
        ("", "a is b; got c."),
    ],
)
def test_a_question_ends_without_a_full_stop(remedy: str, message: str) -> None:
    assert str(AxonometryError("a is b", "c", remedy)) == message


@pytest.mark.parametrize(
    ("ask", "meant"),
    [
        (lambda: chosen({"tiny": 1, "small": 2}, "tniy", "scale"), "tiny"),
        (lambda: known_measures(("node_strenght",)), "node_strength"),
        (lambda: check_convention("ictai2012", ["links", "ictai2021"]), "ictai2021"),
        (lambda: parts_of("graph+curv"), "curve"),
        (lambda: RunConfiguration.from_dict({"learning_rat": 0.1}), "learning_rate"),
        (lambda: RunConfiguration(optimiser="addam"), "adam or adamw"),
        (lambda: RunConfiguration(dataset="digits", initialiser="random-norml"), "random-normal"),
        (lambda: RunConfiguration(family="lenett"), "lenet"),
        (lambda: Architecture("convolutional", size="smal"), "small"),
        (lambda: Architecture("recurrent", cell="grru"), "gru"),
        (lambda: Architecture("mlp", normalisation="bach"), "batch"),
    ],
)
def test_a_wrong_name_is_answered_with_the_close_ones(ask: Callable[[], object], meant: str) -> None:
    with pytest.raises(AxonometryError, match=rf"Did you mean {meant}[? ]"):
        ask()


def test_no_name_of_the_catalogue_is_asked_back() -> None:
    assert known_measures(tuple(CATALOGUE)) == tuple(CATALOGUE)
