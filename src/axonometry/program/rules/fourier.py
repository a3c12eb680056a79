"""Fourier transforms: linear maps without parameters. A complex number is a pair of real neurons, in every reading.

Of a transform X = F x with F = C - iS, a pair (a, b) for a + ib has links of real weights, C and S from a, S and C from
b::

    real part  =  C a + S b
    imaginary  = -S a + C b

A map of the weights (the absolute value, say) maps each of these four blocks entry by entry, of all axes at once: the
link from x[a, b] to the real part of X[c, d] has the one weight cos(2 pi (ac/n + bd/m)), and no sum of products.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from axonometry.program.draws import call_arguments
from axonometry.program.links import Links
from axonometry.program.op_call import Lowering, OpCall
from axonometry.program.registry import op_rule, overloads
from axonometry.program.rules.dense import MappedMatrix

aten = torch.ops.aten


@op_rule(aten._fft_r2c.default, aten._fft_c2c.default, aten._fft_c2r.default)
def transform(call: OpCall) -> Lowering:
    """A discrete Fourier transform over some axes; the others count samples of it."""
    operation, rank = call.operation, len(call.shape())
    axes = [axis % rank for axis in call.args[1]]
    complex_input, shape = call.operation is not aten._fft_r2c.default, call.shape()
    complex_result = call.operation is not aten._fft_c2r.default

    def read(links: Links, x: Tensor, _: Any, *rest: Any) -> Tensor:
        x = _complex(x) if complex_input else x
        if links.identity:
            return operation(x, axes, *rest)
        map_ = partial(_shifted, operation, axes, rest)
        return MappedMatrix(map_, links, x.shape, shape, axes, pairs=(complex_input, complex_result))(x)

    return Lowering("wiring", read)


@op_rule(*overloads("stft", "istft"))
def short_time_transform(call: OpCall) -> Lowering:
    """Transforms of windows that overlap along time, and their inverse: one matrix from times to frequencies of times.

    Of a signal of 4 and windows of 2 without padding, the frequency 1 of the window at 1 is x[1] - x[2].
    """
    operation, inverse, shape = call.operation, call.name == "istft", call.shape()
    given = call_arguments(operation, call.args, dict(call.node.kwargs))
    if call.is_signal(given.get("window")):
        call.refuse("its window depends on the input")
    pairs = is_complex(call, given["self"]), not inverse or is_complex(call, call.node)
    parts = not inverse and not is_complex(call, call.node)  # real and imaginary parts along a last axis
    after = shape[:-1] if parts else shape
    if inverse:
        after = (*shape[:-1], 1, shape[-1])

    def read(links: Links, x: Tensor, *args: Any, **named: Any) -> Tensor:
        settings = {**call_arguments(operation, (None, *args), named), **({} if inverse else {"return_complex": True})}
        del settings["self"]
        if settings.get("window") is not None:
            settings["window"] = settings["window"].to(links.dtype)
        x = _complex(x) if pairs[0] else x
        if links.identity:
            # a copy: torch takes the gradient through strides, wrongly where x is expanded or part of another
            found = operation(x.clone(memory_format=torch.contiguous_format), **settings)
        else:
            before = x.shape if inverse else (*x.shape[:-1], 1, x.shape[-1])
            axes = [len(after) - 2, len(after) - 1]
            map_ = partial(_of_windows, operation, settings, inverse)
            found = MappedMatrix(map_, links, before, after, axes, pairs=pairs)(x.reshape(before)).reshape(
                shape[:-1] if parts else shape
            )
        return torch.view_as_real(found) if parts else found

    return Lowering("wiring", read)


def _of_windows(operation: Callable[..., Tensor], settings: dict[str, Any], inverse: bool, basis: Tensor) -> Tensor:
    """Of a stack of single entries, each by itself."""
    return operation(basis.flatten(0, -3) if inverse else basis.flatten(0, -2), **settings)


def _shifted(operation: Callable[..., Tensor], axes: list[int], rest: tuple[Any, ...], x: Tensor) -> Tensor:
    return operation(x, [axis + 1 for axis in axes], *rest)


def _complex(x: Tensor) -> Tensor:
    """The same values, as pairs."""
    return x if x.is_complex() else torch.complex(x, torch.zeros_like(x))


@op_rule(*overloads("_conj", "conj_physical", "resolve_conj", "conj"))
def conjugate(_: OpCall) -> Lowering:
    """The imaginary part has a coefficient of -1."""

    def read(links: Links, x: Tensor) -> Tensor:
        return torch.complex(x.real, x.imag * links(-1.0)) if x.is_complex() else x

    return Lowering("wiring", read)


@op_rule(*overloads("real"))
def real_part(_: OpCall) -> Lowering:
    """One of each pair."""
    return Lowering("wiring", lambda links, x: x.real if x.is_complex() else x)


@op_rule(*overloads("imag"))
def imaginary_part(_: OpCall) -> Lowering:
    """The other one of each pair."""
    return Lowering("wiring", lambda links, x: x.imag if x.is_complex() else torch.zeros_like(x))


@op_rule(*overloads("view_as_real"))
def pairs_as_axis(_: OpCall) -> Lowering:
    """The two of a pair along a last axis."""
    return Lowering("wiring", lambda links, x: torch.view_as_real(_complex(x)))


@op_rule(*overloads("view_as_complex"))
def axis_as_pairs(_: OpCall) -> Lowering:
    """Two along the last axis as a pair."""
    return Lowering("wiring", lambda links, x: torch.complex(x[..., 0], x[..., 1]))


@op_rule(*overloads("complex"))
def complex_of_parts(call: OpCall) -> Lowering:
    """A pair of two values."""
    signals = [call.is_signal(x) for x in call.args[:2]]

    def read(links: Links, *parts: Any) -> Tensor:
        terms = [p if s else links.constant(p) for p, s in zip(parts, signals, strict=True)]
        like = next(p for p, s in zip(parts, signals, strict=True) if s)
        return torch.complex(
            *(torch.zeros_like(like) if t is None else torch.as_tensor(t).expand_as(like) for t in terms)
        )

    return Lowering("wiring", read)


@op_rule(*overloads("angle"))
def angle(_: OpCall) -> Lowering:
    """A nonlinearity of both of a pair: each is carried."""
    return Lowering("wiring", lambda links, x: x.real + x.imag if x.is_complex() else x)


def is_complex(call: OpCall, argument: Any) -> bool:
    """Whether a call's argument, a node, has complex values."""
    value = getattr(argument, "meta", {}).get("val")
    return isinstance(value, Tensor) and value.is_complex()


def times_complex(links: Links, x: Tensor, factor: Tensor) -> Tensor:
    """A signal of pairs times complex constants: (u + iv)(a + ib) = (ua - vb) + i(va + ub).

    >>> times_complex(Links(), torch.complex(torch.tensor(1.0), torch.tensor(2.0)), torch.tensor(3.0 + 4.0j))
    tensor(-5.+10.j)
    """
    x, factor = _complex(x), _complex(factor)
    u, v, minus = links(factor.real), links(factor.imag), links(-factor.imag)
    return torch.complex(u * x.real + minus * x.imag, v * x.real + u * x.imag)
