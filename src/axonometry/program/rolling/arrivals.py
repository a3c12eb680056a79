"""Which channels of a group arrive where, when its values are followed through the wiring."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from axonometry.program.ir import Shape


@dataclass(frozen=True)
class Arrivals:
    """Which channel of a group arrives at which position of a tensor; both of shape (arrivals,).

    ``unmoved`` is the axis of channels where the group's own tensor arrives, as it does behind a carrier.
    """

    shape: Shape
    channel: Tensor
    position: Tensor
    unmoved: int | None = None

    @classmethod
    def whole(cls, shape: Shape, axis: int, device: torch.device) -> Arrivals:
        """The group's own tensor."""
        along = [-1 if i == axis else 1 for i in range(len(shape))]
        channel = torch.arange(shape[axis], device=device).reshape(along).expand(shape)
        return cls(shape, channel, torch.empty(0), axis)

    def arrivals(self) -> tuple[Tensor, Tensor]:
        """Channel and position of every arrival."""
        if self.unmoved is None:
            return self.channel, self.position
        return self.channel.reshape(-1), torch.arange(math.prod(self.shape), device=self.channel.device)

    def index(self, position: Tensor, axis: int) -> Tensor:
        """The index along one axis of positions."""
        # Row by row: position 17 of (2, 3, 4) is [1, 1, 1], and along axis 1 that is 17 // 4 % 3 = 1.
        return position // math.prod(self.shape[axis + 1 :]) % self.shape[axis]

    def pairs(self, axis: int, channels: int) -> Pairs:
        """The pairs of an index along the axis and a channel that arrives there."""
        axis %= len(self.shape)
        if self.unmoved == axis:
            same = torch.arange(channels, device=self.channel.device)
            return Pairs(same, same, channels, channels)
        channel, position = self.arrivals()
        met = torch.zeros(self.shape[axis], channels, dtype=torch.bool, device=channel.device)
        met[self.index(position, axis), channel] = True
        index, onto = met.nonzero(as_tuple=True)
        return Pairs(index, onto, self.shape[axis], channels)

    def turned(self, axis: int, channels: int) -> Pairs:
        """The same pairs the other way round: a channel, and the index where it arrives."""
        pairs = self.pairs(axis, channels)
        return Pairs(pairs.onto, pairs.index, channels, self.shape[axis])


@dataclass(frozen=True)
class Pairs:
    """A sparse matrix of ones that sends indices onto others; indices and their images of shape (pairs,)."""

    index: Tensor
    onto: Tensor
    n_indices: int
    n_onto: int

    def gather(self, matrix: Tensor, axis: int) -> Tensor:
        """The matrix with the entries of one axis added up where they are sent."""
        if self.n_indices == self.n_onto == self.index.numel() and torch.equal(self.index, self.onto):
            return matrix
        shape = [self.n_onto if i == axis else n for i, n in enumerate(matrix.shape)]
        return matrix.new_zeros(shape).index_add(axis, self.onto, matrix.index_select(axis, self.index))
