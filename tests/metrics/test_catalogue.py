"""The catalogue: facts as data, one table, shared work done once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields

import numpy as np
import pytest
import torch

from axonometry.errors import ConfigurationError
from axonometry.metrics import (
    CATALOGUE,
    catalogue as module,
    layer_fluctuation,
    linear_truncation,
    link_weights,
    measure,
    neuron_activation,
    neuron_modes,
    node_strength,
    rank_distribution,
    strength,
)
from tests.metrics.networks import example_a


def test_every_measure_states_its_facts() -> None:
    assert list(CATALOGUE) == [
        *("link_weights", "node_strength", "layer_fluctuation", "disparity", "weighted_degree", "channel_degree"),
        *("eigenvector_centrality", "channel_centrality", "spectral_norm", "linear_map"),
        *("neuron_strength", "neuron_activation", "attention_strength"),
        *("neuron_modes", "rank_gradient", "linear_truncation", "sample_basin", "weight_basin", "sharpness"),
        *("proxies", "gradient_noise_scale", "gradient.node_strength", "gradient.layer_fluctuation"),
        *("update.node_strength", "update.layer_fluctuation"),
        *("second_moment.node_strength", "second_moment.layer_fluctuation", "update_ratio", "update_cosine"),
        *("neural_persistence", "deep_graph_persistence", "localisation", "channel_network"),
        *("representations", "class_structure"),
    ]
    for name, spec in CATALOGUE.items():
        assert spec.name == name
        assert all(getattr(spec, field.name) for field in fields(spec) if field.type != "bool")
        assert spec.function.__doc__


def test_one_tidy_table() -> None:
    graph = example_a()
    frame = measure(graph)
    assert list(frame.columns) == ["group", "metric", "statistic", "value"]
    assert frame["value"].dtype == np.float64
    without_samples = [
        n for n, spec in CATALOGUE.items() if not (spec.needs_samples or spec.needs_training or spec.opt_in)
    ]
    assert frame["metric"].drop_duplicates().tolist() == without_samples
    table = frame.set_index(["metric", "group", "statistic"])["value"]
    assert table["link_weights", "2", "std"] == pytest.approx(link_weights(graph)["std"][1])
    assert table["node_strength", "0", "mean"] == pytest.approx(4 / 3)
    assert table["node_strength", "0", "median"] == pytest.approx(0, abs=1e-6)
    assert table["layer_fluctuation", "input", "value"] == pytest.approx(1.75)
    assert table["disparity", "2", "nonfinite"] == 0
    assert not frame.duplicated(["group", "metric", "statistic"]).any()


def test_conventions_reach_the_measures() -> None:
    table = measure(example_a(), ["layer_fluctuation", "link_weights"], "ictai2021").set_index(
        ["metric", "group", "statistic"]
    )
    assert table.loc[("layer_fluctuation", "0", "value"), "value"] == pytest.approx(2.6242459234)
    assert table.loc[("link_weights", "0", "count"), "value"] == 9


def test_strength_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(strength, "node_strength", lambda *arguments: calls.append(1) or node_strength(*arguments))
    frame = measure(example_a(), ["node_strength", "layer_fluctuation"])
    assert len(calls) == 1
    assert set(frame["metric"]) == {"node_strength", "layer_fluctuation"}


def test_what_measures_share_is_kept_apart_by_its_arguments() -> None:
    shared = module.Shared(example_a())
    first, again, other = (shared.once(link_weights, convention) for convention in ("links", "links", "ictai2021"))
    assert first is again
    assert other["count"].tolist() != first["count"].tolist()


def test_fluctuation_is_the_spread_of_the_strengths() -> None:
    frame = measure(example_a(), ["node_strength", "layer_fluctuation"]).pivot(
        index="group", columns=["metric", "statistic"], values="value"
    )
    assert frame["node_strength", "std"].to_dict() == pytest.approx(layer_fluctuation(example_a()))


def test_unknown_measures_are_refused_with_the_names_that_there_are() -> None:
    words = r"got 'strenght'\. Did you mean node_strength or neuron_strength\? There are: link_weights, node"
    with pytest.raises(ConfigurationError, match=f"named as in the catalogue; {words}"):
        measure(example_a(), ["strenght"])


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ConfigurationError, match="a second 'disparity'"):
        module.register_measure(CATALOGUE["disparity"])


FACTS = {"title": "Links", "units": "none", "range": "1 and more", "invariances": "the weights", "source": "here"}


def defined(module_name: str, function_name: str, value: float) -> Callable[..., dict[str, float]]:
    """A measure as a file or a notebook's cell defines it: each time a new function."""

    def links(graph: object) -> dict[str, float]:
        return {"": value}

    links.__module__, links.__qualname__ = module_name, function_name
    return module.measured(name="links", **FACTS)(links)


@pytest.fixture
def _without_links() -> Iterator[None]:
    yield
    CATALOGUE.pop("links", None)


@pytest.mark.usefixtures("_without_links")
@pytest.mark.parametrize(
    ("module_name", "names"), [("__main__", ("links", "links")), ("__main__", ("links", "count")), ("mine", ("f", "f"))]
)
def test_a_measure_that_is_defined_again_replaces_what_it_was(module_name: str, names: tuple[str, str]) -> None:
    defined(module_name, names[0], 1.0)
    place = list(CATALOGUE).index("links")
    assert defined(module_name, names[1], 2.0) is CATALOGUE["links"].function
    assert measure(example_a(), ["links"])["value"].tolist() == [2.0]
    assert list(CATALOGUE).index("links") == place


@pytest.mark.usefixtures("_without_links")
@pytest.mark.parametrize(("module_name", "name"), [("other", "links"), ("mine", "count"), ("__main__", "links")])
def test_another_measure_of_the_same_name_is_refused(module_name: str, name: str) -> None:
    defined("mine", "links", 1.0)
    with pytest.raises(ConfigurationError, match="a second 'links'"):
        defined(module_name, name, 2.0)
    assert measure(example_a(), ["links"])["value"].tolist() == [1.0]


@pytest.mark.parametrize("module_name", ["__main__", "axonometry.metrics.disparity"])
def test_the_librarys_own_measures_are_not_replaced(module_name: str) -> None:
    def disparity(graph: object) -> dict[str, float]:
        return {}

    before, disparity.__module__, disparity.__qualname__ = CATALOGUE["disparity"], module_name, "disparity"
    with pytest.raises(ConfigurationError, match="a second 'disparity'"):
        module.measured(name="disparity", **FACTS)(disparity)
    assert CATALOGUE["disparity"] is before


def test_nothing_asked_gives_an_empty_table() -> None:
    assert measure(example_a(), []).columns.tolist() == ["group", "metric", "statistic", "value"]


def test_measures_of_samples_are_taken_where_there_are_samples() -> None:
    graph, samples = example_a(), torch.tensor([[1.0, 2.0], [0.5, -1.0]])
    frame = measure(graph, samples=samples)
    without_labels = [
        n for n, spec in CATALOGUE.items() if not (spec.needs_labels or spec.needs_training or spec.opt_in)
    ]
    assert frame["metric"].drop_duplicates().tolist() == [n for n in without_labels if n != "attention_strength"]
    table = frame.set_index(["metric", "group", "statistic"])["value"]
    assert table["neuron_strength", "2", "maximum"] == pytest.approx(28.9)
    assert table["neuron_activation", "0", "mean"] == pytest.approx(neuron_activation(graph, samples).pooled["0"].mean)
    assert table["neuron_activation", "0", "sparsity"] == pytest.approx(4 / 6)
    assert not frame.duplicated(["group", "metric", "statistic"]).any()
    assert frame["value"].notna().all()


def test_measures_of_samples_are_refused_without() -> None:
    with pytest.raises(ConfigurationError, match=r"none for neuron_activation, neuron_strength. Pass samples="):
        measure(example_a(), ["neuron_activation", "link_weights", "neuron_strength"])


def test_measures_of_classes_are_taken_from_batches_with_labels() -> None:
    graph, samples, labels = example_a(), torch.randn(9, 2), torch.arange(9) % 2
    frame = measure(graph, samples=[(samples[:4], labels[:4]), (samples[4:], labels[4:])])
    # a network without attention has no rows of it, and what costs seconds is not taken unless it is asked for
    named = [name for name, spec in CATALOGUE.items() if spec.opt_in or spec.needs_training]
    expected = [name for name in CATALOGUE if name != "attention_strength" and name not in named]
    assert frame["metric"].drop_duplicates().tolist() == expected
    table = frame.set_index(["metric", "group", "statistic"])["value"]
    assert table["rank_gradient", "0", "mean"] == pytest.approx(rank_distribution(graph, samples, labels)["0"].mean)
    truncated = linear_truncation(graph, samples, labels).set_index("group")
    assert table["linear_truncation", "input", "accuracy"] == pytest.approx(truncated.loc["input", "accuracy"])
    assert table["neuron_modes", "0", "rate"] == pytest.approx(neuron_modes(graph, samples)["0"].summary()["rate"])
    with pytest.raises(ConfigurationError, match=r"no labels for rank_gradient. Pass batches of inputs and labels"):
        measure(graph, ["neuron_modes", "rank_gradient"], samples=samples)


def test_a_network_that_diverged_has_rows_without_numbers() -> None:
    graph, samples = example_a(), torch.ones(3, 2)
    names = ["neuron_activation", "neuron_strength"]
    whole = measure(graph, names, samples=samples)
    broken = graph.at({**graph.state, "0.bias": torch.full((3,), torch.nan)})
    frame = measure(broken, names, samples=samples)
    assert frame.drop(columns="value").equals(whole.drop(columns="value"))
    assert frame["value"].isna().all()
