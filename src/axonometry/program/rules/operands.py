"""Operands of layers that are no signal in any reading: biases, gains and slopes that a network computes of its input.

``F.linear(x, weight, r(x))`` adds a signal in the place of a bias. Its links would be lost without a word: it is
refused. ``F.linear(x, weight) + r(x)`` says the same and is read as a sum.
"""

from __future__ import annotations

from axonometry.program.op_call import OpCall
from axonometry.program.registry import overloads

_LEADING = {
    2: "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    3: "bilinear",
    1: "batch_norm layer_norm group_norm instance_norm rms_norm native_layer_norm prelu",
}
SIGNALS = {overload: n for n, names in _LEADING.items() for overload in overloads(*names.split())}
"""By operation, how many of its first operands may be signals."""


def refuse_odd_signals(call: OpCall) -> None:
    """Refuse a call that has a signal where a parameter belongs.

    Raises:
        UnknownOperationError: It has one.
    """
    first = SIGNALS.get(call.operation)
    odd = () if first is None else (*call.args[first:], *call.node.kwargs.values())
    if any(call.is_signal(operand) for operand in odd):
        call.refuse("a bias, gain or slope that depends on the input: write the sum or product outside the layer")
