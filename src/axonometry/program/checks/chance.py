"""That nothing outside torch decides a result: an export would keep one draw of it and say nothing.

``if random.random() < 0.1: return x`` is not in the program; what is there depends on the seed at the time of capture.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from axonometry.errors import CaptureError
from axonometry.program.checks.meeting import meeting_place
from axonometry.program.checks.trial import Branches, ForwardResult, Inputs, agrees_alone, switch_on, trial, two_samples
from axonometry.program.draws import AtTheirMeans, Draws, same_draws
from axonometry.program.export import prepared

SEEDS = 6
"""Seeds that are tried where Python's or NumPy's generator is drawn from: layers are left out now and then only."""


def check_chance(module: nn.Module, one: Inputs, axes: Sequence[int | None]) -> None:
    """That two passes under two seeds have one result, all of torch's draws at their means.

    Args:
        module: The module, unwrapped.
        one: An example of one sample.
        axes: By tensor of the example, the axis that counts samples.

    Raises:
        CaptureError: They have not.
    """
    if any(p.is_meta for p in module.parameters()):
        return
    with prepared(module):
        switch_on(module)
        sample = next(two_samples(one, axes))[0]
        seed = _other_seed(module, sample)
        if seed is None:
            return
        place = meeting_place(module, (sample, sample), draws=(Draws(), Draws(seed)))
    raise CaptureError(
        "a forward pass computes the same each time",
        f"{place or 'a result'}, which differs from pass to pass after a draw that is not torch's",
        'Draw outside the network, or capture with randomness="fix" to keep one draw',
    )


def _other_seed(module: nn.Module, sample: Inputs) -> int | None:
    """A seed under which the module has another result; None where there is none."""
    first: ForwardResult | None = None
    for seed in range(SEEDS):
        try:
            with same_draws(seed) as drawn:
                outcome = trial(module, sample, Branches(), (AtTheirMeans(),))
                goes_on = seed == 0 or bool(drawn)
        except Exception:  # noqa: BLE001 - what the module cannot do with the sample is said by the export
            return None
        if first is not None and _differ(first, outcome):
            return seed
        if not goes_on:
            return None
        first = first or outcome
    return None


def _differ(first: ForwardResult, second: ForwardResult) -> bool:
    if len(first.results) != len(second.results):
        return True
    pairs = list(zip(first.results, second.results, strict=True))
    return any(a.shape != b.shape or agrees_alone(a, b, 0) is False for a, b in pairs)
