"""What must hold for the adjacency operator of every graph, whatever network it was captured from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves

from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph

_TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.float16: 1e-2, torch.bfloat16: 8e-2}


def check_adjoint(graph: NeuralGraph, *, draws: int = 2, seed: int = 0) -> None:
    """Check that ``graph.T`` is the adjoint of ``graph``, for the graph itself and for its three mapped graphs.

    For random x and y the inner products agree, <A x, y> == <x, A' y>; all links leave as much as they enter,
    1' A 1 == 1' A' 1; and ``graph.products`` gives the same two products.

    Args:
        graph: The graph to check.
        draws: How many pairs (x, y) are drawn.
        seed: Seed of the draws.

    Raises:
        AssertionError: One of the identities does not hold; the message names it and the mapped graph.
    """
    generator, tolerance = torch.Generator().manual_seed(seed), _TOLERANCE[graph.dtype]
    for label, mapped in {"A": graph, "|A|": graph.abs(), "A*A": graph.square(), "1[A!=0]": graph.binary()}.items():
        pairs = [(_random(graph, generator), _random(graph, generator)) for _ in range(draws)]
        for x, y in [*pairs, (graph.ones(), graph.ones())]:
            forward, backward = mapped @ x, mapped.T @ y
            scale = max(forward.abs().dot(y.abs()), backward.abs().dot(x.abs()), 1.0)
            difference = abs(forward.dot(y) - backward.dot(x))
            assert difference <= tolerance * scale, (
                f"<A x, y> = {forward.dot(y)} but <x, A' y> = {backward.dot(x)} for {label}"
            )
            both = mapped.products(x, y)
            _close(both[0], forward, tolerance, f"products(x, y)[0] against A @ x for {label}")
            _close(both[1], backward, tolerance, f"products(x, y)[1] against A.T @ y for {label}")


def check_against_dense(graph: NeuralGraph, dense: Tensor) -> None:
    """Check every entry of the adjacency matrix, once from ``graph @`` and once from ``graph.T @`` unit vectors.

    Args:
        graph: The graph to check; its matrix has ``graph.n_neurons`` rows, so keep it small.
        dense: The expected matrix A[target, source], of shape (n_neurons, n_neurons): groups in the graph's order,
            neurons row-major inside a group.

    Raises:
        AssertionError: An entry differs; the message names the two neurons.
    """
    expected = dense.double()
    labels = [f"{group.name}[{i}]" for group in graph.groups for i in range(group.n_neurons)]
    assert expected.shape == (len(labels), len(labels)), (
        f"a matrix of {len(labels)} neurons, not {tuple(expected.shape)}"
    )
    for label, found in {"A": matrix(graph), "A.T": matrix(graph, transposed=True)}.items():
        wrong = ~torch.isclose(found, expected, rtol=_TOLERANCE[graph.dtype], atol=_TOLERANCE[graph.dtype])
        if wrong.any():
            target, source = (int(i) for i in wrong.nonzero()[0])
            raise AssertionError(
                f"{int(wrong.sum())} entries of {label} differ, the first: {labels[source]} -> {labels[target]} is "
                f"{float(found[target, source])!r}, expected {float(expected[target, source])!r}"
            )


def check_permutations(graph: NeuralGraph, module: nn.Module, *args: Any, draws: int = 2, seed: int = 0) -> None:
    """Check that a network computes the same after random exchanges of its neurons.

    Args:
        graph: The captured module.
        module: The module, in evaluation mode; it is not changed.
        args: What it is run on.
        draws: How many exchanges are drawn.
        seed: Seed of the first; the others follow.

    Raises:
        AssertionError: An output differs; the message says by how much of the largest entry.

    >>> from axonometry.program import capture
    >>> network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> check_permutations(capture(network, torch.zeros(1, 3)), network, torch.randn(5, 3))
    """
    from axonometry.program import permutations, permute

    found = permutations(graph)
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    with torch.no_grad():
        expected = _outputs(functional_call(module, state, args))
        for draw in range(seed, seed + draws):
            moved = _outputs(functional_call(module, permute(state, graph, found.random(draw)), args))
            for before, after in zip(expected, moved, strict=True):
                tolerance = _TOLERANCE[before.dtype] * max(float(before.abs().max()), 1e-6)
                difference = float((after - before).abs().max())
                assert difference <= tolerance, (
                    f"an exchange (seed {draw}) changes an output by {difference:.1e}, more than {tolerance:.1e}"
                )


def _outputs(result: Any) -> list[Tensor]:
    """The floating-point tensors of a result."""
    leaves = tree_leaves(result)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.numel()]


def matrix(graph: NeuralGraph, *, transposed: bool = False) -> Tensor:
    """The adjacency matrix A[target, source] in float64, assembled from one product a neuron.

    Args:
        graph: A small graph.
        transposed: Assemble the same matrix from ``graph.T @ y`` instead of ``graph @ x``.
    """
    if transposed:
        return _columns(lambda y: graph.T @ y, graph.zeros()).T
    return _columns(lambda x: graph @ x, graph.zeros())


def _columns(product: Callable[[NodeValues], NodeValues], zeros: NodeValues) -> Tensor:
    """The matrix whose columns are the products with the unit vectors."""
    columns = []
    for group, tensor in zeros.items():
        for i in range(tensor.numel()):
            unit = tensor.detach().clone()
            unit.view(-1)[i] = 1
            columns.append(product(NodeValues({**zeros, group: unit})).flatten().detach().double().cpu())
    return torch.stack(columns, dim=1)


def _random(graph: NeuralGraph, generator: torch.Generator) -> NodeValues:
    """Standard normal values on every neuron."""
    return graph.zeros().map(lambda t: torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t))


def _close(found: NodeValues, expected: NodeValues, tolerance: float, what: str) -> None:
    left, right = found.flatten().detach().double(), expected.flatten().detach().double()
    apart = float((left - right).abs().max())
    assert apart <= tolerance * max(1.0, float(right.abs().max())), f"{what}: {apart} apart"
