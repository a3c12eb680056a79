"""The network as a graph: its drawing, its parts as tables, and the account of its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axonometry.report.drawing import graph_svg
from axonometry.report.page import Block, Drawing, Facts, Tab, Table

if TYPE_CHECKING:
    from axonometry.program import Coverage, Group, NeuralGraph, Synapse, Wire
    from axonometry.trajectory import Trajectory


def network_tab(network: Trajectory | NeuralGraph) -> Tab:
    """Groups, synapses, wires and coverage of a recorded or captured network."""
    groups, synapses, wires, coverage = network.groups, network.synapses, network.wires, network.coverage
    caption = (
        "Each bar is a group of neurons: its height grows with the logarithm of their number; its shape is below it. "
        "Bands and arcs are the links between two groups, with their number. Hover for names and exact numbers."
    )
    blocks: list[Block] = [
        Facts(totals(network), prominent=True),
        Drawing("The network as a graph", graph_svg(groups, synapses, wires), caption),
        _groups(groups),
        _synapses(synapses),
    ]
    if wires:
        blocks.append(_wires(wires))
    return Tab("Graph", (*blocks, _coverage(coverage)))


def totals(network: Trajectory | NeuralGraph) -> dict[str, object]:
    """Numbers of groups, synapses, neurons and links."""
    return {
        "neuron groups": len(network.groups),
        "synapses": len(network.synapses),
        "neurons": sum(group.n_neurons for group in network.groups),
        "links": sum(s.n_links for s in network.synapses) + sum(w.n_links for w in network.wires),
    }


def _groups(groups: tuple[Group, ...]) -> Table:
    rows = tuple((group.name, group.role, group.shape, group.n_neurons) for group in groups)
    caption = "The neurons of each layer: the inputs, and every sum that synapses feed."
    return Table(("group", "role", "shape", "neurons"), rows, "Neuron groups", caption)


def _synapses(synapses: tuple[Synapse, ...]) -> Table:
    rows = tuple((s.name, s.kind, ", ".join(s.sources), s.target, s.parameter, s.shape, s.n_links) for s in synapses)
    caption = "Linear maps with weights. Shared weights are one parameter and many links."
    return Table(("synapse", "kind", "from", "to", "parameter", "shape", "links"), rows, "Synapses", caption)


def _wires(wires: tuple[Wire, ...]) -> Table:
    rows = tuple((wire.kind, ", ".join(wire.sources), wire.target, wire.n_links) for wire in wires)
    return Table(("kind", "from", "to", "links"), rows, "Wires", "Links without a parameter.")


def _coverage(coverage: tuple[Coverage, ...]) -> Table:
    unclaimed = sum(row.role == "unclaimed" for row in coverage)
    rows = tuple((row.parameter, row.role, row.claimed_by, row.reason) for row in coverage)
    account = "All are part of the graph." if not unclaimed else f"{unclaimed} of {len(coverage)} are not part of it."
    caption = f"Role of each parameter of the module. {account}"
    return Table(("parameter", "role", "claimed by", "how"), rows, "Coverage", caption)
