"""A small population that was really trained, on the digits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from axonometry.populations import Population, load_population, train
from axonometry.populations.protocols import draw


@pytest.fixture(scope="session")
def population(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Population:
    """Six fully connected networks, some of which learn and some of which do not; they are only read."""

    def make(folder: Path) -> None:
        choices = {"learning_rate": (0.0003, 0.003, 0.03), "epochs": (1, 2)}
        for configuration in draw(range(6), choices, optimiser="adam", batch_size=64):
            train(configuration, folder / configuration.identity)

    return load_population(made_once("population-of-digits", make))
