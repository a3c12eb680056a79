"""Where in the program each group's pre-activation and activation are computed."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx

from axonometry.program.fx_utils import first_value
from axonometry.program.ir import Program
from axonometry.program.primitives import one_hot
from axonometry.program.registry import overloads

_aten = torch.ops.aten
_ELEMENTWISE = set(
    overloads(
        *"relu relu6 leaky_relu prelu elu selu celu gelu silu mish sigmoid tanh hardtanh hardswish hardsigmoid".split(),
        *"softplus log_sigmoid threshold softshrink hardshrink rrelu exp sin cos erf clamp clamp_min clamp_max".split(),
    )
)
_RELABELS = {
    operator.getitem,
    *overloads(*"view _unsafe_view reshape flatten unflatten permute transpose t squeeze unsqueeze movedim".split()),
    *overloads(*"clone contiguous alias detach to _to_copy dropout swapaxes swapdims".split()),
}
_KEPT = {operator.getitem, *overloads(*"clone contiguous alias detach to _to_copy dropout".split())}
"""Those that move nothing."""
_NORMS = set(
    overloads(
        *"layer_norm native_layer_norm rms_norm group_norm native_group_norm instance_norm batch_norm".split(),
        *"_native_batch_norm_legit _native_batch_norm_legit_no_training".split(),
    )
)
WITHOUT_VIEWS: dict[Any, Any] = dict.fromkeys((_aten.view.default, _aten._unsafe_view.default), _aten.reshape.default)
"""Calls whose argument must lie in memory as the network's does, and those that do the same wherever it lies."""


def pre_activation_nodes(program: Program) -> dict[str, fx.Node]:
    """The call whose result is a group's pre-activation, for every group that has one, in the order of computation."""
    nodes = {**program.inputs, **{step.group: step.node for step in program.steps if step.group is not None}}
    shapes = {group.name: group.shape for group in program.groups}
    return {name: nodes[name] for name in shapes if name in nodes and _fits(nodes[name], shapes[name])}


def activation_nodes(program: Program) -> dict[str, fx.Node]:
    """The call whose result is a group's activation, for every group with a nonlinearity behind it."""
    sums = pre_activation_nodes(program)
    told = {name: node for name, node in program.activations.items() if node is not sums.get(name)}
    nodes = {**_behind_relabels(sums), **told}
    return {name: nodes[name] for name, node in sums.items() if name in nodes and _alike(nodes[name], node)}


def layout(pre_activation: fx.Node, activation: fx.Node) -> Tensor | None:
    """Where each neuron of a group's sum is found in its activation; None where both are laid out alike."""
    path = []
    while activation is not pre_activation and activation.args and isinstance(activation.args[0], fx.Node):
        path.append(activation)
        activation = activation.args[0]
    # relu(h.transpose(1, 2)) of h (1, 2, 3): the labels 0 1 2 | 3 4 5 are laid out as 0 3 1 4 2 5, and argsort, 0 2 4 1
    # 3 5, tells where each neuron went: neuron 1 is entry 2 of the activation.
    labels = torch.arange(first_value(pre_activation).numel())
    moved = labels.reshape(first_value(pre_activation).shape)
    for node in reversed(path):
        if node.target in _RELABELS and node.target not in _KEPT:
            moved = WITHOUT_VIEWS.get(node.target, node.target)(moved, *node.args[1:])
    places = moved.reshape(-1).argsort()
    return None if torch.equal(places, labels) else places


def _behind_relabels(sums: Mapping[str, fx.Node]) -> dict[str, fx.Node]:
    """Nonlinearities that read a sum after its neurons have been laid out anew, or after a norm that alone reads it."""
    roots = {node: name for name, node in sums.items()}
    found: dict[str, fx.Node] = {}
    for node in next(iter(roots)).graph.nodes if roots else ():
        source = node.args[0] if node.op == "call_function" and node.args else None
        if not isinstance(source, fx.Node) or source not in roots or node in roots:
            continue
        if node.target in _ELEMENTWISE:
            found[roots[source]] = node
        normed = node.target in _NORMS and len(source.users) == 1
        if node.target in _ELEMENTWISE or normed or (node.target in _RELABELS and _alike(node, source)):
            roots[node] = roots[source]
    return found


def _fits(node: fx.Node, shape: tuple[int, ...]) -> bool:
    """Whether a node's result is a number for every neuron; token ids are none."""
    value = first_value(node)
    number = isinstance(value, Tensor) and value.is_floating_point() and node.target is not one_hot
    return number and value.numel() == math.prod(shape)


def _alike(node: fx.Node, other: fx.Node) -> bool:
    return bool(first_value(node).numel() == first_value(other).numel())
