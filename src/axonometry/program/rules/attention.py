"""Attention: without data uniform over the tokens that may be attended to, with data its probabilities are the links.

Queries and keys decide the probabilities; they are no signal of what is attended to (definitions 2, our choice).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from axonometry.program.attention import permitted_by
from axonometry.program.call import Call
from axonometry.program.links import Links
from axonometry.program.registry import Read, Reading, overloads, resolver

aten = torch.ops.aten


def uniform(links: Links, permitted: Tensor) -> Tensor:
    """Equal weights over the permitted entries of the last axis, 0 elsewhere and in rows without any."""
    mask = permitted.to(links.dtype)
    return mask * links(mask.sum(-1, keepdim=True).clamp(min=1).reciprocal())


def probabilities(
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
    return torch.softmax(scores, -1).nan_to_num()


def _causal(queries: int, keys: int, device: torch.device) -> Tensor:
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril()


def _repeated(x: Tensor, heads: int) -> Tensor:
    """Grouped queries: each head of keys and values serves several heads of queries."""
    return x if x.dim() < 3 or x.shape[-3] == heads else x.repeat_interleave(heads // x.shape[-3], -3)


@resolver(*overloads("scaled_dot_product_attention"))
def scaled_dot_product_attention(call: Call) -> Reading:
    """Values, mixed over tokens."""
    query, key, value = call.args[:3]
    mask, causal = call.argument(3, call.node.kwargs.get("attn_mask")), bool(call.argument(5, False))
    causal = causal or bool(call.node.kwargs.get("is_causal", False))
    scale: Any = call.node.kwargs.get("scale")
    shape, tokens, known = call.shape(), call.shape(key)[-2], mask is not None and not call.is_signal(mask)
    queries, grouped = call.shape(query), bool(call.node.kwargs.get("enable_gqa", False))
    heads = queries[-3] if grouped else 0

    def read(links: Links, q: Any, k: Any, v: Tensor, *rest: Any, **named: Any) -> Tensor:
        allowed = torch.ones(shape[-2], tokens, dtype=torch.bool, device=v.device)
        allowed = allowed.tril() if causal else allowed
        if known:
            allowed = allowed & permitted_by(rest[0] if rest else named["attn_mask"])
        return uniform(links, allowed) @ (_repeated(v, heads) if grouped else v)

    def live(q: Tensor, k: Tensor, v: Tensor, *rest: Any, **named: Any) -> Read:
        given = rest[0] if rest else named.get("attn_mask")
        weights = probabilities(q, _repeated(k, heads) if grouped else k, given, causal, scale)

        return lambda links, _q, _k, v, *_, **__: links(weights) @ (_repeated(v, heads) if grouped else v)

    if not call.is_signal(value):
        call.refuse("its values do not depend on the input")
    return Reading("wiring", read, reads=(value,), live=live)


def of_softmax(call: Call) -> Reading | None:
    """The product of a softmax with a signal; None where the call is none."""
    if "permitted" not in call.node.meta:
        return None
    operation, written = call.operation, call.operation is aten.einsum.default
    operands = call.args[1] if written else call.args[:2]

    def product(weights: Tensor, signal: Tensor) -> Tensor:
        return operation(call.args[0], [weights, signal]) if written else operation(weights, signal)

    def read(links: Links, *args: Any) -> Tensor:
        signal = args[1][1] if written else args[1]
        return product(uniform(links, args[-1]), signal)

    def live(*args: Any) -> Read:
        weights = args[1][0] if written else args[0]
        return lambda links, *now: product(links(weights), now[1][1] if written else now[1])

    return Reading("wiring", read, reads=(operands[1],), live=live)
