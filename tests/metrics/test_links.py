"""Link weights: folded, each weight once, broken ones counted."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor, nn

from axonometry.errors import ConfigurationError
from axonometry.metrics import link_samples, link_weights
from axonometry.metrics.conventions import check_convention
from axonometry.program import NeuralGraph, capture
from tests.metrics.networks import example_a, fully_connected


def randomise_normalisation(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)


def test_one_row_a_synapse_with_the_moments_of_its_weights() -> None:
    graph = example_a()
    table = link_weights(graph).set_index("synapse")
    assert list(table.index) == ["0", "2"]
    assert table.loc["0", "target"] == "0"
    weights = torch.tensor([1, -2, 0.5, 3, 1, -1]).double()
    assert table.loc["0", "count"] == 6
    assert table.loc["0", "mean"] == pytest.approx(2.5 / 6)
    assert table.loc["0", "std"] == pytest.approx(weights.std(correction=0).item())
    assert (table.loc["0", "minimum"], table.loc["0", "maximum"]) == (-2, 3)
    assert sorted(link_samples(graph)["0"].tolist()) == sorted(weights.tolist())


def test_convention_ictai2021_pools_biases() -> None:
    graph = example_a()
    samples = link_samples(graph, "ictai2021")
    assert samples["0"].tolist()[6:] == pytest.approx([0.1, -0.2, 0.3])
    assert samples["2"].tolist()[6:] == pytest.approx([0.25, -0.75])
    table = link_weights(graph, "ictai2021").set_index("synapse")
    assert table["count"].tolist() == [9, 8]
    assert table.loc["0", "mean"] == pytest.approx((2.5 + 0.2) / 9)


def test_a_bias_of_zero_is_pooled_and_a_missing_one_is_not() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2, bias=False))
    nn.init.zeros_(network[0].bias)
    table = link_weights(capture(network, torch.zeros(1, 2)), "ictai2021")
    assert table["count"].tolist() == [6 + 3, 6]


def test_a_convolution_counts_each_kernel_entry_and_each_bias_once() -> None:
    graph = capture(nn.Conv2d(3, 5, 3, padding=1), torch.zeros(1, 3, 8, 8))
    assert link_weights(graph)["count"].tolist() == [5 * 3 * 9]
    assert link_weights(graph, "ictai2021")["count"].tolist() == [5 * 3 * 9 + 5]


def test_batch_norm_is_folded() -> None:
    """The example of the definitions: W = [1, 2], b = .5 become W' = [1.5, 3], b' = -.625."""
    network = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1, eps=0.25)).eval()
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, 2.0]]))
        network[0].bias.fill_(0.5)
        network[1].weight.fill_(3.0)
        network[1].bias.fill_(-1.0)
        network[1].running_mean.fill_(0.25)
        network[1].running_var.fill_(3.75)
    graph = capture(network, torch.zeros(1, 2))
    assert link_samples(graph, "ictai2021")["0"].tolist() == pytest.approx([1.5, 3.0, -0.625])
    assert link_weights(graph)["mean"].tolist() == pytest.approx([2.25])


class Tied(nn.Module):
    """One layer called twice, with a batch norm of its own behind each call, or with none."""

    def __init__(self, *, normalised: bool) -> None:
        super().__init__()
        self.shared = nn.Linear(4, 4)
        self.first = nn.BatchNorm1d(4) if normalised else nn.Identity()
        self.second = nn.BatchNorm1d(4) if normalised else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.shared(self.first(self.shared(x)).tanh()))


def test_a_tied_weight_counts_once() -> None:
    graph = capture(Tied(normalised=False), torch.zeros(1, 4))
    assert len(graph.synapses) == 2
    assert link_weights(graph)["synapse"].tolist() == ["shared"]


def test_one_tensor_folded_in_two_ways_is_two_sets_of_weights() -> None:
    network = Tied(normalised=True).eval()
    randomise_normalisation(network)
    assert len(link_weights(capture(network, torch.zeros(1, 4)))) == 2


def test_a_tied_embedding_and_head() -> None:
    encoder, decoder = nn.Linear(3, 5, bias=False), nn.Linear(5, 3, bias=False)
    network = nn.Sequential(encoder, nn.ReLU(), decoder)
    decoder.weight = nn.Parameter(torch.randn(3, 5))
    assert len(link_weights(capture(network, torch.zeros(1, 3)))) == 2


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3),
        nn.Conv2d(4, 6, 3, groups=2),
        nn.ConvTranspose2d(4, 6, 2, stride=2),
        nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2),
    ],
    ids=["convolution", "in groups", "transposed", "transposed in groups"],
)
def test_folded_weights_are_those_on_the_links(layer: nn.Module) -> None:
    """Every number among the samples is the weight of some link of the matrix, and the other way round."""
    network = nn.Sequential(layer, nn.BatchNorm2d(6)).double().eval()
    randomise_normalisation(network)
    graph = capture(network, torch.zeros(1, 4, 4, 4, dtype=torch.float64))
    links = torch.from_numpy(graph.to_scipy().data).unique()
    samples = link_samples(graph)["0"].unique()
    assert samples.numel() == layer.weight.numel()
    assert torch.allclose(links, samples, rtol=1e-12)
    row = link_weights(graph).iloc[0]
    assert row["std"] == pytest.approx(links.std(correction=0).item(), rel=1e-9)
    assert row["minimum"] == pytest.approx(links.min().item(), rel=1e-12)


def test_broken_weights_are_counted_and_left_out() -> None:
    network = nn.Linear(10, 10)
    with torch.no_grad():
        network.weight[0, :3] = torch.tensor([math.nan, math.inf, -math.inf])
    row = link_weights(capture(network, torch.zeros(1, 10))).iloc[0]
    finite = network.weight.detach()[network.weight.isfinite()].double()
    assert (row["count"], row["nonfinite"]) == (100, 3)
    assert row["mean"] == pytest.approx(finite.mean().item())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_are_accumulated_exactly(dtype: torch.dtype) -> None:
    network = nn.Linear(300, 300).to(dtype)
    graph = capture(network, torch.zeros(1, 300, dtype=dtype))
    exact = network.weight.detach().double()
    row = link_weights(graph).iloc[0]
    assert row["mean"] == pytest.approx(exact.mean().item(), abs=1e-6 * exact.std().item())
    assert row["std"] == pytest.approx(exact.std(correction=0).item(), rel=1e-6)


@given(st.floats(-8, 8).filter(lambda c: abs(c) > 0.01))
def test_scaling_the_weights_scales_the_table(factor: float) -> None:
    graph = fully_connected(4, 6, 3)
    scaled = graph.at({name: tensor * factor for name, tensor in graph.state.items()})
    before, after = link_weights(graph), link_weights(scaled)
    assert after["mean"].to_numpy() == pytest.approx(before["mean"].to_numpy() * factor)
    assert after["std"].to_numpy() == pytest.approx(before["std"].to_numpy() * abs(factor))
    assert after["kurtosis"].to_numpy() == pytest.approx(before["kurtosis"].to_numpy())
    assert after["skewness"].to_numpy() == pytest.approx(before["skewness"].to_numpy() * math.copysign(1, factor))


def test_weights_and_gradients_are_left_alone() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()
    graph: NeuralGraph = capture(network, torch.zeros(1, 4))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    link_weights(graph)
    link_samples(graph, "ictai2021")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert network[0].weight.grad is None
    assert network[0].weight.requires_grad


def test_unknown_convention_is_refused() -> None:
    words = r"one of the measure's own; got 'ictai'\. Did you mean ictai2021\? Choose from: links, ictai2021"
    with pytest.raises(ConfigurationError, match=words):
        check_convention("ictai", ("links", "ictai2021"))
