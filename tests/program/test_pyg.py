"""Graphs for graph networks: counts by hand, and every edge stands where its parameter is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import ConfigurationError, ValuesError, WeightsError
from tests.program.symmetry.networks import NETWORKS
from tests.program.symmetry.test_symmetry import made
from tests.program.test_parameter_graph import COMPUTED

geometric = pytest.importorskip("torch_geometric")
ROUND_TRIPS = ["residual", "flattened", "grouped", "transposed", "GRU", "encoder"]


@pytest.fixture(scope="module")
def graph() -> ax.NeuralGraph:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    return ax.capture(net, torch.zeros(1, 1, 4, 4))


def test_nodes_and_edges_of_neural_graphs(graph: ax.NeuralGraph) -> None:
    data = ax.program.to_pyg(graph)
    assert data.num_nodes == 1 + 3 + 5 + 2
    assert data.edge_index.shape == (2, 3 + 15 + 10)
    assert data.edge_place.shape == data.edge_attr.shape == (28, 9)


def test_a_multigraph_has_an_edge_a_parameter_and_a_node_of_biases_a_layer(graph: ax.NeuralGraph) -> None:
    data = ax.program.to_pyg(graph, "gmn")
    parameters = torch.cat([graph.state[name].reshape(-1) for name in ax.parameter_graph(graph).parameters])
    assert data.num_nodes == 11 + 3
    assert data.edge_index.shape[1] == len(parameters) == 27 + 3 + 60 + 5 + 10 + 2
    assert sorted(data.edge_place.tolist()) == list(range(len(parameters)))
    assert torch.equal(data.edge_attr[:, 0], parameters[data.edge_place])
    assert set(data.edge_index[0, data.tap < 0].tolist()) == {11, 12, 13}
    assert data.bias_node.sum() == 3


def test_an_unknown_convention_is_refused(graph: ax.NeuralGraph) -> None:
    with pytest.raises(
        ConfigurationError, match=r"got 'gnm'. Did you mean gmn\? Choose from: neural-graphs, gmn, nino"
    ):
        ax.program.to_pyg(graph, "gnm")


def test_counts_of_the_networks_of_neural_graphs() -> None:
    """Its implicit images, layers 2, 32, 32, 1, and its small CNNs, layers 1, 16, 16, 16, 10 and a mean over places."""
    image = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
    data = ax.program.to_pyg(ax.capture(image, torch.zeros(1, 2)))
    assert (data.num_nodes, data.num_edges, data.edge_attr.shape[1]) == (67, 64 + 1024 + 32, 1)
    convolved = [layer for i in (1, 16, 16) for layer in (nn.Conv2d(i, 16, 3, 2), nn.ReLU())]
    small = nn.Sequential(*convolved, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    data = ax.program.to_pyg(ax.capture(small, torch.zeros(1, 1, 28, 28)))
    assert (data.num_nodes, data.num_edges, data.edge_attr.shape[1]) == (59, 16 + 256 + 256 + 160, 9)
    assert torch.equal(data.edge_attr[:16].reshape(16, 1, 3, 3), small[0].weight)
    dense = data.edge_attr[-160:]
    assert torch.equal(dense[:, 4].reshape(10, 16), small[-1].weight), "a linear weight stands at the kernel's centre"
    assert torch.count_nonzero(dense) == 160


@pytest.mark.parametrize("convention", ["neural-graphs", "gmn", "nino"])
@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_tensors_come_back(name: str, convention: str) -> None:
    """Through a batch, with features that something has changed."""
    module, _, graph, _ = made(name)
    data = ax.program.to_pyg(graph, convention)
    data.validate(raise_on_error=True)
    for key in {"x", "edge_attr"} & set(data.keys()):
        data[key] = data[key] * 2
    alone = geometric.data.Batch.from_data_list([data, data]).to_data_list()[1]
    back, state = ax.program.from_pyg(alone), module.state_dict()
    assert {c.parameter for c in graph.coverage if c.role == "synapse"} <= set(back)
    if convention == "nino":
        assert set(back) >= {c.parameter for c in graph.coverage if c.role != "unclaimed"}
    assert all(torch.equal(tensor, 2 * state[key]) for key, tensor in back.items())


def test_the_graph_that_nino_makes() -> None:
    """Facts about its ``NeuralGraph`` of these parameters: nodes, order and types of edges, states side by side."""
    torch.manual_seed(0)
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    first = (nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU())
    net = nn.Sequential(*first, nn.Conv2d(3, 2, 1), nn.ReLU(), *head).eval()
    states = [{name: factor * tensor for name, tensor in net.state_dict().items()} for factor in (1, 2)]
    graph = ax.capture(net, torch.zeros(1, 2, 6, 6))
    data = ax.program.to_pyg(graph, "nino", states=states)
    pairs = [(range(2), (5, 6, 7)), ([2], (5, 6, 7)), ([3], (5, 6, 7)), ([4], (5, 6, 7)), ((5, 6, 7), (9, 10))]
    pairs += [([8], (9, 10)), ((9, 10), (12, 13)), ([11], (12, 13))]
    written = [(source, target) for sources, targets in pairs for source in sources for target in targets]
    assert data.edge_index.T.tolist() == [list(pair) for pair in [*written, *((i, i) for i in range(14))]]
    assert (
        data.edge_type.tolist()
        == [3] * 6 + [2] * 3 + [4] * 3 + [2] * 3 + [3] * 6 + [2] * 2 + [1] * 4 + [2] * 2 + [13] * 14
    )
    features = data.edge_attr.reshape(43, 9, 2)
    assert torch.equal(features[..., 1], torch.cat([2 * features[:29, :, 0], features[29:, :, 0]]))
    assert torch.equal(features[1, :, 0].reshape(3, 3), net[0].weight[1, 0])
    assert torch.equal(features[18, :, 0], torch.cat([net[3].weight[1, 1].flatten(), torch.zeros(8)]))
    assert features[29:, 0].eq(2).all()
    assert not features[29:, 1:].any()
    assert all(torch.equal(ax.program.from_pyg(data, state=0)[name], p) for name, p in net.named_parameters())


def test_skips_of_nino_are_edges_of_their_own_type() -> None:
    _, _, graph, _ = made("residual")
    data = ax.program.to_pyg(graph, "nino")
    skip = data.edge_type == 10
    assert skip.sum() == 4
    assert data.edge_attr[skip].tolist() == [[1.0] + [0.0] * 8] * 4


def test_what_nino_has_no_place_for_is_refused(graph: ax.NeuralGraph) -> None:
    with pytest.raises(ValuesError, match=r"behind a layer with as many channels; got 'n.weight' with 11"):
        ax.program.to_pyg(made("concatenated")[2], "nino")
    with pytest.raises(WeightsError, match="got no tensor of that name"):
        ax.program.to_pyg(graph, "nino", states=[{}])
    with pytest.raises(ConfigurationError, match="states are of the convention 'nino'; got 'gmn'"):
        ax.program.to_pyg(graph, "gmn", states=[graph.state])


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in {*COMPUTED, "LSTMCell", "GRUCell"}])
def test_layers_as_kinds_of_nodes_have_the_same_links(name: str) -> None:
    module, _, graph, _ = made(name)
    data, whole = ax.program.to_hetero(graph), ax.parameter_graph(graph)
    data.validate(raise_on_error=True)
    assert [(kind, data[kind].num_nodes) for kind in data.node_types] == [
        (group, whole.groups.count(group)) for group in dict.fromkeys(whole.groups)
    ]
    assert sum(data[kind].num_edges for kind in data.edge_types) == whole.edge_index.shape[1]
    back, state = ax.program.from_pyg(data), module.state_dict()
    assert set(back) == set(whole.parameters)
    assert all(torch.equal(tensor, state[key]) for key, tensor in back.items())


@pytest.mark.filterwarnings("ignore:There exist node types:UserWarning")  # inputs receive nothing
def test_kernels_keep_their_size_and_a_network_of_kinds_reads_them(graph: ax.NeuralGraph) -> None:
    data = ax.program.to_hetero(graph)
    sizes = {kind: tuple(data[kind].edge_attr.shape) for kind in data.edge_types}
    assert sizes == {("input", "0", "0"): (3, 9), ("0", "3", "3"): (15, 4), ("3", "5", "5"): (10, 1)}
    state = graph.state
    assert torch.equal(data["0", "3", "3"].edge_attr.reshape(5, 12), state["3.weight"])
    assert torch.equal(data["3"].x[:, 0], state["3.bias"])
    assert [data[kind].role for kind in data.node_types] == ["input", "hidden", "hidden", "output"]
    layers = {
        kind: geometric.nn.GINEConv(nn.Linear(1, 4), edge_dim=data[kind].edge_attr.shape[1]) for kind in data.edge_types
    }
    found = geometric.nn.HeteroConv(layers)(data.x_dict, data.edge_index_dict, data.edge_attr_dict)
    assert {kind: tuple(value.shape) for kind, value in found.items()} == {"0": (3, 4), "3": (5, 4), "5": (2, 4)}
