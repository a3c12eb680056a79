"""What the weights alone say about a run: statistics of each parameter, and how far it went since the start."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonometry.errors import RunError
from axonometry.trajectory.run import Trajectory
from axonometry.trajectory.summary import KEYS, LEVEL, snapshot_steps

if TYPE_CHECKING:
    import pandas as pd

PERCENTILES = (0, 25, 50, 75, 100)
STATISTICS = ("mean", "variance", *(f"p{p}" for p in PERCENTILES))
"""The seven statistics of a parameter in Unterthiner et al. 2020, arXiv 2002.11448, section 3."""


def parameter_values(run: Trajectory, epoch: int) -> pd.Series:
    """Mean, variance and percentiles of every parameter in one snapshot, and of all kernels together (group "").

    Args:
        run: A run that kept its weights.
        epoch: Which snapshot; see :func:`axonometry.trajectory.summary.snapshot_steps`.

    Returns:
        Keyed by ``summary.KEYS``, the measure is ``parameter``. NaN where a parameter holds what is not finite.

    Raises:
        RunError: The run has no such snapshot.

    Source: Unterthiner et al. 2020, arXiv 2002.11448, section 3 [recalled]; all kernels together is [our choice].
    """
    weights = _parameters(run, epoch)
    kernels = [tensor.flatten() for tensor in weights.values() if tensor.ndim > 1]
    together = {"": torch.cat(kernels)} if kernels else {}
    rows = {
        ("parameter", name, statistic, epoch, LEVEL): value
        for name, tensor in {**together, **weights}.items()
        for statistic, value in zip(STATISTICS, _unterthiner(tensor), strict=True)
    }
    return _series(rows)


def movement_values(run: Trajectory, epochs: int) -> pd.Series:
    r"""How the parameters moved, for each kernel and bias and for all together (group ""), after each epoch.

    With W_t a parameter after t epochs, D = W_t - W_0 and the step d_t = W_t - W_(t-1):

    - ``distance``: log10(\|D\| / \|W_0\|), ``step``: log10(\|d_t\| / \|W_(t-1)\|),
      ``growth``: log10(\|W_t\| / \|W_0\|);
    - ``turn``: the cosine of d_t and d_(t-1), from the second epoch on: 1 goes straight, -1 back;
    - ``rank``: the stable rank of D as a matrix (outputs by the rest), \|D\|_F^2 / sigma_1(D)^2. A consistent signal
      moves the weights in few directions, noise in all of them;
    - ``top``: log10 of the growth of sigma_1(W).

    The last two are of kernels; all together has their means. Norms are L2; a parameter that starts at zero or does
    not move has NaN where a logarithm or a quotient does not exist.

    Args:
        run: A run that kept its weights, from the initial network on.
        epochs: The last snapshot that is used.

    Returns:
        Keyed by ``summary.KEYS``, the measure is ``movement``.

    Raises:
        RunError: A snapshot is missing.

    Source: [our choice]; distance from initialisation after Nagarajan and Kolter 2017, arXiv 1901.01672; stable rank
    after Rudelson and Vershynin 2007.
    """
    rows: dict[tuple[str, str, str, int, int], float] = {}
    first = before = _parameters(run, 0)
    step: Mapping[str, Tensor] = {}
    for epoch in range(1, epochs + 1):
        now = _parameters(run, epoch)
        earlier, step = step, {name: now[name] - before[name] for name in now}
        for group, statistic, value in _movements(first, before, now, earlier, step):
            rows["movement", group, statistic, epoch, LEVEL] = value
        before = now
    return _series(rows)


def _parameters(run: Trajectory, epoch: int) -> dict[str, Tensor]:
    """The parameters of a snapshot in float64; buffers are left out."""
    steps = snapshot_steps(run)
    if epoch not in steps or steps[epoch] not in run.snapshots:
        raise RunError(
            f"the weights after {epoch} epochs were recorded",
            f"{run.folder} without them",
            "Record the initial network and then every epoch, with keep_weights=True",
        )
    names = {entry.parameter for entry in run.coverage}
    state = run.snapshots[steps[epoch]]
    return {name: tensor.double() for name, tensor in state.items() if name in names}


def _unterthiner(tensor: Tensor) -> list[float]:
    ordered = tensor.flatten().sort().values
    if not bool(ordered.isfinite().all()):
        return [math.nan] * len(STATISTICS)
    # Linear interpolation, as numpy's percentiles; torch.quantile refuses large tensors.
    places = torch.tensor(PERCENTILES, dtype=torch.float64) / 100 * (len(ordered) - 1)
    low = places.floor().long()
    high = (low + 1).clamp(max=len(ordered) - 1)
    percentiles = ordered[low].lerp(ordered[high], places - low)
    return [float(ordered.mean()), float(ordered.var(correction=0)), *percentiles.tolist()]


Weights = Mapping[str, Tensor]


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
            rank, top = _stable_rank(moved), _log_ratio(_largest(now[name]), _largest(first[name]))
            ranks.append(rank)
            tops.append(top)
            yield name, "rank", rank
            yield name, "top", top
    whole = [_joined(part) for part in (first, before, now, step)]
    yield from (("", *row) for row in _lengths(whole[2] - whole[0], *whole))
    if earlier:
        yield "", "turn", _cosine(whole[3], _joined(earlier))
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


def _stable_rank(matrix: Tensor) -> float:
    largest = _largest(matrix)
    return float(matrix.norm()) ** 2 / largest**2 if 0 < largest < math.inf else math.nan


def _largest(kernel: Tensor) -> float:
    """The largest singular value of a kernel as a matrix, from the smaller of its two Gram matrices."""
    matrix = kernel.flatten(1)
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    if not bool(gram.isfinite().all()):
        return math.nan
    return math.sqrt(max(0.0, float(torch.linalg.eigvalsh(gram)[-1])))


def _series(rows: dict[tuple[str, str, str, int, int], float]) -> pd.Series:
    import pandas as pd

    index = pd.MultiIndex.from_tuples(list(rows), names=KEYS) if rows else None
    return pd.Series(list(rows.values()), index=index, dtype="float64")
