"""Changing an exported graph: new calls in the place of old ones, with the shapes that later readers ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

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
