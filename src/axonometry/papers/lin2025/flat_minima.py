"""Small batches against large ones: weight basin, sharpness and accuracy of the minima that they find."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from axonometry.papers.lin2025.finding import (
    Chart,
    Estimate,
    Finding,
    Sheet,
    Statement,
    Verdict,
    amplitude,
    by_cell,
    correlation,
    estimate,
    finding,
    lines,
    of,
    paired,
)
from axonometry.papers.lin2025.items import Outcome

TITLE = "Do small batches find flatter minima, and are these larger weight basins?"

Value = Callable[[Outcome], float]


def _accuracy(outcome: Outcome) -> float:
    return outcome.last["test_accuracy"]


def _test_basin(outcome: Outcome) -> float:
    return amplitude(outcome.end, "test_weights")


def _train_basin(outcome: Outcome) -> float:
    return amplitude(outcome.end, "train_weights")


def _plain(outcome: Outcome) -> float:
    return float(outcome.end["flatness"]["plain"])


def _scaled(outcome: Outcome) -> float:
    return float(outcome.end["flatness"]["scaled"])


def read(outcomes: Sequence[Outcome]) -> Finding:
    """What the networks say of the paper's statements."""
    cells, first = by_cell(sorted(outcomes, key=lambda o: o.item.training.batch)), outcomes[0].item
    setup = (
        f"{len(first.network.widths)} hidden layers of {first.network.widths[0]} ReLU neurons on "
        f"{first.task.n_train:,} images of {first.task.title} by Adam ({first.training.learning_rate:g}), each until "
        f"its loss on training images is at most {first.training.enough:g} nats, so that batches are compared at one "
        "loss and not after one number of updates or epochs. The paper's set-up is not known to us. Weight basins and "
        f"sharpness on {first.plan.samples} images; sharpness is the largest eigenvalue of the Hessian of the cross "
        "entropy, *scaled* in the unit of the weight basin."
    )
    small, *_, large = cells.values()
    statements = (
        _compared("Small batches find minima of lower sharpness", small, large, _plain, greater=False),
        _compared("The same of the scaled sharpness", small, large, _scaled, greater=False),
        _compared("Small batches find larger weight basins", small, large, _test_basin, greater=True),
        _compared("Small batches generalise better", small, large, _accuracy, greater=True),
        _together("Networks of larger weight basins are more accurate", outcomes, _test_basin, _accuracy, rises=True),
        _together("Larger weight basins are less sharp (scaled)", outcomes, _train_basin, _scaled, rises=False),
    )
    return finding("flat-minima", (TITLE, setup), outcomes, statements, [_sheet(cells)], _charts(cells))


def _compared(
    words: str, small: Sequence[Outcome], large: Sequence[Outcome], value: Value, *, greater: bool
) -> Statement:
    gap = paired(small, large, value)
    signed = gap if greater else Estimate(-gap.value, -gap.high, -gap.low, gap.n)
    sizes = [some[0].item.training.batch for some in (small, large)]
    evidence = (
        f"batches of {sizes[0]:,}: {of(small, value).text('.3f')}, of {sizes[1]:,}: {of(large, value).text('.3f')}, "
        f"difference {gap.text('.3f')}"
    )
    return Statement(words, signed.verdict(), evidence)


def _together(words: str, outcomes: Sequence[Outcome], first: Value, second: Value, *, rises: bool) -> Statement:
    """Spearman's ρ over batch sizes, seed by seed."""
    seeds = sorted({o.item.seed for o in outcomes})
    rhos = []
    for seed in seeds:
        mine = [o for o in outcomes if o.item.seed == seed]
        rhos.append(correlation([first(o) for o in mine], [second(o) for o in mine]))
    one = estimate(rhos)
    verdict: Verdict = (one if rises else Estimate(-one.value, -one.high, -one.low, one.n)).verdict()
    evidence = (
        f"Spearman's ρ over {len(outcomes) // len(seeds)} batch sizes, mean over seeds: {one.text()}; nothing but the "
        "batch is varied, so that no cause is shown"
    )
    return Statement(words, verdict, evidence)


def _sheet(cells: Mapping[str, list[Outcome]]) -> Sheet:
    values = (_accuracy, lambda o: o.last["train_loss"], _plain, _scaled, _train_basin, _test_basin, _samples)
    rows = [
        (
            f"{some[0].item.training.batch:,}",
            of(some, lambda o: o.last["step"]).text(",.0f"),
            *(of(some, value).text(".3f") for value in values),
        )
        for some in cells.values()
    ]
    columns = ("batch", "updates", "test accuracy", "training loss", "sharpness", "scaled sharpness")
    more = ("weight basin, training images", "weight basin, test images", "sample basin")
    return Sheet("Where training ended", (*columns, *more), tuple(rows))


def _samples(outcome: Outcome) -> float:
    return amplitude(outcome.end, "test_samples")


def _charts(cells: Mapping[str, list[Outcome]]) -> list[Chart]:
    values: dict[str, Value] = {
        "accuracy on test data": _accuracy,
        "scaled sharpness (nats)": _scaled,
        "weight basin (standard deviations of the weights)": _test_basin,
    }
    return [
        Chart(
            f"{y.split(' (', maxsplit=1)[0].capitalize()} by batch size",
            lines(("mean over seeds", float(some[0].item.training.batch), of(some, value)) for some in cells.values()),
            "samples an update",
            y,
        )
        for y, value in values.items()
    ]
