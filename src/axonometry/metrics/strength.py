r"""Node strength: the sum of the weights of all links at a neuron, signed.

The default convention ``"links"`` counts the links that exist; paper 1's number is ``"ictai2021"``, with biases and
outer links.

s_k = Σ_i A[k, i] + Σ_j A[j, k]: what the neuron would receive and what it would send if every neuron held a one.

Source: La Malfa et al. 2021 (arXiv 2110.02628), nodes strength, and their code (CNT-DNNs), whose way of counting is the
convention ``"ictai2021"``. The default, real links only, is our choice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import torch

from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.conventions import check_convention
from axonometry.metrics.rows import Row, moment_rows
from axonometry.program.entry import of_graph
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.ir import Group, Synapse

StrengthConvention = Literal["links", "ictai2021"]
CONVENTIONS = ("links", "ictai2021")
CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")


def shared_strengths(shared: Shared) -> NodeValues:
    """Node strength in the table's convention, computed once for all measures that follow from it.

    >>> from axonometry.testing import graph_of
    >>> shared = Shared(graph_of([[1.0, 3.0]]))
    >>> shared_strengths(shared).flatten(), shared_strengths(shared) is shared_strengths(shared)
    (tensor([1., 3., 4.]), True)
    """
    found: NodeValues = shared.once(node_strength, shared.convention)
    return found


def _rows(shared: Shared) -> Iterable[Row]:
    return moment_rows(shared_strengths(shared))


@measured(
    name="node_strength",
    title="Node strength",
    units="weight",
    range="all reals",
    invariances="permuting the neurons of a layer permutes it",
    source="La Malfa et al. 2021, arXiv 2110.02628",
    cost="two products with the adjacency matrix, each about one forward pass",
    table=_rows,
)
@of_graph
def node_strength(graph: NeuralGraph, convention: StrengthConvention = "links", *, rolled: bool = False) -> NodeValues:
    r"""Node strength of every neuron, in-strength plus out-strength.

    Both strengths come from one pass through the graph, ``(A 1, A' 1)``; no link is ever listed.

    Args:
        graph: The network at one snapshot.
        convention: ``"links"``: the links that exist. ``"ictai2021"``: as the code of La Malfa et al. 2021 counts.
            Inputs and outputs have one more link of weight 1, to the world outside. A neuron's bias is added once, at
            the neuron itself. What enters a convolution's neuron is the sum of the whole kernel, also where the kernel
            hangs over the edge into the padding, so that it is constant over the map; what leaves a neuron goes to the
            positions that really cover it. Their code cannot add the two strengths where there is padding; with
            padding, this is our continuation. For a fully connected network Σ_k s_k = 2 ΣW + Σb + N_0 + N_L.
        rolled: Whether each channel counts once, whatever its places and time steps: the strength in
            ``graph.channels("sum")``. A recurrent unit's link to itself then counts in and out, and every shared weight
            once; in time, which is the default, it counts at every step (definitions 2).

    Returns:
        A tensor of the group's shape for every group, of shape (channels,) where rolled. Range: all reals; scaling all
        weights by c scales the strength of the default convention by c where no link is a wire of weight 1.

    Raises:
        ConfigurationError: There is no such convention.

    >>> from axonometry.testing import graph_of
    >>> weights, biases = ([[1, 3], [-2, 1], [0.5, -1]], [[2, 0, -1], [-1, 1, 0.5]]), ([0.1, -0.2, 0.3], [0.25, -0.75])
    >>> graph = graph_of(*weights, biases=biases)
    >>> node_strength(graph)["0"], node_strength(graph, "ictai2021")["0"]
    (tensor([ 5.,  0., -1.]), tensor([ 5.1000, -0.2000, -0.7000]))
    """
    check_convention(convention, CONVENTIONS)
    if rolled:
        return _rolled(graph, convention)
    received, sent = graph.strengths()
    if convention == "links":
        return received + sent
    # A 3 x 3 kernel of ones on 4 x 4 places with a border of 1: a corner has 4 links in, an inner place 9. Their code
    # counts 9 at each.
    constant = _whole_kernels(graph)
    if constant:
        received = _without(graph, constant) @ graph.ones() + _constant_maps(graph, constant)
    return received + graph.biases() + sent + _outside(graph.groups, received)


def _rolled(graph: NeuralGraph, convention: StrengthConvention) -> NodeValues:
    """Strength in the channel graph with signed weights; a channel's bias is that of its neurons."""
    channels = graph.channels("sum")
    received, sent = channels.strengths()
    if convention == "links":
        return received + sent
    constants, biases = dict(channels.zeros()), graph.biases()
    for group in graph.groups:  # the steps of a loop have one bias; the first may have the start's in addition
        field = biases[group.name].movedim(group.channel_axis, 0).reshape(group.n_channels, -1)
        constants[group.rolled or group.name] = field.mean(1)
    return received + NodeValues(constants) + sent + _outside(channels.groups, received)


def _outside(groups: tuple[Group, ...], values: NodeValues) -> NodeValues:
    """The link of weight 1 that inputs and outputs have to the world outside."""
    roles = {group.name: group.role for group in groups}
    return NodeValues({name: torch.full_like(value, float(roles[name] != "hidden")) for name, value in values.items()})


def _whole_kernels(graph: NeuralGraph) -> list[Synapse]:
    """The synapses whose incoming strength is the whole kernel's sum at every position."""
    state = graph.state
    return [s for s in graph.synapses if s.kind in CONVOLUTIONS and s.parameter in state]


def _without(graph: NeuralGraph, synapses: list[Synapse]) -> NeuralGraph:
    """The same graph with these synapses' weights at zero."""
    state = graph.state
    return graph.at({**state, **{s.parameter: torch.zeros_like(state[s.parameter]) for s in synapses}})


def _constant_maps(graph: NeuralGraph, synapses: list[Synapse]) -> NodeValues:
    """The sum of each output channel's kernel, spread over the channel's map, for every group."""
    axes = {group.name: group.channel_axis for group in graph.groups}
    maps = dict(graph.zeros())
    for synapse in synapses:
        whole = graph.kernel(synapse.name).effective.to(graph.dtype).flatten(1).sum(1)
        field, axis = maps[synapse.target], axes[synapse.target]
        maps[synapse.target] = field + whole.reshape([-1 if i == axis else 1 for i in range(field.dim())])
    return NodeValues(maps)
