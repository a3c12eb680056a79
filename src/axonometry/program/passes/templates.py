"""Operands of which a call uses nothing but the type or the shape: these are written into the call.

A parameter is cast to a signal's type, a constant is made as large as a signal::

    return self.o(k - self.l.type_as(h) * h)        type_as   = aten.type_as(p_l, linear)
    return h + torch.full_like(h, 0.5)              full_like = aten.full_like(linear, 0.5)

Neither result depends on what ``h`` is, but as calls they seem to. The pass puts in their place::

    to = aten.to.dtype(p_l, torch.float32)
    full = aten.full([1, 3], 0.5)

``to`` is a value that depends on a parameter alone, so that it is a coefficient of ``h``, and ``full`` is a constant.
The same holds of values that are written over whole: ``h.fill_(c)``, ``h.zero_()``, ``h.copy_(y)``, ``h.normal_()``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from axonometry.program.fx_utils import first_value, insert, shape_of
from axonometry.program.registry import overloads

aten = torch.ops.aten
Rewrite = Callable[[fx.Graph, fx.Node], fx.Node]


def name_templates(exported: ExportedProgram) -> ExportedProgram:
    """Write types and shapes into the calls that take them from a value, in place."""
    graph = exported.graph
    for node in list(graph.nodes):
        rewrite = _REWRITES.get(node.target)
        if rewrite is None or node.meta.get("val") is None:
            continue
        with graph.inserting_before(node):
            other = rewrite(graph, node)
        if other is not node:
            node.replace_all_uses_with(other)
    graph.eliminate_dead_code()
    return exported


def _cast(graph: fx.Graph, node: fx.Node) -> fx.Node:
    """``p.type_as(h)``, ``p.to(h)``: the type and the device of h."""
    value = first_value(node)
    args = (node.args[0], value.device, value.dtype)
    return insert(graph, aten.to.device, args, shape=shape_of(node), like=node)


def _expanded(graph: fx.Graph, node: fx.Node) -> fx.Node:
    """``p.expand_as(h)``."""
    return insert(graph, aten.expand.default, (node.args[0], list(shape_of(node))), shape=shape_of(node), like=node)


def _reshaped(graph: fx.Graph, node: fx.Node) -> fx.Node:
    """``p.view_as(h)``, ``p.reshape_as(h)``."""
    return insert(graph, aten.reshape.default, (node.args[0], list(shape_of(node))), shape=shape_of(node), like=node)


def _constant(fill: int | None) -> Rewrite:
    """``zeros_like(h)``, ``h.new_ones(size)``; the number is the call's last argument where it has one."""

    def rewrite(graph: fx.Graph, node: fx.Node) -> fx.Node:
        number = node.kwargs.get("fill_value", node.args[-1]) if fill is None else fill
        return _full(graph, node, number)

    return rewrite


def _full(graph: fx.Graph, node: fx.Node, number: Any) -> fx.Node:
    value = first_value(node)
    made = insert(graph, aten.full.default, (list(shape_of(node)), number), shape=shape_of(node), like=node)
    made.kwargs = {"dtype": value.dtype, "device": value.device}
    return made


def _written(graph: fx.Graph, node: fx.Node) -> fx.Node:
    """``h.copy_(y)`` and ``h.fill_(y)`` for a tensor y: y in the type and the shape of h."""
    value, shape = first_value(node), shape_of(node)
    source = node.args[1]
    if not isinstance(source, fx.Node):
        return _full(graph, node, source)
    if first_value(source).dtype != value.dtype or first_value(source).device != value.device:
        args = (source, value.device, value.dtype)
        source = insert(graph, aten.to.device, args, shape=shape_of(source), like=node)
    if shape_of(source) == shape:
        return source
    return insert(graph, aten.expand.default, (source, list(shape)), shape=shape, like=node)


def _drawn(graph: fx.Graph, node: fx.Node) -> fx.Node:
    """``randn_like(h)``, ``h.uniform_()``: a draw of the shape of h, from zeros in its place."""
    like = node.args[0]
    # A constant gives the shape already, and no signal does.
    if not isinstance(like, fx.Node) or like.target is aten.full.default:
        return node
    node.replace_input_with(like, _full(graph, like, 0))
    return node


def _part(graph: fx.Graph, node: fx.Node) -> fx.Node:
    """One of ``torch.broadcast_tensors(p, h)``: nothing but that one, expanded."""
    several, place = node.args
    if not isinstance(several, fx.Node) or several.target is not aten.broadcast_tensors.default:
        return node
    source: Any = several.args[0][place]  # type: ignore[index]
    return insert(graph, aten.expand.default, (source, list(shape_of(node))), shape=shape_of(node), like=node)


_REWRITES: dict[Any, Rewrite] = {
    **dict.fromkeys([*overloads("type_as"), aten.to.other], _cast),
    **dict.fromkeys(overloads("expand_as"), _expanded),
    **dict.fromkeys(overloads("view_as", "reshape_as"), _reshaped),
    **dict.fromkeys(overloads("zeros_like", "new_zeros", "empty_like", "new_empty", "zero"), _constant(0)),
    **dict.fromkeys(overloads("ones_like", "new_ones"), _constant(1)),
    **dict.fromkeys(overloads("full_like", "new_full"), _constant(None)),
    **dict.fromkeys(overloads("copy", "fill"), _written),
    **dict.fromkeys(
        overloads(*"rand_like randn_like randint_like normal_functional uniform exponential".split()), _drawn
    ),
    aten.bernoulli.p: _drawn,
    operator.getitem: _part,
}
