"""Basins and modes before, at and after the jump of the test accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from axonometry.papers.lin2025.finding import (
    LARGEST,
    Chart,
    Estimate,
    Finding,
    Sheet,
    Statement,
    Verdict,
    by_cell,
    estimate,
    finding,
    lines,
)
from axonometry.papers.lin2025.items import Outcome

TITLE = "What happens to basins and modes when a network groks?"
MEMORISED = 0.99
"""Training accuracy from which on the training samples count as known [our choice]."""
JUMP = 0.1
"""What the test accuracy gains after that, at least, for a network to have grokked [our choice]."""
OMNIGROK = 0.01
"""Weight decay of Omnigrok's official code."""
LATE = 2.0
"""How many times the updates to that point the jump comes after, at least, to be called late [our choice]."""
WHEN = ("before", "at the jump", "after")

Value = Callable[[Mapping[str, Any]], float]


def read(outcomes: Sequence[Outcome]) -> Finding:
    """What the networks say of the paper's statements."""
    cells = by_cell(sorted(outcomes, key=lambda o: (o.item.task.modulus == 0, -o.item.training.weight_decay)))
    statements = [*_jumps(cells), *_basins(cells), _modes(cells), _deep()]
    return finding("grokking", (TITLE, _setup(cells)), outcomes, statements, [_sheet(cells)], _charts(cells))


def memorised(outcome: Outcome) -> float:
    """The first looked-at step at which the training samples are known; infinite where they never are."""
    return next((row["step"] for row in outcome.curve if row["train_accuracy"] >= MEMORISED), math.inf)


def jump(outcome: Outcome) -> float:
    """The first step after that at which half of the test accuracy's gain is reached; infinite without a jump."""
    after = [row for row in outcome.curve if row["step"] >= memorised(outcome)]
    if not after or gained(outcome) < JUMP:
        return math.inf
    half = (after[0]["test_accuracy"] + after[-1]["test_accuracy"]) / 2
    return next(row["step"] for row in after if row["test_accuracy"] >= half)


def gained(outcome: Outcome) -> float:
    """What the test accuracy gains from where the training samples are known to the end; NaN where they never are."""
    after = [row["test_accuracy"] for row in outcome.curve if row["step"] >= memorised(outcome)]
    return after[-1] - after[0] if after else math.nan


def around(outcome: Outcome) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The last moment that is not after memorisation, that nearest to the jump, and the last of all.

    Where the samples are never known, or nothing jumps, the last one stands for all.
    """
    end = outcome.moments[-1]
    last = float(end["step"])
    before = [moment for moment in outcome.moments if moment["step"] <= memorised(outcome)]
    return before[-1], _nearest(outcome, min(jump(outcome), last)), end


def _nearest(outcome: Outcome, step: float) -> dict[str, Any]:
    return min(outcome.moments, key=lambda moment: abs(math.log((moment["step"] + 1) / (step + 1))))


def mean_basin(moment: Mapping[str, Any]) -> float:
    """Mean over test samples of their own basins; misclassified ones count 0."""
    return float(moment["test_samples"]["mean"])


def discrepancy(moment: Mapping[str, Any]) -> float:
    """Mean basin of training samples less that of test samples."""
    return float(moment["train_samples"]["mean"]) - mean_basin(moment)


def steepness(moment: Mapping[str, Any]) -> float:
    """Gradient of the first layer's rank distribution."""
    return float(next(iter(moment["ranks"].values())))


def kept(moment: Mapping[str, Any]) -> float:
    """Order-preserving rate of the first layer."""
    return float(next(iter(moment["modes"].values()))["rate"])


def weight_basin(moment: Mapping[str, Any]) -> float:
    """By accuracy on test samples; 0 where that is below one half."""
    return min(float(moment["test_weights"]["amplitude"]), LARGEST)


def _setup(cells: Mapping[str, list[Outcome]]) -> str:
    parts = []
    for name, some in cells.items():
        item = some[0].item
        hidden = "-".join(map(str, item.network.widths))
        parts.append(
            f"*{name}*: {hidden} hidden ReLU neurons, {item.task.n_train:,} training samples, AdamW "
            f"({item.training.learning_rate:g}, decay {item.training.weight_decay:g}), {item.training.loss}, "
            f"{item.training.steps:,} updates looked at {len(some[0].curve)} times, n = {len(some)}"
        )
    return (
        f"{'; '.join(parts)}. Images as in Omnigrok but in float32.{_decays(cells)} Addition is of two numbers as "
        "one-hot vectors side by side, and noise on the samples is noise on these. *Before* is the last measured "
        f"moment up to where training accuracy reaches {MEMORISED:.0%} (known), *the jump* that nearest to where half "
        f"of what the test accuracy gains from there is gained, *after* the end; without a gain of {JUMP} there is no "
        f"jump, and late it is from {LATE:g} times the updates until known. The mean basin is over single samples' own "
        "amplitudes, misclassified ones counting 0; whether it changes is judged, not its size."
    )


def _decays(cells: Mapping[str, list[Outcome]]) -> str:
    """What is to be known of the weight decays of the networks of images."""
    found = {some[0].item.training.weight_decay for some in cells.values() if not some[0].item.task.modulus}
    if OMNIGROK in found:
        return ""
    words = (
        f" Omnigrok's own decay, {OMNIGROK} over 100,000 updates, is left to the full scale; under a larger one less "
    )
    words += "time passes."
    if {0.1, 0.3} <= found:
        words += " The decay of 0.1 was added when the jump under 0.3 had been seen to come early."
    return words


def _jumps(cells: Mapping[str, list[Outcome]]) -> list[Statement]:
    found = []
    for name, some in cells.items():
        steps = [jump(o) for o in some]
        times = "; ".join(
            f"known at {_step(memorised(o))}, jump at {_step(step)}" for o, step in zip(some, steps, strict=True)
        )
        happened = [LATE * memorised(o) <= step < math.inf for o, step in zip(some, steps, strict=True)]
        verdict: Verdict = "holds here" if all(happened) else "undecided" if any(happened) else "does not hold here"
        evidence = (
            f"test accuracy gains {estimate(gained(o) for o in some).text()} after the training samples are known and "
            f"ends at {estimate(o.last['test_accuracy'] for o in some).text()}. Updates, seed by seed: {times}"
        )
        found.append(
            Statement(f"{name}: the test accuracy jumps long after the training samples are known", verdict, evidence)
        )
    return found


def _step(step: float) -> str:
    return f"{step:,.0f}" if math.isfinite(step) else "never"


def _change(some: Sequence[Outcome], value: Value) -> Estimate:
    """After less before, over seeds."""
    return estimate(value(around(o)[2]) - value(around(o)[0]) for o in some)


def _at(some: Sequence[Outcome], value: Value, place: int) -> Estimate:
    return estimate(value(around(o)[place]) for o in some)


def _basins(cells: Mapping[str, list[Outcome]]) -> list[Statement]:
    growth, gaps, growths, gap_verdicts = [], [], [], []
    for name, some in cells.items():
        change = _change(some, mean_basin)
        before, after = _at(some, mean_basin, 0), _at(some, mean_basin, 2)
        growths.append(change.verdict())
        growth.append(f"{name}: {before.text('.3f')} before, {after.text('.3f')} after, change {change.text('.3f')}")
        gap = _at(some, discrepancy, 2)
        gap_verdicts.append(gap.verdict())
        gaps.append(f"{name}: {_at(some, discrepancy, 0).text('.3f')} before, {gap.text('.3f')} after")
    return [
        Statement(
            "The mean basin of test samples grows (in the paper from about 0.01 to above 0.1)",
            _joint(growths),
            "; ".join(growth),
        ),
        Statement(
            "Training samples keep larger basins than test samples (in the paper by about 0.1)",
            _joint(gap_verdicts),
            "; ".join(gaps),
        ),
    ]


def _joint(verdicts: Sequence[Verdict]) -> Verdict:
    """That of all; undecided where they differ."""
    return verdicts[0] if len(set(verdicts)) == 1 else "undecided"


def _modes(cells: Mapping[str, list[Outcome]]) -> Statement:
    words, verdicts = [], []
    for name, some in cells.items():
        change = _change(some, steepness)
        verdicts.append(change.verdict())
        words.append(
            f"{name}: gradient {_at(some, steepness, 0).text()} before, {_at(some, steepness, 2).text()} after, change "
            f"{change.text()}; order-preserving rate {_at(some, kept, 0).text()}, then {_at(some, kept, 2).text()}"
        )
    return Statement(
        "Before the jump order is preserved less (the NPT phase): the first layer's gradient rises with it",
        _joint(verdicts),
        "; ".join(words),
    )


def _deep() -> Statement:
    evidence = "not run: deep networks with batch norm are not among the networks here"
    return Statement(
        "Deep networks grok only with a phase change and batch norm in evaluation mode", "undecided", evidence
    )


def _sheet(cells: Mapping[str, list[Outcome]]) -> Sheet:
    values: tuple[Value, ...] = (mean_basin, discrepancy, weight_basin, steepness, kept)
    rows = []
    for name, some in cells.items():
        for place, when in enumerate(WHEN):
            step = estimate(float(around(o)[place]["step"]) for o in some)
            tests = estimate(_accuracy(o, float(around(o)[place]["step"])) for o in some)
            rows.append(
                (name, when, f"{step.value:,.0f}", tests.text(), *(_at(some, v, place).text(".3f") for v in values))
            )
    columns = ("networks", "when", "updates", "test accuracy", "mean basin, test", "training − test")
    more = ("weight basin", "gradient, first layer", "order kept, first layer")
    return Sheet("Before, at and after the jump", (*columns, *more), tuple(rows), "Updates: mean over seeds.")


def _accuracy(outcome: Outcome, step: float) -> float:
    return next(row["test_accuracy"] for row in outcome.curve if row["step"] == step)


def _charts(cells: Mapping[str, list[Outcome]]) -> list[Chart]:
    accuracy, basin, steep = [], [], []
    for name, some in cells.items():
        for place, row in enumerate(some[0].curve):
            for kind in ("train", "test"):
                values = estimate(o.curve[place][f"{kind}_accuracy"] for o in some)
                accuracy.append((f"{name}: {kind}", max(1.0, row["step"]), values))
        for place, moment in enumerate(some[0].moments):
            step = max(1.0, float(moment["step"]))
            basin.append((name, step, estimate(mean_basin(o.moments[place]) for o in some)))
            steep.append((name, step, estimate(steepness(o.moments[place]) for o in some)))
    caption = "Step 0 is drawn at 1."
    return [
        Chart("Accuracy over training", lines(accuracy), "update", "accuracy", caption=caption),
        Chart("Mean basin of test samples over training", lines(basin), "update", "amplitude", caption=caption),
        Chart("Gradient of the first layer over training", lines(steep), "update", "gradient", caption=caption),
    ]
