"""Sums, products and choices of signals, constants and numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from axonometry.program.links import Links
from axonometry.program.op_call import Gain, LinearFunction, Lowering, OpCall
from axonometry.program.registry import op_rule, overloads
from axonometry.program.rules.attention import of_softmax
from axonometry.program.rules.fourier import is_complex, times_complex

aten = torch.ops.aten


@op_rule(*overloads("add", "sub", "rsub"))
def sums(call: OpCall) -> Lowering:
    """Terms of a sum; a term without a signal is a bias."""
    name = call.name
    coefficients = (1.0, 1.0) if name == "add" else ((1.0, -1.0) if name == "sub" else (-1.0, 1.0))
    alpha = call.node.kwargs.get("alpha", call.argument(2, 1))
    first, second = coefficients if name == "rsub" else (coefficients[0], float(coefficients[1] * alpha))
    if name == "rsub":
        first *= alpha
    a, b = call.args[:2]
    if not (call.is_signal(a) and call.is_signal(b)):
        x, coefficient = (a, first) if call.is_signal(a) else (b, second)
        # x * sigmoid(x) - 0.5 is one function that is written out: the 0.5 is no bias of a neuron
        if call.known(x).composite and not isinstance(b if x is a else a, fx.Node):
            return Lowering("carrier", of=x, composite=True)
        read = with_constant(0 if x is a else 1, coefficient, second if x is a else first)
        return Lowering("sum", read, coefficients=(coefficient,))
    # x + relu(x) is one nonlinear function of x and carries it; x + 2 * x has no nonlinearity and is a sum, 3 x.
    if call.same_root() and call.shape(a) == call.shape(b):
        if any(call.known(x).nonlinear for x in (a, b)):
            return call.composite()
    elif name == "sub" and _is_centring(call, a, b):
        return Lowering("carrier", of=a)
    return Lowering("sum", _of_two(first, second), coefficients=(first, second))


def with_constant(position: int, coefficient: float, of_constant: float) -> Callable[..., Tensor]:
    """A reading of a signal and a constant: ``coefficient * signal + of_constant * constant``."""

    def read(links: Links, *operands: Any, **_: Any) -> Tensor:
        value, constant = operands[position], operands[1 - position]
        value = value if coefficient == 1 else value * links(coefficient)
        term = links.constant(constant)
        return value if term is None else value + of_constant * term

    return read


def _of_two(first: float, second: float) -> Callable[..., Tensor]:
    def read(links: Links, a: Tensor, b: Tensor, *_: Any, **__: Any) -> Tensor:
        a = a if first == 1 else a * links(first)
        return a + (b if second == 1 else b * links(second))

    return read


def _is_centring(call: OpCall, a: fx.Node, b: fx.Node) -> bool:
    """X - mean(x): the first half of a normalisation written by hand, read as the layer norms are."""
    return b.target is aten.mean.dim and b.args[0] is a and len(call.shape(b)) == len(call.shape(a))


@op_rule(*overloads("mul", "div", "true_divide"))
def products(call: OpCall) -> Lowering:
    """Constants scale; functions of one signal are a composite; a statistic is dropped; two signals are both linked."""
    division = call.name != "mul"
    a, b = call.args[:2]
    if any(is_complex(call, x) for x in (a, b)):
        return _of_complex(call, division)
    if call.is_signal(a) and call.is_signal(b):
        return _of_signals(call, a, b) if call.same_root() else of_softmax(call) or _of_signals(call, a, b)
    if call.is_signal(b):
        if division:
            return call.carried()
        a, b = b, a
    # 0.5 * (x * (1 + tanh(c * x))), a GELU: the 0.5 belongs to the function as well.
    if call.known(a).composite and not isinstance(b, fx.Node):
        return Lowering("carrier", of=a, composite=True)
    swapped = a is not call.args[0]

    def gain(*operands: Any, **_: Any) -> Gain:
        factor = operands[0 if swapped else 1]
        factor = factor if isinstance(factor, Tensor) else float(factor)
        return Gain(1 / factor if division else factor)

    axis = None
    if isinstance(b, fx.Node):
        shape = call.shape(b)
        long = [i - len(shape) + len(call.shape()) for i, n in enumerate(shape) if n > 1]
        # A gain of (1, 8, 1, 1) on (1, 8, 5, 5) scales channels, along axis 1. A mask of (5, 5) has two long axes, and
        # what broadcasts the signal has new neurons: neither is one factor for each output channel of a weight.
        if len(long) > 1 or call.shape(a) != call.shape():
            return Lowering("wiring", _scaled_anywhere(gain, swapped), role="normalisation")
        axis = long[0] if long else None
    return Lowering("scale", of=a, gain=gain, channel_axis=axis, role="normalisation")


def _of_complex(call: OpCall, division: bool) -> Lowering:
    """A product of complex numbers, each a pair of neurons; of two signals, both are linked."""
    signals = [call.is_signal(x) for x in call.args[:2]]
    if all(signals):
        return Lowering("wiring", _of_two(1.0, 1.0))
    if division and signals[1]:
        return Lowering("wiring", lambda links, _, b: b)

    def read(links: Links, *operands: Any) -> Tensor:
        x, factor = operands if signals[0] else reversed(operands)
        factor = torch.as_tensor(factor)
        return times_complex(links, x, factor.reciprocal() if division else factor)

    return Lowering("wiring", read, role="normalisation")


def _scaled_anywhere(gain: Callable[..., Gain], swapped: bool) -> Callable[..., Tensor]:
    def read(links: Links, *operands: Any, **_: Any) -> Tensor:
        return operands[1 if swapped else 0] * links(gain(*operands).factor)

    return read


def _of_signals(call: OpCall, a: fx.Node, b: fx.Node) -> Lowering:
    if call.same_root() and call.shape(a) == call.shape(b):
        return call.composite()
    for signal, factor in ((a, b), (b, a)):
        # x * rsqrt(mean(x * x)), an RMS norm: the factor says how large x is, and is no signal beside it.
        if call.shape(signal) == call.shape() and call.is_statistic_of(factor, signal):
            return Lowering("carrier", of=signal)
    return Lowering("wiring", _of_two(1.0, 1.0))


@op_rule(aten.neg.default)
def negative(call: OpCall) -> Lowering:
    """A coefficient of -1."""
    return Lowering("scale", of=call.signals[0], gain=lambda *_: Gain(-1.0))


@op_rule(*overloads("maximum", "minimum"))
def extremes(call: OpCall) -> Lowering:
    """Each of two different signals wins half of the time, as in max-pooling."""
    if len(call.signals) == 1:
        return call.carried()
    if call.same_root():
        return call.composite()
    larger = call.name in ("maximum", "max")

    def recorded(a: Tensor, b: Tensor) -> LinearFunction:
        first = a >= b if larger else a <= b
        return lambda links, a, b: torch.where(first, a, b)

    return Lowering("wiring", lambda links, a, b: (a + b) * links(0.5), data_dependent=recorded)


@op_rule(*overloads("lerp"))
def interpolated(call: OpCall) -> Lowering:
    """(1 - w) a + w b for a constant w; a w that is a signal is a gate, and links a, b and w with weight 1 each."""
    signals = [call.is_signal(x) for x in call.args[:3]]
    if call.same_root() and all(signals[:2]):
        return call.composite()
    gated = signals[2]

    def read(links: Links, *operands: Any) -> Tensor:
        a, b, w = operands
        factors = (1.0, 1.0) if gated else (links(1 - w), links(w))
        terms = [
            x * factor if signal else links.constant(x * factor)
            for x, signal, factor in zip((a, b), signals, factors, strict=False)
        ]
        total = sum(term for term in [*terms, w if gated else None] if term is not None)
        assert isinstance(total, Tensor)
        return total

    return Lowering("wiring", read)


@op_rule(aten.where.self, aten.where.ScalarOther, aten.where.ScalarSelf, aten.where.Scalar)
def choice(call: OpCall) -> Lowering:
    """A fixed mask lets each signal through at its places.

    A condition on one signal, of which both sides are functions, makes a composite of it. Where the condition is on
    another signal it chooses: each side wins half of the time, as of a maximum, and with data the real one.
    """
    condition, a, b = call.args[:3]
    signals = (call.is_signal(a), call.is_signal(b))
    if call.is_signal(condition):
        origin = call.common_origin()
        return Lowering("carrier", of=origin, composite=True, role="activation") if origin else _of_half(call, signals)

    def read(links: Links, mask: Tensor, *sides: Any) -> Tensor:
        first, second = _sides(links, sides, signals, mask.device)
        return torch.where(mask, first, second)

    return Lowering("wiring", read)


def _sides(links: Links, sides: tuple[Any, ...], signals: tuple[bool, bool], device: torch.device) -> list[Tensor]:
    """Signals as they are; of constants their value where constants are read, else zero."""
    nothing = torch.zeros((), dtype=links.dtype, device=device)
    terms = (side if signal else links.constant(side) for side, signal in zip(sides, signals, strict=True))
    return [nothing if term is None else torch.as_tensor(term, dtype=links.dtype, device=device) for term in terms]


def _of_half(call: OpCall, signals: tuple[bool, bool]) -> Lowering:
    shape = call.shape()

    def read(links: Links, _: Any, *sides: Any) -> Tensor:
        device = next(side.device for side, signal in zip(sides, signals, strict=True) if signal)
        a, b = _sides(links, sides, signals, device)
        finite = [torch.where(x.isfinite(), x, 0.0) for x in (a, b)]  # an infinite constant masks
        return ((finite[0] + finite[1]) * links(0.5)).expand(shape)

    def recorded(condition: Tensor, *_: Any) -> LinearFunction:
        return lambda links, _, *sides: torch.where(condition, *_sides(links, sides, signals, condition.device))

    if not any(signals):
        return Lowering("wiring", lambda links, *_: torch.zeros(shape, dtype=links.dtype), reads=())
    linked = tuple(x for x, signal in zip(call.args[1:3], signals, strict=True) if signal)
    return Lowering("wiring", read, reads=linked, data_dependent=recorded)


@op_rule(*overloads("masked_fill"))
def masked_fill(call: OpCall) -> Lowering:
    """A fixed mask cuts links; the value that is filled in is no link, and no bias where it is infinite.

    A mask on another signal chooses, as the condition of a ``where`` does.
    """
    if call.is_signal(call.args[1]):
        origin = call.common_origin()
        if origin:
            return Lowering("carrier", of=origin, composite=True, role="activation")
        x = call.args[0]

        def recorded(_: Tensor, mask: Tensor, __: Any) -> LinearFunction:
            return lambda links, x, *_: x.masked_fill(mask, 0.0)

        return Lowering("wiring", lambda links, x, *_: x * links(0.5), reads=(x,), data_dependent=recorded)
    return Lowering(
        "wiring", lambda links, x, mask, value: torch.where(mask, torch.zeros((), dtype=x.dtype, device=x.device), x)
    )
