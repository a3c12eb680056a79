"""The graph object: worked numbers, kernels, biases, channels, matrices, symmetries, and the big networks."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from axonometry.populations.resnet import ResNet
from axonometry.program import NeuralGraph, capture
from axonometry.testing import MAPS, check_adjoint, dense, matrix, randomise

from .cases import SINGLE
from .networks import REAL, Dense, Mobile
from .networks_more import UNet
from .oracles import sequential, zeros


def of(layer: nn.Module, *shape: int) -> NeuralGraph:
    return capture(nn.Sequential(layer), torch.zeros(1, *shape))


def filled(kernel: Tensor | list[list[float]], size: int, **options: int) -> NeuralGraph:
    """The graph of one 2-d convolution with a given kernel on a square map."""
    kernel = torch.as_tensor(kernel, dtype=torch.float32)
    layer = nn.Conv2d(1, 1, kernel.shape[0], bias=False, **options)
    with torch.no_grad():
        layer.weight.copy_(kernel)
    return of(layer, 1, size, size)


# ------------------------------------------------------------------------------- worked numbers of the first paper


@pytest.mark.parametrize(
    ("kernel", "size", "options", "expected"),
    [
        (torch.ones(3, 3), 4, {}, [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]),
        (torch.ones(3, 3), 4, {"padding": 1}, [[4, 6, 6, 4], [6, 9, 9, 6], [6, 9, 9, 6], [4, 6, 6, 4]]),
        ([[1, 2], [3, 4]], 3, {}, [[1, 3, 2], [4, 10, 6], [3, 7, 4]]),
        ([[1, 2], [3, 4]], 4, {"stride": 2}, [[1, 2, 1, 2], [3, 4, 3, 4], [1, 2, 1, 2], [3, 4, 3, 4]]),
        ([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 3, {"padding": 1}, [[12, 21, 16], [27, 45, 33], [24, 39, 28]]),
    ],
)
def test_out_strength_of_a_convolution(
    kernel: Tensor, size: int, options: dict[str, int], expected: list[list[float]]
) -> None:
    graph = filled(kernel, size, **options)
    assert (graph.T @ graph.ones())["input"][0].tolist() == expected


def test_in_strength_counts_real_links_only() -> None:
    graph = filled([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 3, padding=1)
    expected = [[28, 39, 24], [33, 45, 27], [16, 21, 12]]
    assert (graph @ graph.ones())["0"][0].tolist() == expected
    assert graph.n_links == 49, "padding carries no link"


def test_folded_batch_norm() -> None:
    """W = [1, 2], b = 0.5, gain 3, shift -1, mean 0.25, variance 3.75, eps 0.25 give W' = [1.5, 3], b' = -0.625."""
    net = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1, eps=0.25))
    with torch.no_grad():
        for tensor, value in {
            net[0].weight: [[1.0, 2.0]],
            net[0].bias: [0.5],
            net[1].weight: [3.0],
            net[1].bias: [-1.0],
        }.items():
            tensor.copy_(torch.tensor(value))
        net[1].running_mean.fill_(0.25)
        net[1].running_var.fill_(3.75)
    graph = capture(net, torch.zeros(1, 2))
    assert (graph.T @ graph.ones())["input"].tolist() == [1.5, 3.0]
    assert graph.biases()["0"].tolist() == [-0.625]
    kernel = graph.kernel("0")
    assert (kernel.weight * kernel.gain).tolist() == [[1.5, 3.0]]


# ----------------------------------------------------------------------------------------- kernels and biases


@pytest.mark.parametrize(
    ("name", "synapse", "axis"),
    [
        ("batch_norm_after_conv2d", "0", 0),
        ("batch_norm_after_transposed", "0", 1),
        ("batch_norm_after_linear", "0", 0),
        ("convolution", "5", 0),
    ],
)
def test_kernel_is_the_weight_and_the_folded_gain(name: str, synapse: str, axis: int) -> None:
    toy = SINGLE[name]()
    kernel = capture(toy.module, *toy.inputs).kernel(synapse)
    weight = toy.module[int(synapse)].weight
    assert torch.equal(kernel.weight, weight)
    assert kernel.output_axis == axis
    if synapse == "5":
        assert kernel.gain is None
        return
    norm = toy.module[1]
    expected = norm.weight / (norm.running_var + norm.eps).sqrt()
    assert (
        kernel.gain.shape == tuple(-1 if i == axis else 1 for i in range(weight.dim()))
        or kernel.gain.dim() == weight.dim()
    )
    torch.testing.assert_close(kernel.gain.expand_as(weight).movedim(axis, 0).flatten(1)[:, 0], expected.detach())


def test_biases_are_zero_for_inputs_and_layers_without() -> None:
    toy = SINGLE["perceptron"]()
    biases = capture(toy.module, *toy.inputs).biases()
    assert torch.equal(biases["0"], toy.module[0].bias)
    assert not biases["input"].any()
    assert not biases["2"].any()


def test_the_graph_follows_the_module_as_it_trains() -> None:
    toy = SINGLE["convolution"]()
    graph, absolute = (g := capture(toy.module, *toy.inputs)), g.abs()
    graph @ graph.ones(), absolute @ absolute.ones()
    with torch.no_grad():
        for parameter in toy.module.parameters():
            parameter.mul_(-2)
    torch.testing.assert_close((graph @ graph.ones()).flatten(), dense_again(toy.module, *toy.inputs).sum(1))
    torch.testing.assert_close(
        (absolute @ graph.ones()).flatten(), matrix(capture(toy.module, *toy.inputs).abs()).sum(1)
    )


def dense_again(module: nn.Module, *inputs: Tensor) -> Tensor:
    return matrix(capture(copy.deepcopy(module), *inputs))


# --------------------------------------------------------------------------------------------------- matrices


def test_networkx_has_the_links_of_the_matrix() -> None:
    networkx = pytest.importorskip("networkx")
    toy = SINGLE["residual"]()
    graph = capture(toy.module, *toy.inputs)
    drawn = graph.to_networkx()
    assert isinstance(drawn, networkx.DiGraph)
    nodes = [(group.name, i) for group in graph.groups for i in range(group.n_neurons)]
    assert list(drawn.nodes) == nodes
    found = torch.from_numpy(networkx.to_numpy_array(drawn, nodelist=nodes)).T
    torch.testing.assert_close(found, dense(toy))
    assert networkx.is_directed_acyclic_graph(drawn)


def test_examples_of_any_batch_size_give_the_same_graph() -> None:
    toy = SINGLE["convolution"]()
    graphs = [capture(toy.module, torch.randn(n, 2, 4, 4, dtype=torch.float64)) for n in (1, 2, 5)]
    assert len({str(graph.groups) + str(graph.synapses) for graph in graphs}) == 1
    assert len({tuple((graph @ graph.ones()).flatten().tolist()) for graph in graphs}) == 1


def test_a_layer_by_itself() -> None:
    layer = nn.Linear(3, 2)
    graph = capture(layer, torch.zeros(1, 3))
    first, second = graph.groups
    assert (first.name, first.role, second.role) == ("input", "input", "output")
    assert second.name not in ("", "input")
    torch.testing.assert_close(graph.T.__matmul__(graph.ones())["input"], layer.weight.detach().sum(0))


# ------------------------------------------------------------------------------------------------- symmetries

small = st.tuples(st.integers(2, 5), st.integers(2, 5), st.integers(0, 2**16))


def perceptron(inputs: int, hidden: int, seed: int) -> nn.Sequential:
    return randomise(nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, 3)), seed)


@settings(max_examples=10)
@given(small, st.randoms(use_true_random=False))
def test_permuting_hidden_units_permutes_strengths(sizes: tuple[int, int, int], random: object) -> None:
    net = perceptron(*sizes)
    order = list(range(sizes[1]))
    random.shuffle(order)
    graph = capture(net, *zeros(sizes[0]))
    state = net.state_dict()
    moved = graph.at(
        {
            **state,
            "0.weight": state["0.weight"][order],
            "0.bias": state["0.bias"][order],
            "2.weight": state["2.weight"][:, order],
        }
    )
    for f in (
        lambda g: g @ g.ones(),
        lambda g: g.T @ g.ones(),
        lambda g: g.abs() @ g.ones(),
        lambda g: g.square().T @ g.ones(),
    ):
        before, after = f(graph), f(moved)
        torch.testing.assert_close(after["0"], before["0"][order])
        torch.testing.assert_close(after["input"], before["input"])
        torch.testing.assert_close(after["2"], before["2"])


@settings(max_examples=10)
@given(small, st.floats(-8, 8).filter(lambda c: abs(c) > 1e-3))
def test_scaling_weights_scales_strengths(sizes: tuple[int, int, int], c: float) -> None:
    net = perceptron(*sizes)
    graph = capture(net, *zeros(sizes[0]))
    scaled = graph.at({key: value * c for key, value in net.state_dict().items()})
    for name, factor in {"identity": c, "abs": abs(c), "square": c * c, "binary": 1.0}.items():
        one, other = (g if name == "identity" else getattr(g, name)() for g in (graph, scaled))
        torch.testing.assert_close((other @ other.ones()).flatten(), factor * (one @ one.ones()).flatten())
        torch.testing.assert_close((other.T @ other.ones()).flatten(), factor * (one.T @ one.ones()).flatten())
    assert set(MAPS) == {"identity", "abs", "square", "binary"}


# ---------------------------------------------------------------------------------------- LeNet and the big ones


class LeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.pool = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5), nn.MaxPool2d(2)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.relu(self.conv1(x)))
        x = torch.flatten(self.pool(F.relu(self.conv2(x))), 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def test_lenet_has_the_published_numbers() -> None:
    net = LeNet()
    rolled = capture(net, torch.zeros(1, 3, 32, 32)).channels()
    assert (rolled.n_nodes, rolled.n_links) == (239, 12_954)
    torch.testing.assert_close(rolled.blocks["conv2", "conv1"], net.conv2.weight.detach().norm(dim=(2, 3)))
    torch.testing.assert_close(rolled.blocks["fc1", "conv2"], net.fc1.weight.detach().view(120, 16, 25).norm(dim=2))
    nodes = capture(net, torch.zeros(1, 3, 32, 32), pooling="nodes")
    assert (nodes.n_neurons, nodes.n_links) == (11_166, 658_024)
    assert [bundle.n_links for bundle in nodes.wires] == [4_704, 1_600]
    assert [synapse.n_links for synapse in nodes.synapses] == [352_800, 240_000, 48_000, 10_080, 840]
    weights = nodes.abs() @ nodes.ones()
    pooled = [group.name for group in nodes.groups if group.shape in ((6, 14, 14), (16, 5, 5))]
    assert all(bool((weights[name] == 1).all()) for name in pooled), "1/4 from each of four"


def whole(net: nn.Module, *shape: int) -> NeuralGraph:
    """Capture, and what every graph must satisfy."""
    graph = capture(net, torch.zeros(1, *shape))
    assert {claim.parameter for claim in graph.coverage} >= {key for key, _ in net.named_parameters()}
    assert not [claim for claim in graph.coverage if claim.role == "unclaimed"]
    ones = graph.ones()
    forward, backward = graph.abs().products(ones, ones)
    assert abs(forward.sum() / backward.sum() - 1) < 1e-5
    assert all(bool(forward[g.name].any()) for g in graph.groups if g.role != "input")
    assert all(bool(backward[g.name].any()) for g in graph.groups if g.role != "output")
    return graph


@pytest.mark.parametrize(
    ("family", "options"), [(Mobile, {"width": 16}), (Dense, {"growth": 8, "layers": 6}), (UNet, {"width": 8})]
)
def test_families_at_size(family: type[nn.Module], options: dict[str, int]) -> None:
    whole(randomise(family(REAL, **options)).float(), family.shape[0], 32, 32)


@pytest.mark.parametrize(("depth", "synapses", "projections", "skips"), [(18, 21, 3, 5), (50, 54, 4, 12)])
def test_resnet(depth: int, synapses: int, projections: int, skips: int) -> None:
    """ResNet-18 has 20 convolutions and a head; of its 8 sums 3 have a projection. ResNet-50: 53, 16 and 4."""
    graph = whole(randomise(ResNet(depth, 10)).float(), 3, 64, 64)
    assert len(graph.synapses) == synapses
    assert len(graph.groups) == 1 + synapses - projections
    assert [wire.kind for wire in graph.wires] == ["skip"] * skips


def test_adjoint_of_a_resnet_block_in_single_precision() -> None:
    net = sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3)
    ).float()
    check_adjoint(capture(net, torch.zeros(1, 3, 16, 16)))
