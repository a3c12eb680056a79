"""Trial passes: the module itself, run on a few samples that are made from the example.

What is compared afterwards must not depend on chance, on parts that are switched off, or on an example of zeros. So
draws are at their means, weights that are zero are not (the ``gamma = 0`` of an attention that starts as the identity),
and the samples of a trial are the example with noise. ``ForwardResult`` has what the pass returned and wrote; the
module is left as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from axonometry.program.draws import MEAN_DRAWS, AtTheirMeans, Draws, same_draws
from axonometry.program.example import noisy
from axonometry.program.uniform import is_uniform, with_uniform

SMALL = 1e-3
"""Weights none of which is larger are taken for switched off."""
Inputs = tuple[tuple[Any, ...], Mapping[str, Any]]
"""Positional and named inputs of a forward pass."""


@dataclass(frozen=True)
class ForwardResult:
    """What a forward pass returned, and the buffers that it left other than they were, by name.

    ``drew`` tells whether it drew from a generator of Python's or NumPy's.
    """

    results: tuple[Tensor, ...]
    written: Mapping[str, tuple[Tensor, Tensor]]
    drew: bool = False


@dataclass
class Branches:
    """Decides every ``torch.cond`` of a pass; a later pass takes the branches of the first."""

    taken: list[bool] = field(default_factory=list)
    place: int | None = None

    def __call__(self, condition: Any, if_true: Callable[..., Any], if_false: Callable[..., Any], given: Any) -> Any:
        """One decision."""
        if self.place is None:
            self.taken.append(bool(condition))
            return (if_true if self.taken[-1] else if_false)(*given)
        self.place += 1
        return (if_true if self.taken[self.place - 1] else if_false)(*given)


def trial(
    module: nn.Module, inputs: Inputs, branches: Branches, modes: Sequence[AbstractContextManager[Any]] = ()
) -> ForwardResult:
    """One forward pass; what it writes to buffers is told and undone.

    Args:
        module: The module, prepared as for the export.
        inputs: What it takes.
        branches: Which branches it takes.
        modes: What watches the pass, or changes it.
    """
    buffers = [(path, part, part._buffers.copy()) for path, part in module.named_modules()]
    written = {}
    try:
        for _, part, held in buffers:
            part._buffers.update({name: None if b is None else b.clone() for name, b in held.items()})
        with _conditions(branches), ExitStack() as stack:
            for mode in (with_uniform(module.parameters()), *modes):
                stack.enter_context(mode)
            results = tuple(module(*inputs[0], **inputs[1]))
        for path, part, held in buffers:
            for name, before in held.items():
                after = part._buffers.get(name)
                if before is not None and after is not None and not _same(before, after):
                    written[f"{path}.{name}" if path else name] = (before, after)
    finally:
        for _, part, held in buffers:
            part._buffers.clear()
            part._buffers.update(held)
    return ForwardResult(results, written)


def _same(before: Tensor, after: Tensor) -> bool:
    return before.shape == after.shape and torch.equal(torch.nan_to_num(before), torch.nan_to_num(after))


@contextmanager
def _conditions(branches: Branches) -> Iterator[None]:
    """``torch.cond`` as plain Python: torch would compile both branches, which takes seconds."""
    cond, torch.cond = torch.cond, branches  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.cond = cond


def outcomes_of(module: nn.Module, several: Sequence[Inputs], draws: Draws = MEAN_DRAWS) -> list[ForwardResult]:
    """The outcomes of one input after the other, all with the same draws, and all on the branches of the first."""
    outcomes, taken = [], Branches()
    for inputs in several:
        with same_draws(draws.seed) as drawn:
            outcome = trial(module, inputs, taken, (AtTheirMeans(draws.uniform),))
            outcomes.append(replace(outcome, drew=bool(drawn)))
        taken.place = 0
    return outcomes


def switch_on(module: nn.Module) -> None:
    """Weights in the place of those that are zero, or not finite; whoever prepared the module puts them back."""
    generator = torch.Generator().manual_seed(1)
    for part in module.modules():
        for name, weight in part._parameters.items():
            if type(weight) is not nn.Parameter or not weight.is_floating_point() or weight.is_meta or weight.is_sparse:
                continue
            # A weight that is one number, expanded over a shape, is looked at once.
            seen = weight.detach()[(slice(1),) * weight.dim()] if is_uniform(weight) else weight.detach()
            if not seen.numel() or SMALL < float(torch.linalg.vector_norm(seen.float(), torch.inf)) < 1e30:
                continue
            if weight.dim() < 2:
                # Gains and biases from 1/2 to 1, of one sign: a gain near 0 would switch off again what is to be seen.
                drawn = torch.rand(weight.shape, generator=generator) / 2 + 0.5
            else:
                # One over the root of the fan-in keeps values at the size that they have.
                drawn = torch.randn(weight.shape, generator=generator) / (weight.numel() / len(weight)) ** 0.5
            part._parameters[name] = nn.Parameter(drawn.to(weight.device, weight.dtype), requires_grad=False)


def two_samples(
    one: Inputs, axes: Sequence[int | None], size: float = 1.0, *, exchanged: bool = False
) -> Iterator[tuple[Inputs, Inputs, Inputs]]:
    """Two samples, and the batch of both, made from an example of one.

    Floating-point inputs are the example times factors from 1/2 to 3/2, so that signs, zeros and infinities stay, or
    noise where the example is zero. Of integers the second sample has the example's last first; where the module does
    not run on these, its integers are the first's.

    Args:
        one: An example of one sample.
        axes: By tensor of the example, the axis that counts samples.
        size: What floating-point inputs are multiplied with.
        exchanged: Whether the second sample comes first: a batch that happens to be sorted is not both times.
    """
    leaves, spec = tree_flatten(one)
    for altered in (True, False):
        generator, of_each = torch.Generator().manual_seed(0), iter(axes)
        samples: list[tuple[Any, Any, Any]] = []
        for leaf in leaves:
            axis = next(of_each) if isinstance(leaf, Tensor) else None
            samples.append(
                (leaf, leaf, leaf) if axis is None else _two(leaf, axis, generator, size, altered, exchanged)
            )
        first, second, both = (tree_unflatten([sample[i] for sample in samples], spec) for i in range(3))
        yield first, second, both


def _two(
    leaf: Tensor, axis: int, generator: torch.Generator, size: float, altered: bool, exchanged: bool
) -> tuple[Tensor, Tensor, Tensor]:
    if leaf.is_floating_point():
        first, second = (noisy(leaf, generator) * size for _ in range(2))
    else:
        first, second = leaf, _altered(leaf) if altered else leaf
    if exchanged:
        first, second = second, first
    return first, second, torch.cat([first, second], axis)


def _altered(leaf: Tensor) -> Tensor:
    """Other integers of the same range: the last first, or where all are one number, its neighbour."""
    turned = leaf.flip(tuple(range(leaf.dim())))
    if leaf.dtype == torch.bool or not torch.equal(turned, leaf):
        return turned
    return torch.where(leaf > 0, leaf - 1, leaf + 1)


def agrees_alone(alone: Any, together: Any, place: int) -> bool | None:
    """Whether a sample has alone what it has as one of two; None where that cannot be told.

    The samples lie along the axis that has grown: ``(3, 4)`` and ``(6, 4)`` are three rows a sample, one sample after
    the other or their rows in turn. A result that grows along two axes has entries that belong to two samples.

    Args:
        alone: A result of the one sample.
        together: The same result of the two.
        place: Which of the two it is: 0 or 1.
    """
    if not (isinstance(alone, Tensor) and isinstance(together, Tensor) and alone.is_floating_point()):
        return None
    if alone.dim() != together.dim() or not alone.numel():
        return None
    grown = [axis for axis, (n, m) in enumerate(zip(alone.shape, together.shape, strict=True)) if n != m]
    if any(together.shape[axis] != 2 * alone.shape[axis] for axis in grown):
        return None
    if len(grown) != 1:
        return not grown and close(alone, together)
    (axis,), n = grown, alone.shape[grown[0]]
    # (4, 3) alone and (8, 3) together: with blocks = 1 the first four rows are sample 0, with blocks = 4 every other
    # row is, with blocks = 2 rows 0 1 4 5. One order that fits is enough.
    shares = (
        together.unflatten(axis, (blocks, 2, n // blocks)).select(axis + 1, place).flatten(axis, axis + 1)
        for blocks in range(1, n + 1)
        if n % blocks == 0
    )
    return any(close(alone, share) for share in shares)


def close(a: Tensor, b: Tensor) -> bool:
    """Whether two results are the same up to rounding, which is larger in batches of another size."""
    # 8.6e-5 of the largest value in single precision, 3.7e-9 in double: sums in another order are two digits closer.
    tolerance = torch.finfo(a.dtype).eps ** 0.5 / 4
    a, b = a.double(), b.double()
    finite = [x[x.isfinite()].abs().max() for x in (a, b) if bool(x.isfinite().any())]
    scale = float(max(finite)) if finite else 0.0
    return torch.allclose(a, b, rtol=0, atol=tolerance * scale, equal_nan=True)
