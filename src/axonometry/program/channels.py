"""The channel graph: one node a channel, a link is the L2 norm of the weights between two channels.

This is the *rolled* graph of Vahedian et al. 2021 (2111.05410, section 3): for a convolution ``||K[o, c]||_2`` over the
kernel's taps, for a linear layer ``|W|``, behind a flatten the norm over the positions of each channel. Pooling,
activations and biases do not enter. [our choice] Batch norm is folded first, and a skip links each channel to itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from axonometry.errors import MissingExtraError, ValuesError
from axonometry.program.description import Group
from axonometry.values import NodeValues

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True)
class ChannelGraph:
    """A small dense graph of channels; multiplies like a :class:`NeuralGraph`.

    Attributes:
        groups: The neuron groups, each reduced to its channels: shape (channels,).
        blocks: By (target group, source group), a matrix of shape (target channels, source channels), without
            negative entries where links are norms.
    """

    groups: tuple[Group, ...]
    blocks: Mapping[tuple[str, str], Tensor]

    @property
    def n_nodes(self) -> int:
        """Number of channels."""
        return sum(group.n_neurons for group in self.groups)

    @property
    def n_links(self) -> int:
        """Number of pairs of channels with a weight other than zero between them."""
        return sum(int((block != 0).sum()) for block in self.blocks.values())

    def ones(self) -> NodeValues:
        """One for every channel."""
        return NodeValues({g.name: torch.ones(g.shape, dtype=self._dtype, device=self._device) for g in self.groups})

    def zeros(self) -> NodeValues:
        """Zero for every channel."""
        return self.ones() * 0.0

    def abs(self) -> ChannelGraph:
        """The graph with the absolute value of every link; norms stay as they are."""
        return ChannelGraph(self.groups, {key: block.abs() for key, block in self.blocks.items()})

    @property
    def T(self) -> ChannelGraph:  # noqa: N802
        """All links turned round."""
        return ChannelGraph(self.groups, {(s, t): block.T for (t, s), block in self.blocks.items()})

    def __matmul__(self, x: Mapping[str, Tensor]) -> NodeValues:
        """What every channel receives."""
        for group in self.groups:
            if group.name not in x or tuple(x[group.name].shape) != group.shape:
                raise ValuesError(
                    f"values of group {group.name!r} have the shape {group.shape}",
                    str(tuple(x[group.name].shape)) if group.name in x else "none",
                    "Start from channels.ones()",
                )
        received = dict(self.zeros())
        for (target, source), block in self.blocks.items():
            received[target] = received[target] + block @ x[source].to(block)
        return NodeValues(received)

    def products(self, x: Mapping[str, Tensor], y: Mapping[str, Tensor]) -> tuple[NodeValues, NodeValues]:
        """``(A @ x, A.T @ y)``."""
        return self @ x, self.T @ y

    def dense(self) -> Tensor:
        """The whole matrix ``A[target, source]``, channels in the order of ``NodeValues.flatten``."""
        sizes = {group.name: group.n_neurons for group in self.groups}
        zeros = torch.zeros(0, dtype=self._dtype, device=self._device)
        rows = [
            torch.cat([self.blocks.get((t, s), zeros.new_zeros(sizes[t], sizes[s])) for s in sizes], dim=1)
            for t in sizes
        ]
        return torch.cat(rows)

    def to_networkx(self) -> networkx.DiGraph[Any]:
        """A directed graph whose nodes are pairs (group, channel) and whose edges have a ``weight``."""
        try:
            import networkx
        except ImportError:
            raise MissingExtraError.of("networkx", "networkx") from None
        graph: networkx.DiGraph[Any] = networkx.DiGraph()
        graph.add_nodes_from((group.name, i) for group in self.groups for i in range(group.n_neurons))
        for (target, source), block in self.blocks.items():
            for row, column in block.nonzero().tolist():
                graph.add_edge((source, column), (target, row), weight=float(block[row, column]))
        return graph

    @property
    def _dtype(self) -> torch.dtype:
        return next(iter(self.blocks.values())).dtype

    @property
    def _device(self) -> torch.device:
        return next(iter(self.blocks.values())).device
