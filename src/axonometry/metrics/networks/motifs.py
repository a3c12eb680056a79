r"""Motifs of three nodes, counted by products of matrices instead of by going through triples.

S holds links in one direction only, M links in both, from i to j. A feed-forward triangle i → j → k, i → k is an entry
of (S S) at which S has one as well: Σ (S S) * S counts all of them. An open chain i → j → k is one at which there is no
link between i and k: all chains, Σ S S, less those that something closes.

Products are taken block by block, of layers that follow each other: of a layered graph only skips close triangles, and
nothing else is multiplied.

Names are those of Holland and Leinhardt 1970 (mutual, asymmetric, null pairs; D down, U up, T transitive, C cycle), as
networkx's ``triadic_census``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from axonometry.arguments import argument_errors

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.channels import ChannelGraph

Blocks = Mapping[tuple[str, str], NDArray[np.float32]]
"""By source and target group: 0 or 1, so that products count exactly up to 2 ** 24; sums are taken in double."""


@argument_errors
def motifs(graph: NeuralGraph | ChannelGraph) -> dict[str, int]:
    """How many of each of the 13 connected motifs of three nodes the channel graph has; weights do not count.

    Args:
        graph: The channel graph, best the :func:`strongest` links of it, or the network at one snapshot.

    >>> from axonometry.testing import graph_of
    >>> {name: number for name, number in motifs(graph_of([[1.0, 1.0]], [[1.0]])).items() if number}
    {'021U': 1, '021C': 2}
    """
    there = {
        (source, target): (block.detach() != 0).float().cpu().numpy().T
        for (target, source), block in graph.channels().blocks.items()
    }
    for (source, target), block in there.items():
        if source == target:  # a channel's link to itself is no pair
            np.fill_diagonal(block, 0)
    turned = {(t, s): block.T for (s, t), block in there.items()}
    mutual = {key: there[key] * turned[key] for key in there if key in turned}
    single = {key: block - mutual.get(key, 0) for key, block in there.items()}
    return {name: round(number) for name, number in _census(single, mutual).items()}


def _census(S: Blocks, M: Blocks) -> dict[str, float]:
    back = {(t, s): block.T for (s, t), block in S.items()}
    chain, fork, join = (_Pair(first, second) for first, second in ((S, S), (back, S), (S, back)))
    down, up, both = _Pair(M, back), _Pair(M, S), _Pair(M, M)
    # Ways of two links are counted, those whose ends are joined taken off, and divided by how often each triad is met:
    # a fork's two arms in two orders, a cycle from each of its three nodes, three mutual links in six.
    ends = (S, back, M)
    return {
        "021D": (fork.total() - fork.closed(ends)) / 2,
        "021U": (join.total() - join.closed(ends)) / 2,
        "021C": chain.total() - chain.closed(ends),
        "111D": down.total() - down.closed(ends),
        "111U": up.total() - up.closed(ends),
        "030T": chain.closed([S]),
        "030C": chain.closed([back]) / 3,
        "201": (both.total() - both.closed(ends)) / 2,
        "120D": fork.closed([M]) / 2,
        "120U": join.closed([M]) / 2,
        "120C": chain.closed([M]),
        "210": both.closed([S]),
        "300": both.closed([M]) / 6,
    }


class _Pair:
    """All ways of a link of one kind and then one of another, between nodes that are not the same."""

    def __init__(self, first: Blocks, second: Blocks) -> None:
        self.first, self.second = first, second

    def total(self) -> float:
        """Number of ways, those that come back to where they began left out."""
        found = 0.0
        for (start, middle), one in self.first.items():
            for (between, end), other in self.second.items():
                if between == middle:
                    found += float(one.sum(0, dtype=np.float64) @ other.sum(1, dtype=np.float64))
                    if end == start:
                        found -= float(np.einsum("ij,ji->", one, other, dtype=np.float64))
        return found

    def closed(self, ends: list[Blocks] | tuple[Blocks, ...]) -> float:
        """Number of those whose two ends some link of these kinds joins."""
        found = 0.0
        for (start, middle), one in self.first.items():
            for (between, end), other in self.second.items():
                blocks = [kind[start, end] for kind in ends if between == middle and (start, end) in kind]
                if blocks:
                    found += float(np.einsum("ij,ij->", one @ other, sum(blocks), dtype=np.float64))
        return found
