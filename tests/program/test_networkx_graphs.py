"""Graphs for other programs: read back by networkx, they have the links, places and strengths of the network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import WriteError

networkx = pytest.importorskip("networkx")


@pytest.fixture(scope="module")
def graph() -> ax.NeuralGraph:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    return ax.capture(net, torch.zeros(1, 1, 4, 4))


def test_nodes_say_where_they_are(graph: ax.NeuralGraph) -> None:
    nodes = graph.to_networkx().nodes
    assert len(nodes) == 16 + 12 + 5 + 2
    about = {key: nodes["0", 7][key] for key in ("group", "layer", "role", "channel", "position")}
    assert about == {"group": "0", "layer": 1, "role": "hidden", "channel": 1, "position": "1,1,1"}
    assert [nodes[key]["role"] for key in (("input", 0), ("5", 1))] == ["input", "output"]


def test_strengths_are_those_of_the_measure(graph: ax.NeuralGraph) -> None:
    drawn = graph.to_networkx()
    strength, received = ax.node_strength(graph), graph @ graph.ones()
    for name, values in strength.items():
        found = torch.tensor([drawn.nodes[name, i]["strength"] for i in range(values.numel())])
        torch.testing.assert_close(found, values.flatten().float())
        into = torch.tensor([drawn.nodes[name, i]["in_strength"] for i in range(values.numel())])
        torch.testing.assert_close(into, received[name].flatten())
    assert drawn.nodes["3", 2]["in_strength"] == pytest.approx(
        sum(weight for *_, weight in drawn.in_edges(("3", 2), "weight"))
    )


@pytest.mark.parametrize("kind", ["neurons", "channels"])
def test_graphml_comes_back_whole(graph: ax.NeuralGraph, kind: str, tmp_path: Path) -> None:
    written = graph if kind == "neurons" else graph.channels("sum")
    ax.to_graphml(written, tmp_path / "a.graphml")
    back = networkx.read_graphml(tmp_path / "a.graphml")
    drawn = ax.to_networkx(written)
    assert {f"{group}[{i}]": about for (group, i), about in drawn.nodes.items()} == dict(back.nodes.items())
    names = [f"{group.name}[{i}]" for group in written.groups for i in range(group.n_neurons)]
    matrix = torch.from_numpy(networkx.to_numpy_array(back, nodelist=names)).T
    torch.testing.assert_close(matrix.float(), written.dense())
    assert [file.name for file in tmp_path.iterdir()] == ["a.graphml"]


def test_a_file_that_cannot_be_written_is_said(graph: ax.NeuralGraph, tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="which is a folder"):
        ax.to_graphml(graph, tmp_path)
