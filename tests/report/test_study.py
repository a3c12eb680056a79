"""What a population's page reads from its runs, against the runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as numbers

from axonometry.errors import AxonometryError
from axonometry.metrics import density, node_strength
from axonometry.populations import Population, train
from axonometry.report import samples
from axonometry.report.study import MOST_IN_ONE, Study, default_edges, labels, study


@pytest.fixture(scope="module")
def found(population: Population) -> Study:
    return study(population)


def test_every_network_is_there_once_ascending_by_accuracy(found: Study, population: Population) -> None:
    assert sorted(found.networks.index) == sorted(population.runs)
    assert found.networks["accuracy"].is_monotonic_increasing
    assert found.networks["bin"].cat.codes.is_monotonic_increasing
    assert (found.left_out, found.unfinished) == (0, 0)


def test_numbers_over_time_are_those_of_the_runs(found: Study, population: Population) -> None:
    name, run = next(iter(population.runs.items()))
    mine = found.with_accuracy("layer_fluctuation", "fc1")
    mine = mine[mine["network"] == name].set_index("step").sort_index()
    rows = run.metrics[(run.metrics["metric"] == "layer_fluctuation") & (run.metrics["group"] == "fc1")]
    np.testing.assert_array_equal(mine["value"], rows.sort_values("step")["value"])
    np.testing.assert_array_equal(mine["accuracy"], run.scalars()["accuracy"])
    assert set(found.tracked("node_strength", "fc2", "mean")["network"]) == set(population.runs)


def test_last_steps_are_each_network_s_own(found: Study, population: Population) -> None:
    last = found.tracked_last("layer_fluctuation")
    assert len(last) == len(population) * len(found.groups)
    steps = last.groupby("network")["step"].unique()
    assert {name: list(of) for name, of in steps.items()} == {n: [r.steps[-1]] for n, r in population.runs.items()}


def test_networks_that_have_ended_stay_where_they_are(found: Study, population: Population) -> None:
    carried = found.carried("accuracy").set_index(["network", "step"]).sort_index()
    for name, run in population.runs.items():
        for step in range(3):
            assert carried.loc[(name, step), "ended"] == (step > run.steps[-1])
            expected = run.scalars()["accuracy"][min(step, run.steps[-1])]
            assert carried.loc[(name, step), "value"] == expected
    assert (carried["bin"].groupby("network").nunique() == 1).all()
    assert found.lengths_differ


def test_what_differs_and_what_does_not(found: Study) -> None:
    assert set(found.differing) == {"learning_rate", "epochs", "seed"}
    assert found.common["family"] == "fully-connected"
    assert found.step_name == "epoch"
    assert found.kinds == ("", {})
    assert found.groups == ["input", "fc1", "fc2", "fc3", "fc4"]
    assert found.synapses == ["fc1", "fc2", "fc3", "fc4"]


def test_densities_and_divergences_are_of_the_pooled_values(found: Study, population: Population) -> None:
    low = found.networks.index[found.networks["bin"] == found.bins[0]]
    pooled = np.concatenate([node_strength(population.graph(name))["fc1"].numpy() for name in low])
    curve = found.densities.query("metric == 'node_strength' and group == 'fc1' and name == @found.bins[0]")
    np.testing.assert_allclose(curve["density"], density(pooled, curve["x"].to_numpy()).heights, rtol=1e-6)
    matrix = found.divergences["node_strength", "fc1"]
    assert list(matrix.index) == list(matrix.columns) == found.bins
    assert matrix.iloc[0, -1] > 0
    assert found.read == {name: (found.networks["bin"] == name).sum() for name in found.bins}


def test_edges_may_be_given_and_empty_bins_are_left_out(population: Population) -> None:
    found = study(population, edges=[0.0, 0.5, 0.99, 1.0])
    assert len(found.bins) == 2
    assert found.bins[0].endswith("–50%")


def test_one_run_is_enough(population: Population) -> None:
    name = next(iter(population.runs))
    found = study(Population(population.folder, {name: population.runs[name]}))
    assert len(found.bins) == 1
    assert found.divergences == {}
    assert "seed" in found.common


def test_runs_without_weights_have_no_densities(population: Population) -> None:
    runs = {
        name: replace(run, description=replace(run.description, keep_weights=False))
        for name, run in population.runs.items()
    }
    found = study(Population(population.folder, runs))
    assert found.densities.empty
    assert found.divergences == {}
    assert set(found.read.values()) == {0}


def test_a_network_without_an_accuracy_is_left_out_and_counted(population: Population) -> None:
    unscored = Population(population.folder, population.runs)
    frame = population.frame.copy()
    frame.iloc[0, frame.columns.get_loc("accuracy")] = np.nan
    unscored.__dict__["frame"] = frame
    found = study(unscored)
    assert found.left_out == 1
    assert frame.index[0] not in found.networks.index
    assert frame.index[0] not in set(found.metrics["network"])


def test_an_empty_population_is_refused(population: Population) -> None:
    with pytest.raises(AxonometryError, match="no finished run with an accuracy in "):
        study(Population(population.folder, {}))


def test_two_architectures_are_refused(population: Population, tmp_path_factory: pytest.TempPathFactory) -> None:
    configuration = replace(next(iter(population.configurations.values())), layers=1, max_steps=0)
    other = train(configuration, tmp_path_factory.mktemp("other"))
    with pytest.raises(AxonometryError, match=r"one architecture.*1 of 7 that differ"):
        study(Population(population.folder, {**population.runs, "other": other}))


@given(numbers.arrays(np.float64, st.integers(1, 50), elements=st.floats(0, 1)))
def test_edges_increase_and_hold_every_network(accuracy: np.ndarray) -> None:
    edges = default_edges(accuracy)
    assert all(np.diff(edges) > 0)
    assert edges[0] <= accuracy.min().round(9)
    assert accuracy.max().round(9) <= edges[-1]


def test_edges_are_round_unless_one_bin_would_hold_most_networks() -> None:
    assert default_edges(np.linspace(0.91, 0.98, 20)) == [0.9, 0.92, 0.94, 0.96, 0.98]
    crowded = np.array([0.1] + [0.95 + 0.001 * i for i in range(19)])
    edges = default_edges(crowded)
    assert np.histogram(crowded, edges)[0].max() <= MOST_IN_ONE * len(crowded)
    assert default_edges(np.full(7, 0.5)) == [0.5, 0.5 + 1e-9]


def test_labels_have_as_many_digits_as_tell_bins_apart() -> None:
    assert labels([(0.5, 0.501), (0.501, 0.9)]) == ["50.0–50.1%", "50.1–90.0%"]
    assert labels([(0.0, 0.2), (0.8, 1.0)]) == ["0–20%", "80–100%"]
    assert len(set(labels([(0.5, 0.5 + 1e-9)]))) == 1


def test_constant_and_broken_values_have_no_density() -> None:
    constant, normal = np.zeros(5, dtype=np.float32), np.random.default_rng(0).normal(size=500).astype(np.float32)
    place = ("node_strength", "fc1")
    found = {place: {"low": constant, "high": normal, "top": normal + 1}}
    assert set(samples.density_curves(found)["name"]) == {"high", "top"}
    matrix = samples.divergences(found)[place]
    assert matrix.loc["low"].isna().all()
    assert matrix.loc["high", "top"] > 0.5
    assert samples.density_curves({}).empty
    assert list(samples.density_curves({}).columns) == ["metric", "group", "name", "x", "density"]


def test_a_curve_covers_nearly_all_of_a_sample_and_integrates_to_one() -> None:
    values = np.random.default_rng(0).standard_t(2, size=100_000).astype(np.float32)
    curve = samples.curve(values)
    assert len(curve) == samples.POINTS
    bandwidth = density(values, np.empty(0)).bandwidth
    low, high = np.quantile(values, [0.0005, 0.9995])
    assert curve["x"].iloc[0] == pytest.approx(low - 3 * bandwidth)
    assert curve["x"].iloc[-1] == pytest.approx(high + 3 * bandwidth)
    step = curve["x"].diff().iloc[1]
    assert curve["density"].sum() * step == pytest.approx(1, abs=3 * samples.TAIL)


def test_large_layers_are_thinned_and_nan_is_left_out(population: Population) -> None:
    import torch

    graph = population.graph(next(iter(population.runs)))
    state = {name: tensor.clone() for name, tensor in graph.state.items()}
    state["fc1.weight"][0, 0] = torch.nan
    values = samples.of_graph(graph.at(state))
    assert len(values["link_weights", "fc1"]) == 64 * 32 - 1
    assert all(np.isfinite(found).all() for found in values.values())
    assert pd.Series(len(found) for found in values.values()).max() <= samples.MOST_VALUES
