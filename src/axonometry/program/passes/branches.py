"""Branches: of a ``torch.cond``, the program keeps the side that the example takes.

Take a network of one branch, with two linear maps ``a`` and ``b``, and what it exports to::

    def forward(self, x):                                  sum_1   = aten.sum(x)
        return torch.cond(x.sum() > 0, self.a, self.b_,    gt      = aten.gt(sum_1, 0)
                          (x,))                            cond    = cond(gt, true_graph_0, false_graph_0, (x, ...))
    # b_ is x -> relu(b(x))                                getitem = getitem(cond, 0)

On an example of ones the calls as far as ``gt`` are run and give True. The calls of ``true_graph_0`` take the place of
``cond``, and ``sum_1`` and ``gt``, which nothing else reads, are gone::

    linear = aten.linear(x, p_a_weight, p_a_bias)

The graph has the groups ``input`` and ``a``. ``b`` is no part of it, and the program is marked as decided by values.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

COND = torch.ops.higher_order.cond


def take_branches(exported: ExportedProgram) -> ExportedProgram:
    """Put the branch that the example inputs take in the place of every ``torch.cond``, in place."""
    graph, module = exported.graph, exported.graph_module
    sides: list[bool] = []
    # One at a time: the side that is taken may hold decisions of its own, which are in the graph only after it has been
    # copied.
    while any(node.target is COND for node in graph.nodes):
        module.meta["decided"] = True  # by the values of this example and these weights
        node = next(node for node in graph.nodes if node.target is COND)
        taken = _decide(exported, node)
        sides.append(taken)
        _inline(module, node, str(node.args[1 if taken else 2].target))
        graph.eliminate_dead_code()
    module.meta["branches"] = tuple(sides)  # in the order in which the module decides
    return exported


def _decide(exported: ExportedProgram, decision: fx.Node) -> bool:
    """Whether the example takes the first branch: the program is run as far as the decision."""
    leaves = iter(torch.utils._pytree.tree_leaves(exported.example_inputs))
    held = {**exported.state_dict, **exported.constants}
    arguments = (held[s.target] if s.target in held else next(leaves) for s in exported.graph_signature.input_specs)
    environment: dict[fx.Node, Any] = {}
    with torch.no_grad():
        for node in exported.graph.nodes:
            if node is decision:
                break
            if node.op == "placeholder":
                environment[node] = next(arguments)
            elif node.op == "get_attr":
                environment[node] = getattr(exported.graph_module, str(node.target))
            else:
                args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), environment.__getitem__)
                environment[node] = node.target(*args, **kwargs)
    condition = decision.args[0]
    value = environment[condition] if isinstance(condition, fx.Node) else condition
    return bool(value.item()) if isinstance(value, Tensor) else bool(value)


def _inline(module: fx.GraphModule, node: fx.Node, name: str) -> None:
    graph, branch = node.graph, getattr(module, name)
    operands = iter(node.args[3])  # type: ignore[arg-type]
    copies: dict[fx.Node, Any] = {}
    with graph.inserting_before(node):
        for inner in branch.graph.nodes:
            if inner.op == "placeholder":
                copies[inner] = next(operands)
            elif inner.op == "output":
                results = fx.map_arg(inner.args[0], copies.__getitem__)
            else:
                copies[inner] = graph.node_copy(inner, copies.__getitem__)
            if inner.op == "get_attr":  # the sides of a decision inside: there true_graph_0 is another one than here
                target = f"{name}_{inner.target}".replace(".", "_")
                setattr(module, target, attrgetter(str(inner.target))(branch))
                copies[inner].target = target
    # cond = (linear,) and getitem = cond[0]: whatever reads getitem reads linear from here on
    for user in list(node.users):  # the branches' results are a tuple, taken apart by getitem
        user.replace_all_uses_with(results[user.args[1]])
        graph.erase_node(user)
    graph.erase_node(node)
