"""Names of features, and which of them each set looks at."""

from __future__ import annotations

from inspect import signature

import pytest

from axonometry.cli.predict import fit_predictor
from axonometry.errors import PredictionError
from axonometry.predict import AccuracyPredictor
from axonometry.predict.feature_sets import (
    DEFAULT_FEATURES,
    FEATURE_SETS,
    FeatureName,
    columns_for,
    families_of,
    parts_of,
)

COLUMNS = (
    "epochs",
    "channel_degree.conv1.mean@0",
    "channel_degree.conv1.mean@1",
    "channel_degree.conv1.mean@2",
    "channel_degree.conv1.mean@2-0",
    "weighted_degree.std@1",
    "channel_centrality.mean@1",
    "eigenvector_centrality.mean@2",
    "link_weights.mean@2",
    "movement.conv1.weight.turn@2",
    "parameter.conv1.weight.p25@1",
    "parameter.conv1.weight.p25@2",
    "accuracy@0",
    "accuracy@1",
    "accuracy@2",
    "loss@2",
    "train_loss@1",
    "configuration.learning_rate",
    "configuration.optimiser=sgd",
    "changes.growth.depth50@1",
    "changes.growth.depth50@2",
    "parametric.power@1",
    "parametric.power@2",
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("channel_degree.conv1.mean@2", FeatureName("channel_degree", "channel_degree.conv1", 2, False)),
        ("channel_degree.conv1.mean@2-0", FeatureName("channel_degree", "channel_degree.conv1", 2, True)),
        ("channel_degree.mean@12", FeatureName("channel_degree", "channel_degree", 12, False)),
        ("movement.a.b.weight.turn@3", FeatureName("movement", "movement.a.b.weight", 3, False)),
        ("accuracy@1", FeatureName("accuracy", "accuracy", 1, False)),
        ("configuration.learning_rate", FeatureName("configuration", "configuration.learning_rate", 0, False)),
        ("configuration.optimiser=sgd", FeatureName("configuration", "configuration.optimiser", 0, False)),
        ("epochs", None),
        ("accuracy", None),
        ("accuracy@last", None),
        ("accuracy@1-x", None),
        ("@", None),
        ("configurations", None),
    ],
)
def test_what_a_name_says(name: str, expected: FeatureName | None) -> None:
    assert FeatureName.parse(name) == expected


@pytest.mark.parametrize(
    ("features", "epochs", "expected"),
    [
        ("degree", 1, [1, 2, 5]),
        ("degree", 2, [1, 2, 3, 4, 5]),
        ("centrality", 1, [6]),
        ("centrality", 2, [6, 7]),
        ("graph", 1, [1, 2, 5, 6]),
        ("graph", 2, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("snapshot", 1, [2, 5, 6]),
        ("snapshot", 2, [3, 7, 8]),
        ("weights", 1, [10]),
        ("weights", 2, [11]),
        ("last-accuracy", 1, [13]),
        ("last-accuracy", 2, [14]),
        ("curve", 1, [12, 13, 16]),
        ("curve", 2, [12, 13, 14, 15, 16]),
        ("hyperparameters", 1, [17, 18]),
        ("changes", 1, [19]),
        ("changes", 2, [20]),
        ("parametric", 2, [22]),
        ("movement", 2, [9]),
        ("measures", 2, [1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_the_columns_of_each_set_after_so_many_epochs(features: str, epochs: int, expected: list[int]) -> None:
    (view,) = columns_for(COLUMNS, features, epochs)
    assert view == [COLUMNS[place] for place in expected]


def test_sets_that_are_joined_are_a_view_each_and_one_of_all() -> None:
    views = columns_for(COLUMNS, "curve + degree", 1)
    assert views == [
        ["accuracy@0", "accuracy@1", "train_loss@1"],
        [COLUMNS[1], COLUMNS[2], COLUMNS[5]],
        [COLUMNS[1], COLUMNS[2], COLUMNS[5], "accuracy@0", "accuracy@1", "train_loss@1"],
    ]


def test_nothing_that_is_known_later_is_in_any_set() -> None:
    for features in FEATURE_SETS:
        more = ("movement.conv1.weight.step@1", "proxies.synflow@0", "parameters@0")
        for name in columns_for((*COLUMNS, *more), features, 1)[0]:
            parsed = FeatureName.parse(name)
            assert parsed is not None
            assert parsed.epoch <= 1


def test_before_training_the_initial_network_alone_is_looked_at() -> None:
    columns = (*COLUMNS, "proxies.synflow@0", "proxies.synflow@1", "parameters@0")
    for epochs in (0, 2):
        assert columns_for(columns, "initial", epochs) == [["channel_degree.conv1.mean@0", "proxies.synflow@0"]]
        assert columns_for(columns, "proxies", epochs) == [["proxies.synflow@0", "parameters@0"]]
        assert columns_for(columns, "parameters", epochs) == [["parameters@0"]]
    assert "parameters@0" not in columns_for(columns, "graph", 2)[0]


def test_a_set_without_columns_says_what_there_is() -> None:
    words = r"the features 'weights' after 1 epochs: .* got a table with accuracy, loss"
    with pytest.raises(PredictionError, match=words):
        columns_for(["loss@1", "accuracy@1", "parameter.w.p25@2"], "weights", 1)
    with pytest.raises(PredictionError, match="a table with none"):
        columns_for(["something"], "curve", 1)


def test_sets_that_do_not_exist_are_named() -> None:
    assert parts_of("graph+curve") == ["graph", "curve"]
    with pytest.raises(
        PredictionError,
        match=r"got 'curves, '.*There are: degree, .*hyperparameters, initial, proxies, parameters; join them by \+",
    ):
        parts_of("graph+curves+")


@pytest.mark.parametrize(
    ("features", "held", "families"),
    [
        ("degree", [], {"channel_degree"}),
        ("degree", ["weighted_degree", "link_weights"], {"weighted_degree"}),
        ("degree", ["weighted_degree", "channel_degree"], {"weighted_degree", "channel_degree"}),
        ("centrality", ["eigenvector_centrality"], {"eigenvector_centrality"}),
        ("graph", ["link_weights"], {"link_weights", "movement"}),
        ("snapshot", ["link_weights"], {"link_weights"}),
        ("weights", ["link_weights"], {"parameter"}),
        ("last-accuracy", [], {"accuracy"}),
        ("curve", [], {"accuracy", "loss", "train_loss"}),
        ("hyperparameters", [], {"configuration"}),
        ("weights+curve", [], {"parameter", "accuracy", "loss", "train_loss"}),
    ],
)
def test_what_is_read_from_a_run_for_a_set(features: str, held: list[str], families: set[str]) -> None:
    assert families_of(features, held) == families


def test_everything_is_read_for_none() -> None:
    assert families_of(None, ["link_weights"]) == {
        "link_weights",
        "channel_degree",
        "channel_centrality",
        "movement",
        "parameter",
        "changes",
        "parametric",
        "accuracy",
        "loss",
        "train_loss",
        "configuration",
        "proxies",
        "parameters",
    }


def test_the_same_default_everywhere() -> None:
    """The command line names it itself, since it must not import scikit-learn to print its help."""
    default = signature(fit_predictor).parameters["features"].default
    assert default == DEFAULT_FEATURES == signature(AccuracyPredictor).parameters["features"].default
    assert parts_of(default) == ["changes", "curve"]
