"""The map from input to output that a graph's links make, all paths together, against the Jacobian of a linear map."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from axonometry.metrics import neuron_strength
from axonometry.program import NeuralGraph, capture
from axonometry.program.ir import spans
from axonometry.testing import check_adjoint, matrix
from benchmarks.coverage.network import Net

Forward = Callable[[Any, Tensor], Tensor]


def network(function: Callable[..., Any], *, n: int = 3, m: int = 4, **parts: Any) -> Net:
    """A network of three linear layers and what else it is given, in float64."""
    torch.manual_seed(0)
    layers = {"a": nn.Linear(n, m), "b": nn.Linear(n, m), "o": nn.Linear(m, 2)}
    return Net(function, **{**layers, **parts}).double().eval()


def weight(*shape: int) -> nn.Parameter:
    """A parameter of random values."""
    return nn.Parameter(torch.randn(*shape, dtype=torch.float64) * 0.5)


def paths(graph: NeuralGraph, source: str, target: str) -> Tensor:
    """The sum over all paths of the product of their links: (1 - A)^-1."""
    links = matrix(graph)
    total = torch.linalg.inv(torch.eye(len(links), dtype=torch.float64) - links)
    places = spans(graph.groups)
    return total[places[target], places[source]]


def check_reading(
    net: nn.Module, x: Tensor, expected: Forward, live: Iterable[str] = (), **options: Any
) -> NeuralGraph:
    """That a network's links are those of a linear map, and that with data what is sent is what arrives.

    Args:
        net: A network whose output is the layer ``o``.
        x: Samples, in float64.
        expected: The linear map as which it is read, of the module and its input; up to constants.
        live: Groups whose neurons send all that the outputs receive but their biases.
        options: What the capture takes besides.
    """
    graph = capture(net, x, **options)
    check_adjoint(graph)
    one = x[:1]
    wanted = torch.func.jacrev(lambda value: expected(net, value))(one).reshape(-1, one.numel())
    torch.testing.assert_close(paths(graph, "input", "o"), wanted)
    if live:
        sent = neuron_strength(graph, x, "out").mean
        outputs = net(x)
        bias: Tensor = net.o.bias.sum() * (outputs[0].numel() // net.o.bias.numel())  # type: ignore[union-attr, operator]
        arrived = outputs.sum() / len(x) - bias
        torch.testing.assert_close(sum(sent[name].sum() for name in live), arrived.detach())
    return graph
