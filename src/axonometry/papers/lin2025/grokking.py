"""Basins and modes before, at and after the jump of the test accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from axonometry.experiments import Claim, LineChart, Section, mean_estimate
from axonometry.papers.lin2025.reading import chart, groups, in_pairs, mean, means, paired, section

MEMORISED = 0.99
"""Training accuracy from which on the training samples count as known [our choice]."""
JUMP = 0.1
"""What the test accuracy gains after that, at least, for a network to have grokked [our choice]."""
LATE = 2.0
"""How many times the updates to that point the jump comes after, at least, to be called late [our choice]."""
WHEN = ("before", "at the jump", "after")
Conditions = Mapping[str, pd.DataFrame]
Around = Mapping[str, tuple[pd.DataFrame, ...]]
"""By condition, a row a network at each of :data:`WHEN`."""


@section
def grokking(table: pd.DataFrame) -> Section:
    """What the networks say of the paper's claims."""
    table = table.assign(basin_gap=table["train_sample_basin_mean"] - table["sample_basin_mean"])
    conditions = groups(table, "condition")
    around = {name: around_jump(some) for name, some in conditions.items()}
    claims = (*(_jumps(name, some) for name, some in conditions.items()), *_basins_and_modes(around))
    rows = {(name, when): some for name, three in around.items() for when, some in zip(WHEN, three, strict=True)}
    columns = ("step", "test_accuracy", "sample_basin_mean", "basin_gap", "weight_basin", "gradient_1", "rate_1")
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

    @property
    def late(self) -> bool:
        """Whether it jumps long after its samples are known."""
        return LATE * self.memorised <= self.step < math.inf

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
        f"{in_pairs(parts)}. Images as in Omnigrok but in float32; its own decay, 0.01 over 100,000 updates, is left "
        "to the full scale (on MNIST that of 0.1 was added when the jump under 0.3 had been seen to come early). "
        "Addition is of two one-hot vectors side by side, and noise on the samples is noise on these. *Before* is the "
        f"last measured moment up to where training accuracy reaches {MEMORISED:.0%} (known), *the jump* that nearest "
        "to where half of what the test accuracy gains from there is gained, *after* the end; without a gain of "
        f"{JUMP} there is no jump, and late it is from {LATE:g} times the updates until known. The mean basin is over "
        "single samples' own amplitudes, misclassified ones counting 0; whether it changes is judged, not its size."
    )


def _jumps(name: str, some: pd.DataFrame) -> Claim:
    found = [Jump.of(one) for one in groups(some, "seed").values()]
    gained = mean_estimate(one.gained for one in found)
    words = f"{name}: the test accuracy jumps long after the training samples are known"
    numbers = f"test accuracy gains {gained} once they are known. Updates, seed by seed: {'; '.join(map(str, found))}"
    return Claim.counted(words, [one.late for one in found], numbers=numbers)


def _basins_and_modes(around: Around) -> tuple[Claim, ...]:
    grown, steeper = (
        {name: paired(after, before, column) for name, (before, _, after) in around.items()}
        for column in ("sample_basin_mean", "gradient_1")
    )
    larger = {name: mean(after, "basin_gap") for name, (_, _, after) in around.items()}
    found = {
        "The mean basin of test samples grows (in the paper from about 0.01 to above 0.1)": grown,
        "Training samples keep larger basins than test samples (in the paper by about 0.1)": larger,
        "Before the jump order is preserved less (the NPT phase): the first layer's gradient rises with it": steeper,
    }
    claims = (
        Claim.all_of(words, (Claim.above(words, one) for one in numbers.values()), numbers=in_pairs(numbers))
        for words, numbers in found.items()
    )
    deep = "Deep networks grok only with a phase change and batch norm in evaluation mode"
    not_run = "not run: deep networks with batch norm are not among the networks here"
    return (*claims, Claim(deep, "undecided", numbers=not_run))


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
