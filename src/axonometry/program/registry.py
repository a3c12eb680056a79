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

import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

import torch
from torch import Tensor, fx

from axonometry.arguments import argument_errors
from axonometry.errors import AxonometryError, CaptureError, ConfigurationError
from axonometry.program.fx_utils import is_float
from axonometry.program.links import Links
from axonometry.program.op_call import KINDS, Kind, LinearFunction, Lowering, OpCall, Operation, place_of
from axonometry.registering import note_home

OpRule = Callable[[OpCall], Lowering]
_RULES: dict[Operation, OpRule] = {}
_changes: list[Operation] = []


def op_rule(*operations: Operation) -> Callable[[OpRule], OpRule]:
    """Register a function that looks at the call before it says how to read it."""

    def register(function: OpRule) -> OpRule:
        for operation in (one for named in operations for one in _overloads_of(named)):
            _RULES[operation] = function
            _changes.append(operation)
        note_home(function)  # processes that train a population import its module again
        return function

    return register


@argument_errors
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

    >>> from axonometry import capture, rule
    >>> @torch.library.custom_op("examples::twice", mutates_args=())
    ... def twice(x: torch.Tensor) -> torch.Tensor:
    ...     return 2 * x
    >>> _ = twice.register_fake(torch.empty_like)
    >>> @rule(torch.ops.examples.twice, kind="wiring")
    ... def read_twice(links, x):
    ...     return x * links(2.0)
    >>> class Net(torch.nn.Linear):
    ...     def forward(self, x):
    ...         return super().forward(torch.ops.examples.twice(x))
    >>> net = Net(3, 1)
    >>> _ = torch.nn.init.constant_(net.weight, -0.5)
    >>> graph = capture(net, torch.zeros(1, 3))
    >>> [(graph.map(f) @ graph.ones()).flatten()[-1].item() for f in (lambda w: w, abs)]  # three links of 2 * -0.5
    [-3.0, 3.0]
    """
    if kind not in KINDS or kind == "scale":
        raise ConfigurationError(
            "a rule's kind is one of " + ", ".join(k for k in KINDS if k != "scale"), repr(kind), "Choose one of these"
        )

    def register(read: LinearFunction) -> LinearFunction:
        @wraps(read)
        def lowering(call: OpCall) -> Lowering:
            gains = _gains(read, call, weight) if kind == "synapse" else ()
            guarded = _guarded(read, call)
            return Lowering(
                kind, guarded, weight=weight, gains=gains, output_axis=output_axis, channel_axis=channel_axis
            )

        note_home(read)
        if kind == "carrier":
            op_rule(*operations)(lambda call: call.carried())
        else:
            op_rule(*operations)(lowering)
        return read

    return register


def faulty_rule(rule: Callable[..., Any], call: OpCall, error: Exception) -> CaptureError:
    """The error for whatever a rule has raised: it names the rule, the operation and its place."""
    said = next(iter(str(error).splitlines()), "")
    return CaptureError(
        "a rule reads its operation without an error",
        f"{type(error).__name__}: {said} in the rule {_name_of(rule)} for {call.operation} at {place_of(call.node)}",
        "Mend the rule, or register another one with axonometry.rule",
    )


def _name_of(rule: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(rule), "__code__", None)
    name = getattr(rule, "__qualname__", repr(rule))
    return name if code is None else f"{name} ({code.co_filename.rsplit('/', 1)[-1]}, line {code.co_firstlineno})"


def _guarded(read: LinearFunction, call: OpCall) -> LinearFunction:
    """The reading, whose errors and whose results of another shape become errors that name the rule."""

    @wraps(read)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            result = read(*args, **kwargs)
        except (AxonometryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # whatever a user's reading raises
            raise faulty_rule(read, call, error) from error
        known = call.node.meta.get("val")
        if isinstance(known, Tensor) and getattr(result, "shape", None) != known.shape:
            shape = getattr(result, "shape", None)
            raise CaptureError(
                f"the reading of {call.operation} gives a tensor of the operation's shape, {tuple(known.shape)}",
                f"{type(result).__name__ if shape is None else tuple(shape)} from the rule {_name_of(read)}",
                "Return the linear function's value",
            )
        return result

    return guarded


class _Noting(Links):
    """Links that note what they turn into link weights, by its memory."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: set[int] = set()

    def __call__(self, coefficient: Any) -> Any:
        if isinstance(coefficient, Tensor):
            self.noted.add(coefficient.data_ptr())
        return super().__call__(coefficient)


def _gains(read: LinearFunction, call: OpCall, weight: int) -> tuple[fx.Node, ...]:
    """A synapse's operands besides the weight that its links are multiplied with.

    ``F.linear(x, links(weight), links.constant(bias)) * links(gain)`` passes its gain through the links, and not its
    bias. In ``links(weight * gain)`` the gain is found by differentiating: the reading depends on it where constants
    are left out.
    """
    static = [node for node in call.node.all_input_nodes if not call.is_signal(node) and is_float(node)]
    candidates = [node for node in static if node is not call.argument(weight)]
    if not candidates:
        return ()
    ones = {node: torch.ones((), dtype=node.meta["val"].dtype, requires_grad=True) for node in static}
    links = _Noting()
    dependent: set[fx.Node] = set()

    def value(node: fx.Node) -> Any:
        known = node.meta.get("val")
        if not isinstance(known, Tensor):
            return known
        return ones.get(node, torch.ones((), dtype=known.dtype)).expand(known.shape)

    # what the reading cannot do with ones, or cannot be differentiated in, is no fault of the rule
    with suppress(Exception), torch.inference_mode(False), torch.enable_grad():
        args, kwargs = fx.map_arg((call.node.args, dict(call.node.kwargs)), value)
        total = read(links, *args, **kwargs).sum()
        found = torch.autograd.grad(total, [ones[node] for node in candidates], allow_unused=True)
        dependent = {node for node, gradient in zip(candidates, found, strict=True) if gradient is not None}
    return tuple(node for node in candidates if node in dependent or ones[node].data_ptr() in links.noted)


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
