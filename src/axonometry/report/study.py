"""The data of a population's page as frames, read from its runs once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from axonometry.errors import AxonometryError, closest
from axonometry.metrics import CATALOGUE
from axonometry.report import samples
from axonometry.report.chance import Row, beside_chance
from axonometry.report.score import ACCURACY, Score

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from axonometry.populations import Population
    from axonometry.trajectory import Trajectory

WIDTHS = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Widths of accuracy bins to choose from, where no edges are given."""
MOST_IN_ONE = 0.6
"""Largest share of the networks in one bin; above it, bins are quantiles."""
MOST_KINDS = 3
"""Values of a choice that the shape of a dot can show."""
STOPPED = "stopped early"
TRACKED = (
    ("accuracy", "value"),
    ("loss", "value"),
    ("layer_fluctuation", "value"),
    ("node_strength", "mean"),
    ("link_weights", "std"),
    ("neuron_strength", "mean"),
    ("neuron_activation", "mean"),
    ("neuron_activation", "sparsity"),
)
"""Statistics that are kept over time: metric, statistic."""


@dataclass(frozen=True)
class Study:
    """A population of one architecture, as frames to draw.

    Attributes:
        networks: A row a network, ascending by final accuracy: its configuration, last scalars, and its ``bin``, an
            ordered categorical.
        metrics: Tidy: network, bin, step, group, metric, statistic, value; what :data:`TRACKED` names.
        densities: Tidy: metric, group, name (of a bin), x, density.
        divergences: By measure and group: a bin by bin frame.
        configured: Columns of ``networks`` that are choices, not results.
        example: The run of the network with the median accuracy, for groups, synapses, coverage and software.
        left_out: Number of networks without a final accuracy.
        unfinished: Number of unfinished runs.
        stopped: Number of runs that were stopped early.
        absent: Names of the runs that are not shown, each with why.
        score: What networks are ordered by; "accuracy" in all that is said here.
        chance: Each divergence beside that of relabelled halves.
        read: Number of networks by bin that the densities and divergences come from.
    """

    networks: pd.DataFrame
    metrics: pd.DataFrame
    densities: pd.DataFrame
    divergences: dict[tuple[str, str], pd.DataFrame]
    read: dict[str, int]
    configured: tuple[str, ...]
    example: Trajectory
    left_out: int = 0
    unfinished: int = 0
    stopped: int = 0
    chance: tuple[Row, ...] = ()
    absent: tuple[tuple[str, str], ...] = ()
    score: Score = ACCURACY

    @property
    def groups(self) -> list[str]:
        """Names of the neuron groups, in the order of the forward pass."""
        return [group.name for group in self.example.groups]

    @property
    def synapses(self) -> list[str]:
        """Names of the synapses whose weights were measured, in order."""
        measured = set(self.metrics.loc[self.metrics["metric"] == "link_weights", "group"])
        return [synapse.name for synapse in self.example.synapses if synapse.name in measured]

    @cached_property
    def common(self) -> dict[str, object]:
        """The choices that are the same in all configurations."""
        chosen = self.networks[list(self.configured)]
        return {str(name): chosen[name].iloc[0] for name in chosen if chosen[name].nunique(dropna=False) == 1}

    @property
    def software(self) -> dict[str, object]:
        """The software of the example run."""
        return dict(self.example.description.software[-1]) if self.example.description.software else {}

    @property
    def differing(self) -> list[str]:
        """The choices that differ."""
        return [name for name in self.configured if name not in self.common]

    @property
    def step_name(self) -> str:
        """Name of a step: epoch or step."""
        return "epoch" if self.common.get("record_every") == "epoch" else "step"

    @property
    def bins(self) -> list[str]:
        """Names of the accuracy bins, from low to high."""
        return list(self.networks["bin"].cat.categories)

    def measured_groups(self, metric: str, statistic: str = "value") -> list[str]:
        """Names of the neuron groups of which a measure was recorded, in the order of the forward pass."""
        rows = self.metrics[(self.metrics["metric"] == metric) & (self.metrics["statistic"] == statistic)]
        there = set(rows["group"])
        return [name for name in self.groups if name in there]

    @property
    def leading(self) -> tuple[str, str] | None:
        """The measure and statistic that the first figure shows: fluctuation, or what was recorded first of groups."""
        return next((pair for pair in _tracked_pairs(self.example) if self.measured_groups(*pair)), None)

    def tracked(self, metric: str, group: str = "", statistic: str = "value") -> pd.DataFrame:
        """One number over time: network, bin, step, value."""
        rows = self.metrics[
            (self.metrics["metric"] == metric)
            & (self.metrics["group"] == group)
            & (self.metrics["statistic"] == statistic)
        ]
        return rows[["network", "bin", "step", "value"]]

    def carried(self, metric: str, group: str = "", statistic: str = "value") -> pd.DataFrame:
        """One number over time; networks whose training has ended keep their last value: as tracked, and ``ended``.

        Otherwise the networks of a bin would change from step to step, and its median would jump where some end.
        """
        tracked = self.tracked(metric, group, statistic)
        if tracked.empty:  # an empty frame has no types to compare
            return tracked.assign(ended=False)
        wide = tracked.pivot(index="step", columns="network", values="value")
        last = tracked.groupby("network")["step"].max()
        long = wide.ffill().reset_index().melt(id_vars="step", var_name="network")
        places = tracked.drop_duplicates("network").set_index("network")["bin"]
        return long.assign(bin=long["network"].map(places), ended=long["step"] > long["network"].map(last))

    @property
    def lengths_differ(self) -> bool:
        """Whether some networks were trained for longer than others."""
        return bool(self.metrics.groupby("network")["step"].max().nunique() > 1)

    @property
    def kinds(self) -> tuple[str, dict[object, str]]:
        """The first choice of text with two or three values, and each network's; an empty name where there is none."""
        for name in self.differing:
            values = self.networks[name]
            if 2 <= values.nunique() <= MOST_KINDS and values.map(lambda value: isinstance(value, str)).all():
                return name, dict(values)
        return "", {}

    def tracked_last(self, metric: str, statistic: str = "value") -> pd.DataFrame:
        """One number of every network and group at the network's last step: network, bin, group, step, value."""
        rows = self.metrics[(self.metrics["metric"] == metric) & (self.metrics["statistic"] == statistic)]
        return rows.sort_values("step", kind="stable").groupby(["network", "group"], sort=False).tail(1)

    def with_accuracy(self, metric: str, group: str, statistic: str = "value") -> pd.DataFrame:
        """One number beside the accuracy of the same step: network, bin, step, value, accuracy."""
        accuracy = self.tracked(self.score.name).drop(columns="bin").rename(columns={"value": "accuracy"})
        return self.tracked(metric, group, statistic).merge(accuracy, on=["network", "step"])


def study(population: Population, *, edges: Sequence[float] | None = None, score: str = "accuracy") -> Study:
    """Read the data of a population's page from its runs.

    Args:
        population: Finished runs of networks of one architecture.
        edges: Edges of the accuracy bins; round ones by default.
        score: The scalar in the place of accuracy.

    Raises:
        AxonometryError: There is no run with a final accuracy, or the runs are of several architectures.
        RunError: A run is corrupt.
    """
    import pandas as pd

    known, absent = scored(population, score)
    shown = replace(population, runs={name: population.runs[name] for name in known.index})
    _require_one_architecture(population, list(known.index))
    by = Score.of(score, known[score].to_numpy(dtype=float))
    given = edges or default_edges(known[score].to_numpy(dtype=float), share=by.share)
    bins = [part for part in shown.accuracy_bins(given, score) if part.runs]
    names = labels([(part.low, part.high) for part in bins], share=by.share)
    order = [name for part in bins for name in part.runs]
    of = {run: name for name, part in zip(names, bins, strict=True) for run in part.runs}
    known = known.loc[order]
    binned = known.assign(bin=pd.Categorical([of[run] for run in order], categories=names, ordered=True))
    metrics = pd.concat([_tracked(population.runs[run], run, score) for run in order], ignore_index=True)
    metrics["bin"] = pd.Categorical(metrics["network"].map(of), categories=names, ordered=True)
    values, read = samples.of_bins(shown, dict(zip(names, bins, strict=True)))
    apart = samples.divergences(values)
    reasons = [why for _, why in absent]
    return Study(
        networks=binned,
        metrics=metrics,
        densities=samples.density_curves(values),
        divergences=apart,
        chance=tuple(beside_chance(values, apart)),
        example=population.runs[order[len(order) // 2]],
        left_out=sum(why.startswith("no ") for why in reasons),
        unfinished=len(population.unfinished),
        stopped=sum(why == STOPPED for why in reasons),
        absent=tuple(absent),
        score=by,
        read=read,
        configured=population.choices,
    )


def scored(population: Population, score: str = "accuracy") -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """The population's frame of runs that have a final score, and the other runs, each with why it is left out.

    Args:
        population: Runs of any architectures.
        score: A scalar that they recorded.

    Raises:
        AxonometryError: There is no finished run with the score.
    """
    frame = population.frame.rename_axis("network")
    scalars = [str(name) for name in frame if name not in population.choices]
    stopped = {name for name, run in population.runs.items() if run.stopped}  # their accuracy is not the final one
    known = (
        frame[~frame.index.isin(stopped) & np.isfinite(frame[score].astype(float))] if score in scalars else frame[:0]
    )
    absent = [(name, "cannot be read") for name in population.corrupt]
    absent += [(name, "not finished") for name in population.unfinished]
    absent += [(name, STOPPED if name in stopped else f"no {score}") for name in frame.index if name not in known.index]
    if known.empty:
        came = ", ".join(f"{name} ({why})" for name, why in absent[:3]) + (", ..." if len(absent) > 3 else "")
        remedy = "Record the accuracy at every step, or finish the runs"
        if frame.shape[0] and score not in scalars:
            others = f"Choose one with --score: {', '.join(scalars)}" if scalars else remedy
            remedy = closest(score, scalars, others)
        raise AxonometryError(f"no finished run with an {score} in {population.folder}", came, remedy)
    return known, absent


def default_edges(accuracy: NDArray[np.float64], *, share: bool = True) -> list[float]:
    """Edges of at least four bins of one round width, or quartiles where one bin would hold most networks.

    >>> default_edges(np.array([0.12, 0.35, 0.58, 0.91]))
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> default_edges(np.array([12.0, 35.0, 58.0, 91.0]), share=False)
    [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]

    Args:
        accuracy: Of each network, finite.
        share: Whether it is a share of 1; a number of any size otherwise.
    """
    accuracy = accuracy.round(9)
    low, high = float(accuracy.min()), float(accuracy.max())
    for width in WIDTHS if share else _widths(high - low):
        first, last = math.floor(low / width + 1e-9), max(math.ceil(high / width - 1e-9), math.floor(low / width) + 1)
        if last - first >= 4:
            edges = (np.arange(first, last + 1) * width).round(9)
            if np.histogram(accuracy, edges)[0].max() <= MOST_IN_ONE * len(accuracy):
                return [float(edge) for edge in edges]
            break
    quartiles = np.unique(np.quantile(accuracy, np.linspace(0, 1, min(4, max(1, len(accuracy) // 2)) + 1)).round(9))
    return [float(edge) for edge in quartiles] if len(quartiles) > 1 else [low, low + 1e-9]


def _widths(span: float) -> list[float]:
    """Round widths of bins for numbers of any size, from the span's own order of magnitude down."""
    if not 0 < span < math.inf:
        return []
    exponent = math.floor(math.log10(span))
    return [float(f"{m}e{e}") for e in (exponent, exponent - 1) for m in (5, 2, 1)]


def labels(bins: Sequence[tuple[float, float]], *, share: bool = True) -> list[str]:
    """Bins of accuracy in per cent, with as many digits as distinguish them; of other numbers as they are.

    >>> labels([(0.1, 0.5), (0.5, 0.96)]), labels([(0.961, 0.964), (0.964, 0.99)])
    (['10–50%', '50–96%'], ['96.1–96.4%', '96.4–99.0%'])
    >>> labels([(0.25, 0.5), (0.5, 20.0)], share=False)
    ['0.25–0.5', '0.5–20']

    Args:
        bins: Lower and upper edge of each.
        share: Whether they are shares of 1.
    """
    edges = sorted({edge for pair in bins for edge in pair})
    if not share:
        n = next((n for n in range(3, 10) if len({f"{edge:.{n}g}" for edge in edges}) == len(edges)), 10)
        return [f"{low:.{n}g}–{high:.{n}g}".replace("-", "−") for low, high in bins]
    digits = next((d for d in range(6) if len({f"{100 * edge:.{d}f}" for edge in edges}) == len(edges)), 6)
    return [f"{100 * low:.{digits}f}–{100 * high:.{digits}f}%" for low, high in bins]


def _require_one_architecture(population: Population, names: list[str]) -> None:
    first = population.runs[names[0]]
    runs = population.runs
    others = [n for n in names if (runs[n].groups, runs[n].synapses) != (first.groups, first.synapses)]
    if others:
        raise AxonometryError(
            "a population's page needs networks of one architecture",
            f"{len(others)} of {len(names)} that differ from {names[0]}, {others[0]} among them",
            "Keep each architecture in a separate folder",
        )


def _tracked_pairs(run: Trajectory) -> list[tuple[str, str]]:
    """Measures and statistics that are kept of a run: those of :data:`TRACKED`, then its other measures."""
    known = {metric for metric, _ in TRACKED}
    others = [name for name in run.description.measures if name in CATALOGUE and name not in known]
    graph = [pair for pair in TRACKED if pair[0] in CATALOGUE and pair[0] != "link_weights"]
    return graph + [(name, statistic) for name in others for statistic in ("value", "mean")]


def _tracked(run: Trajectory, name: str, score: str) -> pd.DataFrame:
    rows = run.metrics
    wanted = np.zeros(len(rows), dtype=bool)
    for metric, statistic in (*TRACKED, *_tracked_pairs(run), (score, "value")):
        wanted |= (rows["metric"] == metric).to_numpy() & (rows["statistic"] == statistic).to_numpy()
    return rows[wanted].assign(network=name)
