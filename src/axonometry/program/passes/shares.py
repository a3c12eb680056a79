"""What weighs something without data: the gates of experts, and choices among n that each fall with the share 1/n."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
from torch import fx

from axonometry.program.fx_utils import shape_of
from axonometry.program.registry import overloads

SOFTMAX = set(overloads("softmax", "_softmax", "_safe_softmax"))
MOVED = set(
    overloads(
        *"dropout native_dropout clone contiguous alias detach to _to_copy type_as".split(),
        *"view _unsafe_view reshape expand unsqueeze squeeze flatten unflatten".split(),
        *"transpose permute t movedim swapaxes swapdims select slice".split(),
    )
)
SIGMOID, TOPK = set(overloads("sigmoid")), set(overloads("topk"))
SCATTER, GATHER = {*overloads("scatter")}, set(overloads("gather"))
TIMES, SUMS, EQUAL = set(overloads("mul")), set(overloads("sum")), set(overloads("eq"))
SCALED = {*overloads("div"), *TIMES}
PERMITTED = set(overloads(*"add masked_fill clamp clamp_min".split()))
LARGEST, ORDERED = set(overloads("argmax", "argmin")), set(overloads("argsort"))
MAXIMUM = {torch.ops.aten.max.dim, torch.ops.aten.amax.default}
PAIRED = {*TOPK, *overloads("sort"), torch.ops.aten.max.dim, torch.ops.aten.min.dim}
"""Those that give values, and the numbers of the places where they were."""


def share_of_routing(node: Any, signals: set[fx.Node]) -> float | None:
    """What each expert's weight is without data where a value weighs experts; None where it does not.

    Such a value is a softmax or sigmoid of scores of which the largest k have been picked, whatever they have been
    divided by since. Each of the k has 1/k, multiplied with the numbers met on the way; written back to the places of
    all n, each of the n has 1/n. So it has in ``(best * (places == expert)).sum(-1)``, a sum of k terms 1/k, each of
    which is there with the share 1/n; and in ``scores.softmax(-1) * mask``, where the mask is 1 at the k largest: there
    with the share k/n, and then 1/k.
    """
    # From the weight back to the scores. softmax(s, -1).topk(2)[0] * 3 meets * 3 (factor 3), getitem 0 of topk (members
    # 2) and softmax (chances): 3/2. What was picked last, nearest to the weight, says among how many the weight is
    # shared.
    factor, members, chances, chosen, summed = 1.0, 0, False, 0, False
    while isinstance(node, fx.Node) and node in signals:
        call, before = node.target, node.args[0] if node.args else None
        if call in SCATTER and node.args[3] in signals and node.args[2] in signals:
            members = members or shape_of(node)[node.args[1]]  # type: ignore[index]
            before = node.args[3]
        elif call is operator.getitem and getattr(before, "target", None) in TOPK and node.args[1] == 0:
            assert isinstance(before, fx.Node)
            members = members or int(before.args[1])  # type: ignore[arg-type]
            before = before.args[0]
        elif call in MAXIMUM or (call is operator.getitem and getattr(before, "target", None) in MAXIMUM):
            members = members or 1  # the largest of chances is a topk of one
        elif call in GATHER and node.args[2] in signals:
            members = members or shape_of(node)[node.args[1]]  # type: ignore[index]
        elif call in SOFTMAX or call in SIGMOID:
            chances = True
        elif call in TIMES and (choices := [_choice(operand, signals) for operand in node.args[:2]]) != [None, None]:
            place = 0 if choices[0] else 1
            share, chosen = choices[place]  # type: ignore[misc]
            factor, before = factor * share, node.args[1 - place]
        elif call in SCALED and not (isinstance(node.args[1], fx.Node) and node.args[1] not in signals):
            number = node.args[1]
            if isinstance(number, (int, float)):
                factor = factor * number if call in TIMES else factor / number
            elif call in TIMES:
                return None
        elif call in SUMS:
            factor, summed = factor * _summed(node), True
        elif call not in MOVED | PERMITTED:
            break
        node = before
    members = members or chosen
    return factor / members if members and chances and (chosen or not summed) else None


def share_of_choice(node: Any, signals: set[fx.Node]) -> float | None:
    """The mean of a value that tells by 1 and 0 which of n was chosen; None for any other value.

    Of ``one_hot(scores.argmax(-1), 5)`` and ``scores.argmax(-1) == 3`` it is 1/5, where there are five scores; of
    ``zeros.scatter(-1, scores.topk(2)[1], 1.0)`` it is 2/5.
    """
    found = _choice(node, signals)
    return found[0] if found else None


def _choice(node: Any, signals: set[fx.Node]) -> tuple[float, int] | None:
    """The mean of such a value, and how many of the n were chosen."""
    factor = 1.0
    while isinstance(node, fx.Node) and node in signals:
        call, args = node.target, node.args
        if call in EQUAL:
            if share := _where_largest(*args[:2]):
                return factor * share, 1
            numbers = [operand for operand in args[:2] if operand in signals]
            n, chosen = _chosen(numbers[0]) if len(numbers) == 1 else (0, 0)
            return (factor / n, chosen) if n else None
        if call in SCATTER and not isinstance(args[3], fx.Node) and args[0] not in signals:
            (n, chosen), taken = _chosen(args[2]), shape_of(args[2])[args[1]]  # type: ignore[arg-type, index]
            return (factor * float(args[3]) * taken / n, chosen) if n and is_zeros(args[0]) else None  # type: ignore[arg-type]
        if call in SUMS:
            factor *= _summed(node)
        elif call not in MOVED:
            return None
        node = args[0]
    return None


def _where_largest(a: Any, b: Any) -> float | None:
    """The share of the places where a value is its own largest along an axis."""
    for compared, value in ((a, b), (b, a)):
        largest: Any = compared
        while isinstance(largest, fx.Node) and (largest.target in MOVED or largest.target is operator.getitem):
            largest = largest.args[0]
        if isinstance(largest, fx.Node) and largest.target in MAXIMUM and largest.args[0] is value:
            return math.prod(shape_of(largest)) / math.prod(shape_of(value))  # type: ignore[arg-type]
    return None


def _chosen(node: Any) -> tuple[int, int]:
    """Among how many numbers choose that were found by comparing signals, and how many do; (0, 0) of other numbers."""
    # scores (8 tokens, 5 experts).topk(2)[1] has 16 numbers, so that 2 of 5 are chosen for each token. In a copy that
    # is expanded to (8, 2, 64) there are no more choices than before.
    fewest = math.inf  # without the copies that an expansion makes
    while isinstance(node, fx.Node) and node.target in MOVED:
        fewest, node = min(fewest, math.prod(shape_of(node))), node.args[0]
    if not isinstance(node, fx.Node):
        return 0, 0
    source: Any = node.args[0] if node.args else None
    if node.target is operator.getitem and node.args[1] == 1 and source.target in PAIRED:
        n = _along(source, 2 if source.target in TOPK else 1, -1)
        source = source.args[0]
    elif node.target in LARGEST | ORDERED:
        n = _along(node, 1, None if node.target in LARGEST else -1)
    else:
        return 0, 0
    numbers = min(fewest, math.prod(shape_of(node)))
    return n, max(1, int(numbers * n) // math.prod(shape_of(source)))


def _along(call: fx.Node, place: int, default: int | None) -> int:
    """The number of entries along the axis that a call names."""
    axis: Any = call.kwargs.get("dim", call.args[place] if len(call.args) > place else default)
    shape = shape_of(call.args[0])  # type: ignore[arg-type]
    return math.prod(shape) if axis is None or isinstance(axis, bool) else shape[axis]


def _summed(node: fx.Node) -> int:
    """How many terms a sum has."""
    before, after = math.prod(shape_of(node.args[0])), math.prod(shape_of(node))  # type: ignore[arg-type]
    return before // max(after, 1)


def is_zeros(node: Any) -> bool:
    """Whether a value has been made of zeros."""
    if not isinstance(node, fx.Node) or node.op != "call_function":
        return False
    name = getattr(getattr(node.target, "overloadpacket", None), "__name__", "")
    if name in ("full", "new_full", "full_like"):
        return isinstance(node.args[-1], (int, float)) and node.args[-1] == 0
    return name in ("zeros", "new_zeros", "zeros_like")
