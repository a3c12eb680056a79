r"""Gradients and updates as weights of the graph: what training does to it at one step.

The same graph with the gradient of the loss in the place of each weight, with the last update, or with the second
moments of Adam. Links without a parameter (skips, pooling) have no gradient and count nothing here, and what
normalisation folds into a link (its gain over its deviation) stays as it is: the weights are then those that a step of
gradient descent, divided by minus its learning rate, would add to the graph's.

Source: node strength and layer fluctuation of these graphs are [our choice], after La Malfa et al. 2021. The ratio of
update to weights is the usual one (A. Karpathy's note on training: about 0.001). The gradient noise scale is that of
McCandlish et al. 2018, arXiv 1812.06162, section 2.2 and appendix A.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from axonometry.arguments import argument_errors
from axonometry.errors import ConfigurationError
from axonometry.metrics.basins.captured import CapturedClassifier, labelled
from axonometry.metrics.catalogue import Shared, TrainingState, measured
from axonometry.metrics.fluctuation import layer_fluctuation
from axonometry.metrics.rows import NETWORK, Row, moment_rows, n_classes
from axonometry.metrics.strength import StrengthConvention, node_strength
from axonometry.program.untouched import unwrapped
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.readings.samples import Samples

Tensors = Mapping[str, Tensor]


@argument_errors
def gradients(model: nn.Module) -> dict[str, Tensor]:
    """The gradients that a module holds, by state-dict name; parameters without one are left out.

    >>> layer = nn.Linear(2, 1, bias=False)
    >>> layer(torch.tensor([[3.0, 5.0]])).sum().backward()
    >>> gradients(layer)
    {'weight': tensor([[3., 5.]])}
    """
    named = unwrapped(model).named_parameters(remove_duplicate=False)
    return {name: whole_tensor(parameter.grad) for name, parameter in named if parameter.grad is not None}


def whole_tensor(tensor: Tensor) -> Tensor:
    """A tensor without its history; one that is sharded over processes is gathered, by all of them together.

    Args:
        tensor: A tensor, or a ``DTensor`` as of ``fully_shard`` or tensor parallelism.

    >>> whole_tensor(torch.ones(1, requires_grad=True))
    tensor([1.])
    """
    gather = getattr(tensor, "full_tensor", None)
    return (tensor if gather is None else gather()).detach()


@argument_errors
def second_moments(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The second moments that Adam and its relatives keep of each parameter's gradients, by state-dict name.

    Args:
        model: The network.
        optimizer: One that keeps ``exp_avg_sq`` (Adam, AdamW, NAdam, RAdam) or ``square_avg`` (RMSprop).

    >>> layer = nn.Linear(2, 1, bias=False)
    >>> optimizer = torch.optim.Adam(layer.parameters(), betas=(0.9, 0.75))
    >>> layer(torch.tensor([[3.0, 5.0]])).sum().backward()
    >>> optimizer.step()
    >>> second_moments(layer, optimizer)  # a quarter of the squares
    {'weight': tensor([[2.2500, 6.2500]])}
    """
    kept = getattr(optimizer, "optimizer", optimizer).state  # Accelerate's stands around the real one
    found = {}
    for name, parameter in unwrapped(model).named_parameters(remove_duplicate=False):
        state = kept.get(parameter, {})
        moment = state.get("exp_avg_sq", state.get("square_avg"))
        if isinstance(moment, Tensor) and moment.shape == parameter.shape:
            found[name] = whole_tensor(moment)
    return found


@argument_errors
def reweighted(graph: NeuralGraph, weights: Tensors) -> NeuralGraph:
    """The same graph with other numbers in the place of its weights and biases, such as gradients.

    Args:
        graph: The network at one snapshot.
        weights: By parameter; 0 stands for those that are missing. Parameters and buffers of normalisation stay.

    >>> from axonometry.program import capture
    >>> layer = nn.Linear(2, 1)
    >>> layer(torch.tensor([[3.0, 5.0]])).sum().backward()
    >>> reweighted(capture(layer, torch.zeros(1, 2)), gradients(layer)).kernel("weight").weight
    tensor([[3., 5.]])
    """
    claimed = {entry.parameter for entry in graph.coverage if entry.role in ("synapse", "bias")}
    state = {
        name: weights.get(name, torch.zeros_like(tensor)).to(tensor) if name in claimed else tensor
        for name, tensor in graph.state.items()
    }
    return graph.at(state)


def weighted_strength(graph: NeuralGraph, weights: Tensors, convention: StrengthConvention = "links") -> NodeValues:
    r"""Node strength of the graph whose weights are gradients, updates or moments; only links with a parameter count.

    s(G) - s(0): strength is linear in the weights, and s(0) is what the links without a parameter give.

    Args:
        graph: The network at one snapshot.
        weights: By parameter; 0 stands for those that are missing.
        convention: As for :func:`~axonometry.metrics.node_strength`.

    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[1.0, 3.0]])
    >>> weighted_strength(graph, {graph.synapses[0].parameter: torch.tensor([[0.5, -2.0]])}).flatten()
    tensor([ 0.5000, -2.0000, -1.5000])
    """
    return node_strength(reweighted(graph, weights), convention) - node_strength(reweighted(graph, {}), convention)


def weighted_fluctuation(
    graph: NeuralGraph, weights: Tensors, convention: StrengthConvention = "links"
) -> dict[str, float]:
    """Layer fluctuation of the graph whose weights are gradients, updates or moments.

    Args:
        graph: The network at one snapshot.
        weights: As for :func:`weighted_strength`.
        convention: Likewise.

    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[1.0, 3.0]])
    >>> weighted_fluctuation(graph, {graph.synapses[0].parameter: torch.tensor([[0.5, -2.0]])})
    {'input': 1.25, '0': 0.0}
    """
    return dict(layer_fluctuation(weighted_strength(graph, weights, convention)))


def update_ratio(before: Tensors, after: Tensors) -> dict[str, float]:
    r"""The norm of an update relative to that of the weights, by parameter; the name "" for all together.

    \|W' - W\|₂ / \|W\|₂. NaN where the weights were 0.

    Args:
        before: Weights before the update.
        after: Weights after it.

    >>> update_ratio({"w": torch.tensor([3.0, 4.0])}, {"w": torch.tensor([3.3, 4.4])})
    {'': 0.1..., 'w': 0.1...}
    """
    return {name: _over(step.norm(), was.norm()) for name, was, step in _moved(before, after)}


def update_cosine(before: Tensors, after: Tensors) -> dict[str, float]:
    r"""The cosine between an update and the weights: -1 shrinks them, 1 makes them grow, 0 turns them.

    ⟨W' - W, W⟩ / (\|W' - W\|₂ \|W\|₂). NaN where one of them is 0.

    Args:
        before: Weights before the update.
        after: Weights after it.

    >>> update_cosine({"w": torch.tensor([3.0, 4.0])}, {"w": torch.tensor([-1.0, 7.0])})
    {'': 0.0, 'w': 0.0}
    """
    return {name: _over(step @ was, step.norm() * was.norm()) for name, was, step in _moved(before, after)}


def _noise_rows(shared: Shared) -> Iterator[Row]:
    if n_classes(shared.graph):
        yield NETWORK, "value", gradient_noise_scale(shared.graph, shared.samples)


@measured(
    name="gradient_noise_scale",
    title="Gradient noise scale",
    units="samples",
    range="0 and more",
    invariances="permuting the neurons of a layer; scaling the loss",
    source="McCandlish et al. 2018, arXiv 1812.06162, section 2.2",
    needs_samples=True,
    needs_labels=True,
    cost="a forward and a backward pass for every sample",
    opt_in=True,
    table=_noise_rows,
)
def gradient_noise_scale(graph: NeuralGraph, samples: Samples | None) -> float:
    r"""The batch size at which the gradient's noise is as large as the gradient: tr(Σ) / \|G\|².

    G is the gradient of the mean cross-entropy and Σ the covariance of the gradients of single samples, both estimated
    without bias from these n samples: tr(Σ) = 1/(n-1) Σ_i \|g_i - g\|², \|G\|² = \|g\|² - tr(Σ)/n, with g the mean of
    the g_i. Infinite where the noise is all there is.

    Args:
        graph: A network that classifies, at one snapshot.
        samples: Batches of inputs and labels, two samples at least.

    Raises:
        ConfigurationError: There is one sample.
        SamplesError: They do not fit the network, or have no labels.

    >>> from axonometry.testing import graph_of
    >>> samples = [(torch.tensor([[1.0], [1.0]]), torch.tensor([0, 0]))]
    >>> gradient_noise_scale(graph_of([[1.0], [2.0]]), samples)  # the same sample twice: no noise
    0.0
    """
    inputs, labels = labelled(graph, samples if samples is not None else [])
    if len(inputs) < 2:
        raise ConfigurationError("the noise of gradients is that between samples", "one", "Pass more samples")
    network = CapturedClassifier(graph)
    parameters = [one for one in network.parameters() if one.requires_grad]
    total, squares = torch.zeros(sum(one.numel() for one in parameters), dtype=torch.float64), 0.0
    with torch.enable_grad():
        for row in range(len(inputs)):
            loss = cross_entropy(network(inputs[row : row + 1]), labels[row : row + 1].to(inputs.device))
            parts = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
            one = torch.cat([part.reshape(-1) for part in parts]).double().cpu()
            total, squares = total + one, squares + float(one @ one)
    n = len(inputs)
    mean = total / n
    noise = max(squares - n * float(mean @ mean), 0.0) / (n - 1)
    signal = float(mean @ mean) - noise / n
    return noise / signal if signal > 0 else (math.inf if noise > 0 else math.nan)


def _moved(before: Tensors, after: Tensors) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, weights before, and update, as vectors; first all together."""
    names = [name for name, tensor in before.items() if name in after and tensor.is_floating_point()]
    flat = {name: before[name].detach().reshape(-1).double().cpu() for name in names}
    steps = {name: after[name].detach().reshape(-1).double().cpu() - flat[name] for name in names}
    if names:
        yield NETWORK, torch.cat([*flat.values()]), torch.cat([*steps.values()])
    yield from ((name, flat[name], steps[name]) for name in names)


def _over(a: Tensor, b: Tensor) -> float:
    return float(a / b) if float(b) > 0 else math.nan


# The catalogue's measures, each of what the training state holds --------------------------------------------------


def _state(shared: Shared) -> TrainingState:
    return shared.training or TrainingState()


def _weights_of(what: str, shared: Shared) -> Tensors | None:
    state = _state(shared)
    if what == "gradient":
        return state.gradients
    if what == "second_moment":
        return state.second_moments
    if state.before is None:
        return None
    now = shared.graph.state
    return {name: now[name].detach() - was.to(now[name]) for name, was in state.before.items() if name in now}


def _strengths(what: str, shared: Shared) -> NodeValues:
    """Strengths of what training did; NaN where it is not there, since a recorder must not end a training."""
    weights = _weights_of(what, shared)
    if weights:
        return weighted_strength(shared.graph, weights, shared.convention)
    return shared.graph.zeros().map(lambda tensor: torch.full_like(tensor, math.nan))


def _of_links(function: Any, shared: Shared) -> Iterator[Row]:
    """A number for each parameter of a synapse, under the synapse's name, and for all parameters together."""
    before = _state(shared).before or {}
    trained = {entry.parameter for entry in shared.graph.coverage}
    found = function({name: tensor for name, tensor in before.items() if name in trained}, shared.graph.state)
    yield NETWORK, "value", found.get(NETWORK, math.nan)
    for synapse in shared.graph.synapses:
        yield synapse.name, "value", found.get(synapse.parameter, math.nan)


_FACTS: dict[str, Any] = {
    "range": "all reals",
    "source": "our choice, after La Malfa et al. 2021",
    "needs_training": True,
}


def _register(what: str, words: str, units: str) -> None:
    """Node strength and layer fluctuation of one kind of weights."""

    def strength(shared: Shared) -> Iterable[Row]:
        return moment_rows(_strengths(what, shared))

    def fluctuation(shared: Shared) -> Iterator[Row]:
        yield from ((group, "value", value) for group, value in layer_fluctuation(_strengths(what, shared)).items())

    facts = {**_FACTS, "units": units, "cost": "four products with the adjacency matrix"}
    name, title = f"{what}.node_strength", f"Node strength of {words}"
    permuting = "permuting the neurons of a layer permutes it"
    measured(name=name, title=title, invariances=permuting, table=strength, **facts)(weighted_strength)
    name, title = f"{what}.layer_fluctuation", f"Layer fluctuation of {words}"
    permuting = "permuting the neurons of a layer"
    measured(name=name, title=title, invariances=permuting, table=fluctuation, **facts)(weighted_fluctuation)


_register("gradient", "the gradients", "loss per weight")
_register("update", "the last update", "weight")
_register("second_moment", "Adam's second moments", "(loss per weight) squared")

measured(
    name="update_ratio",
    title="Update to weight ratio",
    units="none",
    range="0 and more",
    invariances="permuting the neurons of a layer; scaling weights and update together",
    source="A. Karpathy 2019, A recipe for training neural networks [recalled]",
    cost="one pass over the weights, and a copy of them",
    table=lambda shared: _of_links(update_ratio, shared),
    needs_training=True,
)(update_ratio)
measured(
    name="update_cosine",
    title="Cosine between update and weights",
    units="none",
    range="-1 to 1",
    invariances="permuting the neurons of a layer; scaling weights or update",
    source="our choice",
    cost="one pass over the weights, and a copy of them",
    table=lambda shared: _of_links(update_cosine, shared),
    needs_training=True,
)(update_cosine)
