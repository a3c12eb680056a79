"""What a notebook shows of graphs, values and runs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.cell_text import number
from axonometry.errors import ConfigurationError

torch.manual_seed(0)
MODEL = nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 2))


@pytest.fixture(scope="module")
def graph() -> ax.NeuralGraph:
    return ax.capture(MODEL, torch.zeros(1, 3))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ax.Trajectory:
    model = nn.Linear(2, 2)
    folder = tmp_path_factory.mktemp("run") / "run"
    with ax.Recorder(folder, model, torch.zeros(1, 2)) as recorder:
        for step in range(3):
            recorder.record(step, accuracy=0.1 * step)
    return ax.load(folder)


def test_a_summary_has_a_row_a_group_with_what_enters_it(graph: ax.NeuralGraph) -> None:
    table = graph.summary().set_index("group")
    assert table["parameters"].tolist() == [0, 12, 8]
    assert table["links"].tolist() == [0, 12, 8]
    assert table.loc["0", "strength"] == pytest.approx(float(ax.node_strength(graph)["0"].mean()), rel=1e-6)
    assert table.columns[-4:].tolist() == ["layer_fluctuation", "untrained", "shuffled", "z"]
    assert table.loc[["0", "2"], ["untrained", "shuffled", "z"]].notna().all(axis=None)
    assert graph.summary(draws=0)["shuffled"].isna().all()


def test_a_summary_holds_fluctuation_against_shuffled_weights(graph: ax.NeuralGraph) -> None:
    table = graph.summary(draws=5)
    expected = ax.null(graph, "shuffle", "layer_fluctuation", draws=5)
    assert table["z"].tolist() == pytest.approx(expected["z"].tolist(), nan_ok=True)
    assert table["shuffled"].tolist() == pytest.approx(expected["null_mean"].tolist())


def test_values_are_plotted_with_a_box_a_group(graph: ax.NeuralGraph) -> None:
    figure = ax.node_strength(graph).plot()
    assert [trace.name for trace in figure.data] == ["input", "0", "2"]
    assert figure.data[1].median[0] == pytest.approx(
        float(ax.node_strength(graph)["0"].double().quantile(0.5)), rel=1e-5
    )


def test_a_run_is_plotted_with_a_line_a_group(run: ax.Trajectory) -> None:
    figure = run.plot("layer_fluctuation")
    assert [len(t.x) for t in figure.data if t.mode == "lines+markers"] == [3, 3]
    (line,) = (trace for trace in run.plot("accuracy").data if trace.mode == "lines+markers")
    assert list(line.y) == pytest.approx([0.0, 0.1, 0.2], abs=1e-6)
    with pytest.raises(ConfigurationError, match=r"by what was recorded of it; got 'acuracy'. Did you mean accuracy"):
        run.plot("acuracy")
    with pytest.raises(ConfigurationError, match="a statistic of accuracy is one that was recorded; got 'mode'"):
        run.plot("accuracy", "mode")


def test_everything_shows_itself_in_a_notebook(graph: ax.NeuralGraph, run: ax.Trajectory) -> None:
    shown = [one._repr_html_() for one in (graph, ax.node_strength(graph), run)]
    assert all("<table>" in html and "<svg" in html and "<script" not in html for html in shown)
    assert all(len(html) < 40_000 for html in shown)
    assert "accuracy" in shown[2]


def test_results_of_samples_show_themselves(graph: ax.NeuralGraph) -> None:
    samples = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(40) % 2
    activation = ax.neuron_activation(graph, samples)
    basin = ax.sample_basin(MODEL, samples, labels, draws=2, threshold=0.7)
    modes, ranks = ax.neuron_modes(graph, samples), ax.rank_distribution(graph, samples, labels)
    shown = [one._repr_html_() for one in (activation, modes, ranks, basin)]
    assert all("<table>" in html and "<svg" in html and "<script" not in html for html in shown)
    assert "over 40 samples" in shown[0]
    assert f"<td>{number(activation.pooled['0'].mean)}</td>" in shown[0]
    assert f"<td>{number(modes['0'].summary()['rate'])}</td>" in shown[1]
    assert f"<td>{number(ranks['0'].mean)}</td>" in shown[2]
    assert f"<td>{number(basin.network.amplitude)}</td>" in shown[3]


def test_names_in_a_notebook_are_text() -> None:
    html = ax.NodeValues({"<b>bold</b>": torch.ones(2)})._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;" in html


def test_long_tables_end_with_how_much_is_left_out() -> None:
    html = ax.NodeValues({f"layer{n}": torch.ones(2) for n in range(40)})._repr_html_()
    assert "… and 29 more" in html
