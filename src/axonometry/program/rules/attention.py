"""Attention: without data uniform over the tokens that may be attended to, with data its probabilities are the links.

Queries and keys decide the probabilities; they are no signal of what is attended to (definitions 2, our choice).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx

from axonometry.program.fx_utils import shape_of
from axonometry.program.links import Links
from axonometry.program.op_call import LinearFunction, Lowering, OpCall
from axonometry.program.primitives import FUSED, WRITTEN, equal_shares, operands_of, permitted_by
from axonometry.program.registry import op_rule


def links_of(links: Links, weights: Tensor) -> Tensor:
    """Weights between tokens as links; what is 0 is masked and no link."""
    weights = weights.to(links.dtype)
    return links(weights) * (weights != 0)


def attention_probabilities(
    query: Tensor, key: Tensor, mask: Tensor | None = None, causal: bool = False, scale: float | None = None
) -> Tensor:
    """What scaled dot-product attention multiplies the values with, of shape (..., queries, keys).

    Rows that may attend to nothing are 0.
    """
    scores = query @ key.transpose(-1, -2) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if causal:
        scores = scores.masked_fill(~_causal(query.shape[-2], key.shape[-2], scores.device), -math.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    weights = torch.softmax(scores, -1)
    return weights.masked_fill((scores == -math.inf).all(-1, keepdim=True), 0.0)


def _causal(queries: int, keys: int, device: torch.device) -> Tensor:
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril()


def _repeated(x: Tensor, heads: int) -> Tensor:
    """Grouped queries: each head of keys and values serves several heads of queries; 0 where each has its own."""
    return x.repeat_interleave(heads // x.shape[-3], -3) if heads else x


def shares_of(node: fx.Node) -> Callable[..., Tensor] | None:
    """How a call's probabilities follow from the real values of its arguments; None where it is no attention."""
    if node.target in FUSED:
        return partial(_fused_shares, heads=_heads(node))
    if "shares" not in node.meta:
        return None
    place, written = node.meta["weights_at"], node.target in WRITTEN
    return lambda *args, **_: args[1][place] if written else args[place]


def _fused_shares(
    query: Tensor,
    key: Tensor,
    _: Any,
    mask: Tensor | None = None,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    heads: int,
    **named: Any,
) -> Tensor:
    return attention_probabilities(
        query, _repeated(key, heads), named.get("attn_mask", mask), is_causal, named.get("scale")
    )


def _heads(node: fx.Node) -> int:
    """Heads of the queries that share heads of keys; 0 where each has its own."""
    return shape_of(node.args[0])[-3] if node.kwargs.get("enable_gqa") else 0  # type: ignore[arg-type]


@op_rule(*FUSED)
def scaled_dot_product_attention(call: OpCall) -> Lowering:
    """Values, mixed over tokens."""
    key, value = call.args[1:3]
    mask = call.argument(3, call.node.kwargs.get("attn_mask"))
    causal = bool(call.argument(5, call.node.kwargs.get("is_causal", False)))
    tokens, known = (call.shape()[-2], call.shape(key)[-2]), mask is not None and not call.is_signal(mask)
    heads, shares, shape = _heads(call.node), shares_of(call.node), call.shape()
    if not call.is_signal(value):
        call.refuse("its values do not depend on the input")

    def read(links: Links, q: Any, k: Any, v: Tensor, *rest: Any, **named: Any) -> Tensor:
        allowed = _causal(*tokens, v.device) if causal else torch.ones(*tokens, dtype=torch.bool, device=v.device)
        if known:
            allowed = allowed & permitted_by(rest[0] if rest else named["attn_mask"])
        equal = links_of(links, equal_shares(allowed.to(links.dtype), -1))
        return (equal @ _repeated(v, heads)).expand(shape)  # one head of values may serve all heads of queries

    def recorded(*args: Any, **named: Any) -> LinearFunction:
        weights = shares(*args, **named)  # type: ignore[misc]
        return lambda links, _q, _k, v, *_, **__: links(weights) @ _repeated(v, heads)

    return Lowering("wiring", read, reads=(value,), data_dependent=recorded)


def of_softmax(call: OpCall) -> Lowering | None:
    """The product of a softmax with a signal; None where the call is none."""
    shares = shares_of(call.node)
    if shares is None:
        return None
    operation, written, place = call.operation, call.operation in WRITTEN, call.node.meta["weights_at"]

    def product(weights: Tensor, args: tuple[Any, ...]) -> Tensor:
        signal = (args[1] if written else args)[1 - place]
        pair = [weights, signal] if place == 0 else [signal, weights]
        return operation(args[0], pair) if written else operation(*pair)

    def read(links: Links, *args: Any) -> Tensor:
        return product(links_of(links, args[-1]), args)

    def recorded(*args: Any) -> LinearFunction:
        weights = shares(*args)
        return lambda links, *now: product(links(weights), now)

    return Lowering("wiring", read, reads=(operands_of(call.node)[1 - place],), data_dependent=recorded)
