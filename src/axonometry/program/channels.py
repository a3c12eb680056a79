"""The channel graph: one node a channel, a link is the L2 norm of the weights between two channels.

This is the *rolled* graph of Vahedian et al. 2021 (2111.05410, section 3): for a convolution ``||K[o, c]||_2`` over the
kernel's taps, for a linear layer ``|W|``, behind a flatten the norm over the positions of each channel. Pooling,
activations and biases do not enter. [our choice] Batch norm is folded first, and a skip links each channel to itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from axonometry.arguments import argument_errors
from axonometry.program.ir import Group
from axonometry.program.links import Map, absolute, presence, square
from axonometry.program.networkx_graphs import block_matrix, networkx_graph
from axonometry.program.operators import Product, checked, checked_map, filled
from axonometry.values import NodeValues

if TYPE_CHECKING:
    import networkx


@argument_errors
@dataclass(frozen=True)
class ChannelGraph:
    """A small dense graph of channels; multiplies like a :class:`NeuralGraph`.

    Attributes:
        groups: The neuron groups, each reduced to its channels: shape (channels,).
        blocks: By (target group, source group), a matrix of shape (target channels, source channels), without
            negative entries where links are norms.

    >>> from axonometry.testing import graph_of
    >>> channels = graph_of([[1.0, -3.0], [2.0, 0.5]]).channels()
    >>> channels.blocks["0", "input"], (channels @ channels.ones())["0"]
    (tensor([[1.0000, 3.0000],
            [2.0000, 0.5000]]), tensor([4.0000, 2.5000]))
    """

    groups: tuple[Group, ...]
    blocks: Mapping[tuple[str, str], Tensor]
    dense_up_to: ClassVar[int] = 2048

    @property
    def n_nodes(self) -> int:
        """Number of channels."""
        return sum(group.n_neurons for group in self.groups)

    @property
    def n_links(self) -> int:
        """Number of pairs of channels with a weight other than zero between them."""
        return sum(int((block != 0).sum()) for block in self.blocks.values())

    @property
    def program(self) -> None:
        """None: the blocks are all that there is."""
        return

    @property
    def n_neurons(self) -> int:
        """Number of channels; the name that all graphs share."""
        return self.n_nodes

    @property
    def dtype(self) -> torch.dtype:
        """The blocks' type."""
        return next(iter(self.blocks.values())).dtype

    @property
    def device(self) -> torch.device:
        """Where the blocks are."""
        return next(iter(self.blocks.values())).device

    def channels(self) -> ChannelGraph:
        """Itself; the name that graphs of a network share."""
        return self

    def ones(self) -> NodeValues:
        """One for every channel."""
        return filled(self.groups, 1.0, self.dtype, self.device)

    def zeros(self) -> NodeValues:
        """Zero for every channel."""
        return filled(self.groups, 0.0, self.dtype, self.device)

    def map(self, f: Map) -> ChannelGraph:
        """The graph with a function of every link's weight.

        Args:
            f: Takes a tensor and gives one of its shape, with f(0) = 0.

        Raises:
            ConfigurationError: The function is none of these.
        """
        return self._mapped(checked_map(f, of_products=False))

    def abs(self) -> ChannelGraph:
        """The graph with the absolute value of every link; norms stay as they are."""
        return self._mapped(absolute)

    def square(self) -> ChannelGraph:
        """The graph with the square of every link."""
        return self._mapped(square)

    def binary(self) -> ChannelGraph:
        """The graph with weight 1 for every link that is not zero."""
        return self._mapped(presence)

    def _mapped(self, f: Map) -> ChannelGraph:
        return ChannelGraph(self.groups, {key: f(block) for key, block in self.blocks.items()})

    @property
    def T(self) -> ChannelGraph:  # noqa: N802
        """All links turned round."""
        return ChannelGraph(self.groups, {(s, t): block.T for (t, s), block in self.blocks.items()})

    def __matmul__(self, x: Mapping[str, Tensor]) -> NodeValues:
        """What every channel receives."""
        checked(self.groups, x, "Start from channels.ones()")
        received = dict(self.zeros())
        for (target, source), block in self.blocks.items():
            received[target] = received[target] + block @ x[source].to(block)
        return NodeValues(received)

    def products(self, x: Mapping[str, Tensor], y: Mapping[str, Tensor]) -> tuple[NodeValues, NodeValues]:
        """``(A @ x, A.T @ y)``."""
        return self @ x, self.T @ y

    def strengths(self) -> tuple[NodeValues, NodeValues]:
        """Row and column sums of the blocks, accumulated in float64."""
        received, sent = ({name: value.double() for name, value in self.zeros().items()} for _ in range(2))
        for (target, source), block in self.blocks.items():
            received[target] += block.sum(1, dtype=torch.float64)
            sent[source] += block.sum(0, dtype=torch.float64)
        return NodeValues(received), NodeValues(sent)

    def repeated(self) -> tuple[Product, Product]:
        """``A @ x`` and ``A.T @ y`` in float64, as functions for many products."""
        wide = ChannelGraph(self.groups, {key: block.double() for key, block in self.blocks.items()})
        return wide.__matmul__, wide.T.__matmul__

    def dense(self) -> Tensor:
        """The whole matrix ``A[target, source]``, channels in the order of ``NodeValues.flatten``."""
        sizes = {group.name: group.n_neurons for group in self.groups}
        zeros = torch.zeros(0, dtype=self.dtype, device=self.device)
        rows = [
            torch.cat([self.blocks.get((t, s), zeros.new_zeros(sizes[t], sizes[s])) for s in sizes], dim=1)
            for t in sizes
        ]
        return torch.cat(rows)

    def to_networkx(self) -> networkx.DiGraph[Any]:
        """A directed graph whose nodes are pairs (group, channel), with the attributes that neurons have.

        Raises:
            MissingExtraError: If networkx is not installed.
        """
        return networkx_graph(self, block_matrix(self.groups, self.blocks))
