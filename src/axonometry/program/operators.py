"""What all graphs have in common: they are linear operators on a value per node.

A measure that takes a :class:`LinearGraph` is written once, for the neurons of a network, for its channels and for the
transpose of either::

    def strengths_of_neurons(graph: LinearGraph) -> NodeValues:
        return graph.abs() @ graph.ones()

The protocol is all that such a measure may use. What needs the network behind the graph (its program, its kernels)
takes a :class:`CapturedGraph`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from torch import Tensor, nn

from axonometry.errors import ConfigurationError, ValuesError
from axonometry.program.ir import Group, Kernel, Program, Statics, Synapse, Wire
from axonometry.program.links import Links, Map
from axonometry.values import NodeValues

Product = Callable[[NodeValues], NodeValues]
Same = TypeVar("Same")
DENSE_UP_TO = 64
"""Neurons up to which the matrix of a captured graph multiplies faster than the graph does."""


class LinearGraph(Protocol):
    """A weighted directed graph as a linear operator ``A[target, source]`` on a value for every node."""

    dense_up_to: ClassVar[int]
    """Nodes up to which the matrix itself multiplies faster than the graph does."""

    @property
    def program(self) -> Program | None:
        """The network that the graph is read from anew at each product; None for a graph of matrices."""

    @property
    def groups(self) -> tuple[Group, ...]:
        """Groups of nodes, in the order of ``NodeValues.flatten``."""

    @property
    def n_neurons(self) -> int:
        """Number of nodes."""

    @property
    def n_links(self) -> int:
        """Number of links."""

    @property
    def dtype(self) -> torch.dtype:
        """The type that products are computed in."""

    @property
    def device(self) -> torch.device:
        """Where they are computed."""

    @property
    def T(self) -> LinearGraph:  # noqa: N802
        """All links turned round."""

    def ones(self) -> NodeValues:
        """One for every node."""

    def zeros(self) -> NodeValues:
        """Zero for every node."""

    def __matmul__(self, x: Mapping[str, Tensor], /) -> NodeValues:
        """What every node receives: the weighted sum over the nodes that link to it."""

    def products(self, x: Mapping[str, Tensor], y: Mapping[str, Tensor]) -> tuple[NodeValues, NodeValues]:
        """``(A @ x, A.T @ y)``."""

    def strengths(self) -> tuple[NodeValues, NodeValues]:
        """``(A @ 1, A.T @ 1)``."""

    def repeated(self) -> tuple[Product, Product]:
        """``A @ x`` and ``A.T @ y`` as functions that are made to be called often with the same weights."""

    def dense(self) -> Tensor:
        """The whole matrix ``A[target, source]``."""

    def map(self: Same, f: Map) -> Same:
        """The same graph with a function of every link's weight."""

    def abs(self: Same) -> Same:
        """The same graph with the absolute value of every link's weight."""

    def square(self: Same) -> Same:
        """The same graph with the square of every link's weight."""

    def binary(self: Same) -> Same:
        """The same graph with weight 1 for every link whose weight is not zero."""


class CapturedGraph(LinearGraph, Protocol):
    """A graph with the network behind it: what readings, matrices and channels need of it."""

    @property
    def program(self) -> Program:
        """The captured network without its weights."""

    @property
    def module(self) -> nn.Module | None:
        """The module whose weights are read; None of stored weights."""

    @property
    def state(self) -> Mapping[str, Tensor]:
        """Parameters and buffers by state-dict name."""

    @property
    def maps(self) -> tuple[Map, ...]:
        """What is done to every coefficient."""

    @property
    def weights(self) -> Statics:
        """By node of the program, what does not depend on the input."""

    @property
    def links(self) -> Links:
        """What readings pass coefficients through."""

    @property
    def synapses(self) -> tuple[Synapse, ...]:
        """Parametric linear maps, in the order of computation."""

    @property
    def wires(self) -> tuple[Wire, ...]:
        """Links without a parameter that end in a group."""

    def sent(self, y: Mapping[str, Tensor]) -> NodeValues:
        """``A.T @ y``."""

    def kernel(self, synapse: str) -> Kernel:
        """The weights of a synapse."""

    def from_group(self, source: str, values: Tensor) -> dict[str, Tensor]:
        """What every group receives when one group alone sends."""


def filled(groups: Iterable[Group], value: float, dtype: torch.dtype, device: torch.device) -> NodeValues:
    """One value for every node."""
    return NodeValues({g.name: torch.full(g.shape, value, dtype=dtype, device=device) for g in groups})


def checked(groups: tuple[Group, ...], values: Any, remedy: str) -> Mapping[str, Tensor]:
    """The values, if there is one of the right shape for every node.

    Raises:
        ValuesError: There is not, or there are values for groups that do not exist.
    """
    if not isinstance(values, Mapping):
        raise ValuesError(
            "a graph is multiplied with a value for every neuron, a mapping from group to tensor",
            type(values).__name__,
            remedy,
        )
    unknown = set(values) - {group.name for group in groups}
    if unknown:
        raise ValuesError(
            "values are given by the names of neuron groups",
            ", ".join(sorted(map(repr, unknown))),
            f"The groups are: {', '.join(group.name for group in groups)}",
        )
    for group in groups:
        if group.name not in values:
            raise ValuesError("every group needs a value", f"none for {group.name!r}", remedy)
        if tuple(values[group.name].shape) != group.shape:
            raise ValuesError(
                f"values of group {group.name!r} have the shape {group.shape}",
                str(tuple(values[group.name].shape)),
                "Leave the batch axis out",
            )
    return values


def checked_map(f: Map, *, of_products: bool) -> Map:
    """A function of weights, if a graph can be mapped with it.

    A link that is missing has weight 0 and must stay missing, so that f(0) = 0. The weight of a link of a network is a
    product of coefficients (a kernel's entry, a folded gain, the share of a pooling window), each of which is mapped,
    so that besides f(ab) = f(a) f(b): |w|, its powers and its presence are such functions, tanh and a threshold are
    none.

    Args:
        f: Takes a tensor and gives one of its shape.
        of_products: Whether weights are mapped by their factors.

    Raises:
        ConfigurationError: The function is none of these.
    """
    # many sizes, so that a threshold parts some pair of factors from their product
    probe = torch.tensor([0.0, 1.0, -1.0, 0.5, -3.0, 7.0, 1e-4, -2e-3, 0.02, 60.0, 5e3], dtype=torch.float64)
    mapped = f(probe)
    if not isinstance(mapped, Tensor) or mapped.shape != probe.shape:
        came = f"a {type(mapped).__name__}" + (f" of shape {tuple(mapped.shape)}" if isinstance(mapped, Tensor) else "")
        raise ConfigurationError("a map takes a tensor of weights and gives one of its shape", came, "Return a tensor")
    if mapped[0] != 0:
        rule = "a map leaves links of weight 0 at 0"
        raise ConfigurationError(rule, f"f(0) = {float(mapped[0])}", "Multiply with (w != 0)")
    together, apart = f(probe[:, None] * probe), mapped[:, None] * mapped
    if of_products and not torch.allclose(together.to(apart), apart, rtol=1e-6, atol=0.0):
        place = int((together - apart).abs().argmax())
        a, b = float(probe[place // len(probe)]), float(probe[place % len(probe)])
        raise ConfigurationError(
            "a link's weight is a product of coefficients, so that a map has f(ab) = f(a) f(b)",
            f"f({a:g} * {b:g}) = {float(together.flatten()[place]):g}, not {float(apart.flatten()[place]):g}",
            "Map the channel graph, graph.channels().map(f), or the weights of one synapse, graph.kernel(name)",
        )

    def of_any(coefficient: Any) -> Any:
        """Of numbers as of tensors."""
        if isinstance(coefficient, Tensor):
            return f(coefficient)
        return float(f(torch.tensor(coefficient, dtype=torch.float64)))

    return of_any
