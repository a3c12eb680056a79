"""A trial in double precision, which tells rounding from mixing where a network makes much of little.

The products of a batch are summed in another order than those of one sample. That is 3e-7 of a value, and most networks
leave it there. An untrained one may not: with a gain of 1.3 for each of its 60 layers 3e-7 becomes 2, and two samples
seem to meet in what is rounding alone. In double precision the same rounding ends at 4e-9; what one sample takes from
another stays as large as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from axonometry.program.checks.trial import ForwardResult

LARGEST = 2**29
"""Numbers of a module that are doubled, 4 GiB of them: a check must not take more memory than the network."""


def fits_in_double(module: nn.Module) -> bool:
    """Whether there are not too many weights for another copy of twice their size."""
    return sum(t.numel() for part in module.modules() for t in _floats(part)) <= LARGEST


@contextmanager
def in_double(module: nn.Module) -> Iterator[None]:
    """Parameters and buffers of floating point in double precision; afterwards those that were there."""
    held = [(part, part._parameters.copy(), part._buffers.copy()) for part in module.modules()]
    made: dict[int, Tensor] = {}  # tied parameters stay tied

    def doubled(tensor: Any) -> Any:
        if not _is_float(tensor):
            return tensor
        if id(tensor) not in made:
            value = tensor.detach().double()
            made[id(tensor)] = nn.Parameter(value, requires_grad=False) if type(tensor) is nn.Parameter else value
        return made[id(tensor)]

    try:
        for part, parameters, buffers in held:
            part._parameters.update({name: doubled(p) for name, p in parameters.items()})
            part._buffers.update({name: doubled(b) for name, b in buffers.items()})
        yield
    finally:
        for part, parameters, buffers in held:
            part._parameters.clear()
            part._parameters.update(parameters)
            part._buffers.clear()
            part._buffers.update(buffers)


def doubled_inputs(inputs: Any) -> Any:
    """Inputs with their floating-point tensors in double precision."""
    return tree_map(lambda leaf: leaf.double() if _is_float(leaf) else leaf, inputs)


def rounded_as(precise: Sequence[ForwardResult], coarse: Sequence[ForwardResult]) -> list[ForwardResult]:
    """Results of double precision in the types of the others, by which they are compared.

    What is there a thousandth of what it was in single precision is rounding both times, as of ``a * b - b * a``: zero.
    """
    pairs = zip(precise, coarse, strict=True)
    return [replace(p, results=_as(p.results, c.results), written=_written_as(p, c)) for p, c in pairs]


def _as(precise: Sequence[Tensor], coarse: Sequence[Tensor]) -> tuple[Tensor, ...]:
    if len(precise) != len(coarse):
        return tuple(precise)
    return tuple(
        torch.zeros_like(p, dtype=c.dtype) if _vanishes(p, c) else p.to(c.dtype)
        for p, c in zip(precise, coarse, strict=True)
    )


def _vanishes(precise: Tensor, coarse: Tensor) -> bool:
    if not (precise.is_floating_point() and coarse.is_floating_point() and precise.numel() and coarse.numel()):
        return False
    return bool(precise.abs().max() <= 1e-3 * coarse.abs().max())


def _written_as(precise: ForwardResult, coarse: ForwardResult) -> dict[str, tuple[Tensor, Tensor]]:
    types = {name: after.dtype for name, (_, after) in coarse.written.items()}
    default = torch.get_default_dtype()
    return {
        name: (before.to(types.get(name, default)), after.to(types.get(name, default)))
        for name, (before, after) in precise.written.items()
    }


def _floats(part: nn.Module) -> Iterator[Tensor]:
    yield from (t for t in (*part._parameters.values(), *part._buffers.values()) if _is_float(t))


def _is_float(tensor: Any) -> TypeGuard[Tensor]:
    """Whether it is a plain tensor of floating point; a wrapper of quantised weights is not."""
    return type(tensor) in (Tensor, nn.Parameter) and tensor.is_floating_point() and not tensor.is_meta
