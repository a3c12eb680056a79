"""Measures in Model Explorer (google-ai-edge/model-explorer): the network as its graph, each measure as node data.

Facts about that software (version 0.1.34): a file ``{"label", "graphs": [{"id", "nodes"}]}`` is a model; node data are
``{graph id: {"results": {node id: {"value"}}, "gradient"}}``. Its own reading of an exported program has the graph id
``graph`` and takes node ids from torch.export, and so do the files that are written here: they fit both.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from axonometry.errors import ConfigurationError, closest
from axonometry.files import write_text
from axonometry.metrics import CATALOGUE, measure
from axonometry.program import Group, NeuralGraph, Synapse, Wire
from axonometry.program.entry import of_graph

GRAPH_ID = "graph"
GRADIENT = ({"stop": 0, "bgColor": "#f7fbff"}, {"stop": 1, "bgColor": "#6baed6"})


@of_graph
def write_model_explorer(
    graph: NeuralGraph, folder: str | os.PathLike[str], measures: Sequence[str] = ("node_strength",)
) -> tuple[Path, ...]:
    """Write files that Model Explorer shows: the network, and a file of node data for each statistic of each measure.

    A node is a neuron group, in the namespace of its module. To look at it::

        model-explorer FOLDER/network.json --node_data_paths=FOLDER/node_strength.mean.json

    The node data can be added to Model Explorer's own view of the network instead (``visualize_pytorch`` of
    ``torch.export.export(module, example)``): values stand at the calls whose sums the groups are. Recurrent layers and
    attention in one call, which are taken apart before they are read, are at calls that it does not have.

    Args:
        graph: The network at one snapshot.
        folder: Where to; files of the same names are replaced.
        measures: Names of the catalogue, of measures that need no samples. Values that are not finite, and of the whole
            network, are left out.

    Returns:
        The files, the network first.

    Raises:
        ConfigurationError: There is no measure of such a name.
        WriteError: A file cannot be written.

    >>> import tempfile
    >>> from axonometry.testing import graph_of
    >>> with tempfile.TemporaryDirectory() as path:
    ...     files = write_model_explorer(graph_of([[1.0, 2.0]], [[3.0], [4.0]]), path)
    ...     found = json.loads((Path(path) / "node_strength.mean.json").read_text())
    >>> found["graph"]["results"]["linear_1"]  # the mean of 3 and 4
    {'value': 3.5}
    """
    unknown = [name for name in measures if name not in CATALOGUE]
    if unknown:
        raise ConfigurationError("a measure has a name", repr(unknown[0]), closest(unknown[0], CATALOGUE))
    contents = {"network": {"label": "network", "graphs": [_network(graph)]}, **_node_data(graph, measures)}
    paths = []
    for name, content in contents.items():
        paths.append(Path(folder) / f"{name}.json")
        write_text(paths[-1], json.dumps(content, indent=2) + "\n")
    return tuple(paths)


def _network(graph: NeuralGraph) -> dict[str, Any]:
    ids = _ids(graph)
    nodes = [_node(group, ids[group.name][0]) for group in graph.groups]
    for group, node in zip(graph.groups, nodes, strict=True):
        links: list[Synapse | Wire] = [*graph.synapses, *graph.wires]
        feeding = [one for one in links if one.target == group.name]
        sources = dict.fromkeys(source for one in feeding for source in one.sources)
        node["incomingEdges"] = [
            {"sourceNodeId": ids[source][0], "sourceNodeOutputId": "0", "targetNodeInputId": str(i)}
            for i, source in enumerate(sources)
        ]
    return {"id": GRAPH_ID, "nodes": nodes}


def _node(group: Group, node_id: str) -> dict[str, Any]:
    about = {"role": group.role, "shape": " x ".join(map(str, group.shape)), "neurons": f"{group.n_neurons:,}"}
    namespace = group.name.split("@")[0].rpartition(".")[0].replace(".", "/")
    attributes = [{"key": key, "value": value} for key, value in about.items()]
    return {"id": node_id, "label": group.name, "namespace": namespace, "attrs": attributes}


def _ids(graph: NeuralGraph) -> dict[str, list[str]]:
    """By group, the calls of the exported program whose sum it is, or its input."""
    found: dict[str, list[str]] = {name: [node.name] for name, node in graph.program.inputs.items()}
    for synapse in graph.synapses:
        found.setdefault(synapse.target, []).append(graph.program.sites[synapse.name].node.name)
    return {group.name: found.get(group.name, [group.name]) for group in graph.groups}


def _node_data(graph: NeuralGraph, measures: Sequence[str]) -> dict[str, Any]:
    ids = _ids(graph)
    sites = {synapse.name: [graph.program.sites[synapse.name].node.name] for synapse in graph.synapses}
    table = measure(graph, list(measures))
    found: dict[str, Any] = {}
    for (metric, statistic), rows in table.groupby(["metric", "statistic"], sort=False):
        values = zip(rows["group"], rows["value"], strict=True)
        keyed = [(ids.get(name) or sites.get(name, []), float(value)) for name, value in values]
        results = {key: {"value": value} for keys, value in keyed if math.isfinite(value) for key in keys}
        if results:
            title = f"{CATALOGUE[metric].title if metric in CATALOGUE else metric}, {statistic}"
            data = {"name": title, "results": results, "gradient": list(GRADIENT)}
            found[re.sub(r"[^\w.@-]", "_", f"{metric}.{statistic}")] = {GRAPH_ID: data}
    return found
