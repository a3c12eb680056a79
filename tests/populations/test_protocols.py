"""Grids, draws and paper 1's protocol."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from axonometry.errors import ConfigurationError
from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.initialisers import PAPER_INITIALISERS
from axonometry.populations.protocols import draw, grid, ictai2021, ictai2021_cnn_ensemble


def test_a_grid_is_every_combination() -> None:
    made = grid({"scale": [0.05, 0.5], "seed": range(3)}, optimiser="sgd", epochs=1)
    assert [(c.scale, c.seed) for c in made] == [(s, k) for s in (0.05, 0.5) for k in range(3)]
    assert {c.learning_rate for c in made} == {0.01}
    assert grid({}, seed=4) == (RunConfiguration(seed=4),)
    assert grid({"seed": []}) == ()


def test_one_seed_is_one_sample() -> None:
    made = draw(range(50), {"optimiser": ("sgd", "adam"), "epochs": range(1, 6)}, dataset="mnist")
    assert [c.seed for c in made] == list(range(50))
    assert all(c.learning_rate == (0.01 if c.optimiser == "sgd" else 0.001) for c in made)
    assert len({c.identity for c in made}) == 50


def test_each_attribute_has_its_own_stream() -> None:
    one = draw(range(100), {"epochs": range(1, 6)})
    both = draw(range(100), {"optimiser": ("sgd", "adam"), "epochs": range(1, 6)})
    assert [c.epochs for c in one] == [c.epochs for c in both]


def test_draws_are_even_and_independent() -> None:
    made = ictai2021(range(3000))
    # Chi-squared statistics against even shares; the limits are the 99.99% quantiles.
    for name, degrees, limit in [("optimiser", 1, 15.2), ("epochs", 4, 23.6), ("initialiser", 8, 31.9)]:
        counts = np.array(list(Counter(getattr(c, name) for c in made).values()))
        assert len(counts) == degrees + 1
        assert float(((counts - 3000 / len(counts)) ** 2 / (3000 / len(counts))).sum()) < limit, name
    epochs = np.array([c.epochs for c in made])
    adam = np.array([c.optimiser == "adam" for c in made])
    initialiser = np.array([sorted(PAPER_INITIALISERS).index(c.initialiser) for c in made])
    correlations = np.corrcoef([epochs, adam, initialiser])[np.triu_indices(3, 1)]
    assert abs(correlations).max() < 0.075


def test_the_protocol_of_paper_1() -> None:
    made = ictai2021(range(10_000, 10_200), family="fully-connected", size="medium", scale=0.5)
    assert {c.initialiser for c in made} == set(PAPER_INITIALISERS)
    assert {c.epochs for c in made} == {1, 2, 3, 4, 5}
    assert {(c.optimiser, c.learning_rate, c.momentum) for c in made} == {("sgd", 0.01, 0.0), ("adam", 0.001, 0.0)}
    same = {(c.dataset, c.batch_size, c.size, c.layers, c.scale, c.train_fraction, c.weight_decay) for c in made}
    assert same == {("mnist", 64, "medium", 2, 0.5, 1.0, 0.0)}


def test_the_ensembles_of_convolutional_networks() -> None:
    made = ictai2021_cnn_ensemble(range(100))
    assert {c.epochs for c in made} == {1, 2, 3}
    assert {(c.family, c.batch_size, c.train_fraction, c.dataset) for c in made} == {
        ("convolutional", 256, 0.15, "mnist")
    }


def test_what_is_fixed_is_not_drawn() -> None:
    made = ictai2021(range(20), initialisers=["random-normal"], dataset="digits", optimiser="adam", max_steps=7)
    assert {(c.initialiser, c.dataset, c.optimiser, c.max_steps) for c in made} == {
        ("random-normal", "digits", "adam", 7)
    }
    assert {c.scale for c in made} == {0.05}
    assert len({c.epochs for c in made}) == 5


def test_the_draws_of_a_seed_never_change() -> None:
    assert [(c.optimiser, c.epochs, c.initialiser) for c in ictai2021(range(3))] == [
        ("sgd", 3, "truncated-normal"),
        ("adam", 2, "variance-scaling-uniform-fan-out"),
        ("sgd", 2, "random-normal"),
    ]


def test_errors_name_the_key() -> None:
    with pytest.raises(ConfigurationError, match="something to draw `epochs` from; got no values"):
        draw([0], {"epochs": ()})
    with pytest.raises(ConfigurationError, match="got `epoch`"):
        draw([0], {"epoch": (1, 2)})
    with pytest.raises(ConfigurationError, match="got `sise`"):
        ictai2021([0], sise="small")
    with pytest.raises(ConfigurationError, match="`epochs` is at least 1"):
        grid({"epochs": [1, 0]})
