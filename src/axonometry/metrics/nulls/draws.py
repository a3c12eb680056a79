"""Null models by name, and the graphs that they draw: one capture, many weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from axonometry.annotations import Seed
from axonometry.arguments import argument_errors
from axonometry.errors import ConfigurationError, closest
from axonometry.metrics.nulls.channels import of_same_degrees, of_same_strengths, permuted_block
from axonometry.metrics.nulls.weights import copied, of_same_moments, permuted, redrawn, reinitialised, signed_anew
from axonometry.program.channels import ChannelGraph

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph

_WEIGHTS = {"shuffle": permuted, "signs": signed_anew, "moments": of_same_moments}
_BLOCKS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "shuffle": permuted_block,
    "degrees": of_same_degrees,
    "strengths": of_same_strengths,
}
KINDS = (*_WEIGHTS, "initial", "degrees", "strengths")
"""Names of null models; the last two are of channel graphs."""


MOST = 1_000_000
"""Draws: more would not end, and tell nothing."""


@argument_errors
@dataclass(frozen=True)
class NullModel:
    """What the weights of a network are compared with.

    Attributes:
        kind: What is kept. ``"shuffle"``: the weights of each layer, in another order. ``"signs"``: absolute weights,
            each with a sign by chance. ``"moments"``: mean and standard deviation of each layer's weights, which are
            normal. ``"initial"``: nothing but what the layers' own initialisers do. ``"degrees"``: of the channel
            graph, how many links each channel has in and out. ``"strengths"``: of the channel graph, their sums.
        draws: How many graphs are drawn.
        seed: The n-th draw of a seed is always the same one.

    Raises:
        ConfigurationError: There is no such kind, or there are fewer than 2 draws or more than a million.

    >>> NullModel.of(20), NullModel.of("signs").draws
    (NullModel(kind='shuffle', draws=20, seed=0), 20)
    """

    kind: str = "shuffle"
    draws: int = 20
    seed: Seed = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            remedy = closest(self.kind, KINDS, f"There are: {', '.join(KINDS)}")
            raise ConfigurationError("a null model is named by what it does", repr(self.kind), remedy)
        whole = isinstance(self.draws, int | np.integer) and not isinstance(self.draws, bool)
        if not whole or self.draws < 2:
            raise ConfigurationError("a null model has 2 draws or more", repr(self.draws), "Give 20, or 100")
        if self.draws > MOST:
            raise ConfigurationError(f"a null model has {MOST:,} draws or fewer", f"{self.draws}", "Give 20, or 100")

    @classmethod
    def of(cls, given: NullModel | int | str) -> NullModel:
        """The null model that a number of draws or a kind stands for.

        Args:
            given: One of them, or a null model.

        Raises:
            ConfigurationError: As above.
        """
        if isinstance(given, NullModel):
            return given
        return cls(kind=given) if isinstance(given, str) else cls(draws=given)


@argument_errors
def null_graphs(
    graph: NeuralGraph | ChannelGraph, model: NullModel, *, double: bool = False
) -> Iterator[NeuralGraph | ChannelGraph]:
    """The graphs of a null model, one after the other.

    Args:
        graph: The network at one snapshot, or its channel graph.
        model: Which kind, and how many.
        double: Whether networks have weights in double precision.

    Yields:
        Neuron graphs of a neuron graph, but channel graphs where the kind is of channel graphs.

    Raises:
        ConfigurationError: Networks of this kind cannot be drawn from the graph.

    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[1.0, 2.0, 3.0]])
    >>> [drawn.kernel("0").weight.tolist() for drawn in null_graphs(graph, NullModel(draws=2))]
    [[[2.0, 1.0, 3.0]], [[1.0, 3.0, 2.0]]]
    """
    draw = _drawing(graph, model, double=double)
    for place in range(model.draws):
        yield draw(int(np.random.SeedSequence([model.seed, place]).generate_state(1, np.uint64)[0] >> 2))


def compared(
    graph: NeuralGraph | ChannelGraph, model: NullModel, *, double: bool = False
) -> NeuralGraph | ChannelGraph:
    """The graph that a null model's draws are compared with: the same one, as channels or in double precision.

    Args:
        graph: As for :func:`null_graphs`.
        model: Likewise.
        double: Likewise.

    >>> from axonometry.testing import graph_of
    >>> compared(graph_of([[1.0, 2.0]]), NullModel("strengths")).n_links
    2
    """
    if isinstance(graph, ChannelGraph):
        return graph
    if model.kind in ("degrees", "strengths"):
        return graph.channels()
    return graph.at(copied(graph.state, double=True)) if double else graph


def _drawing(
    graph: NeuralGraph | ChannelGraph, model: NullModel, *, double: bool
) -> Callable[[int], NeuralGraph | ChannelGraph]:
    channels = compared(graph, model)
    if isinstance(channels, ChannelGraph):
        if model.kind not in _BLOCKS:
            remedy = f"Pass the network's graph, or use one of: {', '.join(_BLOCKS)}"
            raise ConfigurationError("this null model is of a network's weights", "a channel graph", remedy)
        return partial(_rewired, channels, _BLOCKS[model.kind])
    if model.kind == "initial":
        return partial(reinitialised, channels, double=double)
    return lambda seed: redrawn(channels, _WEIGHTS[model.kind], torch.Generator().manual_seed(seed), double=double)


def _rewired(graph: ChannelGraph, rewire: Callable[[Tensor, torch.Generator], Tensor], seed: int) -> ChannelGraph:
    generator = torch.Generator().manual_seed(seed)
    return ChannelGraph(graph.groups, {key: rewire(block, generator) for key, block in graph.blocks.items()})
