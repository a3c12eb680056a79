"""Linear maps whose transpose is run without running the map: what ``graph.T @ y`` needs of a synapse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

_VALUED: ContextVar[bool] = ContextVar("valued", default=False)


def transposable_map(
    x: Tensor, value: Callable[[], Tensor], pull: Callable[[Tensor], Tensor], shape: tuple[int, ...]
) -> Tensor:
    """A map that is linear in x: its value, or where x is being differentiated, zeros that know the transpose.

    Args:
        x: The signal.
        value: Computes the map of x.
        pull: The transposed map, from the result's shape to that of x.
        shape: The result's shape.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        return _Transposable.apply(x, pull, shape, value if _VALUED.get() else None)  # type: ignore[no-untyped-call]
    return value()


@contextmanager
def with_values() -> Iterator[None]:
    """Maps are computed while they are differentiated, so that one reading of the weights gives both."""
    token = _VALUED.set(True)
    try:
        yield
    finally:
        _VALUED.reset(token)


def is_constant(x: Tensor, axis: int) -> bool:
    """Whether a tensor repeats one value along an axis, as far as its strides tell: an expanded tensor."""
    return x.stride(axis) == 0 and x.shape[axis] > 1


class _Transposable(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor,
        pull: Callable[[Tensor], Tensor],
        shape: tuple[int, ...],
        value: Callable[[], Tensor] | None,
    ) -> Tensor:
        return x.new_zeros(()).expand(shape) if value is None else value()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.pull = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.pull(gradients[0]), None, None, None
