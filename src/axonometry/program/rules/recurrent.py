"""Recurrent layers: what their steps, gates and memories are as links (definitions 2; gates are our choice)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from axonometry.program import cells
from axonometry.program.links import Links
from axonometry.program.op_call import Lowering, OpCall
from axonometry.program.registry import op_rule
from axonometry.program.rules.arithmetic import with_constant
from axonometry.program.rules.synapses import linear_rule


def _state(gates: Tensor, kind: str) -> Tensor:
    """What the gates of one step hand on as the state: each with weight 1; a reset gate acts inside its own step."""
    if kind == "lstm":
        return gates.unflatten(-1, (4, -1)).sum(-2)
    if kind == "gru":
        _, update, candidate = gates.chunk(3, -1)
        return update + candidate
    return gates


def _memory(gates: Tensor) -> Tensor:
    return gates.unflatten(-1, (4, -1))[..., :3, :].sum(-2)


@op_rule(cells.state_before)
def state_before_rule(call: OpCall) -> Lowering:
    """The state of the step before, and at the first the state that the layer starts from."""
    kind, start_node = call.node.meta["kind"], call.args[0]
    is_signal = call.is_signal(start_node)

    def read(links: Links, start: Tensor, signal: Any, time: int, reverse: bool, fed: Tensor) -> Tensor:
        state = _state(fed, kind)
        first = start.to(state) if is_signal or links.constants else torch.zeros((), dtype=state.dtype)
        first = first.to(state.device).expand(state.select(time, 0).shape).unsqueeze(time)
        # Steps s1 s2 s3 give (start, s1, s2) to start from; backwards, where s3 comes first, (s2, s3, start).
        kept = state.narrow(time, int(reverse), state.shape[time] - 1)
        return torch.cat([kept, first] if reverse else [first, kept], time)

    return Lowering("wiring", read, reads=(start_node,))


@op_rule(cells.from_state)
def from_state_rule(call: OpCall) -> Lowering:
    """A linear map of the state before."""
    return linear_rule(call)


@op_rule(cells.pre_activations, cells.gru_pre_activations)
def pre_activations_rule(call: OpCall) -> Lowering:
    """The sum of what comes from the input and from the state; a reset gate in between modulates."""
    terms = call.args[:2]
    linked = [call.is_signal(term) for term in terms]
    if not all(linked):  # the first step of a loop starts from a state that is no signal
        return Lowering("sum", with_constant(linked.index(True), 1.0, 1.0), coefficients=(1.0,))
    return Lowering("sum", lambda links, a, b, *_: a + b, reads=terms, coefficients=(1.0, 1.0))


@op_rule(cells.activated)
def activated_rule(call: OpCall) -> Lowering:
    """The gates' nonlinearities."""
    return call.carried()


@op_rule(cells.states)
def states_rule(call: OpCall) -> Lowering:
    """The state after every step, from the gates of that step."""
    kind = call.args[2][0]
    if kind in ("tanh", "relu"):
        return Lowering("relabel", lambda links, gates, *_: gates, reads=(call.args[0],))
    return Lowering("wiring", lambda links, gates, *_: _state(gates, kind), reads=(call.args[0],))


@op_rule(cells.next_state)
def next_state_rule(call: OpCall) -> Lowering:
    """The state of an LSTM's cell, from the gates of this step."""
    return Lowering("wiring", lambda links, gates, *_: _state(gates, "lstm"), reads=(call.args[0],))


@op_rule(cells.next_gru_state)
def next_gru_state_rule(call: OpCall) -> Lowering:
    """The state of a GRU's cell, from the gates of this step."""
    return Lowering("wiring", lambda links, gates, *_: _state(gates, "gru"), reads=(call.args[0],))


@op_rule(cells.memories, cells.next_memory)
def memories_rule(call: OpCall) -> Lowering:
    """The memory of an LSTM, from the gates of this step that write it."""
    return Lowering("wiring", lambda links, gates, *_: _memory(gates), reads=(call.args[0],))
