"""What a captured network consists of: neuron groups, synapses, wires, and the account of its parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """The neurons of one layer: an input, or a sum that synapses feed.

    Attributes:
        name: Path of the synapse in the user's module, ``input`` for a single input.
        shape: Shape without the batch axis.
        role: ``input``, ``hidden`` or ``output`` (its value reaches the module's output without another synapse).
        channel_axis: The axis of ``shape`` that counts channels (features of a linear layer).
        place: Path of the module whose forward makes the sum.
        rolled: Name of the group in the channel graph: the steps of a recurrent cell's loop are one group there.
    """

    name: str
    shape: Shape
    role: Literal["input", "hidden", "output"]
    channel_axis: int
    place: str
    rolled: str = ""

    @property
    def n_neurons(self) -> int:
        """Number of neurons in the group."""
        return math.prod(self.shape)

    @property
    def n_channels(self) -> int:
        """Number of channels in the group."""
        return self.shape[self.channel_axis] if self.shape else 1


@dataclass(frozen=True)
class Synapse:
    """A parametric linear map into a group; a module that is called twice is two synapses.

    Attributes:
        name: Path of the module in the user's network, with ``@2`` for a second call.
        kind: Name of the operation, such as ``linear`` or ``conv2d``.
        parameter: Name of the weight in the state dict; where it is computed from several, their names joined by ``+``.
        shape: Shape of the weight.
        sources: Names of the groups whose neurons the links leave.
        target: Name of the group that the links enter.
        n_links: Number of links, counted by position and path; a weight of zero is a link.
    """

    name: str
    kind: str
    parameter: str
    shape: Shape
    sources: tuple[str, ...]
    target: str
    n_links: int


@dataclass(frozen=True)
class Wire:
    """Links without a parameter that end in a group: an identity skip, or the pooled nodes of ``pooling="nodes"``.

    Attributes:
        target: Name of the group that the links enter.
        kind: ``skip`` or ``pooling``.
        sources: Names of the groups whose neurons the links leave.
        n_links: Number of links.
    """

    target: str
    kind: Literal["skip", "pooling"]
    sources: tuple[str, ...]
    n_links: int


@dataclass(frozen=True)
class Coverage:
    """What became of one parameter.

    Attributes:
        parameter: Name in the state dict.
        role: What claims it; ``unclaimed`` where nothing does.
        claimed_by: Name of the synapse or path of the module that claims it; empty where nothing does.
        reason: One line in words.
    """

    parameter: str
    role: Literal["synapse", "bias", "normalisation", "activation", "unclaimed"]
    claimed_by: str
    reason: str


@dataclass(frozen=True)
class Kernel:
    """The weights of a synapse at one snapshot.

    A link's weight is ``weight * gain`` times the coefficients of the wiring in front of the synapse.

    Attributes:
        weight: As the module holds it, in torch's layout.
        gain: What folded normalisation and scales multiply each output channel with, broadcastable to ``weight``;
            None where nothing does.
        output_axis: The axis of ``weight`` that counts output channels.
        groups: Blocks of channels that do not see each other, in order, in a grouped convolution.
    """

    weight: Tensor
    gain: Tensor | None
    output_axis: int
    groups: int = 1

    @property
    def effective(self) -> Tensor:
        """The folded weight: ``weight * gain``."""
        return self.weight if self.gain is None else self.weight * self.gain

    def rows(self) -> Kernel:
        """The same kernel with a weight of shape (output channels, links of each), its gain (output channels, 1)."""
        gain = None if self.gain is None else self._rows(self.gain.expand_as(self.weight))[:, :1]
        return replace(self, weight=self._rows(self.weight), gain=gain, output_axis=0, groups=1)

    def _rows(self, weight: Tensor) -> Tensor:
        if self.output_axis == 1 and self.groups > 1:  # transposed: (in, out / groups, ...), blocks of inputs in order
            blocks = weight.unflatten(0, (self.groups, -1)).movedim(2, 1)
            return blocks.flatten(0, 1).flatten(1)
        rows = weight.movedim(self.output_axis, 0)
        return rows.flatten(1) if rows.dim() > 1 else rows.unsqueeze(1)
