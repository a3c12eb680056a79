"""Model Explorer: the files have its formats, and the values are those of the measures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import axonometry as ax
from axonometry.errors import ConfigurationError
from axonometry.integrations.model_explorer import write_model_explorer
from tests.program.symmetry.networks import NETWORKS
from tests.program.symmetry.test_symmetry import made


def test_the_network_has_its_groups_and_their_sources(tmp_path: Path) -> None:
    _, _, graph, _ = made("residual")
    files = write_model_explorer(graph, tmp_path, ["layer_fluctuation"])
    assert [file.name for file in files] == ["network.json", "layer_fluctuation.value.json"]
    (network,) = json.loads(files[0].read_text())["graphs"]
    labels = {node["id"]: node["label"] for node in network["nodes"]}
    edges = {
        node["label"]: [labels[edge["sourceNodeId"]] for edge in node["incomingEdges"]] for node in network["nodes"]
    }
    chain = {"0": ["input"], "1.c1": ["0"], "1.c2": ["1.c1", "0"], "2.c1": ["1.c2"], "2.c2": ["2.c1", "1.c2"]}
    assert edges == {"input": [], **chain, "5": ["2.c2"]}
    spaces = {node["label"]: node["namespace"] for node in network["nodes"]}
    assert spaces["1.c1"] == "1"
    assert spaces["5"] == ""


def test_values_are_those_of_the_measure_at_calls_of_the_exported_program(tmp_path: Path) -> None:
    module, example = NETWORKS["residual"]()
    graph = ax.capture(module.eval(), example)
    write_model_explorer(graph, tmp_path, ["node_strength"])
    data = json.loads((tmp_path / "node_strength.mean.json").read_text())["graph"]
    strength = ax.node_strength(graph)
    exported = {node.name for node in torch.export.export(module, (example,)).graph.nodes}
    assert set(data["results"]) < exported
    expected = {"x": "input", "conv2d": "0", "conv2d_4": "2.c2", "conv2d_5": "2.c2", "linear": "5"}
    for call, group in expected.items():
        key = next(iter(graph.program.inputs.values())).name if call == "x" else call
        assert data["results"][key]["value"] == pytest.approx(float(strength[group].double().mean()), rel=1e-5)
    assert [stop["stop"] for stop in data["gradient"]] == [0, 1]


def test_model_explorer_itself_reads_them(tmp_path: Path) -> None:
    """The classes of its own package take every field, and write the same."""
    builder = pytest.importorskip("model_explorer.node_data_builder")
    graphs = pytest.importorskip("model_explorer.graph_builder")
    write_model_explorer(made("encoder")[2], tmp_path)
    data = json.loads((tmp_path / "node_strength.mean.json").read_text())["graph"]
    results = {key: builder.NodeDataResult(**value) for key, value in data.pop("results").items()}
    gradient = [builder.GradientItem(**stop) for stop in data.pop("gradient")]
    whole = builder.GraphNodeData(results=results, gradient=gradient, **data)
    again = json.loads(builder.ModelNodeData({"graph": whole}).to_json_string())["graph"]
    assert again["results"] == {key: {"value": one.value} for key, one in results.items()}
    for node in json.loads((tmp_path / "network.json").read_text())["graphs"][0]["nodes"]:
        node["attrs"] = [graphs.KeyValue(**one) for one in node["attrs"]]
        node["incomingEdges"] = [graphs.IncomingEdge(**edge) for edge in node["incomingEdges"]]
        assert graphs.GraphNode(**node).id in again["results"]


def test_an_unknown_measure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"got 'node_strenght'. Did you mean node_strength"):
        write_model_explorer(made("dense")[2], tmp_path, ["node_strenght"])
