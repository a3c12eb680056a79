"""Changing an exported graph: new calls in the place of old ones, with the shapes that later readers ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.utils._pytree import tree_flatten_with_path

KEYS = ("idx", "key", "name")
"""What torch calls a place in a sequence, a key of a mapping, a field."""
KEPT = ("nn_module_stack", "stack_trace")
LIBRARIES = ("/torch/", "/axonometry/program/", "/jaxtyping/", "/beartype/", "<")


def insert(
    graph: fx.Graph,
    operation: Callable[..., Any],
    args: tuple[Any, ...],
    *,
    shape: Iterable[int],
    like: fx.Node,
    dtype: Any = None,
) -> fx.Node:
    """A call at the graph's insertion point, with a result of the shape given and the place of ``like``."""
    node = graph.call_function(operation, args)
    value: Tensor = first_value(like)
    node.meta = {key: like.meta[key] for key in KEPT if key in like.meta}
    node.meta["val"] = value.new_empty(tuple(shape), dtype=dtype or value.dtype)
    return node


def first_value(node: fx.Node) -> Any:
    """What is known of a result; of several, the first."""
    value = node.meta["val"]
    return value[0] if isinstance(value, (tuple, list)) else value


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """The shape of a result; of several, the first's."""
    return tuple(first_value(node).shape)


def is_float(node: fx.Node) -> bool:
    """Whether a node's value is a floating-point tensor."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point()


def user_inputs(exported: ExportedProgram) -> list[fx.Node]:
    """The placeholders of the module's own inputs, in order."""
    placeholders = [node for node in exported.graph.nodes if node.op == "placeholder"]
    specs = exported.graph_signature.input_specs
    return [node for node, spec in zip(placeholders, specs, strict=True) if spec.kind == InputKind.USER_INPUT]


def paths_of(exported: ExportedProgram) -> list[tuple[Any, ...]]:
    """By leaf of the example, where it lies: the name of the forward's argument, then keys and places."""
    signature = exported.module_call_graph[0].signature
    names = dict(enumerate(signature.forward_arg_names or [] if signature else []))
    found = []
    for keys, _ in tree_flatten_with_path(exported.example_inputs)[0]:
        named, argument, *inside = (getattr(key, next(n for n in KEYS if hasattr(key, n))) for key in keys)
        found.append((argument if named else names.get(argument, str(argument)), *inside))
    return found


def depending(exported: ExportedProgram, on: Iterable[fx.Node]) -> set[fx.Node]:
    """The nodes themselves and all that is computed from them."""
    found = set(on)
    for node in exported.graph.nodes:
        if node not in found and any(operand in found for operand in node.all_input_nodes):
            found.add(node)
    return found


def is_users(file: str) -> bool:
    """Whether a file of code is the user's: not torch's, ours, or of those who check types on the way."""
    return not any(part in file for part in LIBRARIES)


def arguments_of(
    node: fx.Node, value: Callable[[fx.Node], Any], moved: tuple[torch.device, torch.device] | None = None
) -> tuple[Any, dict[str, Any]]:
    """A call's arguments with values in the place of nodes.

    Args:
        node: The call.
        value: Gives the value of a node.
        moved: Where the program was captured, and where it is now: a call that makes a tensor, such as a mask, makes
            it there.
    """
    args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), value)
    if moved is None or moved[0] == moved[1]:
        return args, kwargs

    def place(argument: Any) -> Any:
        return moved[1] if isinstance(argument, torch.device) and argument == moved[0] else argument

    return tuple(map(place, args)), {name: place(argument) for name, argument in kwargs.items()}
