"""Products with |A| on flat vectors, as solvers want them: neurons in the order of ``NodeValues.flatten``.

Neuron graphs are multiplied by reading the program, in the graph's own type; channel graphs, and neuron graphs of a few
neurons, as small matrices in float64.

Worked: three neurons, a → b with the weight -2 and b → c with 3. |A| has the rows of targets, 0 0 0 | 2 0 0 | 0 3 0:
``forward`` of 1 1 1 is what each receives, 0 2 3; ``backward`` is what each sends, 2 3 0; their sum 2 5 3 the degrees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from axonometry.metrics.components import reached
from axonometry.metrics.lanczos import Vector
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program.operators import CapturedGraph, LinearGraph

FEW = 64
"""Up to so many neurons a matrix is built and decomposed as a whole."""


@dataclass(frozen=True)
class Flat:
    """|A| as two functions of flat vectors.

    Attributes:
        shapes: Shape of each group, in order.
        dtype: Type in which products are computed.
        device: Where they are.
        forward: ``|A| x``.
        backward: ``|A|' x``.
        graph: The neuron graph, where there is one.
        matrix: |A| itself where it is small.
    """

    shapes: Mapping[str, tuple[int, ...]]
    dtype: torch.dtype
    device: torch.device
    forward: Callable[[Vector], Vector]
    backward: Callable[[Vector], Vector]
    graph: CapturedGraph | None = None
    matrix: Vector | None = None

    @property
    def size(self) -> int:
        """Number of nodes."""
        return sum(torch.Size(shape).numel() for shape in self.shapes.values())

    @property
    def kind(self) -> np.dtype[Any]:
        """Numpy's name for the type."""
        return np.dtype(np.float64 if self.dtype == torch.float64 else np.float32)

    def symmetric(self, x: Vector) -> Vector:
        """``(|A| + |A|') x``."""
        return self.forward(x) + self.backward(x)

    def whole(self, x: Vector) -> NodeValues:
        """One tensor a group."""
        return _split(x, self.shapes, self.dtype, self.device)

    def flat(self, values: Mapping[str, Tensor]) -> Vector:
        """The values as a vector, in the order of the groups."""
        vector = torch.cat([values[name].detach().reshape(-1).to(self.dtype) for name in self.shapes])
        return vector.cpu().numpy()

    def doubled(self) -> Flat:
        """Every node twice, as one that receives and one that sends: ``[[0, |A|], [0, 0]]``, receivers first.

        Its symmetric product's leading eigenvector holds the leading singular vectors of |A|: [[0, A], [A', 0]] maps
        (u, v) to (A v, A' u), which is σ (u, v) exactly where u and v are singular vectors.
        """
        n = self.size
        shapes = {f"{side} {name}": shape for side in ("receives", "sends") for name, shape in self.shapes.items()}

        def forward(x: Vector) -> Vector:
            return np.concatenate([self.forward(x[n:]), np.zeros(n, x.dtype)])

        def backward(x: Vector) -> Vector:
            return np.concatenate([np.zeros(n, x.dtype), self.backward(x[:n])])

        return Flat(shapes, self.dtype, self.device, forward, backward)

    def reach(self, node: int) -> tuple[NDArray[np.bool_], float]:
        """The nodes that links connect to this one, and how many symmetric products it took to find them."""
        marks = np.zeros(self.size, self.kind)
        marks[node] = 1
        if self.graph is not None and self.matrix is None:
            found, passes = reached(self.graph, self.whole(marks))
            return self.flat(found) > 0, passes / 2
        # 0 1 0 of the chain a → b → c becomes 1 1 1 after one product: links count in both directions.
        steps, count = 0, 0
        while count < (count := int(marks.sum())):
            marks = np.maximum(marks, self.symmetric(marks) > 0)
            steps += 1
        return marks > 0, float(steps)


def absolute_links(graph: LinearGraph) -> Flat:
    """|A| of a graph, ready to be multiplied often.

    >>> from axonometry.testing import graph_of
    >>> links = absolute_links(graph_of([[1.0, -3.0]]))
    >>> links.forward(np.array([1.0, 1.0, 0.0])), links.backward(np.array([0.0, 0.0, 1.0]))
    (array([0., 0., 4.]), array([1., 3., 0.]))
    """
    shapes, size = {group.name: group.shape for group in graph.groups}, graph.n_neurons
    links = graph.abs()
    if size <= graph.dense_up_to:
        return _dense(links.dense().double().cpu().numpy(), shapes, graph.device)
    # a graph that is read from its network has its own type; one of matrices is multiplied in float64
    found = _by_graph(*links.repeated(), shapes, graph.dtype if graph.program else torch.float64, graph.device)
    return replace(found, graph=cast("CapturedGraph", graph)) if graph.program else found


def _dense(matrix: Vector, shapes: Mapping[str, tuple[int, ...]], device: torch.device) -> Flat:
    turned = np.ascontiguousarray(matrix.T)
    return Flat(shapes, torch.float64, device, lambda x: matrix @ x, lambda x: turned @ x, matrix=matrix)


def _by_graph(
    forward: Callable[[NodeValues], NodeValues],
    backward: Callable[[NodeValues], NodeValues],
    shapes: Mapping[str, tuple[int, ...]],
    dtype: torch.dtype,
    device: torch.device,
) -> Flat:
    def flat(product: Callable[[NodeValues], NodeValues]) -> Callable[[Vector], Vector]:
        return lambda x: product(_split(x, shapes, dtype, device)).flatten().cpu().numpy()

    return Flat(shapes, dtype, device, flat(forward), flat(backward))


def _split(x: Vector, shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype, device: torch.device) -> NodeValues:
    vector = torch.from_numpy(np.ascontiguousarray(x)).to(device, dtype)
    parts = vector.split([torch.Size(shape).numel() for shape in shapes.values()])
    return NodeValues({name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)})
