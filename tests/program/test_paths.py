"""A second oracle that knows nothing of groups and links: the linear map from end to end.

Replace activations by the identity and max-pooling by the mean, and a network is affine. Its derivative is the sum
over all paths from input to output of the product of the links' weights, sum_k A^k = (I - A)^-1, whatever the groups
are; and its value is the same sum applied to inputs and biases.
"""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor, nn

from axonometry.program import NeuralGraph, capture
from axonometry.program.transposed import Transposed
from axonometry.testing import check_adjoint, matrix, randomise
from axonometry.values import NodeValues

from .networks import REAL, TWIN, Dense, Mobile, Perceptron, Plain, Preactivation, Residual
from .networks_more import Broadcast, Inception, LayerScale, Mixer, Shuffle, UNet

FAMILIES = (
    Perceptron,
    Plain,
    Residual,
    Preactivation,
    Dense,
    Mobile,
    UNet,
    Shuffle,
    Inception,
    LayerScale,
    Mixer,
    Broadcast,
)


@functools.cache
def twins(family: type[nn.Module]) -> tuple[nn.Module, nn.Module, tuple[int, ...]]:
    """The network and its linear twin with the same weights."""
    real, twin = randomise(family(REAL)), randomise(family(TWIN))
    twin.load_state_dict(real.state_dict())
    return real, twin, family.shape


@functools.cache
def graph_of(family: type[nn.Module], pooling: str = "mean") -> NeuralGraph:
    return capture(twins(family)[0], torch.zeros(1, *family.shape, dtype=torch.float64), pooling=pooling)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected.detach(), rtol=1e-8, atol=1e-8 * float(expected.detach().abs().max()))


def propagate(operator: NeuralGraph | Transposed[NeuralGraph], x: NodeValues) -> NodeValues:
    """sum_k A^k x, which ends because links lead to later groups only."""
    total = x
    for _ in x:
        x = operator @ x
        total = total + x
        if not any(bool(tensor.any()) for tensor in x.values()):
            return total
    raise AssertionError("the graph has a cycle")


def the_output(graph: NeuralGraph) -> str:
    (name,) = [group.name for group in graph.groups if group.role == "output"]
    return name


POOLED = [(family, "nodes") for family in (Plain, Residual, UNet, Inception)]


@pytest.mark.parametrize(("family", "pooling"), [*((family, "mean") for family in FAMILIES), *POOLED])
def test_the_paths_of_the_graph_add_up_to_the_derivative(family: type[nn.Module], pooling: str) -> None:
    _, twin, shape = twins(family)
    x, v = torch.randn(2, 1, *shape, dtype=torch.float64)
    graph = graph_of(family, pooling)
    output, derivative = torch.func.vjp(twin, x)
    u = torch.randn_like(output)
    forward = propagate(graph, NodeValues({**graph.zeros(), "input": v[0]}))[the_output(graph)]
    close(forward, twin(x + v)[0] - output[0])
    close(propagate(graph.T, NodeValues({**graph.zeros(), the_output(graph): u[0]}))["input"], derivative(u)[0][0])


@pytest.mark.parametrize("family", [Perceptron, LayerScale, Mixer])
def test_the_resolvent_is_the_jacobian(family: type[nn.Module]) -> None:
    """The same, entry by entry: (I - A)^-1 between input and output."""
    _, twin, shape = twins(family)
    x = torch.randn(1, *shape, dtype=torch.float64)
    graph = graph_of(family)
    A = matrix(graph)
    roles = [group.role for group in graph.groups for _ in range(group.n_neurons)]
    outputs, inputs = ([i for i, role in enumerate(roles) if role == wanted] for wanted in ("output", "input"))
    paths = torch.linalg.inv(torch.eye(len(A), dtype=A.dtype) - A)[outputs][:, inputs]
    close(paths, torch.autograd.functional.jacobian(twin, x).reshape(paths.shape))


@pytest.mark.parametrize("family", FAMILIES)
def test_biases_are_the_constant_terms_of_the_pre_activations(family: type[nn.Module]) -> None:
    _, twin, shape = twins(family)
    x = torch.randn(1, *shape, dtype=torch.float64)
    graph = graph_of(family)
    fields = propagate(graph, graph.biases() + NodeValues({**graph.zeros(), "input": x[0]}))
    close(fields[the_output(graph)], twin(x)[0])
    assert not graph.biases()["input"].any()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_family_is_whole(family: type[nn.Module]) -> None:
    graph = graph_of(family)
    assert {claim.parameter for claim in graph.coverage} >= {key for key, _ in twins(family)[0].named_parameters()}
    assert not [claim for claim in graph.coverage if claim.role == "unclaimed"]
    check_adjoint(graph, draws=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_group_is_on_a_path_from_input_to_output(family: type[nn.Module]) -> None:
    """No group is cut off, so strengths cannot be silently zero."""
    graph = graph_of(family)
    for direction, end in {"in": "input", "out": "output"}.items():
        mapped = graph.abs() if direction == "in" else graph.abs().T
        strength = mapped @ graph.ones()
        silent = [group.name for group in graph.groups if group.role != end and not strength[group.name].any()]
        assert not silent, f"{direction}-strength of {silent}"


@pytest.mark.parametrize("family", [Plain, Residual, Preactivation, Mobile])
def test_the_twin_is_the_same_graph(family: type[nn.Module]) -> None:
    """Identity instead of ReLU, average pooling instead of max-pooling: these graphs do not see the difference."""
    one, other = graph_of(family), capture(twins(family)[1], torch.zeros(1, *family.shape, dtype=torch.float64))
    assert [(g.name, g.shape, g.role) for g in one.groups] == [(g.name, g.shape, g.role) for g in other.groups]
    assert one.n_links == other.n_links
    close((one.abs() @ one.ones()).flatten(), (other.abs() @ other.ones()).flatten())
