"""What the steps of recurrent layers compute, as functions that stand in a program in the place of the fused calls.

How each is read as links is said by the rules of the same name, with ``_rule`` behind it, in ``rules/recurrent``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}
"""Gates of a cell: how many times its units a layer's pre-activations are."""


def state_before(start: Tensor, signal: Tensor, time: int, reverse: bool) -> Tensor:
    """The state that each step starts from, of shape (..., units); it is found inside :func:`pre_activations`."""
    return start


def from_state(before: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The part of the sums that comes from the state before; it is found inside :func:`pre_activations`."""
    return before


def pre_activations(
    of_input: Tensor,
    of_state: Tensor,
    weights: tuple[Tensor | None, ...],
    start: tuple[Tensor, ...],
    how: tuple[str, int, bool],
) -> Tensor:
    """The pre-activation of every gate at every step.

    Args:
        of_input: What comes from the layer's input, of shape (T, B, gates x units), or with T and B swapped.
        of_state: From :func:`from_state`; not looked at.
        weights: Those of the state: weight, bias, projection.
        start: The state before the first step, of shape (B, units), and of an LSTM the memory, of shape (B, units).
        how: The kind of cell, the axis of steps, and whether the last step comes first.
    """
    kind, time, reverse = how
    weight, bias, projection = weights
    steps = list(of_input.unbind(time))
    state, memory = start[0].expand(*steps[0].shape[:-1], -1), start[-1].expand(*steps[0].shape[:-1], -1)
    sums = []
    for step in reversed(steps) if reverse else steps:
        recurrent = F.linear(state, weight, bias)  # type: ignore[arg-type]
        total = gru_pre_activations(step, recurrent) if kind == "gru" else step + recurrent
        gates = activated(total, kind)
        if kind == "lstm":
            memory = next_memory(gates, memory)
            state = next_state(gates, memory)
            state = state if projection is None else F.linear(state, projection)
        else:
            state = next_gru_state(gates, state) if kind == "gru" else gates
        sums.append(total)
    return torch.stack(sums[::-1] if reverse else sums, time)


def activated(sums: Tensor, kind: str) -> Tensor:
    """The gates after their nonlinearity: sigmoid, and tanh for the candidate of a new memory or state."""
    if kind in ("tanh", "relu"):
        return torch.tanh(sums) if kind == "tanh" else torch.relu(sums)
    parts = list(sums.chunk(GATES[kind], -1))
    candidate = 2  # input, forget, candidate, output of an LSTM; reset, update, candidate of a GRU
    return torch.cat([torch.tanh(p) if i == candidate else torch.sigmoid(p) for i, p in enumerate(parts)], -1)


def states(gates: Tensor, start: tuple[Tensor, ...], how: tuple[str, int, bool]) -> Tensor:
    """The state after every step, before a projection."""
    kind, time, reverse = how
    if kind in ("tanh", "relu"):
        return gates
    if kind == "lstm":
        return gates.chunk(4, -1)[3] * torch.tanh(memories(gates, start, how))
    return _one_after_the_other(gates, start[0], next_gru_state, (time, reverse))


def memories(gates: Tensor, start: tuple[Tensor, ...], how: tuple[str, int, bool]) -> Tensor:
    """The memory of an LSTM after every step."""
    return _one_after_the_other(gates, start[1], next_memory, how[1:])


def _one_after_the_other(
    gates: Tensor, value: Tensor, following: Callable[[Tensor, Tensor], Tensor], order: tuple[int, bool]
) -> Tensor:
    """The values after every step, each made of the step's gates and the value before."""
    time, reverse = order
    found = []
    for step in _in_order(gates, time, reverse):
        value = following(step, value)
        found.append(value)
    return torch.stack(found[::-1] if reverse else found, time)


def next_memory(gates: Tensor, memory: Tensor) -> Tensor:
    """F c + i g."""
    write, forget, candidate, _ = gates.chunk(4, -1)
    return forget * memory + write * candidate


def next_state(gates: Tensor, memory: Tensor) -> Tensor:
    """O tanh(c)."""
    return gates.chunk(4, -1)[3] * torch.tanh(memory)


def gru_pre_activations(of_input: Tensor, of_state: Tensor) -> Tensor:
    """The pre-activations of a GRU: the reset gate stands before the candidate's part of the state."""
    size = of_input.shape[-1] // 3
    gates = of_input[..., : 2 * size] + of_state[..., : 2 * size]
    reset = torch.sigmoid(gates[..., :size])
    return torch.cat([gates, of_input[..., 2 * size :] + reset * of_state[..., 2 * size :]], -1)


def next_gru_state(gates: Tensor, state: Tensor) -> Tensor:
    """(1 - z) n + z h."""
    _, update, candidate = gates.chunk(3, -1)
    return (1 - update) * candidate + update * state


def _in_order(gates: Tensor, time: int, reverse: bool) -> Iterator[Tensor]:
    steps = gates.unbind(time)
    return iter(reversed(steps) if reverse else steps)
