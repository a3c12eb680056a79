"""Checkpoints as graphs: the same numbers as of the network in memory, weights read one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import axonometry as ax
from axonometry.checkpoints import graph_measures, open_checkpoint
from axonometry.checkpoints.graph_measures import LEFT_OUT, graph_tables, layer_tables
from axonometry.checkpoints.hollow import hollow
from axonometry.checkpoints.hub_network import hub_network
from axonometry.checkpoints.survey import survey
from axonometry.errors import CheckpointError, WeightsError


class Residual(nn.Module):
    """Convolutions, batch norm, a skip, and two layers of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Conv2d(1, 4, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.first, self.second, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.start(x))
        h = torch.relu(self.block(h) + h).mean((2, 3))
        found: Tensor = self.out(torch.relu(self.second(torch.relu(self.first(h)))))
        return found


EXAMPLE = torch.zeros(1, 1, 6, 6)


@pytest.fixture
def model() -> Residual:
    made = Residual().eval()
    for name, buffer in made.named_buffers():
        if name.endswith(("mean", "var")):
            buffer.uniform_(0.5, 2)
    return made


def agree(tables: Any, graph: ax.NeuralGraph) -> None:
    """The rows of groups and synapses are those of the graph in memory."""
    strength, fluctuation = ax.node_strength(graph), ax.layer_fluctuation(graph)
    into, out = ax.weighted_degree(graph, "in"), ax.weighted_degree(graph, "out")
    assert [row["group"] for row in tables.groups] == [group.name for group in graph.groups]
    for row in tables.groups:
        name = row["group"]
        expected = [strength[name].double().mean(), fluctuation[name], into[name].mean(), out[name].mean()]
        found = [row["strength"], row["fluctuation"], row["degree_in"], row["degree_out"]]
        np.testing.assert_allclose(found, [float(one) for one in expected], rtol=1e-4, atol=1e-5)
    links = ax.link_weights(graph).set_index("synapse")
    assert [row["synapse"] for row in tables.synapses] == links.index.tolist()
    for row in tables.synapses:
        np.testing.assert_allclose(row["std"], links.loc[row["synapse"], "std"], rtol=1e-4)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_measures_are_those_of_the_network_in_memory(tmp_path: Path, model: Residual, prefix: str) -> None:
    state = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    torch.save(state, tmp_path / "w.pt")
    agree(
        graph_tables(open_checkpoint(tmp_path / "w.pt"), hollow(Residual).eval(), (EXAMPLE,)),
        ax.capture(model, EXAMPLE),
    )


def test_a_weight_of_two_layers_may_be_saved_once_under_either_name(tmp_path: Path, model: Residual) -> None:
    for left_out in ("first.weight", "second.weight"):
        save_file({k: v for k, v in model.state_dict().items() if k != left_out}, tmp_path / "w.safetensors")
        found = graph_tables(open_checkpoint(tmp_path / "w.safetensors"), hollow(Residual).eval(), (EXAMPLE,))
        agree(found, ax.capture(model, EXAMPLE))


def test_a_network_without_weights_takes_no_memory_and_is_the_same_graph(model: Residual) -> None:
    empty = hollow(Residual).eval()
    assert {name: p.shape for name, p in empty.named_parameters()} == {n: p.shape for n, p in model.named_parameters()}
    assert all(p.untyped_storage().nbytes() == 4 for p in empty.parameters())
    assert empty.first.weight is empty.second.weight
    graph, other = ax.capture(empty, EXAMPLE), ax.capture(model, EXAMPLE)
    assert (graph.groups, graph.synapses, graph.wires, graph.coverage) == (
        other.groups,
        other.synapses,
        other.wires,
        other.coverage,
    )
    assert not nn.Linear(2, 2).weight.is_meta


def test_weights_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At no time are more than three of twelve equal matrices held."""
    from axonometry.checkpoints import graph_measures

    alive: set[int] = set()
    most = 0

    class Counted(Tensor):
        def __del__(self) -> None:
            alive.discard(id(self))

    read = graph_measures.tensor_of_array

    def counted(array: Any, kind: str) -> Tensor:
        nonlocal most
        found = read(array, kind).as_subclass(Counted) if array.ndim == 2 else read(array, kind)
        if array.ndim == 2:
            alive.add(id(found))
            most = max(most, len(alive))
        return found

    def build() -> nn.Sequential:
        return nn.Sequential(*(layer for _ in range(12) for layer in (nn.Linear(8, 8), nn.ReLU())))

    torch.save(build().state_dict(), tmp_path / "w.pt")
    monkeypatch.setattr(graph_measures, "tensor_of_array", counted)
    graph_tables(open_checkpoint(tmp_path / "w.pt"), hollow(build).eval(), (torch.zeros(1, 8),))
    assert 0 < most <= 3


def test_another_network_is_refused(tmp_path: Path, model: Residual) -> None:
    torch.save(model.state_dict(), tmp_path / "w.pt")
    checkpoint = open_checkpoint(tmp_path / "w.pt")
    other = Residual()
    other.out = nn.Linear(4, 5)
    with pytest.raises(WeightsError, match=r"'out\.weight' has the shape \(5, 4\) in the network; got \(3, 4\)"):
        graph_tables(checkpoint, other, (EXAMPLE,))
    torch.save({n: t for n, t in model.state_dict().items() if not n.endswith("running_var")}, tmp_path / "part.pt")
    with pytest.raises(WeightsError, match=r"saved buffer of the network; got none called 'block\.1\.running_var'"):
        graph_tables(open_checkpoint(tmp_path / "part.pt"), Residual(), (EXAMPLE,))
    with pytest.raises(
        WeightsError, match="a checkpoint has every parameter and saved buffer of the network; got none"
    ):
        graph_tables(checkpoint, nn.Linear(4, 4), (torch.zeros(1, 4),))


def test_each_matrix_alone(tmp_path: Path, model: Residual) -> None:
    torch.save(model.state_dict(), tmp_path / "w.pt")
    found = layer_tables(open_checkpoint(tmp_path / "w.pt"))
    rows = {row["group"]: row for row in found.groups}
    weight = model.out.weight.detach()
    assert rows["out.weight (rows)"]["fluctuation"] == pytest.approx(float(weight.sum(1).std(correction=0)), rel=1e-5)
    assert rows["out.weight (columns)"]["degree_out"] == pytest.approx(float(weight.abs().sum(0).mean()), rel=1e-5)
    assert rows["start.weight (rows)"]["neurons"] == 4
    assert (found.note, found.heads) == (LEFT_OUT, [])


class Heads(nn.Module):
    """Attention of four heads over one token."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8, bias=False) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        parts = (layer(x).view(len(x), -1, 4, 2).transpose(1, 2) for layer in (self.q, self.k, self.v))
        mixed = nn.functional.scaled_dot_product_attention(*parts)
        found: Tensor = self.o(mixed.transpose(1, 2).flatten(2))
        return found


def test_heads_of_attention(tmp_path: Path) -> None:
    model = Heads().eval()
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    found = graph_tables(open_checkpoint(tmp_path / "w.safetensors"), hollow(Heads), (torch.zeros(1, 1, 8),)).heads
    assert [row["head"] for row in found] == [0, 1, 2, 3]
    for word, weight in (("query_in", model.q), ("key_in", model.k), ("value_in", model.v)):
        expected = weight.weight.detach().abs().reshape(4, 2, 8).sum((1, 2))
        np.testing.assert_allclose([row[word] for row in found], expected.numpy(), rtol=1e-5)
    expected = model.o.weight.detach().abs().reshape(8, 4, 2).sum((0, 2))
    np.testing.assert_allclose([row["value_out"] for row in found], expected.numpy(), rtol=1e-5)


def test_a_folder_of_a_hub(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}
    settings = transformers.LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True)
    model = transformers.LlamaForCausalLM(settings).eval()
    model.save_pretrained(tmp_path)
    network = hub_network(tmp_path)
    assert network is not None
    found = graph_tables(open_checkpoint(tmp_path), *network)
    agree(found, ax.capture(model, torch.zeros(1, 1, dtype=torch.long)))
    assert len(found.heads) == 4


def test_a_folder_that_names_no_class_of_transformers(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    assert hub_network(tmp_path) is None
    (tmp_path / "config.json").write_text('{"architectures": ["AutoConfig"]}')
    with pytest.raises(CheckpointError, match=r"the class in config\.json is one of Transformers; got 'AutoConfig' in"):
        hub_network(tmp_path)
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaModel"], "hidden_size": "many"}')
    with pytest.raises(CheckpointError, match=r"LlamaModel is built from config\.json; got "):
        hub_network(tmp_path)


def test_each_weight_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signed and absolute strengths, and the moments of link weights, come from one reading."""
    model = nn.Sequential(nn.Linear(6, 9), nn.LayerNorm(9), nn.ReLU(), nn.Linear(9, 4))
    save_file(dict(model.state_dict()), tmp_path / "m.safetensors")
    checkpoint, read = open_checkpoint(tmp_path / "m.safetensors"), []
    numbers_of = graph_measures.numbers_of
    monkeypatch.setattr(graph_measures, "numbers_of", lambda one, name: read.append(name) or numbers_of(one, name))
    graph_tables(checkpoint, model, (torch.zeros(1, 6),))
    assert sorted(read) == sorted(set(read))
    assert {"0.weight", "3.weight"} <= set(read)


def test_a_network_without_weights_is_tried_without_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """The passes of a capture's checks are of one number a matrix: no matrix is made of it."""
    largest = []

    class Watched(TorchDispatchMode):
        def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            found = operation(*args, **(kwargs or {}))
            if isinstance(found, Tensor) and found.device.type == "cpu" and type(found) is Tensor:
                largest.append(found.untyped_storage().nbytes())
            return found

    network = hollow(lambda: nn.Sequential(nn.Linear(600, 900), nn.ReLU(), nn.Linear(900, 500)))
    with Watched():
        graph = ax.capture(network, torch.zeros(1, 600))
    assert max(largest) < 4 * 600 * 900
    assert graph.n_links == 600 * 900 + 900 * 500


def test_large_matrices_of_half_precision_are_read_in_blocks_with_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where their statistics are known already, and a norm behind a layer has to be folded in."""

    def build() -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(24, 40), nn.BatchNorm1d(40), nn.ReLU(), nn.Linear(40, 30, bias=False), nn.Tanh(), nn.Linear(30, 8)
        )

    torch.manual_seed(0)
    model = build().eval()
    model[1].running_var.uniform_(0.5, 2)
    model = model.bfloat16()
    save_file(dict(model.state_dict()), tmp_path / "m.safetensors")
    monkeypatch.setattr("axonometry.program.blocked.SMALL", 100)
    monkeypatch.setattr("axonometry.program.readings.streamed.SMALL", 100)
    monkeypatch.setattr("axonometry.program.blocked.BLOCK", 7 * 40)
    checkpoint = open_checkpoint(tmp_path / "m.safetensors")
    counted = {one.name: one.statistics for one in survey(checkpoint)}
    for known in (None, counted):
        found = graph_tables(checkpoint, hollow(build).eval(), (torch.zeros(1, 24),), counted=known)
        agree(found, ax.capture(model.float(), torch.zeros(1, 24)))
        model = model.bfloat16()


def test_what_is_counted_already_is_not_counted_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 4))
    save_file(dict(model.state_dict()), tmp_path / "m.safetensors")
    checkpoint, sizes = open_checkpoint(tmp_path / "m.safetensors"), []
    moments = graph_measures.moments
    counting = lambda values, **named: sizes.append(values.dim()) or moments(values, **named)  # noqa: E731
    monkeypatch.setattr(graph_measures, "moments", counting)
    counted = {one.name: one.statistics for one in survey(checkpoint)}
    found = graph_tables(checkpoint, model, (torch.zeros(1, 6),), counted=counted)
    assert sizes == [1, 1, 1]  # strengths of the three groups, and no matrix
    links = ax.link_weights(ax.capture(model, torch.zeros(1, 6))).set_index("synapse")
    for row in found.synapses:
        told = [row[key] for key in ("count", "mean", "std", "skewness", "kurtosis", "minimum", "maximum")]
        expected = links.loc[row["synapse"], ["count", "mean", "std", "skewness", "kurtosis", "minimum", "maximum"]]
        np.testing.assert_allclose(told, expected.astype(float), rtol=1e-5, atol=1e-7)
