"""Grids, draws, the protocols of papers 1 and 3, and the hard grid."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from axonometry.errors import ConfigurationError
from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.initialisers import PAPER_INITIALISERS
from axonometry.populations.protocols import cikm2022, draw, draw_hard_grid, grid, ictai2021, ictai2021_cnn_ensemble


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


def test_the_grid_of_paper_3() -> None:
    made = cikm2022(family="lenet")
    factors, powers = (2.0, 2.5, 3.0, 3.5, 4.0, 4.5), range(1, 7)
    rates = [factor / 10**power for factor, power in product(factors, powers)]
    assert len(rates) == 36
    expected = sorted(product(rates, [tenth / 10 for tenth in range(10)]))
    np.testing.assert_allclose(sorted((c.learning_rate, c.dropout) for c in made), expected, rtol=1e-12)
    assert len({c.identity for c in made}) == len(made) == 360
    alike = {replace(c, learning_rate=1.0, dropout=0.0) for c in made}
    assert alike == {
        RunConfiguration(
            dataset="cifar10",
            family="lenet",
            optimiser="sgd",
            learning_rate=1.0,
            momentum=0.9,
            batch_size=128,
            augmentation="crop-flip",
        )
    }


def test_a_part_of_the_grid_of_paper_3() -> None:
    made = cikm2022((0.01,), (0.0, 0.5), family="lenet", dataset="fashion-mnist", epochs=7)
    assert [(c.learning_rate, c.dropout, c.dataset, c.epochs) for c in made] == [
        (0.01, 0.0, "fashion-mnist", 7),
        (0.01, 0.5, "fashion-mnist", 7),
    ]
    assert set(made) <= {
        replace(c, dataset="fashion-mnist", epochs=7, learning_rate=0.01) for c in cikm2022(family="lenet")
    }


DRAWN = (
    "optimiser",
    "learning_rate",
    "weight_decay",
    "batch_size",
    "scale",
    "activation",
    "train_fraction",
    "label_noise",
)


def test_the_hard_grid_draws_everything_from_streams_that_know_nothing_of_each_other() -> None:
    made = draw_hard_grid(range(600), family="lenet")
    assert [c.seed for c in made] == list(range(600))
    assert len({replace(c, seed=0) for c in made}) > 590
    codes = []
    for name in DRAWN:
        values = [getattr(c, name) for c in made]
        assert len(set(values)) >= 3, name
        codes.append([sorted(set(values)).index(value) for value in values])
        if name != "learning_rate":  # its choices are the optimiser's
            counts = np.array(list(Counter(values).values()))
            even = 600 / len(counts)
            assert float(((counts - even) ** 2 / even).sum()) < 31.9, name
    # The rate as a place in its optimiser's range; the range itself is the optimiser's.
    places = np.log([c.learning_rate / (1e-4 if c.optimiser == "sgd" else 3e-5) for c in made])
    codes[1] = list(places / np.log([3000 if c.optimiser == "sgd" else 1000 for c in made]))
    assert abs(np.corrcoef(codes)[np.triu_indices(len(DRAWN), 1)]).max() < 0.18


@pytest.mark.parametrize(
    ("optimiser", "low", "high"), [("sgd", 1e-4, 0.3), ("adam", 3e-5, 3e-2), ("rmsprop", 3e-5, 3e-2)]
)
def test_rates_of_the_hard_grid_are_even_on_a_log_scale(optimiser: str, low: float, high: float) -> None:
    rates = [c.learning_rate for c in draw_hard_grid(range(400), optimiser=optimiser)]
    assert (min(rates), max(rates)) == (low, high)
    places = np.log(np.array(rates) / low) / np.log(high / low)
    np.testing.assert_allclose(np.unique(places), np.linspace(0, 1, 25), atol=2e-3)
    np.testing.assert_allclose(np.quantile(places, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.09)


def test_momentum_belongs_to_sgd_alone() -> None:
    made = draw_hard_grid(range(200))
    assert {(c.optimiser, c.momentum) for c in made} == {("sgd", 0.9), ("adam", 0.0), ("rmsprop", 0.0)}
    held = draw_hard_grid(range(20), optimiser="sgd", momentum=0.5)
    assert {(c.optimiser, c.momentum) for c in held} == {("sgd", 0.5)}


@pytest.mark.parametrize(
    "fixed",
    [
        {"weight_decay": 0.5},
        {"learning_rate": 0.123},
        {"batch_size": 8, "scale": 9.0, "label_noise": 0.9},
        {"epochs": 3, "dataset": "fashion-mnist", "family": "lenet"},
        {"train_fraction": 1.0, "activation": "sigmoid"},
    ],
    ids=str,
)
def test_what_is_fixed_leaves_the_other_draws_as_they_were(fixed: dict[str, Any]) -> None:
    free, held = draw_hard_grid(range(60)), draw_hard_grid(range(60), **fixed)
    assert all(getattr(c, name) == value for c in held for name, value in fixed.items())
    for name in set(DRAWN) - set(fixed):
        assert [getattr(c, name) for c in held] == [getattr(c, name) for c in free], name


def test_a_fixed_optimiser_leaves_all_but_the_rates() -> None:
    free, held = draw_hard_grid(range(60)), draw_hard_grid(range(60), optimiser="adam")
    assert {c.optimiser for c in held} == {"adam"}
    for name in set(DRAWN) - {"optimiser", "learning_rate"}:
        assert [getattr(c, name) for c in held] == [getattr(c, name) for c in free], name
    same = [(one.learning_rate, two.learning_rate) for one, two in zip(held, free) if two.optimiser == "adam"]
    assert len(same) > 10
    assert all(one == two for one, two in same)


def test_errors_name_the_key() -> None:
    with pytest.raises(ConfigurationError, match="something to draw `epochs` from; got no values"):
        draw([0], {"epochs": ()})
    with pytest.raises(ConfigurationError, match=r"no key `epoch`\. Did you mean epochs\?"):
        draw([0], {"epoch": (1, 2)})
    with pytest.raises(ConfigurationError, match="no key `sise`"):
        ictai2021([0], sise="small")
    with pytest.raises(ConfigurationError, match="`epochs` is at least 1"):
        grid({"epochs": [1, 0]})
