"""Softmax over the edges of a fixed graph: attention as graph networks write it, by scattering.

Of four edges into two nodes, with a score each, and what it exports to::

    e = score(x).exp()                                        exp       = aten.exp(...)                     # (1, 4, 1)
    total = zeros(1, 2, 1).index_add(1, to, e)                index_add = aten.index_add(zeros, 1, to, exp)
    alpha = e / (total[:, to] + 1e-16)                        div       = aten.div(exp, index(index_add) + 1e-16)
    zeros(1, 2, 3).index_add(1, to, alpha * values)           mul       = aten.mul(div, values)

``alpha`` is the weights of links, as the result of a softmax is: without data 1/n for each of the n edges into a node.
The shares are the same calls with ones in the place of ``exp``. Values that are multiplied with ``e`` first and divided
by the total afterwards are written as above before. Numbers that any of these are multiplied with or divided by on the
way stay where they are: ``2 * e / total`` is 2/n.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from axonometry.program.fx_utils import first_value, insert, shape_of
from axonometry.program.passes.shares import MOVED, is_zeros
from axonometry.program.primitives import operands_of
from axonometry.program.registry import overloads

aten = torch.ops.aten

EXP, TIMES, DIVISION = set(overloads("exp")), set(overloads("mul")), set(overloads("div", "true_divide"))
ADDED = set(overloads("scatter_add", "index_add"))
LISTED = set(overloads("index_add"))
"""Those whose places are a list of numbers, one for each edge."""
LOOKED_UP = set(overloads("index_select", "gather", "index"))
GUARDS = set(overloads("add", "clamp", "clamp_min"))


def edge_shares(graph: fx.Graph, weights: Any, signals: set[fx.Node]) -> fx.Node | None:
    """The weights of edges without data, at the graph's insertion point; None where a value is no such weights."""
    above = []
    node = weights
    while isinstance(node, fx.Node) and _is_passed(node):
        above.append(node)
        node = node.args[0]
    if not isinstance(node, fx.Node) or node.target not in DIVISION:
        return None
    scores, total = operands_of(node)
    # e / total is a softmax only if total sums this very e: in exp(a) / sum(exp(b)) the shares would not add up to 1.
    if not isinstance(total, fx.Node) or _total(total, signals) is not _still(scores) or not _is_exp(scores):
        return None
    # Two edges into a node, e = [0.2, 0.9]: without data both are 1, their total is 2, and the shares are 1/2 each.
    ones = _ones_before(graph, scores)
    of_ones = _with_ones(graph, total, signals)
    made = insert(graph, aten.div.Tensor, (ones, of_ones), shape=shape_of(node), like=node)
    for moved in reversed(above):
        made = graph.node_copy(moved, {moved.args[0]: made}.get)
        made.meta = dict(moved.meta)
    return made


def weigh_first(exported: ExportedProgram, signals: set[fx.Node]) -> None:
    """Write sums of ``values * e`` that are divided by the sum of ``e`` as sums of ``values * (e / sum)``, in place."""
    graph = exported.graph
    for node in list(graph.nodes):
        if node.target not in DIVISION or not all(isinstance(operand, fx.Node) for operand in node.args[:2]):
            continue
        before, total = operands_of(node)
        summed = before if before.target in ADDED and before in signals else None
        product: Any = before.args[3] if summed is not None else before
        numbers: list[fx.Node] = []
        while isinstance(product, fx.Node) and _is_passed(product):
            numbers += [product] if product.target not in MOVED else []
            product = product.args[0]
        pair = list(product.args[:2]) if isinstance(product, fx.Node) and product.target in TIMES else []
        scores = next((x for x in pair if _is_exp(x) and _total(total, signals) is _still(x)), None)
        if scores is None or not all(x in signals for x in pair):
            continue
        values = pair[1 - pair.index(scores)]
        # values * e * 3 / total: the 3 has to stay in front of e, so that the quotient is 3 e / total and its shares
        # 3/n.
        with graph.inserting_after(scores):
            for number in reversed(numbers):
                scores = _as_in(graph, number, scores)
        if summed is None:
            _divide_scores(graph, node, (values, scores), total)
        elif summed.target in LISTED:
            _divide_edges(graph, node, summed, (values, scores), total)


def _divide_scores(graph: fx.Graph, node: fx.Node, pair: tuple[Any, Any], total: Any) -> None:
    values, scores = pair
    with graph.inserting_before(node):
        alpha = insert(graph, aten.div.Tensor, (scores, total), shape=_broadcast(scores, total), like=scores)
        made = insert(graph, aten.mul.Tensor, (values, alpha), shape=shape_of(node), like=node)
    node.replace_all_uses_with(made)
    graph.erase_node(node)


def _divide_edges(graph: fx.Graph, node: fx.Node, summed: fx.Node, pair: tuple[Any, Any], total: Any) -> None:
    values, scores = pair
    numbers: Any = summed.args[2]
    axis = int(summed.args[1]) % len(shape_of(total))  # type: ignore[arg-type]
    if shape_of(total)[axis] != shape_of(summed)[axis]:  # one total for all nodes
        return
    with graph.inserting_before(node):
        # total has one entry a node, the quotient needs one an edge: that of edge 5, which leads to node 2, is total[2]
        shape = [len(first_value(numbers)) if a == axis else n for a, n in enumerate(shape_of(total))]
        of_edge = insert(graph, aten.index_select.default, (total, axis, numbers), shape=shape, like=total)
        alpha = insert(graph, aten.div.Tensor, (scores, of_edge), shape=_broadcast(scores, of_edge), like=scores)
        weighed = insert(graph, aten.mul.Tensor, (values, alpha), shape=shape_of(summed.args[3]), like=summed)  # type: ignore[arg-type]
        made = graph.node_copy(summed, lambda n: weighed if n is summed.args[3] else n)
        made.meta = dict(summed.meta)
    node.replace_all_uses_with(made)
    graph.erase_node(node)


def _broadcast(a: fx.Node, b: fx.Node) -> tuple[int, ...]:
    return tuple(torch.broadcast_shapes(shape_of(a), shape_of(b)))


def _is_passed(node: fx.Node) -> bool:
    """Whether a call only moves its value, or multiplies it with a number."""
    return node.target in MOVED or (node.target in TIMES | DIVISION and isinstance(node.args[1], (int, float)))


def _still(node: Any) -> Any:
    """A value without what only moves it, and without numbers that it is multiplied with."""
    while isinstance(node, fx.Node) and _is_passed(node):
        node = node.args[0]
    return node


def _as_in(graph: fx.Graph, call: Any, value: Any) -> fx.Node:
    """A value multiplied with a number, or divided by it, as another is in a call."""
    return insert(graph, call.target, (value, call.args[1]), shape=shape_of(value), like=value)


def _ones_before(graph: fx.Graph, node: fx.Node) -> fx.Node:
    """The numbers that stand in front of the exponential in a value, of the value's shape."""
    made, below = 1.0, node
    while _is_passed(below):
        if below.target not in MOVED:
            number = float(below.args[1])  # type: ignore[arg-type]
            made = made * number if below.target in TIMES else made / number
        below = below.args[0]  # type: ignore[assignment]
    return insert(graph, aten.full_like.default, (node, made), shape=shape_of(node), like=node)


def _is_exp(node: Any) -> bool:
    return isinstance(_still(node), fx.Node) and _still(node).target in EXP


def _total(node: Any, signals: set[fx.Node]) -> fx.Node | None:
    """What is summed over edges in a value that has been looked up for each edge again; None in any other value."""
    while isinstance(node, fx.Node) and node in signals:
        if node.target in ADDED:
            fixed = node.args[2] not in signals and is_zeros(_still(node.args[0]))
            return _still(node.args[3]) if fixed and node.kwargs.get("alpha", 1) == 1 else None
        others = [operand for operand in node.all_input_nodes[1:] if operand in signals]
        if not (node.target in LOOKED_UP | GUARDS or _is_passed(node)) or others:
            return None
        node = node.args[0]
    return None


def _with_ones(graph: fx.Graph, node: fx.Node, signals: set[fx.Node]) -> fx.Node:
    """The same sum of ones, without the small number that guards against a division by zero."""
    source: Any = node.args[3] if node.target in ADDED else node.args[0]
    if node.target in GUARDS:
        return _with_ones(graph, source, signals)
    # of the shape in which the scores come here
    below = _ones_before(graph, source) if node.target in ADDED else _with_ones(graph, source, signals)
    copy = graph.node_copy(node, lambda n: below if n is source else _constant(graph, n, signals))
    copy.meta = dict(node.meta)
    return copy


def _constant(graph: fx.Graph, node: fx.Node, signals: set[fx.Node]) -> fx.Node:
    """A value that depends on no signal; zeros whose shape is taken from one are made of their own."""
    if node not in signals:
        return node
    made = insert(graph, aten.full.default, (list(shape_of(node)), 0.0), shape=shape_of(node), like=node)
    made.kwargs = {"dtype": first_value(node).dtype}
    return made
