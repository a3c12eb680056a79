"""What each ATen call of an exported program is: one registry, open to users.

A rule says of one operation what *kind* it is and how it is *read*. A reading is a function with the operation's own
arguments behind a :class:`~axonometry.program.links.Links` object; it must be linear in the signals, and it passes
every coefficient through ``links`` and every constant term through ``links.constant``::

    @ax.rule(torch.ops.mylib.scaled_linear.default, kind="synapse", weight=1)
    def scaled_linear(links, x, weight, bias=None):
        return F.linear(x, links(weight), links.constant(bias))

Kinds:
    synapse: a linear map with weights; its result is a sum, the pre-activation of new neurons.
    sum: adds signals; where an operand is a synapse read by nothing else, both are one sum.
    scale: multiplies each channel with a constant (folded normalisation); given by a ``gain``, not by a reading.
    relabel: moves every neuron to exactly one place (view, permute).
    wiring: any other linear map without parameters (slice, cat, mean, upsampling).
    pooling: wiring over windows, made neurons of its own by ``pooling="nodes"``.
    carrier: an elementwise nonlinearity; it carries its first signal unchanged.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from axonometry.errors import ConfigurationError
from axonometry.program.op_call import KINDS, Kind, LinearFunction, Lowering, OpCall, Operation

OpRule = Callable[[OpCall], Lowering]
_RULES: dict[Operation, OpRule] = {}
_changes: list[Operation] = []


def op_rule(*operations: Operation) -> Callable[[OpRule], OpRule]:
    """Register a function that looks at the call before it says how to read it."""

    def register(function: OpRule) -> OpRule:
        for operation in (one for named in operations for one in _overloads_of(named)):
            _RULES[operation] = function
            _changes.append(operation)
        return function

    return register


def rule(
    *operations: Operation, kind: Kind, weight: int = 1, output_axis: int = 0, channel_axis: int | None = None
) -> Callable[[LinearFunction], LinearFunction]:
    """Register how operations are read; see this module's text for what the reading must do.

    Args:
        operations: Operators: an overload such as ``torch.ops.mylib.my_op.default``, or ``torch.ops.mylib.my_op`` for
            all of its overloads.
        kind: What the operation is.
        weight: For a synapse, the position of its weight among the arguments.
        output_axis: For a synapse, the weight's axis of output channels.
        channel_axis: For a synapse, the axis of its result that counts channels; the last one by default.

    Raises:
        ConfigurationError: If the kind does not exist, or is ``scale`` (multiply in a ``wiring`` rule instead).
    """
    if kind not in KINDS or kind == "scale":
        raise ConfigurationError(
            "a rule's kind is one of " + ", ".join(k for k in KINDS if k != "scale"), repr(kind), "Choose one of these"
        )

    def register(read: LinearFunction) -> LinearFunction:
        if kind == "carrier":
            op_rule(*operations)(lambda call: call.carried())
        else:
            reading = Lowering(kind, read, weight=weight, output_axis=output_axis, channel_axis=channel_axis)
            op_rule(*operations)(lambda _: reading)
        return read

    return register


def _overloads_of(operation: Operation) -> list[Operation]:
    """The overloads of an operator that is given without one; exported calls are of overloads."""
    if isinstance(operation, torch._ops.OpOverloadPacket):
        return [getattr(operation, name) for name in operation.overloads()]
    return [operation]


def find_rule(operation: Operation) -> OpRule | None:
    """The rule of an operation, or None."""
    return _RULES.get(operation)


def n_registered() -> int:
    """How often a rule has been registered so far; a program that was read before may have been read otherwise."""
    return len(_changes)


def overloads(*names: str) -> list[Operation]:
    """The functional overloads of ATen operators by name; names that this torch version lacks are left out."""
    found = []
    for name in names:
        packet = getattr(torch.ops.aten, name, None)
        if packet is not None:
            found += [getattr(packet, overload) for overload in packet.overloads() if "out" not in overload.split("_")]
    return found
