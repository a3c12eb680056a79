"""Embeddings: a row of a table looked up by number is the table's product with a one-hot vector.

Where the numbers come from the module's inputs, the one-hot vectors are a group of input neurons, one for each place
and each row of the table; a row's entries are the weights of that neuron's links.

Take ``Sequential(Embedding(10, 3), Linear(3, 2))`` on four token ids, of shape (1, 4), and what it exports to::

    embedding = aten.embedding(p_0_weight, input)  # (1, 4, 3)
    linear = aten.linear(embedding, p_1_weight, p_1_bias)

The pass puts a product in the place of the look-up::

    one_hot = one_hot(input, 10)  # (1, 4, 10): a 1 at each token's row
    look_up = look_up(one_hot, p_0_weight)  # (1, 4, 3), the same values
    linear = aten.linear(look_up, p_1_weight, p_1_bias)

``one_hot`` is the group ``input`` of 4 x 10 neurons, and ``0`` a synapse from it of 4 x 10 x 3 = 120 links.
Two tables of ten rows that are read with the same ids share one group of one-hot vectors.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from axonometry.program.fx_utils import depending, insert, shape_of, user_inputs
from axonometry.program.primitives import bags, look_up, one_hot
from axonometry.program.registry import overloads

aten = torch.ops.aten
BAGS = set(overloads("embedding_bag", "_embedding_bag"))
LOOK_UPS = {aten.embedding.default, *BAGS}
CHOICES = set(overloads(*"argmax argmin topk sort argsort multinomial searchsorted bucketize".split()))


def find_lookups(exported: ExportedProgram) -> ExportedProgram:
    """Give every embedding of the module's inputs its one-hot input neurons, in place."""
    graph, varying = exported.graph, depending(exported, user_inputs(exported))
    vectors: dict[tuple[fx.Node, int], fx.Node] = {}
    for node in list(graph.nodes):
        if node.target not in LOOK_UPS or node.args[1] not in varying or _chosen(node.args[1], varying):
            continue
        table, indices = node.args[:2]
        if table in varying:
            continue
        rows, padding = shape_of(table)[0], _given(node, 8, None) if node.target in BAGS else None
        padding = None if padding is None or padding == -1 else int(padding) % rows
        with graph.inserting_before(node):
            if (indices, rows) not in vectors:
                shape = (*shape_of(indices), rows)
                vectors[indices, rows] = insert(graph, one_hot, (indices, rows), shape=shape, like=node)
            shape = (*shape_of(indices), shape_of(table)[1])
            call = insert(graph, look_up, (vectors[indices, rows], table), shape=shape, like=node)
            if node.target in BAGS:
                offsets, mode, last = node.args[2], _given(node, 4, 0), _given(node, 7, False)
                weights, left_out = _given(node, 6, None), () if padding is None else (indices, padding)
                if weights is not None:
                    column = insert(
                        graph, aten.unsqueeze.default, (weights, 1), shape=(*shape_of(weights), 1), like=node
                    )
                    call = insert(graph, aten.mul.Tensor, (call, column), shape=shape, like=node)
                call = insert(graph, bags, (call, offsets, mode, last, *left_out), shape=shape_of(node), like=node)
                for user in list(node.users):
                    if user.args[1] == 0:
                        user.replace_all_uses_with(call)
                    if not user.users:  # what else it gives is for the derivative
                        graph.erase_node(user)
                if not node.users:
                    graph.erase_node(node)
                continue
        node.replace_all_uses_with(call)
        graph.erase_node(node)
    return exported


def _given(node: fx.Node, place: int, default: Any) -> Any:
    return node.args[place] if len(node.args) > place else default


def _chosen(indices: fx.Node, varying: set[fx.Node]) -> bool:
    """Whether numbers have been found by comparing signals, as the nearest entry of a code book is."""
    pending, seen = [indices], set()
    while pending:
        node = pending.pop()
        if node.target in CHOICES:
            return True
        seen.add(node)
        pending += [operand for operand in node.all_input_nodes if operand in varying and operand not in seen]
    return False
