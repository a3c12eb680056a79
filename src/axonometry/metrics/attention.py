r"""Attention strength: tokens as nodes, the probabilities of attention as the links between them.

For probabilities P[query, key] of one head a token receives Σ_key P = 1 (0 where a mask lets it attend to nothing) and
sends Σ_query P, the attention that it gets; all tokens of a head send as much as they receive. How widely a token
attends is the entropy -Σ_key P ln P.

Source: attention is named among the networks of La Malfa et al. 2022 and 2024 (arXiv 2209.05488, 2404.11172), whose
formulas were not seen; in- and out-strength of tokens are [our choice] (definitions 2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx

from axonometry.errors import NonfiniteError, ValuesError
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.rows import Row
from axonometry.program.entry import of_graph
from axonometry.program.op_call import module_path
from axonometry.program.readings.live import LiveBatch, live_batches
from axonometry.program.rules.attention import shares_of
from axonometry.statistics import Moments, moments
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.readings.samples import Samples


@dataclass(frozen=True)
class AttentionStrength:
    """What tokens are to each other, as means over samples; by attention, in the order of computation.

    Attributes:
        received: In-strength of every token, of shape (heads, queries).
        sent: Out-strength of every token, of shape (heads, keys).
        entropy: Entropy of what every token attends to, in nats, of shape (heads, queries).
    """

    received: NodeValues
    sent: NodeValues
    entropy: NodeValues


def _rows(shared: Shared) -> Iterable[Row]:
    return attention_rows(shared.graph, shared.samples)


@measured(
    name="attention_strength",
    title="Attention strength",
    units="none; entropy in nats",
    range="0 to the number of tokens; entropy from 0 to its logarithm",
    invariances="permuting heads permutes it; the order of the samples",
    source="La Malfa et al. 2022, arXiv 2209.05488, names attention; the formula is our choice",
    needs_samples=True,
    cost="one forward pass over the samples",
    table=_rows,
)
@of_graph
def attention_strength(graph: NeuralGraph, samples: Samples, *, batch_size: int | None = None) -> AttentionStrength:
    """In- and out-strength of tokens over the links that attention makes, in one pass over the samples.

    Args:
        graph: The network at one snapshot.
        samples: What the module takes, as for :func:`~axonometry.program.readings.live.live_batches`.
        batch_size: Samples run at once; it changes the result by rounding only.

    Returns:
        Means over the samples, in float64. The attentions are named by the path of their module. Strengths are 0 or
        more; the sum of what is sent is the sum of what is received. The entropy is from 0 to ln(keys).

    Raises:
        ValuesError: The network has no attention.
        SamplesError: The samples do not fit; a NonfiniteError where one has a probability that is NaN.

    >>> from axonometry.program import capture
    >>> layer = torch.nn.TransformerEncoderLayer(2, 1, 4, batch_first=True).eval()
    >>> three_equal_tokens = torch.zeros(1, 3, 2)
    >>> found = attention_strength(capture(layer, three_equal_tokens), three_equal_tokens)
    >>> found.sent.flatten().round(decimals=6).tolist(), found.entropy.flatten().round(decimals=4).tolist()
    ([1.0, 1.0, 1.0], [1.0986, 1.0986, 1.0986])
    """
    attentions = _attentions(graph)
    if not attentions:
        raise ValuesError(
            "attention links tokens in a network that has attention", "a network without", "Capture one that has"
        )
    needed = {n for node in attentions.values() for n in _needed(graph, node)}
    sums: dict[str, list[Tensor]] = {}
    count = 0
    for batch in live_batches(graph, samples, batch_size=batch_size, groups=(), nodes=tuple(needed)):
        count += batch.size
        weights = {name: _probabilities(graph, node, batch.values) for name, node in attentions.items()}
        _refuse_nonfinite(batch, weights)
        for name in attentions:
            found = _sums(weights[name])
            sums[name] = [a + b for a, b in zip(sums[name], found, strict=True)] if name in sums else found
    parts = zip(*([total / count for total in sums[name]] for name in attentions), strict=True)
    return AttentionStrength(*(NodeValues(dict(zip(attentions, part, strict=True))) for part in parts))


def attention_rows(graph: NeuralGraph, samples: Samples) -> Iterator[Row]:
    """Attention, statistic and value for a table: moments of what tokens send, and the mean entropy.

    A network without attention has no rows. All are NaN where a sample is not finite: a recorder must not end a
    training.

    Args:
        graph: The network at one snapshot.
        samples: What the module takes.

    Raises:
        SamplesError: The samples do not fit.

    >>> from axonometry.testing import graph_of
    >>> list(attention_rows(graph_of([[1.0]]), torch.zeros(1, 1)))
    []
    """
    attentions = _attentions(graph)
    if not attentions:
        return
    try:
        found = attention_strength(graph, samples)
    except NonfiniteError:
        statistics = (*(part.name for part in fields(Moments)), "entropy")
        yield from ((name, statistic, math.nan) for name in attentions for statistic in statistics)
        return
    for name, sent in found.sent.items():
        for statistic, value in asdict(moments(sent)).items():
            yield name, statistic, float(value)
        yield name, "entropy", float(found.entropy[name].mean())


def _attentions(graph: NeuralGraph) -> dict[str, fx.Node]:
    """The calls that mix tokens, by name."""
    found: dict[str, fx.Node] = {}
    for node in graph.program.graph.nodes:
        if node in graph.program.varying and shares_of(node) is not None:
            path, number = module_path(node) or "attention", 2
            name = path
            while name in found:
                name, number = f"{path}@{number}", number + 1
            found[name] = node
    return found


def _needed(graph: NeuralGraph, node: fx.Node) -> list[fx.Node]:
    """What depends on the sample of what the probabilities follow from."""
    operands = [node.meta["softmax"]] if "softmax" in node.meta else node.all_input_nodes
    return [operand for operand in operands if operand in graph.program.varying]


@torch.no_grad()
def _probabilities(graph: NeuralGraph, node: fx.Node, values: Any) -> Tensor:
    """Of shape (samples, heads, queries, keys)."""
    varying, statics = _needed(graph, node), graph.weights

    def one(given: list[Any]) -> Tensor:
        if "softmax" in node.meta:
            weights = given[0].movedim(node.meta["softmax"].args[1], -1)
        else:
            known = {**statics, **dict(zip(varying, given, strict=True))}
            args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), known.__getitem__)
            weights = shares_of(node)(*args, **kwargs)  # type: ignore[misc]
        return weights.reshape(-1, *weights.shape[-2:])

    return torch.func.vmap(one)([values[n] for n in varying]).double()


def _sums(weights: Tensor) -> list[Tensor]:
    """Row sums, column sums and entropies, summed over the samples."""
    return [weights.sum((0, -1)), weights.sum((0, -2)), torch.special.entr(weights).sum((0, -1))]


def _refuse_nonfinite(batch: LiveBatch, weights: dict[str, Tensor]) -> None:
    found = []
    for place, (name, probabilities) in enumerate(weights.items()):
        bad = ~probabilities.flatten(1).isfinite().all(1)
        if bool(bad.any()):
            found.append((int(bad.int().argmax()), place, name))
    if found:
        index, _, name = min(found)
        raise NonfiniteError(
            "every sample's attention is finite",
            f"sample {batch.start + index}, whose probabilities are NaN or infinite first in layer {name!r}",
            "Leave the sample out where it is NaN itself; where it is finite, the training has diverged",
        )
