"""That every sample goes through a network by itself: a program is read on one, and says nothing of several.

A network that takes the mean over its batch is another function of each batch: of one sample, ``x - x.mean(0)`` is
zero. So a sample is run alone and with another::

    f(a), f(b) and f([a, b])

Where these differ the samples meet, and the network is refused with the operation at which they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from axonometry.errors import CaptureError
from axonometry.program.checks.double import doubled_inputs, fits_in_double, in_double, rounded_as
from axonometry.program.checks.meeting import NORM, meeting_place
from axonometry.program.checks.trial import (
    Branches,
    ForwardResult,
    Inputs,
    agrees_alone,
    outcomes_of,
    switch_on,
    trial,
    two_samples,
)
from axonometry.program.draws import MEAN_DRAWS, AtTheirMeans, Draws, same_draws
from axonometry.program.example import BatchAxis, axis_of_first, batch_axes, first_sample, noisy
from axonometry.program.export import prepared

TRIALS = ((1.0, Draws(uniform=0.999)), (0.1, Draws(uniform=0.001)))
"""Factors of the samples: a softmax over the batch that is all but one for large ones mixes small ones.

Those of the second trial are in the other order: two samples that come sorted are left as they are by a sort. What is
done where a uniform draw is large is done in the first trial, and what is done where it is small in the second.
"""
SEEDS = 6
"""Seeds that are tried where Python's or NumPy's generator is drawn from."""
_SAME = "as in single precision"
RULE = "each sample of a batch goes through the network by itself"


def check_axes(module: nn.Module, whole: Inputs, batch_axis: BatchAxis) -> None:
    """Where there are several inputs, that the first sample alone is what it is among the others.

    Raises:
        CaptureError: It is not: an input has been cut that all samples share, or one that has samples has not.
    """
    one = first_sample(whole, batch_axis)
    leaves = _tensors(whole)
    if len(leaves) < 2 or all(a.shape == b.shape for a, b in zip(leaves, _tensors(one), strict=True)):
        return
    with prepared(module), same_draws():
        problem = _difference(module, whole, one, axis_of_first(batch_axis))
    if problem is not None:
        check_mixing(module, one, batch_axes(leaves, batch_axis))
        raise problem


def _difference(module: nn.Module, whole: Inputs, one: Inputs, axis: int) -> CaptureError | None:
    taken = Branches()
    try:
        together = trial(module, whole, taken, (AtTheirMeans(),)).results
    except Exception:  # noqa: BLE001 - what the module cannot do with the example is said by the export
        return None
    taken.place = 0
    try:
        single = trial(module, one, taken, (AtTheirMeans(),)).results
    except Exception as error:  # noqa: BLE001 - any of the user's own
        problem = _cut_otherwise(whole, "does not run")
        problem.__cause__ = error
        return problem
    if not _first_differs(together, single, axis) or _agree_in_double(module, (whole, one), axis):
        return None
    return _cut_otherwise(whole, "has another result")


def _cut_otherwise(whole: Inputs, came: str) -> CaptureError:
    shapes = ", ".join(str(tuple(leaf.shape)) for leaf in _tensors(whole))
    return CaptureError(
        "an example's inputs have their samples along one axis",
        f"inputs of shapes {shapes}, of which the first sample alone {came}",
        "Pass a batch of one sample, or name the axis of each input: batch_axis=(0, None) for one that all share",
    )


def _first_differs(together: Sequence[Tensor], single: Sequence[Tensor], axis: int) -> bool:
    whole_only = all(b.dim() == 0 for b in single)  # beside other results a scalar is a loss, and left out
    for a, b in zip(together, single, strict=True):
        if b.dim() == 0 and not whole_only:
            continue
        of_first = a.narrow(axis, 0, 1) if a.dim() > axis else a
        if of_first.shape == b.shape and not torch.allclose(of_first.float(), b.float(), 1e-2, 1e-3, equal_nan=True):
            return True
    return False


def _agree_in_double(module: nn.Module, several: tuple[Inputs, Inputs], axis: int) -> bool:
    """Whether what differs is rounding, which double precision makes small; False where the module runs in no such."""
    if not fits_in_double(module):
        return False
    with in_double(module):
        try:
            together, single = outcomes_of(module, [doubled_inputs(inputs) for inputs in several])
        except Exception:  # noqa: BLE001 - a module that asks for single precision by name
            return False
    return not _first_differs(together.results, single.results, axis)


def check_mixing(module: nn.Module, one: Inputs, axes: Sequence[int | None]) -> None:
    """That a sample's results do not depend on the others of its batch.

    Args:
        module: The module, unwrapped.
        one: An example of one sample.
        axes: By tensor of the example, the axis that counts samples.

    Raises:
        CaptureError: They do.
    """
    if all(axis is None for axis in axes) or any(p.is_meta for p in module.parameters()):
        return
    with prepared(module):
        switch_on(module)
        for size, draws in TRIALS:
            _compare(module, one, axes, size, draws)


def check_batch(module: nn.Module, whole: Inputs, batch_axis: BatchAxis) -> None:
    """That samples do not meet in a batch of the example's size either: ghost norms divide batches of four and more.

    Args:
        module: The module, unwrapped.
        whole: The example as it was given.
        batch_axis: Its axis of samples, as for a capture.

    Raises:
        CaptureError: The first sample has another result alone.
    """
    leaves = _tensors(whole)
    axes = batch_axes(leaves, batch_axis)
    n = max((leaf.shape[axis] for leaf, axis in zip(leaves, axes, strict=True) if axis is not None), default=0)
    if n <= 2 or any(p.is_meta for p in module.parameters()):  # two samples have been compared
        return
    generator = torch.Generator().manual_seed(0)
    varied = torch.utils._pytree.tree_map(lambda x: noisy(x, generator) if _is_float(x) else x, whole)
    given, axis = (varied, first_sample(varied, batch_axis)), axis_of_first(batch_axis)
    with prepared(module), same_draws():
        switch_on(module)
        try:
            together, single = outcomes_of(module, given)
        except Exception:  # noqa: BLE001 - what the module cannot do with the example is said by the export
            return
        if not _first_differs(together.results, single.results, axis) or _agree_in_double(module, given, axis):
            return
    if sum(axis is not None for axis in axes) > 1:  # one of them may be shared by all samples, and as long as the batch
        problem = _cut_otherwise(whole, "has another result")
        raise problem
    remedy = f"Capture the submodules on either side of where they meet, or {_whole(len(leaves))}"
    raise CaptureError(RULE, f"a batch of {n} samples, of which the first alone has another result", remedy)


def _is_float(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.is_floating_point()


def check_single(module: nn.Module, whole: Inputs, one: Inputs, error: CaptureError) -> None:
    """That where one sample does not run, the example itself does not either.

    Args:
        module: The module, unwrapped.
        whole: The example as it was given.
        one: Its first sample, which a program is of.
        error: What came of exporting it.

    Raises:
        CaptureError: The example runs: what fails is to run on one sample.
    """
    if all(a.shape == b.shape for a, b in zip(_tensors(whole), _tensors(one), strict=True)):
        return
    with prepared(module), same_draws():
        if _runs(module, one) or not _runs(module, whole):
            return
    came = f"an example that runs as a batch and whose first sample alone does not: {error.came}"
    raise CaptureError("a network is read on one sample", came, f"Let it take one, or {_whole(len(_tensors(whole)))}")


def _compare(module: nn.Module, one: Inputs, axes: Sequence[int | None], size: float, draws: Draws) -> None:
    for *samples, both in two_samples(one, axes, size, exchanged=size < 1):
        given = (samples[0], samples[1], both)
        outcome = compare_two(module, given, len(axes), draws)
        for seed in range(1, SEEDS) if outcome and outcome.drew else ():  # random.shuffle leaves both now and then
            compare_two(module, given, len(axes), replace(draws, seed=seed))
        if outcome:
            return


def compare_two(
    module: nn.Module, given: tuple[Inputs, Inputs, Inputs], n_inputs: int, draws: Draws = MEAN_DRAWS
) -> ForwardResult | None:
    """Run the module on two samples, by themselves and as one batch, where it must have the same results.

    Args:
        module: The module, prepared as for the export.
        given: Two samples, and the batch of them.
        n_inputs: How many tensors it takes.
        draws: What each of the three passes draws.

    Returns:
        The outcome of the batch; None where the module does not run on all of them.

    Raises:
        CaptureError: It has other results in the batch.
    """
    try:
        outcomes = outcomes_of(module, given, draws)
    except Exception:  # noqa: BLE001 - a module that takes one sample only, or no such numbers
        return None
    met = _meeting(outcomes)
    if met is None:
        return outcomes[2]
    if met is not None and all(result.dim() == 0 for result in outcomes[2].results):
        remedy = "Return what it is computed from, the network's outputs; a loss beside them is left out"
        raise CaptureError(RULE, "one number for the whole batch as the only result, as a loss is", remedy)
    # In single precision they differ. Double precision says whether that was rounding; a module that does not run in it
    # is taken at its word.
    where = _in_double(module, given, outcomes, draws) if fits_in_double(module) else _SAME
    if where is _SAME:
        where = (
            met if isinstance(met, str) else meeting_place(module, (given[met], given[2]), met, draws=(draws, draws))
        )
    if where is not None:
        _refuse(where, n_inputs)
    return outcomes[2]


def _in_double(module: nn.Module, given: Sequence[Inputs], coarse: Sequence[ForwardResult], draws: Draws) -> str | None:
    """Where the samples meet in double precision, None where they do not, ``_SAME`` where it does not run."""
    with in_double(module):
        inputs = [doubled_inputs(one) for one in given]
        try:
            met = _meeting(rounded_as(outcomes_of(module, inputs, draws), coarse))
        except Exception:  # noqa: BLE001 - a module that asks for single precision by name
            return _SAME
        if met is None or isinstance(met, str):
            return met
        return meeting_place(module, (inputs[met], inputs[2]), met, draws=(draws, draws), coarse=True)


def _meeting(outcomes: Sequence[ForwardResult]) -> int | str | None:
    """The sample of two that has other results in the batch, or the buffer that the batch writes otherwise."""
    *alone, together = outcomes
    for place in (0, 1):
        if _mixes(alone[place], together, place):
            return place
    buffer = _statistics(alone[0], together)
    return f"the buffer {buffer!r}, to which statistics of the batch are written" if buffer else None


def _mixes(alone: ForwardResult, together: ForwardResult, place: int) -> bool:
    """Whether a result is another one; numbers that are returned beside tensors, such as a loss, do not count."""
    if len(alone.results) != len(together.results):
        return False
    several = any(result.dim() for result in alone.results)
    return any(
        agrees_alone(a, b, place) is False
        for a, b in zip(alone.results, together.results, strict=True)
        if a.dim() or not several
    )


def _statistics(alone: ForwardResult, together: ForwardResult) -> str:
    """A buffer that gets other values in a batch than of its first sample alone, where that sample writes to it."""
    for name, (before, after) in alone.written.items():
        among = together.written.get(name, (before, before))[1]
        if among.shape == after.shape and after.shape == before.shape and after.is_floating_point():
            written = after != before
            if agrees_alone(after[written], among[written], 0) is False:
                return name
    return ""


def _refuse(came: str, n_inputs: int) -> NoReturn:
    first = "Give it running statistics" if came.startswith(NORM) else "Capture the submodules on either side"
    met = came if came.startswith("the buffer") else f"{came or 'an operation'}, where the samples of a batch meet"
    raise CaptureError(RULE, met, f"{first}, or {_whole(n_inputs)}")


def _runs(module: nn.Module, inputs: Inputs) -> bool:
    try:
        trial(module, inputs, Branches(), (AtTheirMeans(),))
    except Exception:  # noqa: BLE001 - any of the user's own
        return False
    return True


def _whole(n_inputs: int) -> str:
    axes = ", ".join(["None"] * n_inputs)
    return f"read the whole batch as one sample: batch_axis=({axes}{',' if n_inputs == 1 else ''})"


def _tensors(inputs: Any) -> list[Tensor]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(inputs) if isinstance(leaf, Tensor)]
