"""Null models: what each keeps, what a score says, and that one capture serves all draws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import ConfigurationError, ConvergenceError, RunError
from axonometry.metrics.nulls import NullModel, null_graphs, null_rows, z_scores
from axonometry.metrics.nulls.channels import of_same_degrees, of_same_strengths
from axonometry.program.channels import ChannelGraph
from axonometry.testing import graph_of
from axonometry.trajectory import Recorder, load, remeasure
from tests.metrics.graphs import residual


def drawn(graph: ax.NeuralGraph, kind: str, *, seed: int = 0) -> ax.NeuralGraph:
    (first, _) = null_graphs(graph, NullModel(kind, 2, seed))
    return first


class Tied(nn.Module):
    """An embedding whose matrix is the output's too, and one matrix for queries, keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.mixing = nn.Embedding(7, 4), nn.Linear(4, 12)
        self.out = nn.Linear(4, 7, bias=False)
        self.out.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (nn.functional.linear(self.embedding(tokens), w) for w in self.mixing.weight.chunk(3))
        return self.out(nn.functional.scaled_dot_product_attention(query, key, value))


@pytest.mark.parametrize("kind", ["shuffle", "signs", "moments"])
def test_what_a_null_model_keeps(kind: str) -> None:
    graph = residual()
    other = drawn(graph, kind)
    for name, kernel in graph.kernels().items():
        old, new = kernel.weight.flatten(), other.kernel(name).weight.flatten()
        assert not torch.equal(old, new)
        if kind == "shuffle":
            assert torch.equal(old.sort().values, new.sort().values)
        elif kind == "signs":
            assert torch.equal(old.abs(), new.abs())
    changed = {claim.parameter for claim in graph.coverage if claim.role == "synapse"}
    for name, tensor in graph.state.items():  # biases and normalisation are no links
        assert torch.equal(tensor, other.state[name]) == (name not in changed)


def test_moments_are_the_layers_own_and_missing_links_stay_missing() -> None:
    layer = nn.Linear(200, 200, bias=False)
    with torch.no_grad():
        layer.weight.normal_(0.5, 2).mul_(torch.rand(200, 200) < 0.7)
    graph = ax.capture(layer, torch.zeros(1, 200))
    old, new = (one.kernel("weight").weight for one in (graph, drawn(graph, "moments")))
    assert torch.equal(old == 0, new == 0)
    assert float(new[new != 0].mean()) == pytest.approx(0.5, abs=0.06)
    assert float(new[new != 0].std()) == pytest.approx(2, abs=0.06)


def test_shared_weights_stay_shared_and_parts_of_a_matrix_stay_apart() -> None:
    model = Tied()
    graph = ax.capture(model, torch.zeros(1, 3, dtype=torch.int64))
    other = drawn(graph, "shuffle")
    names = [s.name for s in graph.synapses if s.shape == (7, 4)]
    kernels = [other.kernel(name).weight for name in names]
    assert all(torch.equal(kernel, kernels[0]) for kernel in kernels)
    assert torch.equal(kernels[0].flatten().sort().values, model.embedding.weight.detach().flatten().sort().values)
    old, new = model.mixing.weight.detach(), other.state["mixing.weight"]
    for part in (slice(0, 4), slice(4, 8), slice(8, 12)):
        assert torch.equal(old[part].flatten().sort().values, new[part].flatten().sort().values)
        assert not torch.equal(old[part], new[part])


def test_weights_that_are_computed_are_exchanged_by_their_parameters() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(5, 4))
    graph = ax.capture(layer, torch.zeros(1, 5))
    other = drawn(graph, "shuffle")
    assert not torch.allclose(graph.dense(), other.dense())


def test_initial_weights_are_drawn_by_the_layers_and_the_module_stays_as_it_is() -> None:
    model = nn.Sequential(nn.Linear(30, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Linear(20, 2))
    with torch.no_grad():
        model[0].weight.fill_(7)
        model[1].weight.fill_(3)
    before, random = [p.clone() for p in model.parameters()], torch.get_rng_state()
    graph = ax.capture(model, torch.zeros(2, 30))
    first, again, other = (drawn(graph, "initial", seed=seed) for seed in (0, 0, 1))
    assert first.state["0.weight"].abs().max() <= 30**-0.5
    assert torch.equal(first.state["0.weight"], again.state["0.weight"])
    assert not torch.equal(first.state["0.weight"], other.state["0.weight"])
    assert first.state["1.weight"].unique().item() == 1
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert torch.equal(random, torch.get_rng_state())


def test_initial_weights_need_layers_that_draw_them() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.matrix = nn.Parameter(torch.ones(2, 3))

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x, self.matrix)

    graph = ax.capture(Own(), torch.zeros(1, 3))
    with pytest.raises(ConfigurationError, match=r"reset_parameters; got none for matrix\. Give its class"):
        ax.null(graph, "initial")
    with pytest.raises(ConfigurationError, match="got a graph of stored weights"):
        ax.null(graph.at({"matrix": torch.zeros(2, 3)}), "initial")


def test_draws_are_seeded_and_the_nth_is_always_the_same() -> None:
    graph = graph_of([[1.0, 2.0, 3.0, 4.0]])
    few = [g.kernel("0").weight for g in null_graphs(graph, NullModel(draws=2))]
    many = [g.kernel("0").weight for g in null_graphs(graph, NullModel(draws=5))]
    other = [g.kernel("0").weight for g in null_graphs(graph, NullModel(draws=5, seed=1))]
    assert all(torch.equal(a, b) for a, b in zip(few, many[:2], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(many, other, strict=True))


def test_degrees_and_strengths_are_kept() -> None:
    generator = torch.Generator().manual_seed(0)
    block = torch.rand(9, 7, generator=generator, dtype=torch.float64)
    block[torch.rand(9, 7, generator=generator) < 0.4] = 0
    degrees, strengths = of_same_degrees(block, generator), of_same_strengths(block, generator)
    for axis in (0, 1):
        assert torch.equal((block != 0).sum(axis), (degrees != 0).sum(axis))
        assert torch.allclose(block.sum(axis), strengths.sum(axis), rtol=1e-9)
    assert not torch.equal(block != 0, degrees != 0)
    assert torch.equal(block != 0, strengths != 0)
    assert torch.equal(block[block != 0].sort().values, degrees[degrees != 0].sort().values)
    with pytest.raises(ConvergenceError, match="none of which is negative"):
        of_same_strengths(-block, generator)


@pytest.mark.parametrize("block", [torch.zeros(3, 2), torch.ones(1, 1), torch.zeros(2, 0), torch.eye(3)])
def test_blocks_without_links_or_of_one_link(block: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    for rewire in (of_same_degrees, of_same_strengths):
        found = rewire(block, generator)
        assert torch.allclose(found.sum(0), block.sum(0), rtol=1e-6)
        assert int((found != 0).sum()) == int((block != 0).sum())


def test_scores() -> None:
    keys = ["group", "metric", "statistic"]
    frame = pd.DataFrame(
        [("a", "m", "x", 4.0), ("a", "m", "y", 1.0), ("a", "m", "z", np.nan)], columns=[*keys, "value"]
    )
    draws = [frame.assign(value=[n, 1 + 1e-14 * n, n]).set_index(keys)["value"] for n in (1.0, 2.0, 3.0, np.inf)]
    found = z_scores(frame, draws).set_index("statistic")
    assert found.loc["x", ["null_mean", "null_std", "z", "rank", "draws"]].tolist() == [2, 1, 2, 3, 3]
    assert np.isnan(found.loc["y", "z"])  # but for rounding it is kept
    assert found.loc["y", "rank"] == 1.5
    assert np.isnan(found.loc["z", ["z", "rank"]].astype(float)).all()


def test_a_mean_that_the_null_model_keeps_has_no_z() -> None:
    torch.manual_seed(0)
    graph = ax.capture(nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 5)), torch.zeros(1, 40))
    found = ax.null(graph, "shuffle", "link_weights", draws=3).set_index(["group", "statistic"])
    assert found["z"].isna().all()
    strengths = ax.null(graph, "shuffle", draws=3).query("metric == 'node_strength'").set_index(["group", "statistic"])
    assert np.isnan(strengths.loc[("input", "mean"), "z"])  # the sum of all weights
    assert np.isfinite(strengths.loc[("input", "std"), "z"])


def test_structure_stands_out() -> None:
    block = torch.zeros(12, 12)
    block[:6, :6] = block[6:, 6:] = 1
    graph = graph_of((block + 0.1).tolist(), (block + 0.1).tolist())

    def two_steps(graph: ax.NeuralGraph | ChannelGraph) -> float:
        matrix = graph.dense().double()
        return float((matrix @ matrix).square().sum())

    found = ax.null(graph, "strengths", two_steps)
    assert found.loc[0, "z"] > 10
    assert found.loc[0, ["metric", "rank", "draws"]].tolist() == ["two_steps", 20, 20]


def test_measures_of_channels_are_taken_from_a_channel_graph() -> None:
    graph = residual()
    whole, channels = ax.measure(graph, "channel_degree"), ax.measure(graph.channels(), "channel_degree")
    pd.testing.assert_frame_equal(whole, channels)
    degrees = ax.null(graph, "strengths", "channel_degree", draws=2)
    assert degrees.query("statistic == 'mean'")["z"].isna().all()  # strengths are what is kept
    with pytest.raises(ConfigurationError, match="of a network's weights; got a channel graph"):
        ax.null(graph.channels(), "moments", "channel_degree")


def test_what_is_no_null_model_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"got 'shufle'\. Did you mean shuffle"):
        ax.null(graph_of([[1.0]]), "shufle")
    with pytest.raises(ConfigurationError, match="1,000,000 draws or fewer; got 10000000"):
        NullModel("shuffle", draws=10**30)
    with pytest.raises(ConfigurationError, match="2 draws or more; got 1"):
        NullModel.of(1)


def test_measures_of_samples_have_nulls() -> None:
    graph = graph_of([[1.0, 2.0], [3.0, -4.0]])
    found = ax.null(graph, "signs", "neuron_activation", draws=4, samples=torch.rand(5, 2))
    assert set(found["draws"]) == {4}


def test_a_recorder_compares_every_step(tmp_path: Path) -> None:
    model, example = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), torch.zeros(1, 4)
    options = {"measures": ("layer_fluctuation",), "null": 20}
    with Recorder(tmp_path / "run", model, example, **options) as recorder:
        recorder.record(0)
        recorder.record(1)
    run = load(tmp_path / "run", model, example)
    assert set(run.metrics["statistic"]) == {"value", "value_z", "value_rank"}
    assert run.description.null == NullModel("shuffle", 20, 0)
    expected = null_rows(ax.null(run.graph(1), "shuffle", "layer_fluctuation")).query("statistic == 'value_z'")
    found = run.metrics.query("step == 1 and statistic == 'value_z'")
    assert found["value"].tolist() == expected["value"].tolist()
    assert "node_strength" in set(remeasure(run, "node_strength").metrics.query("statistic == 'std_z'")["metric"])
    with pytest.raises(RunError, match="recorded differently: measures, null"):
        Recorder(tmp_path / "run", model, example, resume=True)
    described = json.loads((tmp_path / "run/run.json").read_text())
    (tmp_path / "run/run.json").write_text(json.dumps({**described, "null": {"kind": "x", "draws": 20, "seed": 0}}))
    with pytest.raises(RunError, match="named by what it does; got 'x'"):
        load(tmp_path / "run")
