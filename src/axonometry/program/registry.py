"""What each ATen call of an exported program is: one registry, open to users.

A rule says of one operation what *kind* it is and how it is *read*. A reading is a function with the operation's own
arguments behind a :class:`~axonometry.program.links.Links` object; it must be linear in the signals, and it passes
every coefficient through ``links`` and every constant term through ``links.constant``::

    @ax.rule(torch.ops.mylib.scaled_linear.default, kind="synapse", weight=1)
    def scaled_linear(links, x, weight, bias=None):
        return F.linear(x, links(weight), links.constant(bias))

Kinds:
    synapse: a linear map with weights; its result is a sum, the local field of new neurons.
    sum: adds signals; where an operand is a synapse read by nothing else, both are one sum.
    scale: multiplies each channel with a constant (folded normalisation); given by a ``gain``, not by a reading.
    relabel: moves every neuron to exactly one place (view, permute).
    wiring: any other linear map without parameters (slice, cat, mean, upsampling).
    pooling: wiring over windows, made neurons of its own by ``pooling="nodes"``.
    carrier: an elementwise nonlinearity; it carries its first signal unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, fx

from axonometry.errors import ConfigurationError

if TYPE_CHECKING:
    from axonometry.program.call import Call

Kind = Literal["synapse", "sum", "scale", "relabel", "wiring", "pooling", "carrier"]
Operation = Any  # torch._ops.OpOverload, operator.getitem
Read = Callable[..., Any]
KINDS: tuple[Kind, ...] = ("synapse", "sum", "scale", "relabel", "wiring", "pooling", "carrier")


@dataclass(frozen=True)
class Gain:
    """What a scale does to each channel: ``factor * x + shift``, both of shape (channels,) or scalars."""

    factor: Tensor | float
    shift: Tensor | None = None


@dataclass(frozen=True)
class Reading:
    """How one call of the program is read.

    Attributes:
        kind: What the call is.
        read: The linear function ``read(links, *args, **kwargs)``.
        of: For a carrier, the node whose value is carried.
        composite: The call closes a nonlinear function of one signal, x * sigmoid(x); numbers behind belong to it.
        weight: For a synapse, the position of its weight.
        output_axis: For a synapse, the weight's axis of output channels.
        input_axis: For a synapse, the weight's axis of input channels.
        signal_axis: For a synapse, the axis of its signal that the weight's input channels run along.
        channel_axis: The axis of the result that counts channels, with the batch axis; for a scale, where it acts.
        gain: For a scale, ``gain(*args, **kwargs)`` gives its factor and shift.
        groups: For a grouped convolution, the number of blocks of channels that do not see each other.
        coefficients: For a sum, what it multiplies each of its signals with.
        role: What claims the call's parameters other than a synapse's weight.
        reads: The signals that are linked; None for all of them. The others only modulate.
        live: Given the real values of the call's arguments, ``live(*args, **kwargs)`` gives the function to read the
            call with where links depend on the sample: the real winner of a pooling, the probabilities of attention.
    """

    kind: Kind
    read: Read | None = None
    of: fx.Node | None = None
    composite: bool = False
    weight: int = 1
    output_axis: int = 0
    input_axis: int = 1
    signal_axis: int = -1
    channel_axis: int | None = None
    gain: Callable[..., Gain] | None = None
    groups: int = 1
    coefficients: tuple[float, ...] = ()
    role: Literal["bias", "normalisation", "activation"] = "bias"
    reads: tuple[fx.Node, ...] | None = None
    live: Callable[..., Read] | None = None


Resolver = Callable[["Call"], Reading]
_RULES: dict[Operation, Resolver] = {}
_changes: list[Operation] = []


def resolver(*operations: Operation) -> Callable[[Resolver], Resolver]:
    """Register a function that looks at the call before it says how to read it."""

    def register(function: Resolver) -> Resolver:
        for operation in operations:
            _RULES[operation] = function
            _changes.append(operation)
        return function

    return register


def rule(
    *operations: Operation, kind: Kind, weight: int = 1, output_axis: int = 0, channel_axis: int | None = None
) -> Callable[[Read], Read]:
    """Register how operations are read; see this module's text for what the reading must do.

    Args:
        operations: Operator overloads such as ``torch.ops.mylib.my_op.default``.
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

    def register(read: Read) -> Read:
        if kind == "carrier":
            resolver(*operations)(lambda call: call.carried())
        else:
            reading = Reading(kind, read, weight=weight, output_axis=output_axis, channel_axis=channel_axis)
            resolver(*operations)(lambda _: reading)
        return read

    return register


def find(operation: Operation) -> Resolver | None:
    """The rule of an operation, or None."""
    return _RULES.get(operation)


def n_registered() -> int:
    """How often a rule has been registered so far; a program that was read before may have been read otherwise."""
    return len(_changes)


def overloads(*names: str) -> list[Operation]:
    """The functional overloads of ATen operators by name; names that this torch version lacks are left out."""
    import torch

    found = []
    for name in names:
        packet = getattr(torch.ops.aten, name, None)
        if packet is not None:
            found += [getattr(packet, overload) for overload in packet.overloads() if "out" not in overload.split("_")]
    return found
