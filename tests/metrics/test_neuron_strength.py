"""Neuron strength: worked numbers, dense matrices, and derivatives of the real network where data decides the links."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import ConfigurationError, SamplesError
from axonometry.metrics.neuron_strength import MODES, Mode, neuron_strength
from axonometry.populations import LeNet
from axonometry.program.readings.live import live_batches
from axonometry.testing import TOYS, dense


def example_a() -> nn.Sequential:
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1, -2, 0.5], [3, 1, -1]], dtype=torch.float64).T)
        network[0].bias.copy_(torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64))
        network[2].weight.copy_(torch.tensor([[2, -1], [0, 1], [-1, 0.5]], dtype=torch.float64).T)
        network[2].bias.copy_(torch.tensor([0.25, -0.75], dtype=torch.float64))
    return network


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("inout", [[0.5, 8.0], [14.2, -0.2, -1.2], [28.9, -15.7]]),
        ("in", [[1.0, 2.0], [7.1, -0.2, -1.2], [14.45, -7.85]]),
        ("out", [[-0.5, 6.0], [7.1, 0.0, 0.0], [14.45, -7.85]]),
        ("abs", [[4.5, 12.0], [28.4, 4.2, 2.8], [28.9, 15.7]]),  # 7.1 + 7.1 * (2 + 1) = 28.4
    ],
)
def test_example_a(mode: Mode, expected: list[list[float]]) -> None:
    graph = ax.capture(example_a(), torch.zeros(1, 2).double())
    found = ax.neuron_strength(graph, torch.tensor([[1.0, 2.0]]).double(), mode)
    for (_, mean), numbers in zip(found.mean.items(), expected, strict=True):
        torch.testing.assert_close(mean, torch.tensor(numbers, dtype=torch.float64))
    assert all(not bool(variance.any()) for variance in found.variance.values())


def stored(graph: ax.NeuralGraph, samples: Any) -> tuple[Tensor, Tensor]:
    """All fields and activations in one matrix each, samples in rows."""
    (batch,) = live_batches(graph, samples, batch_size=1000)
    rows = [
        torch.cat([part[group.name].reshape(batch.size, -1) for group in graph.groups], 1)
        for part in (batch.pre_activations, batch.activations)
    ]
    return rows[0], rows[1]


@pytest.mark.parametrize("name", ["linear", "perceptron", "residual", "gate"])
@pytest.mark.parametrize("mode", MODES)
def test_against_the_dense_matrix(name: str, mode: Mode) -> None:
    toy = TOYS[name]()
    graph = ax.capture(toy.module, *toy.inputs)
    samples = torch.randn(8, 3).double()
    matrix = dense(toy, torch.abs if mode == "abs" else (lambda w: w), tuple(group.name for group in graph.groups))
    fields, activations = stored(graph, samples)
    role = {
        r: torch.cat([torch.full((g.n_neurons,), float(g.role == r)) for g in graph.groups])
        for r in ("input", "output")
    }
    if mode == "abs":
        biases = graph.biases().flatten().abs()
        received = activations.abs() @ matrix.T + biases + activations.abs() * role["input"]
        sent = activations.abs() * (matrix.sum(0) + role["output"])
    else:
        received, sent = fields, activations * (matrix.sum(0) + role["output"])
    expected = {"in": received, "out": sent, "inout": received + sent, "abs": received + sent}[mode]
    found = neuron_strength(graph, samples, mode, batch_size=3)
    torch.testing.assert_close(found.mean.flatten(), expected.mean(0).detach())
    torch.testing.assert_close(found.variance.flatten(), expected.var(0, correction=0).detach())


def test_the_winner_of_max_pooling_carries() -> None:
    network, samples = LeNet((1, 28, 28)).eval(), torch.rand(9, 1, 28, 28)
    graph = ax.capture(network, samples)
    found = neuron_strength(graph, samples, "out", batch_size=4)
    (batch,) = live_batches(graph, samples, batch_size=9)

    def flow(activation: Tensor, read: Any) -> Tensor:  # what the real network does with a change of the activation
        leaf = activation.clone().requires_grad_()
        return activation * torch.autograd.grad(read(leaf).sum(), leaf)[0]

    first = flow(batch.activations["conv1"], lambda a: network.conv2(network.pool1(a)))
    second = flow(batch.activations["conv2"], lambda a: network.fc1(network.pool2(a).flatten(1)))
    for name, expected in (("conv1", first), ("conv2", second)):
        torch.testing.assert_close(found.mean[name], expected.double().mean(0), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(found.variance[name], expected.double().var(0, correction=0), rtol=1e-3, atol=1e-8)
    by_mean = batch.activations["conv1"] * graph.strengths()[1]["conv1"]  # what the reading without data says
    assert not torch.allclose(found.mean["conv1"].float(), by_mean.mean(0), rtol=0.1)


class Reads(nn.Module):
    """A linear layer of what a function makes of the input."""

    def __init__(self, function: Any, n: int) -> None:
        super().__init__()
        self.function, self.out = function, nn.Linear(n, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.function(x).flatten(1))


TO = torch.tensor([2, 0, 2, 3, 2])


def reduced(how: str, *, included: bool, fill: float = 0.0, listed: bool = False) -> Any:
    def function(x: Tensor) -> Tensor:
        base = x.new_full((len(x), 4), fill)
        if listed:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch calls it beta
                return base.index_reduce(1, TO, x, how, include_self=included)
        return base.scatter_reduce(1, TO.expand(len(x), 5), x, how, include_self=included)

    return function


CHOSEN = {
    "largest of the written": reduced("amax", included=False),
    "smallest of the written": reduced("amin", included=False),
    "largest, with what was there": reduced("amax", included=True),
    "largest, where all was larger": reduced("amax", included=True, fill=9.0),
    "smallest, with what was there": reduced("amin", included=True),
    "by a list": reduced("amax", included=False, listed=True),
    "over a signal": lambda x: x[:, :4].scatter_reduce(1, TO.expand(len(x), 5), 2 * x, "amax"),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_what_is_chosen_among_those_sent_to_a_place_carries(name: str) -> None:
    network, samples = Reads(CHOSEN[name], 4).double(), torch.randn(6, 5).double()
    graph = ax.capture(network, samples)
    found = neuron_strength(graph, samples, "out", batch_size=4).mean["input"]
    leaf = samples.clone().requires_grad_()
    gradient = torch.autograd.grad(network(leaf).sum(), leaf)[0]
    torch.testing.assert_close(found, (samples * gradient).mean(0))


def test_of_several_that_are_as_large_the_first_carries() -> None:
    network, sample = Reads(reduced("amax", included=False), 4).double(), torch.ones(1, 5).double()
    found = neuron_strength(ax.capture(network, sample), sample, "out").mean["input"]
    weights = network.out.weight.sum(0)
    torch.testing.assert_close(found, torch.stack([weights[2], weights[0], 0 * weights[0], weights[3], 0 * weights[0]]))


def test_the_largest_rows_of_a_bag_carry() -> None:
    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.out = nn.EmbeddingBag(9, 3, mode="max"), nn.Linear(3, 2)

        def forward(self, ids: Tensor) -> Tensor:
            return self.out(self.table(ids))

    network, ids = Bag().double(), torch.tensor([[1, 4, 7, 2]])
    graph = ax.capture(network, ids)
    name = next(synapse.target for synapse in graph.synapses if synapse.parameter == "table.weight")
    found = neuron_strength(graph, ids, "out").mean[name]
    rows = network.table.weight[ids[0]].detach()
    largest = (rows == rows.amax(0)).double()
    torch.testing.assert_close(found.reshape(4, 3), rows * largest * network.out.weight.sum(0))


def test_where_a_grid_of_the_input_points_to_carries() -> None:
    def sampled(x: Tensor) -> Tensor:
        return F.grid_sample(x[:, :1], x[:, 1:].permute(0, 2, 3, 1).tanh(), align_corners=False)

    network, samples = Reads(sampled, 12).double(), torch.randn(3, 3, 3, 4).double()
    found = neuron_strength(ax.capture(network, samples), samples, "out").mean["input"]
    image = samples[:, :1].clone().requires_grad_()
    result = network(torch.cat([image, samples[:, 1:]], 1))
    expected = image * torch.autograd.grad(result.sum(), image)[0]
    torch.testing.assert_close(found[:1], expected.mean(0).detach())
    assert not found[1:].any()  # the grid chooses, and has no links


class Attention(nn.Module):
    """One head over four tokens."""

    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.query, self.key, self.value, self.out = (nn.Linear(3, 3) for _ in range(4))

    def probabilities(self, x: Tensor) -> Tensor:
        return torch.softmax(self.query(x) @ self.key(x).transpose(-1, -2) / 3**0.5, -1)

    def forward(self, x: Tensor) -> Tensor:
        if self.fused:
            mixed = F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))
        else:
            mixed = self.probabilities(x) @ self.value(x)
        return self.out(mixed)


@pytest.mark.parametrize("fused", [True, False])
def test_the_probabilities_of_attention_are_the_links(fused: bool) -> None:
    network, samples = Attention(fused=fused).double(), torch.randn(6, 4, 3).double()
    graph = ax.capture(network, samples)
    found = neuron_strength(graph, samples, "out", batch_size=4)
    values, weights = network.value(samples), network.probabilities(samples)
    # The value of token j reaches token i by A_ij and then every output: the column sums of A, times those of W.
    expected = values * weights.sum(1)[..., None] * network.out.weight.sum(0)
    torch.testing.assert_close(found.mean["value"], expected.mean(0).detach())
    torch.testing.assert_close(found.variance["value"], expected.var(0, correction=0).detach())
    absolute = neuron_strength(graph, samples, "abs", batch_size=4)
    mixed = (weights @ values.abs()) @ network.out.weight.abs().T + network.out.bias.abs()
    expected = mixed + network.out(weights @ values).abs()
    torch.testing.assert_close(absolute.mean["out"], expected.mean(0).detach())


def test_a_recurrent_network_sends_to_its_next_step() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.RNN(2, 2, batch_first=True), nn.Linear(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.body(x)[0][:, -1])

    network, samples = Recurrent().double(), torch.randn(5, 3, 2).double()
    found = neuron_strength(ax.capture(network, samples), samples, "inout")
    states = network.body(samples)[0]
    onward = network.body.weight_hh_l0.sum(0).expand(3, 2).clone()
    onward[-1] = network.head.weight.sum(0)
    expected = torch.atanh(states) + states * onward  # z_t + a_t (Σ Wh, or at the last step Σ Wo)
    torch.testing.assert_close(found.mean["body"], expected.mean(0).detach())


def test_token_ids_are_read_in_every_mode() -> None:
    network, tokens = nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(6, 2)), torch.tensor([[0, 3], [5, 5]])
    graph = ax.capture(network, tokens)
    for mode in MODES:
        assert set(neuron_strength(graph, tokens, mode).mean) == {"0", "2"}
    absolute = neuron_strength(graph, tokens, "abs")
    rows = network[0](tokens).abs()
    expected = rows + rows * network[2].weight.abs().sum(0).reshape(2, 3)
    torch.testing.assert_close(absolute.mean["0"], expected.double().mean(0).detach())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("mode", MODES)
def test_half_precision(dtype: torch.dtype, mode: Mode) -> None:
    network = LeNet((1, 16, 16)).eval()
    samples = torch.rand(6, 1, 16, 16)
    expected = neuron_strength(ax.capture(network, samples), samples, mode)
    half = LeNet((1, 16, 16)).eval()
    half.load_state_dict(network.state_dict())
    found = neuron_strength(ax.capture(half.to(dtype), samples.to(dtype)), samples.to(dtype), mode)
    for name, mean in expected.mean.items():
        error = float((found.mean[name] - mean).abs().mean())
        assert error <= 0.02 * float(mean.abs().mean()) + 0.01, name


@pytest.mark.parametrize("mode", ["out", "inout", "abs"])
def test_what_a_half_precision_neuron_sends_may_be_larger_than_half_precision(mode: Mode) -> None:
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 100, bias=False)).half()
    with torch.no_grad():
        network[0].weight.fill_(1000.0)
        network[1].weight.fill_(2.0)
    samples = torch.ones(3, 1).half()
    found = neuron_strength(ax.capture(network, samples), samples, mode)
    assert found.mean["0"].tolist() == [200_000.0 + (0.0 if mode == "out" else 1000.0)]


@pytest.mark.parametrize("mode", MODES)
def test_the_size_of_batches_changes_nothing(mode: Mode) -> None:
    network, samples = LeNet((1, 16, 16)).double().eval(), torch.rand(7, 1, 16, 16).double()
    graph = ax.capture(network, samples)
    one, many = neuron_strength(graph, samples, mode, batch_size=7), neuron_strength(graph, samples, mode, batch_size=2)
    for name in one.mean:
        torch.testing.assert_close(one.mean[name], many.mean[name])
        torch.testing.assert_close(one.variance[name], many.variance[name], rtol=1e-6, atol=1e-12)


def test_what_cannot_be_said_is_refused() -> None:
    graph, samples = ax.capture(example_a(), torch.zeros(1, 2).double()), torch.zeros(3, 2).double()
    wrong: Any = "both"
    with pytest.raises(ConfigurationError, match="got 'both'"):
        inspect.unwrap(neuron_strength)(graph, samples, wrong)
    broken = graph.at({**graph.state, "2.weight": torch.full((2, 3), torch.inf).double()})
    with pytest.raises(SamplesError, match=r"sample 0, .* layer '2'"):
        neuron_strength(broken, samples + 1)
