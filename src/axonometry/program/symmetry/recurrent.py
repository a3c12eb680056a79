"""What recurrent layers do with the atoms of their operands: a unit's gates, state and memory move together."""

from __future__ import annotations

from typing import Any

from axonometry.program import cells
from axonometry.program.symmetry.atoms import Atoms
from axonometry.program.symmetry.contraction import elementwise
from axonometry.program.symmetry.labels import Labels, Layer, Shape, fix
from axonometry.program.symmetry.operations import label_rule, linear_labels, unary_labels


def units(atoms: Atoms, value: Labels, gates: int) -> Labels:
    """The units of a cell: their gates, one block of rows behind the other, move together."""
    last = len(value.shape) - 1
    shape = (*value.shape[:-1], value.shape[-1] // gates)
    layer = value.over([last])
    if layer is None:
        fix(atoms, value)
        return Labels(shape)
    rows = layer.atoms.reshape(gates, -1)
    atoms.join(rows[1:], rows[:1])
    return Labels(shape, (Layer((last,), rows[0]),))


def _last(value: Labels) -> Labels:
    """The labels along the last axis alone."""
    rank = len(value.shape)
    layers = tuple(Layer((0,), layer.atoms) for layer in value.layers if layer.axes == (rank - 1,))
    constant = None if value.constant is None else value.constant.reshape(-1, value.shape[-1])[0]
    return Labels(value.shape[-1:], layers, constant)


@label_rule(cells.state_before.__name__)
def state_before_labels(atoms: Atoms, shape: Shape, start: Labels, *_: Any) -> Labels:
    """The state of the step before, of which only the number of units is known here."""
    state = Labels(shape, (Layer((len(shape) - 1,), atoms.new(shape[-1])),))
    return elementwise(atoms, [state, _last(start)], shape)


@label_rule(cells.from_state.__name__)
def from_state_labels(atoms: Atoms, shape: Shape, before: Labels, weight: Labels, bias: Any = None, *_: Any) -> Labels:
    """A linear map of the state before."""
    return linear_labels(atoms, shape, before, weight, bias)


@label_rule(cells.pre_activations.__name__)
def pre_activations_labels(atoms: Atoms, shape: Shape, of_input: Labels, of_state: Labels, *more: Any) -> Labels:
    """Gates of input and state; what the state's weights read is the state that these gates lead to."""
    weights, start, how = more
    result = elementwise(atoms, [of_input, of_state], shape)
    state, projection = weights[0].over([1]), weights[2]
    own = units(atoms, result, cells.GATES[how[0]])
    next_state = own.over([len(shape) - 1]) if projection is None else projection.over([0])
    if state is None or next_state is None:
        fix(atoms, weights[0])
    else:
        atoms.join(state.atoms, next_state.atoms)
    if len(start) > 1:
        elementwise(atoms, [own, _last(start[1])], own.shape)
    return result


@label_rule(cells.gru_pre_activations.__name__)
def gru_pre_activations_labels(atoms: Atoms, shape: Shape, of_input: Labels, of_state: Labels) -> Labels:
    """Gates of input and state in a loop over cells."""
    result = elementwise(atoms, [of_input, of_state], shape)
    units(atoms, result, cells.GATES["gru"])
    return result


@label_rule(cells.activated.__name__)
def activated_labels(atoms: Atoms, shape: Shape, gates: Labels, *_: Any) -> Labels:
    """Gates stay where they are."""
    return unary_labels(atoms, shape, gates)


@label_rule(cells.states.__name__, cells.memories.__name__)
def states_labels(atoms: Atoms, shape: Shape, gates: Labels, start: Any, how: Any) -> Labels:
    """One number a unit, of its gates."""
    return Labels(shape, units(atoms, gates, cells.GATES[how[0]]).layers)


@label_rule(cells.next_memory.__name__, cells.next_state.__name__)
def next_memory_labels(atoms: Atoms, shape: Shape, gates: Labels, memory: Labels) -> Labels:
    """One number a unit, of its gates and its memory."""
    return elementwise(atoms, [units(atoms, gates, cells.GATES["lstm"]), memory], shape)


@label_rule(cells.next_gru_state.__name__)
def next_gru_state_labels(atoms: Atoms, shape: Shape, gates: Labels, state: Labels) -> Labels:
    """One number a unit, of its gates and the state before."""
    return elementwise(atoms, [units(atoms, gates, cells.GATES["gru"]), state], shape)
