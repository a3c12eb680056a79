"""Calls without a rule taken apart into calls that have one, by torch's own definitions.

Most of torch's thousand operators are another name for one, or are defined by others. Take a gain and a bias written
as one call, and what it exports to::

    return torch.addcmul(self.bias, self.gain, self.linear(x))       addcmul = aten.addcmul(p_bias, p_gain, linear)

``aten.addcmul`` has no rule. What torch defines it by takes its place::

    mul = aten.mul(p_gain, linear)        add = aten.add(p_bias, mul)

A call is left alone where it has a rule, or where some of what it is defined by has none; then the error names the
call that the user wrote.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx
from torch._decomp import decomposition_table
from torch.export import ExportedProgram
from torch.fx.experimental.proxy_tensor import make_fx

from axonometry.program.fx_utils import KEPT, depending, insert, shape_of, user_inputs
from axonometry.program.passes.recurrence import CELLS, LAYERS
from axonometry.program.rules import find_rule

aten = torch.ops.aten
# Both have a rule, for a bias that is no signal. In addmm(h, x, w) of two signals h is a skip, and the sum is
# rewritten.
ADDED = {aten.addmm.default, aten.baddbmm.default}
DEPTH = 3
"""How often what a call is defined by may be taken apart in turn."""


def _of_spread(spread: Any) -> Callable[..., tuple[Tensor, Tensor]]:
    """Spread and mean in one call, as a call for each."""

    def both(x: Tensor, dim: Any = None, *args: Any, keepdim: bool = False, **named: Any) -> tuple[Tensor, Tensor]:
        keepdim = bool(args[1]) if len(args) > 1 else keepdim
        # var_mean.dim(x, [1], False, True) says by place what var_mean.correction(x, [1], correction=0, keepdim=True)
        # says by name.
        if args:
            named["correction"] = int(bool(args[0]))
        axes = list(range(x.dim())) if dim is None or dim == [] else dim
        return spread(x, dim, keepdim=keepdim, **named), x.mean(axes, keepdim)

    return both


WRITTEN_OUT: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((aten.var_mean.dim, aten.var_mean.correction), _of_spread(aten.var.correction)),
    **dict.fromkeys((aten.std_mean.dim, aten.std_mean.correction), _of_spread(aten.std.correction)),
}
"""Calls that torch defines by others without a rule, by our own definitions."""


def take_apart(exported: ExportedProgram) -> ExportedProgram:
    """Put what torch defines them by in the place of calls on signals that have no rule, in place."""
    added = [node for node in exported.graph.nodes if node.target in ADDED]
    if added:
        signals = depending(exported, user_inputs(exported))
        for node in added:
            if node.args[0] in signals:
                _add_behind(exported.graph, node)
    # Asked again: the nodes that have just been taken apart are gone, and their parts are signals.
    unknown = [node for node in exported.graph.nodes if _is_unknown(node)]
    if unknown:
        signals = depending(exported, user_inputs(exported))
        for node in unknown:
            if node in signals:
                definition = _definition(node, DEPTH)
                if definition is not None:
                    _inline(exported.graph, node, definition)
    return exported


def _add_behind(graph: fx.Graph, node: fx.Node) -> None:
    """A product that is added to a signal, ``addmm(h, x, w)``, as a product and a sum, of which h is a skip."""
    given: tuple[Any, ...] = node.args
    term, *operands = given
    with graph.inserting_before(node):
        shape = (*shape_of(operands[0])[:-1], shape_of(operands[1])[-1])
        product = insert(graph, aten.matmul.default, tuple(operands), shape=shape, like=node)
        if node.kwargs.get("beta", 1) != 1:
            term = insert(graph, aten.mul.Scalar, (term, node.kwargs["beta"]), shape=shape_of(term), like=node)
        call = insert(graph, aten.add.Tensor, (term, product), shape=shape_of(node), like=node)
        call.kwargs = {"alpha": node.kwargs.get("alpha", 1)}
    node.replace_all_uses_with(call)
    graph.erase_node(node)


def _is_unknown(node: fx.Node) -> bool:
    call = node.target
    known = find_rule(call) is not None or call in LAYERS or call in CELLS  # recurrent ones are unrolled later
    return node.op == "call_function" and isinstance(call, torch._ops.OpOverload) and not known


def _definition(node: fx.Node, depth: int) -> fx.GraphModule | None:
    """The graph of the calls that define a call, each with a rule or without a signal; None where there is none."""
    table = _defined_by()
    call: Any = node.target
    defined = WRITTEN_OUT.get(call, call)
    if not depth or not (defined is not call or call in table or call._can_decompose()):
        return None
    operands = node.all_input_nodes

    def run(*values: Any) -> Any:
        given = dict(zip(operands, values, strict=True))
        args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), given.__getitem__)
        return defined(*args, **kwargs)

    try:
        with torch.no_grad():
            # The table holds this call alone. With all of it, a native_layer_norm inside, which has a rule, would come
            # out as var_mean, sub and rsqrt.
            traced = make_fx(run, decomposition_table={call: table[call]} if call in table else {})(
                *(operand.meta["val"] for operand in operands)
            )
    except Exception:  # noqa: BLE001 - what torch cannot trace stays as it is, and is named by the error of its rule
        return None
    _write_elsewhere(traced.graph)
    for inner in list(traced.graph.nodes):
        # A constant belongs to the traced module, and a copied node would not find it here; a call that is defined by
        # itself would be taken apart for ever.
        if inner.op == "get_attr" or inner.target is call:
            return None
        if _is_unknown(inner):
            deeper = _definition(inner, depth - 1)
            # What is computed from numbers alone, a range of places say, is run and needs no rule.
            if deeper is None and _reads_input(inner):
                return None
            if deeper is not None:
                _inline(traced.graph, inner, deeper)
    return traced


def _write_elsewhere(graph: fx.Graph) -> None:
    """Calls that return what they would write: torch's definition of a cosine similarity bounds its norms in place."""
    for node in list(graph.nodes):
        packet = getattr(node.target, "overloadpacket", None)
        if packet is None or not packet.__name__.endswith("_") or packet.__name__.endswith("__"):
            continue
        # n = norm(x), clamp_min_(n, 1e-8), x / n: afterwards x / n reads the result of clamp_min, which is another
        # node.
        other = getattr(getattr(aten, packet.__name__[:-1], None), node.target._overloadname, None)
        if other is None:
            continue
        before, written = list(graph.nodes), node.args[0]
        later = set(before[before.index(node) + 1 :])
        written.replace_all_uses_with(node, delete_user_cb=lambda user, later=later: user in later)
        node.target = other


def _reads_input(node: fx.Node) -> bool:
    """Whether a value depends on what its graph is given."""
    return node.op == "placeholder" or any(_reads_input(operand) for operand in node.all_input_nodes)


@cache
def _defined_by() -> dict[Any, Callable[..., Any]]:
    return dict(decomposition_table)


def _inline(graph: fx.Graph, node: fx.Node, definition: fx.GraphModule) -> None:
    """Copy a call's definition into its place."""
    copies: dict[fx.Node, Any] = dict(zip(_placeholders(definition), node.all_input_nodes, strict=True))
    results: Any = None
    with graph.inserting_before(node):
        for inner in definition.graph.nodes:
            if inner.op == "output":
                results = fx.map_arg(inner.args[0], copies.__getitem__)
            elif inner.op != "placeholder":
                copy = graph.node_copy(inner, copies.__getitem__)
                # The place in the user's code is that of the call that he wrote, not of a line in torch's definitions.
                copy.meta = {key: node.meta[key] for key in KEPT if key in node.meta} | {"val": inner.meta.get("val")}
                copies[inner] = copy
    if isinstance(results, (tuple, list)):
        for user in list(node.users):
            assert user.target is operator.getitem
            user.replace_all_uses_with(results[user.args[1]])  # type: ignore[index]
            graph.erase_node(user)
    else:
        node.replace_all_uses_with(results)
    graph.erase_node(node)
    graph.eliminate_dead_code()


def _placeholders(module: fx.GraphModule) -> list[fx.Node]:
    return [node for node in module.graph.nodes if node.op == "placeholder"]
