"""A graph with all its links turned round, made of the graph itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from axonometry.program.ir import Group, Program
from axonometry.program.links import Map
from axonometry.program.operators import DENSE_UP_TO, Product
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program.operators import CapturedGraph

    G = TypeVar("G", bound=CapturedGraph)
else:  # where types are checked at run time, a protocol's properties would be computed to look for them
    G = TypeVar("G")


class Transposed(Generic[G]):
    """A graph with all its links turned round; made by ``graph.T``."""

    dense_up_to: ClassVar[int] = DENSE_UP_TO

    def __init__(self, graph: G) -> None:
        self._graph = graph

    @property
    def T(self) -> G:  # noqa: N802
        """The graph itself."""
        return self._graph

    @property
    def program(self) -> Program:
        """The captured network without its weights."""
        return self._graph.program

    @property
    def groups(self) -> tuple[Group, ...]:
        """Neuron groups in the order of computation, inputs first."""
        return self._graph.groups

    @property
    def n_neurons(self) -> int:
        """Number of neurons in all groups."""
        return self._graph.n_neurons

    @property
    def n_links(self) -> int:
        """Number of links."""
        return self._graph.n_links

    @property
    def dtype(self) -> torch.dtype:
        """The type that products are computed in."""
        return self._graph.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._graph.device

    def ones(self) -> NodeValues:
        """One for every neuron."""
        return self._graph.ones()

    def zeros(self) -> NodeValues:
        """Zero for every neuron."""
        return self._graph.zeros()

    def __matmul__(self, y: Mapping[str, Tensor]) -> NodeValues:
        """What every neuron sends: the weighted sum over the neurons that it links to."""
        return self._graph.sent(y)

    def products(self, x: Mapping[str, Tensor], y: Mapping[str, Tensor]) -> tuple[NodeValues, NodeValues]:
        """``(A.T @ x, A @ y)``."""
        return self @ x, self._graph @ y

    def strengths(self) -> tuple[NodeValues, NodeValues]:
        """``(A.T @ 1, A @ 1)``."""
        return self._graph.strengths()[::-1]

    def repeated(self) -> tuple[Product, Product]:
        """The two products as functions, the transposed one first."""
        return self._graph.repeated()[::-1]

    def dense(self) -> Tensor:
        """The whole matrix, transposed."""
        return self._graph.dense().T

    def map(self, f: Map) -> Transposed[G]:
        """The same graph with a function of every link's weight; see :meth:`axonometry.NeuralGraph.map`."""
        return Transposed(self._graph.map(f))

    def abs(self) -> Transposed[G]:
        """The same graph with the absolute value of every link's weight."""
        return Transposed(self._graph.abs())

    def square(self) -> Transposed[G]:
        """The same graph with the square of every link's weight."""
        return Transposed(self._graph.square())

    def binary(self) -> Transposed[G]:
        """The same graph with weight 1 for every link whose weight is not zero."""
        return Transposed(self._graph.binary())
