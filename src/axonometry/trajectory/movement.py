"""What the weights alone say about a run: statistics of each parameter, and its distance from the start."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from axonometry.errors import RunError
from axonometry.metrics.spectrum import largest_singular_value
from axonometry.trajectory.run import Trajectory
from axonometry.trajectory.summary import SummaryKey, snapshot_steps

Weights = Mapping[str, Tensor]

PERCENTILES = (0, 25, 50, 75, 100)
STATISTICS = ("mean", "variance", *(f"p{p}" for p in PERCENTILES))
"""The seven statistics of a parameter in Unterthiner et al. 2020, arXiv 2002.11448, section 3."""


def weight_values(
    run: Trajectory, epochs: int, *, parameters: bool = True, movement: bool = True
) -> dict[SummaryKey, float]:
    r"""Statistics of the parameters after each epoch, and how they moved, by what they are.

    ``parameter``: mean, variance and percentiles of every parameter, and of all kernels together (group "").

    ``movement``: for each parameter and for all together (group ""), with W_t a parameter after t epochs,
    D = W_t - W_0 and the step d_t = W_t - W_(t-1):

    - ``distance``: log10(\|D\| / \|W_0\|), ``step``: log10(\|d_t\| / \|W_(t-1)\|),
      ``growth``: log10(\|W_t\| / \|W_0\|);
    - ``turn``: the cosine of d_t and d_(t-1), from the second epoch on: 1 goes straight, -1 back;
    - ``rank``: the stable rank of D as a matrix (outputs by the rest), \|D\|_F^2 / sigma_1(D)^2. A consistent signal
      moves the weights in few directions, noise in all of them;
    - ``top``: log10 of the growth of sigma_1(W).

    The last two are of kernels; all together has their means. Norms are L2; a parameter that starts at zero or does
    not move has NaN where a logarithm or a quotient does not exist, and so has one that is not finite.

    Args:
        run: A run that kept its weights, from the initial network on.
        epochs: The last snapshot that is used.
        parameters: Whether the statistics are there.
        movement: Whether the movement is there.

    Raises:
        RunError: A snapshot is missing.

    Source: the statistics are those of Unterthiner et al. 2020, arXiv 2002.11448, section 3 [recalled]. The movement
    is [our choice]; distance from initialisation after Nagarajan and Kolter 2019, arXiv 1901.01672 [recalled].
    """
    steps = snapshot_steps(run)
    values: dict[SummaryKey, float] = {}
    first = before = _parameters(run, steps, 0)
    step: Weights = {}
    for epoch in range(1, epochs + 1):
        now = _parameters(run, steps, epoch)
        if parameters:
            values |= {SummaryKey("parameter", *place, epoch): value for place, value in parameter_statistics(now)}
        if movement:
            earlier, step = step, {name: now[name] - before[name] for name in now}
            moved = _movements(first, before, now, earlier, step)
            values |= {SummaryKey("movement", group, statistic, epoch): value for group, statistic, value in moved}
        before = now
    return values


def _parameters(run: Trajectory, steps: Mapping[int, int], epoch: int) -> dict[str, Tensor]:
    """The parameters of a snapshot; buffers are left out."""
    if epoch not in steps or steps[epoch] not in run.snapshots:
        raise RunError(
            f"{run.folder} has no weights after {epoch} epochs",
            "",
            "Record the initial network and then every epoch, with keep_weights=True",
        )
    names = {entry.parameter for entry in run.coverage}
    return {name: tensor for name, tensor in run.snapshots[steps[epoch]].items() if name in names}


def parameter_statistics(weights: Weights) -> Iterator[tuple[tuple[str, str], float]]:
    """Mean, variance and percentiles of each parameter, and of all kernels together (name "").

    >>> dict(parameter_statistics({"bias": torch.tensor([1.0, 3.0])}))[("bias", "variance")]
    1.0
    """
    kernels = [tensor.flatten() for tensor in weights.values() if tensor.ndim > 1]
    together = {"": torch.cat(kernels)} if kernels else {}
    for name, tensor in {**together, **weights}.items():
        yield from (((name, statistic), value) for statistic, value in zip(STATISTICS, _unterthiner(tensor)))


def _unterthiner(tensor: Tensor) -> list[float]:
    # numpy sorts alone; torch finds the order as well, and that takes several times as long.
    flat = tensor.flatten() if tensor.dtype == torch.float64 else tensor.flatten().float()
    ordered = torch.from_numpy(np.sort(flat.numpy(force=True))).double()
    if not bool(ordered.isfinite().all()):
        return [math.nan] * len(STATISTICS)
    # Linear interpolation, as numpy's percentiles; torch.quantile refuses large tensors.
    places = torch.tensor(PERCENTILES, dtype=torch.float64) / 100 * (len(ordered) - 1)
    low = places.floor().long()
    high = (low + 1).clamp(max=len(ordered) - 1)
    percentiles = ordered[low].lerp(ordered[high], places - low)
    return [float(ordered.mean()), float(ordered.var(correction=0)), *percentiles.tolist()]


def _movements(
    first: Weights, before: Weights, now: Weights, earlier: Weights, step: Weights
) -> Iterator[tuple[str, str, float]]:
    """Group, statistic, value."""
    ranks, tops = [], []
    for name in now:
        moved = now[name] - first[name]
        yield from ((name, *row) for row in _lengths(moved, first[name], before[name], now[name], step[name]))
        if earlier:
            yield name, "turn", _cosine(step[name], earlier[name])
        if now[name].ndim > 1:
            rank, top = _stable_rank(moved), _log_ratio(_top(now[name]), _top(first[name]))
            ranks.append(rank)
            tops.append(top)
            yield name, "rank", rank
            yield name, "top", top
    together = [_joined(part) for part in (first, before, now, step)]
    yield from (("", *row) for row in _lengths(together[2] - together[0], *together))
    if earlier:
        yield "", "turn", _cosine(together[3], _joined(earlier))
    if ranks:
        yield "", "rank", sum(ranks) / len(ranks)
        yield "", "top", sum(tops) / len(tops)


def _lengths(moved: Tensor, first: Tensor, before: Tensor, now: Tensor, step: Tensor) -> Iterator[tuple[str, float]]:
    yield "distance", _log_ratio(float(moved.norm()), float(first.norm()))
    yield "step", _log_ratio(float(step.norm()), float(before.norm()))
    yield "growth", _log_ratio(float(now.norm()), float(first.norm()))


def _joined(weights: Weights) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in weights.values()])


def _log_ratio(a: float, b: float) -> float:
    return math.log10(a / b) if 0 < a < math.inf and 0 < b < math.inf else math.nan


def _cosine(a: Tensor, b: Tensor) -> float:
    length = float(a.norm() * b.norm())
    return float(a.flatten() @ b.flatten()) / length if 0 < length < math.inf else math.nan


def _top(kernel: Tensor) -> float:
    return largest_singular_value(kernel.flatten(1))


def _stable_rank(matrix: Tensor) -> float:
    largest = _top(matrix)
    return float(matrix.norm()) ** 2 / largest**2 if 0 < largest < math.inf else math.nan
