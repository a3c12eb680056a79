"""Weights of every floating type, on every device there is."""

from __future__ import annotations

import copy

import pytest
import torch

from axonometry.program import NeuralGraph, capture
from axonometry.testing import MAPS, Toy, check_adjoint, check_against_dense, dense

from .cases import SINGLE, mapped, order, side_by_side

TYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
NAMES = (
    "perceptron convolution residual gate batch_norm_after_linear batch_norm_after_transposed conv1d_reflect "
    "conv2d_everything conv_transpose2d_output_padding conv3d max_pool1d_everything avg_pool2d_excluding "
    "adaptive_avg_pool2d upsample_bilinear layer_norm group_norm rms_norm_by_hand squeeze_and_excitation called_twice "
    "pad_circular mean_of_positions learned_scale"
).split()


TOLERANCE = {
    torch.float64: 1e-10,
    torch.float32: 1e-5,
    torch.bfloat16: 1e-5,
    torch.float16: 1e-5,
}  # products are in float32 at least


def agree(graph: NeuralGraph, A: torch.Tensor, tolerance: float) -> None:
    """In-strength and out-strength against the matrix in float64 of exact weights."""
    for found, expected in ((graph @ graph.ones(), A.sum(1)), (graph.T @ graph.ones(), A.sum(0))):
        torch.testing.assert_close(
            found.flatten().double().cpu(), expected, rtol=tolerance, atol=tolerance * float(A.abs().sum(1).max())
        )


def in_type(name: str, dtype: torch.dtype, device: str = "cpu") -> tuple[Toy, NeuralGraph]:
    """A toy, captured in another type, in which its weights are exact."""
    toy = side_by_side("all", [SINGLE[part]() for part in NAMES]) if name == "all" else SINGLE[name]()
    module = copy.deepcopy(toy.module).to(device=device, dtype=dtype)
    inputs = [x.to(device=device, dtype=dtype) for x in toy.inputs]
    return toy, capture(module, *inputs, pooling=toy.pooling)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_matrix_in_another_type(dtype: torch.dtype) -> None:
    toy, graph = in_type("all", dtype)
    assert graph.dtype in (dtype, torch.float32)
    assert all(tensor.dtype == graph.dtype for tensor in (graph @ graph.ones()).values())
    assert graph.state.keys() >= set(dict(toy.module.named_parameters()))
    for weights, f in MAPS.items():
        agree(mapped(graph, weights), dense(toy, f, order(toy, graph)), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_adjoint_and_biases_in_another_type(dtype: torch.dtype) -> None:
    toy, graph = in_type("convolution", dtype)
    check_adjoint(graph)
    norm, layer = toy.module[1], toy.module[0]
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    expected = (layer.bias - norm.running_mean) * gain + norm.bias
    found = graph.biases()["0"]
    assert found.dtype == graph.dtype
    torch.testing.assert_close(found.double(), expected.detach()[:, None, None].expand(3, 4, 4), rtol=1e-5, atol=1e-5)


def test_values_of_another_type_are_welcome() -> None:
    _, graph = in_type("perceptron", torch.float32)
    ones = graph.ones().map(torch.Tensor.double)
    assert torch.equal((graph @ ones).flatten(), (graph @ graph.ones()).flatten())
    integers = graph.ones().map(torch.Tensor.long)
    assert torch.equal((graph.T @ integers).flatten(), (graph.T @ graph.ones()).flatten())


def test_layers_of_different_types() -> None:
    """A float16 trunk with a float32 head, cast between them."""

    class Mixed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.head = torch.nn.Linear(3, 4).half(), torch.nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.relu(self.trunk(x.half())).float())

    net = Mixed()
    graph = capture(net, torch.zeros(1, 3))
    expected = torch.zeros(9, 9)
    expected[3:7, :3], expected[7:, 3:7] = net.trunk.weight.detach().float(), net.head.weight.detach()
    check_against_dense(graph, expected)


def test_a_snapshot_of_another_type() -> None:
    """Weights saved in half precision are read into a network captured in single precision."""
    toy, graph = in_type("convolution", torch.float32)
    half = copy.deepcopy(toy.module).half()
    expected = dense(toy)
    moved = graph.at(half.state_dict())
    torch.testing.assert_close((moved @ moved.ones()).flatten().double(), expected.sum(1), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_matrix_on_the_gpu(dtype: torch.dtype) -> None:
    toy, graph = in_type("all", dtype, "cuda")
    assert graph.device.type == "cuda"
    assert all(tensor.is_cuda for tensor in (graph.T @ graph.ones()).values())
    for weights, f in MAPS.items():
        agree(mapped(graph, weights), dense(toy, f, order(toy, graph)), TOLERANCE[dtype])
    check_adjoint(graph)
    assert graph.to_scipy().shape == (graph.n_neurons, graph.n_neurons)
