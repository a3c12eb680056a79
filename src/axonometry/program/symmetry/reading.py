"""Permutations of a graph: one walk through its program, in which each operation says what has to move together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, fx

from axonometry.program.entry import of_graph
from axonometry.program.fx_utils import first_value
from axonometry.program.graph import NeuralGraph
from axonometry.program.ir import Program
from axonometry.program.symmetry import layers, recurrent  # noqa: F401 (they register their rules)
from axonometry.program.symmetry.atoms import Atoms, Ids
from axonometry.program.symmetry.classes import Permutations
from axonometry.program.symmetry.labels import Labels, fix, of_parameter
from axonometry.program.symmetry.operations import find_label_rule


@of_graph
def permutations(graph: NeuralGraph) -> Permutations:
    """The exchanges of neurons that leave the outputs as they are.

    A network computes the same if two neurons trade places and all that leads to them and away from them trades along:
    rows of the weights into them, biases, normalisation, columns of the weights that read them. Found for dense and
    convolutional layers (grouped, depthwise, transposed), skips, concatenation, flattening, norms, recurrent units,
    attention heads and what is inside them, embeddings. What an operation does not allow for sure is fixed: inputs,
    outputs, coordinates under rotary embeddings (they keep their place inside a head).

    Args:
        graph: A captured network.

    Returns:
        For each axis of each tensor the class that moves along it, or None; and the classes.

    >>> import torch
    >>> from torch import nn
    >>> from axonometry import capture
    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> found = permutations(capture(net, torch.zeros(1, 3)))
    >>> [(one.size, one.axes) for one in found.classes.values()]
    [(4, (('0.bias', 0), ('0.weight', 0), ('2.weight', 1)))]
    >>> found["0.weight"]  # its rows, not its columns, which read the input
    ('0.bias[0]', None)
    """
    program = graph.program
    atoms = Atoms()
    tensors: dict[str, tuple[Ids, ...]] = {}
    labels: dict[fx.Node, Any] = {}
    needed, state = _needed(program.graph), graph.state
    for node in program.graph.nodes:
        if node.op == "placeholder":
            labels[node] = _placeholder(node, program, state, atoms)
            if node in program.names and isinstance(labels[node], Labels) and labels[node].constant is None:
                tensors[program.names[node]] = tuple(layer.atoms for layer in labels[node].layers)
        elif node.op == "get_attr":
            labels[node] = _constant(_attribute(program.module, str(node.target)))
        elif node in needed and node.op == "call_function":
            labels[node] = _call(node, labels, atoms)
        elif node.op == "output":
            for end in node.all_input_nodes:
                for one in _tensors(labels[end]):
                    fix(atoms, one)
    return Permutations(atoms, tensors, _aliases(state, tensors))


def _placeholder(node: fx.Node, program: Program, state: Mapping[str, Tensor], atoms: Atoms) -> Any:
    value, names = node.meta.get("val"), program.names
    if not isinstance(value, Tensor):
        return value
    if node not in names:
        return Labels(tuple(value.shape))
    if not value.is_floating_point() or names[node] in program.constants:  # places, frequencies: they stay
        return _constant(state[names[node]])
    return of_parameter(atoms, tuple(value.shape))


def _needed(graph: fx.Graph) -> set[fx.Node]:
    """The nodes that the outputs depend on; others only serve readings of the graph."""
    needed: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        if node.op == "output" or node in needed:
            needed.update(node.all_input_nodes)
    return needed


def _call(node: fx.Node, labels: Mapping[fx.Node, Any], atoms: Atoms) -> Any:
    args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), labels.__getitem__)
    read = [one for operand in node.all_input_nodes for one in _tensors(labels[operand])]
    if all(one.constant is not None for one in read):
        return _constant(node.target(*_values(args), **_values(kwargs)))  # type: ignore[operator]
    value = node.meta.get("val")
    shape = tuple(first_value(node).shape) if isinstance(value, (Tensor, list, tuple)) else ()
    rule = find_label_rule(node.target)
    result = None if rule is None else rule(atoms, shape, *args, **kwargs)
    if result is not None and (not isinstance(result, Labels) or result.shape == shape):
        return result
    for one in read:
        fix(atoms, one)
    if isinstance(value, (list, tuple)):
        return [Labels(tuple(one.shape)) if isinstance(one, Tensor) else one for one in value]
    return Labels(shape)


def _tensors(value: Any) -> list[Labels]:
    """The labels of a result, or of several."""
    if isinstance(value, (list, tuple)):
        return [one for part in value for one in _tensors(part)]
    return [value] if isinstance(value, Labels) else []


def _attribute(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name)
    return module


def _constant(value: Any) -> Any:
    if isinstance(value, Tensor):
        return Labels(tuple(value.shape), (), value.detach())
    return type(value)(map(_constant, value)) if isinstance(value, (list, tuple)) else value


def _values(arguments: Any) -> Any:
    if isinstance(arguments, Labels):
        return arguments.constant
    if isinstance(arguments, dict):
        return {key: _values(value) for key, value in arguments.items()}
    return type(arguments)(map(_values, arguments)) if isinstance(arguments, (list, tuple)) else arguments


def _aliases(state: Mapping[str, Tensor], tensors: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The other names under which a state dict holds the same tensor."""
    names: dict[Any, list[str]] = defaultdict(list)
    for name, tensor in state.items():
        names[tensor.data_ptr(), tensor.shape, tensor.stride()].append(name)
    together = {name: tuple(other for other in same if other != name) for same in names.values() for name in same}
    return {name: together[name] for name in tensors if together.get(name)}
