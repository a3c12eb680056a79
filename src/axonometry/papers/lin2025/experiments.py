"""All experiments of one call: their networks, then what each of them found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from axonometry.errors import ConfigurationError, RunError
from axonometry.papers.lin2025 import depth, double_descent, flat_minima, grokking, lmap, phases
from axonometry.papers.lin2025.carrying_out import outcomes
from axonometry.papers.lin2025.finding import Finding
from axonometry.papers.lin2025.items import Item, Outcome
from axonometry.papers.lin2025.learning import path_of
from axonometry.papers.lin2025.plans import EXPERIMENTS, SEEDS, Scale, items
from axonometry.progress import Progress

READERS: Mapping[str, Callable[[Sequence[Outcome]], Finding]] = {
    "lmap": lmap.read,
    "phases": phases.read,
    "depth": depth.read,
    "flat-minima": flat_minima.read,
    "grokking": grokking.read,
    "double-descent": double_descent.read,
}
"""What makes a finding of an experiment's outcomes."""


@dataclass(frozen=True)
class Results:
    """What the experiments found.

    Attributes:
        scale: ``"small"`` or ``"full"``.
        findings: Of the experiments that were asked for.
        missing: Names of the others.
        seconds: Duration of the call.
        trained: Networks that this call trained; the others were there.
    """

    scale: str
    findings: tuple[Finding, ...]
    missing: tuple[str, ...]
    seconds: float
    trained: int

    @property
    def networks(self) -> int:
        """Networks of all findings."""
        return sum(found.networks for found in self.findings)


def run(  # noqa: PLR0913 - what, how large, where, and who is told
    *,
    experiments: Iterable[str] | None = None,
    scale: str = "small",
    seeds: int | None = None,
    folder: str | Path,
    data: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Results:
    """Carry out experiments, or go on with them, and read what they found.

    Args:
        experiments: Names in :data:`READERS`; all where None.
        scale: ``"small"``: half an hour of processor time. ``"full"``: the paper's sizes, over a hundred times that.
        seeds: Networks of each kind; 3 at the small scale, 5 at the full one, where None.
        folder: Where outcomes are kept; what is there is not trained again.
        data: Directory of the data sets' files; ``$AXONOMETRY_DATA`` where None.
        workers: Processes that train; as many as there are cores where None.
        progress: Called with what is done, out of what, and a few words.

    Raises:
        ConfigurationError: There is no such experiment or scale, or no seed.
        DataError: A data set's file is missing.
        RunError: Networks failed; the others are whole, and the same call goes on with these.
    """
    names = tuple(READERS) if experiments is None else tuple(dict.fromkeys(experiments))
    for name in names:
        if name not in READERS:
            raise ConfigurationError("the paper's experiments have names", repr(name), f"Choose: {', '.join(READERS)}")
    chosen = next((one for one in get_args(Scale) if one == scale), None)
    if chosen is None:
        raise ConfigurationError("the experiments have their scales", repr(scale), f"Choose: {', '.join(SEEDS)}")
    n_seeds = SEEDS[chosen] if seeds is None else seeds
    if n_seeds < 1:
        raise ConfigurationError("`seeds` is at least 1", str(seeds), "Two are the least that give an interval")
    plans = {name: items(name, chosen, n_seeds) for name in EXPERIMENTS if name in names}
    return carry_out(plans, scale=scale, folder=folder, data=data, workers=workers, progress=progress)


def carry_out(
    plans: Mapping[str, Sequence[Item]],
    *,
    scale: str,
    folder: str | Path,
    data: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Results:
    """The experiments with networks of one's own; as :func:`run`."""
    start, place = time.monotonic(), Path(folder) / "networks"
    every = [item for plan in plans.values() for item in plan]
    missing = sum(not path_of(item, place).exists() for item in every)
    found = outcomes(every, place, data=data, workers=workers, progress=progress)
    findings = [_read(name, [one for one in found if one.item.experiment == name]) for name in plans]
    others = tuple(name for name in READERS if name not in plans)
    return Results(scale, tuple(findings), others, time.monotonic() - start, missing)


def _read(name: str, outcomes_: Sequence[Outcome]) -> Finding:
    """What an experiment found, with the networks that diverged left out and named."""
    whole = [outcome for outcome in outcomes_ if not outcome.diverged]
    lost = tuple(f"{one.item.cell}, seed {one.item.seed}" for one in outcomes_ if one.diverged)
    if not whole:
        raise RunError(f"some network of {name} learns without diverging", "none", "Lower the learning rates")
    return replace(READERS[name](whole), diverged=lost)
