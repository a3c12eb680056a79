"""Linear layers that are written as products and sums: one einsum, a synapse.

Take ``(x[..., None] * self.weight).sum(-2)`` with a weight of shape (3, 4) on x of shape (1, 3), and what it exports
to::

    unsqueeze = aten.unsqueeze(x, -1)  # (1, 3, 1)
    mul = aten.mul(unsqueeze, p_weight)  # (1, 3, 4)
    sum_1 = aten.sum.dim_IntList(mul, [-2])  # (1, 4)

Every entry of the sum adds up weighted inputs, so that it is the pre-activation of a neuron. The pass writes it as the
one linear map that it is::

    squeeze = aten.squeeze.dims(unsqueeze, [2])
    einsum = aten.einsum("ab,bc->ac", [squeeze, p_weight])
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from axonometry.program.fx_utils import depending, insert, shape_of, user_inputs

aten = torch.ops.aten
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def read_written_sums(exported: ExportedProgram) -> ExportedProgram:
    """Put an einsum in the place of every sum over a product of a signal with weights that add an axis, in place."""
    graph = exported.graph
    sums = [node for node in graph.nodes if node.target is aten.sum.dim_IntList]
    if not sums:
        return exported
    varying = depending(exported, user_inputs(exported))
    for node in sums:
        product: Any = node.args[0]
        if product.target is not aten.mul.Tensor or len(product.users) > 1 or node.kwargs:
            continue
        a, b = product.args
        signal, weight = (a, b) if a in varying else (b, a)
        if not isinstance(weight, fx.Node) or weight in varying or signal not in varying or not _is_learned(weight):
            continue
        rank = len(shape_of(product))
        summed = {axis % rank for axis in node.args[1]} if node.args[1] else set(range(rank))
        if _adds_an_axis(_aligned(signal, rank), _aligned(weight, rank), summed):
            _write(graph, node, signal, weight, summed)
    return exported


def _is_learned(node: fx.Node) -> bool:
    """Whether a value comes from the module's tensors, and not from numbers in its code alone."""
    return node.op in ("placeholder", "get_attr") or any(_is_learned(operand) for operand in node.all_input_nodes)


def _aligned(node: fx.Node, rank: int) -> tuple[int, ...]:
    """A shape, with ones in front as broadcasting puts them."""
    return (1,) * (rank - len(shape_of(node))) + shape_of(node)


def _adds_an_axis(signal: tuple[int, ...], weight: tuple[int, ...], summed: set[int]) -> bool:
    """Whether weights meet the signal along a summed axis, and run along another that the signal does not have."""
    pairs = list(enumerate(zip(signal, weight, strict=True)))
    # x[..., None] * W, summed over axis 1: signal (1, 3, 1), weight (1, 3, 4). They meet along axis 1, which is summed,
    # and the weight runs along axis 2, which the signal does not have: outputs. In (x * g).sum(-1), with a gain g of
    # (3,), nothing is added: that is a scale and a sum.
    meet = any(s > 1 and w > 1 for axis, (s, w) in pairs if axis in summed)
    alone = [axis for axis, (s, w) in pairs if s > 1 and w == 1 and axis in summed]
    return meet and not alone and any(s == 1 and w > 1 for axis, (s, w) in pairs if axis not in summed)


def _write(graph: fx.Graph, node: fx.Node, signal: fx.Node, weight: fx.Node, summed: set[int]) -> None:
    shapes = [_aligned(operand, len(shape_of(node.args[0]))) for operand in (signal, weight)]  # type: ignore[arg-type]
    rank = len(shapes[0])
    of_weight = [axis for axis in range(rank) if shapes[1][axis] > 1]
    of_signal = [axis for axis in range(rank) if shapes[0][axis] > 1 or (axis not in of_weight and axis not in summed)]
    result = [axis for axis in range(rank) if axis not in summed]
    words = ["".join(LETTERS[axis] for axis in axes) for axes in (of_signal, of_weight, result)]
    full = [max(pair) for pair in zip(*shapes, strict=True)]
    with graph.inserting_before(node):
        operands = []
        for operand, axes, shape in zip((signal, weight), (of_signal, of_weight), shapes, strict=True):
            kept = tuple(shape[axis] for axis in axes)
            same = kept == shape_of(operand)
            operands.append(
                operand
                if same
                else insert(graph, aten.reshape.default, (operand, list(kept)), shape=kept, like=operand)
            )
        shape = tuple(full[axis] for axis in result)
        equation = f"{words[0]},{words[1]}->{words[2]}"
        call = insert(graph, aten.einsum.default, (equation, operands), shape=shape, like=node)
        if shape != shape_of(node):
            args = (call, list(shape_of(node)))
            call = insert(graph, aten.reshape.default, args, shape=shape_of(node), like=node)
    node.replace_all_uses_with(call)
    product = node.args[0]
    graph.erase_node(node)
    graph.erase_node(product)  # type: ignore[arg-type]
