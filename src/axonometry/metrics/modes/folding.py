r"""Pairs of neurons that fold: each keeps the order of samples, and their sum does not.

Two monotone neurons whose pre-activations rise and fall together, h_j ≈ c h_i + d, hand v_i f(h_i) + v_j f(h_j) to an
output. Where the two terms run against each other along what they share (v_i v_j c < 0) the sum may rise and fall:
f(w₁h + b₁) + f(-w₂h + b₂) stretches the samples and folds them.

A pair is said to fold for an output where

1. the correlation of the two pre-activations over the samples is at least 0.99 in absolute value,
2. the two terms run against each other, with v the linear map from the layer to the output,
3. of the pairs of samples that h_i tells apart, at least a tenth keep their order in the sum and at least a tenth are
   turned round. Noise of that correlation alone turns round 4.5%: 1/2 - asin(0.99) / π.

Source: Lin et al. 2025 (arXiv 2501.02436), folding by two tanh neurons; how pairs are found is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from axonometry.arguments import argument_errors
from axonometry.errors import TooLargeError
from axonometry.metrics.modes.order import Array, pair_counts
from axonometry.metrics.modes.pre_activations import groups_of, parts
from axonometry.metrics.modes.tails import linear_map
from axonometry.program.readings.samples import Samples

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.program import NeuralGraph

CORRELATION, SHARE, MOST = 0.99, 0.1, 10_000
_WIDEST = 8192  # neurons of which every pair's correlation is held: 256 MiB
_AT_ONCE = 2**24  # numbers of the pairs' sums held at a time


@dataclass(frozen=True)
class FoldingPairs:
    """Pairs of neurons of one layer that fold.

    Attributes:
        pairs: One row a pair and output: first, second (row-major indices in the group), output, correlation, kept and
            turned (shares of the comparable pairs of samples).
        candidates: Pairs and outputs that fulfil the first two conditions.
        tested: How many of them were tested for the third, the most correlated first.
    """

    pairs: pd.DataFrame
    candidates: int
    tested: int


@argument_errors
def folding_pairs(graph: NeuralGraph, samples: Samples, group: str, *, most: int = MOST) -> FoldingPairs:
    """Pairs of neurons of one layer that fold for an output.

    Args:
        graph: The network at one snapshot, with one output group.
        samples: What the module takes, as for :func:`~axonometry.program.readings.live.live_batches`.
        group: Name of the group; all its pre-activations and activations are held at once.
        most: How many candidates are tested at most.

    Raises:
        TooLargeError: The group has too many neurons for all pairs to be looked at.
        SamplesError: The samples do not fit, or one is not finite at some neuron.
        ValuesError: There is no such group, or not one output group.

    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[1.0], [-1.0]], [[1.0, 1.0]], biases=[[1.0, 1.0], [0.0]], activation=torch.nn.Tanh)
    >>> found = folding_pairs(graph, torch.linspace(-2, 2, 41)[:, None], "0")
    >>> found.pairs.round(3), found.candidates
    (   first  second  output  correlation   kept  turned
    0      0       1       0         -1.0  0.488   0.488, 1)
    """
    groups_of(graph, [group])
    map_out = linear_map(graph, group).flatten(1).cpu()
    if map_out.shape[1] > _WIDEST:
        rule = f"pairs are looked for in groups of at most {_WIDEST:,} neurons"
        raise TooLargeError(rule, f"{map_out.shape[1]:,} in {group!r}", "Choose a smaller group")
    part = next(parts(graph, samples, {group: True}, by="neuron", memory=2**62))
    assert part.activations is not None
    return _pairs(part.pre_activations, part.activations, map_out.numpy().astype(np.float64), most)


def pairs_that_fold(
    pre_activations: Float[Tensor, "samples n"],
    activations: Float[Tensor, "samples n"],
    outgoing: Float[Tensor, "outputs n"],
    *,
    most: int = MOST,
) -> FoldingPairs:
    """Pairs of neurons that fold, whose pre-activations and activations are at hand.

    Args:
        pre_activations: Of the neurons.
        activations: What the neurons hand on.
        outgoing: With what weight each output receives it.
        most: How many candidates are tested at most.

    >>> h = torch.linspace(-2, 2, 41)[:, None] * torch.tensor([1.0, -1.0]) + 1
    >>> pairs_that_fold(h, h.tanh(), torch.ones(1, 2)).pairs[["first", "second", "output"]].values.tolist()
    [[0, 1, 0]]
    """
    h, y = (np.ascontiguousarray(x.detach().cpu().T.numpy()) for x in (pre_activations, activations))
    return _pairs(h, y, outgoing.detach().cpu().double().numpy(), most)


def _pairs(h: Array, y: Array, outgoing: Array, most: int) -> FoldingPairs:
    import pandas as pd

    first, second, output, correlation = _candidates(h, outgoing)
    order = np.argsort(-np.abs(correlation), kind="stable")[:most]
    kept, turned = np.zeros(len(order)), np.zeros(len(order))
    step = max(1, _AT_ONCE // h.shape[1])
    for begin in range(0, len(order), step):
        some = order[begin : begin + step]
        i, j, k = first[some], second[some], output[some]
        counts = pair_counts(h[i], outgoing[k, i][:, None] * y[i] + outgoing[k, j][:, None] * y[j])
        kept[begin : begin + step] = counts.concordant / np.maximum(counts.comparable, 1)
        turned[begin : begin + step] = counts.discordant / np.maximum(counts.comparable, 1)
    folds = np.minimum(kept, turned) >= SHARE
    columns = {"first": first, "second": second, "output": output, "correlation": correlation}
    table = {name: values[order][folds] for name, values in columns.items()}
    frame = pd.DataFrame({**table, "kept": kept[folds], "turned": turned[folds]})
    return FoldingPairs(frame, len(first), len(order))


def _candidates(h: Array, outgoing: Array) -> tuple[Array, Array, Array, Array]:
    """Pairs i < j and outputs that fulfil the first two conditions, with the correlation of each pair."""
    centred = torch.from_numpy(h).double()
    centred = centred - centred.mean(1, keepdim=True)
    scale = centred.norm(dim=1, keepdim=True)
    unit = torch.where(scale > 0, centred / scale, 0.0)  # a constant is correlated with nothing
    correlation = (unit @ unit.T).numpy()
    i, j = np.nonzero(np.triu(np.abs(correlation) >= CORRELATION, 1))
    against = outgoing[:, i] * outgoing[:, j] * correlation[i, j] < 0
    output, pair = np.nonzero(against)
    return i[pair], j[pair], output, correlation[i[pair], j[pair]]
