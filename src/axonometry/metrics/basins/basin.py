"""What a basin is: an amplitude of the network, of each class and each sample, with the curves they were read from."""

from __future__ import annotations

import math
import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from axonometry.metrics.basins.classifier import Classifier
from axonometry.metrics.basins.intervals import first_crossing
from axonometry.metrics.basins.search import Level, Search
from axonometry.showing import shown

if TYPE_CHECKING:
    import pandas as pd

Space = Literal["samples", "weights"]
State = Literal["crossed", "censored", "below", "wrong"]
REASONS: dict[State, str] = {
    "crossed": "accuracy falls to the threshold",
    "censored": "accuracy stays above the threshold up to the greatest amplitude",
    "below": "accuracy is below the threshold at the least amplitude already; this is an upper bound",
    "wrong": "accuracy is not above the threshold without noise",
}


class NoCrossingWarning(UserWarning):
    """Noise alone does not bring the accuracy below the threshold: the amplitude is no measure of the network."""


@dataclass(frozen=True)
class Crossing:
    """The amplitude at which the accuracy of some samples falls to the threshold.

    Attributes:
        amplitude: s*; infinite where accuracy never falls so far, 0 where it is no higher without noise.
        low: Lower end of the 95% interval over draws of the noise, for these samples.
        high: Upper end.
        low_all: Lower end of the 95% interval over draws and samples, for other samples drawn like these; NaN for one.
        high_all: Upper end.
        clean: Accuracy without noise.
        n: Number of samples.
        state: One of :data:`REASONS`, which say it in words.
    """

    amplitude: float
    low: float
    high: float
    low_all: float
    high_all: float
    clean: float
    n: int
    state: State

    @property
    def reason(self) -> str:
        """The state in words."""
        return REASONS[self.state]


@dataclass(frozen=True, eq=False)
class Basin:
    """An attraction basin in the space of the samples or of the weights.

    Attributes:
        space: Where the noise is.
        network: Of all samples together.
        classes: By class, of its samples.
        samples: A row a sample: sample, label, predicted (without noise), amplitude, low, high, state.
        curves: Tidy: group ("network", or the class), amplitude, accuracy, low, high (over draws); amplitude 0 is
            without noise. All amplitudes that were tried, more of them around the crossing.
        search: Threshold, amplitudes, draws and seed.
        remarks: What a reader should know about the network's amplitude.
    """

    space: Space
    network: Crossing
    classes: dict[int, Crossing]
    samples: pd.DataFrame
    curves: pd.DataFrame
    search: Search
    remarks: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        return str(shown("basin_html", self))

    def frame(self) -> pd.DataFrame:
        """A row for the network and one a class: group, then the fields of :class:`Crossing`."""
        import pandas as pd

        groups = {"network": self.network, **{str(label): one for label, one in self.classes.items()}}
        return pd.DataFrame([{"group": name, **asdict(one)} for name, one in groups.items()])


def basin_of(space: Space, classifier: Classifier, levels: tuple[Level, Level, Level], search: Search) -> Basin:
    """The basin whose curves were measured: of the network, of its classes, of its samples.

    Warns:
        NoCrossingWarning: See :attr:`Basin.remarks`.

    >>> import torch
    >>> from axonometry.metrics.basins.classifier import examined
    >>> from axonometry.metrics.basins.search import level
    >>> search, right = Search(draws=2), torch.ones(3, dtype=torch.bool)
    >>> grid = [torch.full((2, 3), bool(s < 1.5)) for s in search.grid]  # right below 1.5
    >>> whole, each = (level("", of, right, grid, search) for of in (torch.zeros(3).long(), torch.arange(3)))
    >>> with examined(torch.nn.Identity(), torch.eye(3), torch.arange(3)) as classifier:
    ...     basin = basin_of("samples", classifier, (whole, each, each), search)
    >>> round(basin.network.amplitude, 3), basin.network.state, sorted(basin.classes)
    (1.334, 'crossed', [0, 1, 2])
    """
    import pandas as pd

    labels = classifier.labels.cpu().unique().tolist()
    (network,), classes, samples = (_crossings(level, search) for level in levels)
    remarked = _remarks(levels[0], classifier.n_classes, search)
    for remark in remarked:
        warnings.warn(remark, NoCrossingWarning, stacklevel=3)
    columns = {"sample": range(len(samples)), "label": classifier.labels.cpu(), "predicted": classifier.predicted.cpu()}
    kept = {name: [getattr(one, name) for one in samples] for name in ("amplitude", "low", "high", "state")}
    curves = [_curve(levels[0], ["network"]), _curve(levels[1], [str(label) for label in labels])]
    return Basin(
        space,
        network,
        dict(zip(labels, classes, strict=True)),
        pd.DataFrame(columns | kept),
        pd.concat(curves, ignore_index=True),
        search,
        remarked,
    )


def _crossings(level: Level, search: Search) -> list[Crossing]:
    """One estimate a group."""
    curves, sizes = level.curves, level.partition.sizes.astype(int)
    least = curves.amplitudes[0] * (1 + 1e-9)  # a crossing there comes back from its logarithm
    ends = [
        first_crossing(curves.amplitudes, one, search.threshold)
        for one in (curves.accuracy, curves.low, curves.high, curves.low_all, curves.high_all)
    ]
    found = []
    for number, row in enumerate(np.stack(ends).T):
        clean = float(level.clean[number])
        state = _state(float(row[0]), clean, float(least[number]), search.threshold)
        # An end that lies below the least amplitude is known to be anywhere down to 0.
        amplitude, low, high, low_all, high_all = (float(end) for end in np.where(state == "wrong", 0.0, row))
        low, low_all = (0.0 if end <= least[number] else end for end in (low, low_all))
        found.append(Crossing(amplitude, low, high, low_all, high_all, clean, int(sizes[number]), state))
    return found


def _curve(level: Level, names: list[str]) -> pd.DataFrame:
    """The groups' curves as a tidy frame, without noise first."""
    import pandas as pd

    parts = []
    for number, name in enumerate(names):
        clean = float(level.clean[number])
        first = pd.DataFrame({"amplitude": [0.0], "accuracy": clean, "low": clean, "high": clean})
        columns = ("amplitudes", "accuracy", "low", "high")
        rest = pd.DataFrame({key: getattr(level.curves, key)[:, number] for key in columns})
        whole = pd.concat([first, rest.rename(columns={"amplitudes": "amplitude"})], ignore_index=True)
        parts.append(whole.drop_duplicates("amplitude").assign(group=name)[["group", *whole.columns]])
    return pd.concat(parts, ignore_index=True)


def _remarks(network: Level, n_classes: int, search: Search) -> tuple[str, ...]:
    """Why the network's amplitude may say nothing: a guess reaches the threshold, or accuracy levels off above it.

    With two classes and a linear readout the right class keeps a probability of Φ(m / (s ‖w‖)) > 1/2 under any noise,
    and any other network's accuracy tends to that of a guess and wavers around 1/2.
    """
    found = []
    guess = 1 / n_classes
    remedy = f"ask for another threshold, between {guess:.3g} and {float(network.clean[0]):.3g}"
    if guess >= search.threshold:
        found.append(
            f"with {n_classes} classes a guess is right {guess:.0%} of the time, which is not below the threshold of "
            f"{search.threshold:.0%}: where accuracy crosses it says little; {remedy}, or take three classes or more"
        )
    curves = network.curves
    last, before = (float(curves.accuracy[max(place, -len(curves.accuracy)), 0]) for place in (-1, -3))
    level_off = abs(last - before) <= 0.02 * max(float(network.clean[0]), search.threshold)
    if not (curves.accuracy[:, 0] <= search.threshold).any() and level_off:
        found.append(
            f"accuracy levels off at {last:.1%} under the strongest noise, above the threshold of "
            f"{search.threshold:.0%}: one class may be most or all of the samples; ask for a threshold above that"
        )
    return tuple(found)


def _state(crossing: float, clean: float, least: float, threshold: float) -> State:
    if clean <= threshold:
        return "wrong"
    if math.isinf(crossing):
        return "censored"
    return "below" if crossing <= least else "crossed"
