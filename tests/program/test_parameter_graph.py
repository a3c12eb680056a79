"""Channels and kernels as arrays: every weight once, where the channels that it joins say it is, and back again."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import ValuesError, WeightsError
from axonometry.program import ParameterGraph, parameter_graph
from axonometry.program.channels import ChannelGraph
from tests.program.symmetry.networks import NETWORKS
from tests.program.symmetry.test_symmetry import made

COMPUTED = {"weight_norm", "plus_its_transpose"}
"""Networks with a weight that is computed."""
PLAIN = [name for name in NETWORKS if name not in COMPUTED]
FOLDED = {"residual", "flattened", "concatenated", "volumes"}
"""Those with a batch norm behind a sum."""


def matrix(found: ParameterGraph) -> torch.Tensor:
    """The sum of the features of all edges between two nodes."""
    nodes = len(found.x)
    place = found.edge_index[1] * nodes + found.edge_index[0]
    return (
        torch.zeros(nodes * nodes, dtype=found.edge_attr.dtype)
        .index_add(0, place, found.edge_attr.sum(1))
        .view(nodes, nodes)
    )


def channels(graph: ax.NeuralGraph) -> ChannelGraph:
    return graph.channels("sum")


@pytest.mark.parametrize("name", [name for name in PLAIN if name not in FOLDED])
def test_kernels_add_up_to_the_channel_graph(name: str) -> None:
    """The signed sums of kernels between channels, of networks without a batch norm to fold."""
    _, _, graph, _ = made(name)
    found = parameter_graph(graph)
    assert list(dict.fromkeys(found.groups)) == [group.name for group in channels(graph).groups]
    torch.testing.assert_close(matrix(found), channels(graph).dense())


@pytest.mark.parametrize("name", PLAIN)
def test_parameters_come_back(name: str) -> None:
    module, _, graph, _ = made(name)
    found = parameter_graph(graph)
    back = found.state(found.x, found.edge_attr)
    state = module.state_dict()
    assert {synapse.parameter for synapse in graph.synapses} <= set(back)
    assert all(torch.equal(tensor, state[key]) for key, tensor in back.items())
    assert all(
        any(torch.equal(state[c.parameter], tensor) for tensor in back.values())
        for c in graph.coverage
        if c.role == "synapse"
    )


def test_tied_weights_come_back_by_one_name_which_sets_both() -> None:
    module, _, graph, _ = made("tied_language_model")
    found = parameter_graph(graph)
    assert "words.weight" in found.parameters
    assert "head.weight" not in found.parameters
    changed = found.state(found.x, 2 * found.edge_attr)
    module.load_state_dict(changed, strict=False)
    assert module.head.weight is module.words.weight
    torch.testing.assert_close(module.head.weight.detach(), changed["words.weight"])


def test_a_weight_that_is_computed_of_one_parameter_is_not_that_parameter() -> None:
    with pytest.raises(ValuesError, match=r"got 'w', whose weight is computed of w\.weight"):
        parameter_graph(made("plus_its_transpose")[2])


def test_another_snapshot_is_one_look_up() -> None:
    module, _, graph, _ = made("residual")
    found = parameter_graph(graph)
    other = {name: torch.randn_like(t) if t.is_floating_point() else t for name, t in module.state_dict().items()}
    anew = parameter_graph(graph.at(other))
    x, edges = found.at(other)
    assert torch.equal(x, anew.x)
    assert torch.equal(edges, anew.edge_attr)
    skips = (found.edge_place == -1).all(1)
    assert skips.sum() == 4  # the identity block's four channels
    assert edges[skips].tolist() == [[0, 0, 0, 0, 1, 0, 0, 0, 0]] * 4


def test_an_image_network_by_hand() -> None:
    """Nodes 1 + 2 + 3; a kernel of 1 x 2 stands in the middle row of 3 x 3, as neural graphs pad it."""
    module = nn.Sequential(nn.Conv2d(1, 2, (1, 2)), nn.ReLU(), nn.Conv2d(2, 3, 3, bias=False))
    weight = torch.tensor([[[[1.0, 2.0]]], [[[3.0, 4.0]]]])
    graph = ax.capture(module, torch.zeros(1, 1, 6, 6)).at(
        {"0.weight": weight, "0.bias": torch.tensor([5.0, 6.0]), "2.weight": torch.arange(54.0).reshape(3, 2, 3, 3)}
    )
    found = parameter_graph(graph)
    assert found.edge_index.tolist() == [[0, 0, 1, 2, 1, 2, 1, 2], [1, 2, 3, 3, 4, 4, 5, 5]]
    assert found.edge_attr[0].reshape(3, 3).tolist() == [[0, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert found.edge_attr[5].tolist() == list(range(27, 36))
    assert found.x.tolist() == [[0], [5], [6], [0], [0], [0]]
    assert found.layer.tolist() == [0, 1, 1, 2, 2, 2]


def test_a_graph_network_reads_it() -> None:
    geometric = pytest.importorskip("torch_geometric.nn")
    _, _, graph, _ = made("residual")
    data = parameter_graph(graph).to_pyg()
    data.validate(raise_on_error=True)
    layer = geometric.GINEConv(nn.Linear(1, 4), edge_dim=9)
    assert layer.float()(data.x.float(), data.edge_index, data.edge_attr.float()).shape == (30, 4)


def test_permuted_weights_are_the_graph_with_its_nodes_permuted() -> None:
    module, _, graph, found = made("flattened")
    arrays = parameter_graph(graph)
    x, edges = arrays.at(ax.permute(module.state_dict(), graph, found.random(1)))
    assert sorted(x.flatten().tolist()) == sorted(arrays.x.flatten().tolist())
    assert sorted(map(tuple, edges.tolist())) == sorted(map(tuple, arrays.edge_attr.tolist()))


def test_what_has_no_place_is_refused() -> None:
    module, example = NETWORKS["weight_norm"]()
    with pytest.raises(ValuesError, match="an edge's features are entries of a parameter; got '0', whose weight is"):
        parameter_graph(ax.capture(module, example))
    _, _, graph, _ = made("dense")
    with pytest.raises(WeightsError, match=r"'0.weight' has the shape \(4, 3\).*got no tensor of that name"):
        parameter_graph(graph).at({})
