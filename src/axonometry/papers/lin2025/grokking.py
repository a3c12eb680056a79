"""Basins and modes before, at and after the jump of the test accuracy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from axonometry.experiments import Claim, Estimate, LineChart, Section, mean_estimate, paired_estimate, ratio_estimate
from axonometry.papers.lin2025.reading import (
    at_chosen,
    at_end,
    chart,
    chosen_by_others,
    groups,
    in_pairs,
    mean,
    means,
    over_seeds,
    paired,
    section,
)

MEMORISED = 0.99
"""Training accuracy from which on the training samples count as known [our choice]."""
JUMP = 0.1
"""What the test accuracy gains after that, at least, for a network to have grokked [our choice]."""
LATE = 2.0
"""How many times the updates to that point the jump comes after, at least, to be called late [our choice]."""
SMALL = 0.5
"""Share of its maximum below which a gradient is called small [our choice]."""
WHEN = ("before", "at the jump", "after")
Conditions = Mapping[str, pd.DataFrame]
Around = Mapping[str, tuple[pd.DataFrame, ...]]
"""By condition, a row a network at each of :data:`WHEN`."""


@section(
    "version 5",
    still=True,
    settled_by="10 seeds, and addition modulo 97, at scale full: 3 hours of a core; the authors' own set-up",
)
def grokking(table: pd.DataFrame) -> Section:
    """What the networks say of the paper's claims."""
    table = table.assign(basin_gap=table["train_sample_basin_mean"] - table["sample_basin_mean"])
    names = [name for name in table.columns.tolist() if name.startswith("gradient_")]
    table = table.assign(**{name.replace("gradient", "steep"): table[name].abs() for name in names})
    conditions = groups(table, "condition")
    around = {name: around_jump(some) for name, some in conditions.items()}
    jumps = (claim for name, some in conditions.items() for claim in _jumps(name, some))
    claims = (*jumps, *_basins_and_modes(around), *_small_before(around, conditions))
    rows = {(name, when): some for name, three in around.items() for when, some in zip(WHEN, three, strict=True)}
    layers = range(1, int(table["layers"].max()) + 1)
    modes = tuple(f"{of}_{layer}" for layer in layers for of in ("gradient", "rate") if f"{of}_{layer}" in table)
    columns = ("step", "test_accuracy", "sample_basin_mean", "basin_gap", "weight_basin", *modes)
    tables = (means("Before, at and after the jump", rows, ("networks", "when"), columns),)
    title = "What happens to basins and modes when a network groks?"
    return Section(title, _setup(conditions), claims, tables, _charts(conditions))


@dataclass(frozen=True)
class Jump:
    """When a network learned its samples, and when it began to generalise.

    Attributes:
        memorised: The first recorded step at which the training samples are known; infinite where they never are.
        step: The first step after that at which half of the test accuracy's gain is reached; infinite without a jump.
        gained: What the test accuracy gains from there to the end; NaN where the samples are never known.
    """

    memorised: float
    step: float
    gained: float

    @classmethod
    def of(cls, network: pd.DataFrame) -> Jump:
        """Of one network's rows, ascending in their steps.

        Known at step 100, with test accuracies of 0.2, 0.3, 0.9 at steps 100, 300, 1000, it gains 0.7 and jumps at
        1000, the first step with (0.2 + 0.9) / 2 or more.
        """
        known = network.loc[network["train_accuracy"] >= MEMORISED, "step"]
        if known.empty:
            return cls(math.inf, math.inf, math.nan)
        after = network[network["step"] >= known.iloc[0]].set_index("step")["test_accuracy"]
        first, last = after.iloc[0], after.iloc[-1]
        half = after.index[after >= (first + last) / 2][0]
        return cls(float(known.iloc[0]), float(half) if last - first >= JUMP else math.inf, float(last - first))

    def __str__(self) -> str:
        steps = (f"{step:,.0f}" if math.isfinite(step) else "never" for step in (self.memorised, self.step))
        return "known at {}, jump at {}".format(*steps)


def around_jump(some: pd.DataFrame) -> tuple[pd.DataFrame, ...]:
    """A row a network at each of :data:`WHEN`.

    The last measured moment that is not after memorisation, that nearest to the jump (on a log scale), and the last of
    all. Where the samples are never known, or nothing jumps, the last one stands for all.
    """
    rows = []
    for network in groups(some, "seed").values():
        found, moments = Jump.of(network), network.dropna(subset=["gradient_1"])
        wanted = min(found.step, moments["step"].iloc[-1])
        distance = [abs(math.log((step + 1) / (wanted + 1))) for step in moments["step"]]
        before = int((moments["step"] <= found.memorised).sum()) - 1
        rows.append([moments.iloc[place] for place in (before, distance.index(min(distance)), -1)])
    return tuple(pd.DataFrame(list(when)) for when in zip(*rows, strict=True))


def _setup(conditions: Conditions) -> str:
    parts = {}
    for name, some in conditions.items():
        one, seeds = some.iloc[0], some["seed"].nunique()
        parts[f"*{name}*"] = (
            f"{'-'.join([str(one['width'])] * one['layers'])} ReLU neurons, {one['n_train']:,} samples, AdamW "
            f"({one['learning_rate']:g}), {one['objective']}, {one['max_steps']:,} updates looked at "
            f"{len(some) // seeds} times, n = {seeds}"
        )
    return (
        f"{in_pairs(parts)}. Images as in Omnigrok but in float32; a decay of 0.01 over 100,000 updates is its own, "
        "ten minutes of a core a seed, and left out of the scales tiny and small. "
        "Addition is of two one-hot vectors side by side, and noise on the samples is noise on these. *Before* is the "
        f"last measured moment up to where training accuracy reaches {MEMORISED:.0%} (known), *the jump* that nearest "
        "to where half of what the test accuracy gains from there is gained, *after* the end; without a gain of "
        f"{JUMP} there is no jump. The mean basin is over single samples' own amplitudes, misclassified ones counting "
        "0; whether it changes is judged, not its size."
    )


def _jumps(name: str, some: pd.DataFrame) -> tuple[Claim, Claim]:
    """That the jump comes after the samples are known, and that it is long after."""
    found = [Jump.of(one) for one in groups(some, "seed").values()]
    gained = mean_estimate((one.gained for one in found), within=(-1.0, 1.0))
    times = dict(enumerate(one for one in found if math.isfinite(one.step)))
    later = ratio_estimate({k: one.step for k, one in times.items()}, {k: one.memorised for k, one in times.items()})
    after = f"{name}: the test accuracy jumps after the training samples are known"
    numbers = f"it gains {gained} once they are known, above {JUMP} is a jump. Updates, seed by seed: {_listed(found)}"
    ratio = f"{later.text()} times the updates until known (n = {later.n}); long is {LATE:g} times and more, our choice"
    return (
        Claim.above(after, gained, JUMP, numbers=numbers),
        Claim.above(f"{name}: it jumps long after", later, LATE, numbers=ratio),
    )


def _listed(found: Iterable[Jump]) -> str:
    return "; ".join(map(str, found))


def _basins_and_modes(around: Around) -> tuple[Claim, ...]:
    grown = {name: paired(after, before, "sample_basin_mean") for name, (before, _, after) in around.items()}
    larger = {name: mean(after, "basin_gap") for name, (_, _, after) in around.items()}
    found = {
        "The mean basin of test samples grows (in the paper from about 0.01 to above 0.1)": grown,
        "Training samples keep larger basins than test samples (in the paper by about 0.1)": larger,
        "Before the jump order is preserved less: the rate of pairs that neurons keep in order": _changes(
            around, "rate"
        ),
        "The same of the gradient's amount, in each layer": _changes(around, "steep"),
    }
    return tuple(
        Claim.all_of(words, (Claim.above(words, one) for one in numbers.values()), numbers=in_pairs(numbers))
        for words, numbers in found.items()
    )


def _changes(around: Around, column: str) -> dict[str, Estimate]:
    """By network and layer, what a column gains from before the jump to the jump itself."""
    return {
        f"{name}, layer {layer}": paired(jump, before, f"{column}_{layer}")
        for name, (before, jump, _) in around.items()
        for layer in range(1, int(before["layers"].iloc[0]) + 1)
    }


def _small_before(around: Around, conditions: Conditions) -> tuple[Claim, Claim]:
    """The gradients' amount before the jump against its greatest, and after it."""
    shares, falls = {}, {}
    for name, (before, _, _) in around.items():
        for layer in range(1, int(before["layers"].iloc[0]) + 1):
            of, column = f"{name}, layer {layer}", f"steep_{layer}"
            wide = over_seeds(conditions[name], "step", column)
            peaks = at_chosen(wide, chosen_by_others(wide))
            first = dict(zip(before["seed"], before[column], strict=True))
            shares[of] = ratio_estimate(first, peaks)
            falls[of] = paired_estimate(peaks, at_end(wide), within=(-6.0, 6.0))
    words = "Gradients of all layers are small before grokking"
    numbers = f"their amount before, as a share of its maximum; small is below {SMALL}. {in_pairs(shares)}"
    small = Claim.all_of(words, (Claim.below(words, one, SMALL) for one in shares.values()), numbers=numbers)
    words = "After grokking they fall again"
    numbers = f"from their maximum to the end by {in_pairs(falls)}"
    return small, Claim.all_of(words, (Claim.above(words, one) for one in falls.values()), numbers=numbers)


def _charts(conditions: Conditions) -> tuple[LineChart, ...]:
    def lines(column: str, more: str = "") -> dict[str, tuple[pd.DataFrame, str]]:
        return {f"{name}{more}": (some, column) for name, some in conditions.items()}

    both, caption = lines("train_accuracy", ": train") | lines("test_accuracy", ": test"), "Step 0 is at 1."
    basin, steep = lines("sample_basin_mean"), lines("gradient_1")
    return (
        chart("Accuracy over training", ("update", "accuracy"), "step", both, caption),
        chart("Mean basin of test samples over training", ("update", "amplitude"), "step", basin, caption),
        chart("Gradient of the first layer over training", ("update", "gradient"), "step", steep, caption),
    )
