r"""Neuron strength: node strength with every link's weight times the signal that it carries.

in_k(x) = Σ_i A[k, i] a_i(x) + b_k, the pre-activation z_k(x); out_k(x) = a_k(x) Σ_j A[j, k]; S_k = in_k + out_k.
An input receives its own value and an output sends its own, each over one more link of weight 1.

Where max-pooling lies behind a neuron, only the winner of its window carries; where attention mixes tokens, the real
probabilities are the links, so that Σ_j A[j, k] depends on the sample.

Source: La Malfa et al. 2022 and 2024 (arXiv 2209.05488, 2404.11172), neurons strength. The papers' formulas were not
seen: that weights are multiplied by what flows is [recalled], in- and out-term and the links of weight 1 at inputs and
outputs are [our choice].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, fx
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import one_hot

from axonometry.errors import ConfigurationError
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.neuron_statistics import NeuronStatistics, statistic_rows, streamed_statistics
from axonometry.metrics.rows import Row
from axonometry.program.entry import of_graph
from axonometry.program.primitives import one_hot as numbers_of
from axonometry.program.readings.adjacency import run_program
from axonometry.program.readings.live import LiveBatch
from axonometry.program.readings.samples import Samples

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph

Mode = Literal["in", "out", "inout", "abs"]
MODES = ("in", "out", "inout", "abs")
By = Mapping[str, Tensor]


def _rows(shared: Shared) -> Iterable[Row]:
    return statistic_rows(shared, neuron_strength)


@measured(
    name="neuron_strength",
    title="Neuron strength",
    units="pre-activation",
    range="all reals",
    invariances="permuting the neurons of a layer permutes it; the order of the samples",
    source="La Malfa et al. 2022, arXiv 2209.05488; the formula is our choice",
    needs_samples=True,
    cost="one forward pass over the samples; where links depend on them, a reading of the graph for each",
    table=_rows,
)
@of_graph
def neuron_strength(
    graph: NeuralGraph, samples: Samples, mode: Mode = "inout", *, batch_size: int | None = None
) -> NeuronStatistics:
    """The strength of every neuron over samples, in one pass and memory that does not grow with their number.

    Args:
        graph: The network at one snapshot.
        samples: What the module takes, as for :func:`~axonometry.program.readings.live.live_batches`.
        mode: ``in``: what the neuron receives, its pre-activation. ``out``: what it sends. ``inout``: their sum.
            ``abs``: the sum of |weight * signal| over all links at the neuron, and of |bias|.
        batch_size: Samples run at once; it changes the result by rounding only.

    Returns:
        Statistics per neuron and group. Range: all reals; 0 and more for ``abs``. Units: those of the pre-activation.
        Permuting the neurons of a layer permutes them. Saturated neurons are not counted.

    Raises:
        ConfigurationError: There is no such mode.
        SamplesError: The samples do not fit; a NonfiniteError where one is NaN or infinite at a neuron.

    >>> from axonometry.testing import graph_of
    >>> weights, biases = ([[1, 3], [-2, 1], [0.5, -1]], [[2, 0, -1], [-1, 1, 0.5]]), ([0.1, -0.2, 0.3], [0.25, -0.75])
    >>> graph = graph_of(*weights, biases=biases)
    >>> neuron_strength(graph, torch.tensor([[1.0, 2.0]])).mean.flatten().round(decimals=4)
    tensor([  0.5000,   8.0000,  14.2000,  -0.2000,  -1.2000,  28.9000, -15.7000],
           dtype=torch.float64)
    """
    if mode not in MODES:
        raise ConfigurationError(
            "a neuron's strength is of its links in, out, both, or absolute", repr(mode), f"Choose one of {MODES}"
        )
    values, nodes = strength_of_samples(graph, mode)
    return streamed_statistics(graph, samples, values, batch_size=batch_size, nodes=nodes)


def strength_of_samples(
    graph: NeuralGraph, mode: Mode = "inout"
) -> tuple[Callable[[LiveBatch], By], tuple[fx.Node, ...]]:
    """How the strengths of single samples follow from a live batch, for who wants them before they are pooled.

    Args:
        graph: The network at one snapshot.
        mode: As for :func:`neuron_strength`.

    Returns:
        A function from a batch to strengths by group, of the groups' shapes; and the ``nodes`` that
        :func:`~axonometry.program.readings.live.live_batches` has to be asked for.

    >>> from axonometry.program.readings.live import live_batches
    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[1.0, 3.0]], [[2.0]])
    >>> values, nodes = strength_of_samples(graph)
    >>> [values(batch)["0"] for batch in live_batches(graph, torch.tensor([[1.0, 1.0], [1.0, -1.0]]), nodes=nodes)]
    [tensor([[12.],
            [-2.]])]
    """
    if mode == "in":
        return lambda batch: batch.pre_activations, ()
    flow = _Flow(graph.abs() if mode == "abs" else graph)
    return _absolute(graph, flow) if mode == "abs" else _signed(graph, flow, mode), flow.nodes


def _signed(graph: NeuralGraph, flow: _Flow, mode: Mode) -> Callable[[LiveBatch], By]:
    world = _world(graph, "output")

    def values(batch: LiveBatch) -> By:
        sent, found = flow.sent(batch), {}
        for name, activation in batch.activations.items():
            weight = sent[name] + world[name]  # at least in float32, which a sum over links needs
            out = activation.to(torch.promote_types(activation.dtype, weight.dtype)) * weight
            found[name] = out if mode == "out" else batch.pre_activations[name] + out
        return found

    return values


def _absolute(graph: NeuralGraph, flow: _Flow) -> Callable[[LiveBatch], By]:
    outputs, inputs, biases = _world(graph, "output"), _world(graph, "input"), graph.biases().abs()

    def values(batch: LiveBatch) -> By:
        sent, received, found = flow.sent(batch), flow.received(batch), {}
        for name, activation in batch.activations.items():
            carried = activation.abs().to(graph.dtype)
            found[name] = carried * (sent[name] + outputs[name] + inputs[name]) + biases[name]
            if name in received:
                found[name] = found[name] + received[name]
        return found

    return values


def _world(graph: NeuralGraph, role: str) -> dict[str, float]:
    """Weight of the link between the world outside and each group's neurons: 1 at one end of the network, else 0."""
    return {group.name: float(group.role == role) for group in graph.groups}


class _Flow:
    """A graph's links at each sample: those of weights, and those that data decides."""

    def __init__(self, graph: NeuralGraph) -> None:
        program = graph.program
        live = [node for step in program.steps if step.data_dependent is not None for node in step.node.all_input_nodes]
        hot = [node for node in program.inputs.values() if node.target is numbers_of]
        self.graph, self.program = graph, program
        live += program.controlled
        self.real = tuple(dict.fromkeys(node for node in live if node in program.varying))
        self.nodes: tuple[fx.Node, ...] = tuple(dict.fromkeys([*self.real, *hot]))
        self.statics, self.links = graph.weights, graph.links
        # No pooling winner, no attention, no mask: the links are the same for all samples, and one product serves them
        # all.
        self.fixed = None if self.real else graph.strengths()[1]

    def sent(self, batch: LiveBatch) -> By:
        """``A(x).T @ 1`` for each sample, or once where all samples share it."""
        return self.fixed if self.fixed is not None else self._mapped(self._sent, batch, {})

    def received(self, batch: LiveBatch) -> By:
        """``A(x) @ |a|`` for each sample."""
        names = {node: name for name, node in self.program.inputs.items()}
        carried = {name: value.abs().to(self.graph.dtype) for name, value in batch.activations.items()}
        for node in self.nodes:
            if node in names and node.target is numbers_of:
                rows = self.program.shapes[names[node]][-1]
                carried[names[node]] = one_hot(batch.values[node], rows).to(self.graph.dtype)
        return self._mapped(self._received, batch, carried)

    @torch.no_grad()
    def _mapped(self, function: Callable[..., dict[str, Tensor]], batch: LiveBatch, given: By) -> By:
        reals = [batch.values[node] for node in self.real]
        with sdpa_kernel(SDPBackend.MATH):
            found = torch.func.vmap(function)(dict(given), reals)
        shapes = {group.name: group.shape for group in self.graph.groups}
        return {name: value.reshape(batch.size, *shapes[name]) for name, value in found.items()}

    def _recorded(self, values: list[Any]) -> dict[fx.Node, Any]:
        return {**self.statics, **dict(zip(self.real, values, strict=True))}

    def _received(self, given: By, values: list[Any]) -> dict[str, Tensor]:
        return run_program(self.program, given, self.statics, self.links, recorded=self._recorded(values))

    def _sent(self, _: By, values: list[Any]) -> dict[str, Tensor]:
        reading = partial(
            run_program, self.program, statics=self.statics, links=self.links, recorded=self._recorded(values)
        )
        mapped: Any = torch.func.vjp(reading, dict(self.graph.zeros()))
        sums, pull = mapped
        sent: dict[str, Tensor] = pull({name: torch.ones_like(value) for name, value in sums.items()})[0]
        return sent
