"""Names of scalars, in every order in which a library may bring them."""

from __future__ import annotations

from itertools import permutations

import pytest

from axonometry.integrations.names import ScalarNames


@pytest.mark.parametrize("order", list(permutations(["train_loss", "loss", "val_loss"])))
def test_validation_chooses_first_and_no_two_are_alike(order: tuple[str, ...]) -> None:
    found = ScalarNames().here(order)
    assert found == {"val_loss": "loss", "train_loss": "train_loss", "loss": "logged_loss"}


def test_a_name_means_one_thing_to_the_end() -> None:
    names = ScalarNames()
    assert names.scalars({"accuracy": 0.5}) == {"accuracy": 0.5}
    assert names.scalars({"accuracy": 0.6, "val_accuracy": 0.4}) == {"accuracy": 0.6, "val_accuracy": 0.4}
    trained = ScalarNames(plain_is_training=True)
    assert trained.scalars({"loss": 0.9}) == {"train_loss": 0.9}
    assert trained.scalars({"loss": 0.8, "eval_loss": 0.7}) == {"train_loss": 0.8, "loss": 0.7}
