"""Rows for recorders: statistics by scipy, and NaN instead of an error or a warning where there is no value."""

from __future__ import annotations

import math
import warnings
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from hypothesis import given, strategies as st

from axonometry.metrics import eigenvector_centrality, leading_eigenpair, measure, spectral_norms, weighted_degree
from axonometry.metrics.rows import STATISTICS, spread_rows
from axonometry.program import NeuralGraph
from axonometry.statistics import moments
from axonometry.values import NodeValues
from tests.metrics.graphs import linear, residual
from tests.metrics.networks import fully_connected

NODES = ("weighted_degree", "eigenvector_centrality", "channel_degree", "channel_centrality")
ALL = {*STATISTICS, "log_mean", "log_std"}


def table(graph: NeuralGraph, *names: str) -> pd.Series:
    frame = measure(graph, names)
    assert not frame.duplicated(["group", "metric", "statistic"]).any()
    return frame.set_index(["metric", "group", "statistic"])["value"].sort_index()


@pytest.mark.parametrize("name", NODES)
def test_every_group_and_the_network_have_every_statistic(name: str) -> None:
    graph = residual()
    values = table(graph, name)
    groups = {"", *(group.name for group in graph.groups)}
    assert {(g, s) for g in groups for s in ALL} <= set(values[name].index)
    assert np.isfinite(values.to_numpy(float)).all()


def test_statistics_over_the_network() -> None:
    graph = residual()
    values = table(graph, "weighted_degree")["weighted_degree", ""]
    x = weighted_degree(graph).flatten().numpy()
    assert values["mean"] == pytest.approx(x.mean())
    assert values["median"] == pytest.approx(np.median(x))
    assert values["std"] == pytest.approx(x.std())
    assert values["skewness"] == pytest.approx(scipy.stats.skew(x))
    assert values["kurtosis"] == pytest.approx(scipy.stats.kurtosis(x))
    assert values["log_mean"] == pytest.approx(np.log10(x[x > 0]).mean())
    assert values["log_std"] == pytest.approx(np.log10(x[x > 0]).std())
    assert values["count"] == len(x)


def test_centralities_carry_the_eigenvalue() -> None:
    graph = residual()
    values = table(graph, "eigenvector_centrality", "channel_centrality")
    assert values["eigenvector_centrality", "", "eigenvalue"] == pytest.approx(leading_eigenpair(graph).value)
    found = eigenvector_centrality(graph.channels())["stem"]
    assert values["channel_centrality", "stem", "mean"] == pytest.approx(float(found.mean()), rel=1e-5)
    assert values["eigenvector_centrality", "", "outside"] == 0


@given(st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 1e-300, 1e300]), min_size=1, max_size=40))
def test_few_numbers_have_the_moments_of_many(numbers: list[float]) -> None:
    values = torch.tensor(numbers, dtype=torch.float64)
    found = {s: v for group, s, v in spread_rows(NodeValues({"a": values})) if group == "a"}
    for statistic, expected in asdict(moments(values)).items():
        assert found[statistic] == pytest.approx(expected, rel=1e-6, abs=1e-6 * (1 + abs(expected)))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_network_gives_nan_and_no_error(value: float) -> None:
    graph = fully_connected(80, 80)
    broken = graph.state["0.weight"].clone()
    broken[0, 0] = value
    graph = graph.at({**graph.state, "0.weight": broken})
    values = table(graph, *NODES, "spectral_norm")
    for name in NODES:
        for statistic in ALL - {"count", "nonfinite"}:
            assert math.isnan(values[name, "", statistic])
        assert values[name, "", "count"] == 160
        assert values[name, "", "nonfinite"] > 0
    assert math.isnan(values["eigenvector_centrality", "", "outside"])
    assert math.isnan(values["spectral_norm", "0", "kernel"])
    assert math.isnan(values["spectral_norm", "0", "channels"])


def test_all_weights_zero() -> None:
    graph = fully_connected(80, 80)
    values = table(graph.at({name: w * 0 for name, w in graph.state.items()}), *NODES)
    assert values["weighted_degree", "", "mean"] == 0
    assert math.isnan(values["weighted_degree", "", "log_mean"])
    assert math.isnan(values["eigenvector_centrality", "", "mean"])


def test_a_disconnected_network_is_a_number_not_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = table(linear(((1.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 0.0, 0.0))), "eigenvector_centrality")
    row = values["eigenvector_centrality", ""]
    assert row["outside"] == pytest.approx(1 / 2)
    assert row["isolated"] == pytest.approx(1 / 3)
    assert row["maximum"] == pytest.approx(1 / math.sqrt(2))


def test_a_degenerate_network_has_no_centrality_but_says_what_is_outside() -> None:
    row = table(linear(((1.0, 0.0), (0.0, 1.0))), "eigenvector_centrality")["eigenvector_centrality", ""]
    assert math.isnan(row["mean"])
    assert row["outside"] == pytest.approx(1 / 2)
    assert row["eigenvalue"] == pytest.approx(1)


def test_spectral_norms_by_synapse_and_group() -> None:
    graph = residual()
    values, norms = table(graph, "spectral_norm")["spectral_norm"], spectral_norms(graph)
    assert values["stem", "kernel"] == pytest.approx(norms.kernels["stem"])
    assert values["", "maximum"] == pytest.approx(max(norms.kernels.values()))
    by_group = {target: v for (target, _), v in norms.blocks.items()}
    assert values["head", "channels"] == pytest.approx(by_group["head"])
