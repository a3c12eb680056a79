"""Test error, modes and basins over the width, across the threshold where noisy labels are learned by heart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from axonometry.papers.lin2025.finding import (
    Chart,
    Estimate,
    Finding,
    Sheet,
    Statement,
    Verdict,
    amplitude,
    finding,
    lines,
    of,
    paired,
)
from axonometry.papers.lin2025.items import Outcome

TITLE = "What do basins and modes do across the interpolation threshold?"
INTERPOLATED = 0.99
"""Training accuracy, noisy labels included, from which on a width interpolates [our choice]."""

Value = Callable[[Outcome], float]
Widths = dict[int, list[Outcome]]


def _error(outcome: Outcome) -> float:
    return 1 - outcome.last["test_accuracy"]


def _known(outcome: Outcome) -> float:
    return outcome.last["train_accuracy"]


def _samples(outcome: Outcome) -> float:
    return amplitude(outcome.end, "test_samples")


def _train_samples(outcome: Outcome) -> float:
    return amplitude(outcome.end, "train_samples")


def _weights(outcome: Outcome) -> float:
    return amplitude(outcome.end, "test_weights")


def _steepness(outcome: Outcome) -> float:
    return float(next(iter(outcome.end["ranks"].values())))


def _mode(name: str) -> Value:
    return lambda outcome: float(next(iter(outcome.end["modes"].values()))[name])


def read(outcomes: Sequence[Outcome]) -> Finding:
    """What the networks say; the paper's own set-up was not seen."""
    widths, first = _widths(outcomes), outcomes[0].item
    setup = (
        f"One hidden layer of ReLU neurons on {first.task.n_train:,} images of {first.task.title}, "
        f"{first.task.label_noise:.0%} of them with a false label; {first.training.steps:,} updates of "
        f"{first.training.batch} images by Adam ({first.training.learning_rate:g}). Double descent stands in the "
        "abstracts of the paper's versions 1 and 2; how it was set up there was not seen, so that this is our choice. "
        f"The threshold is the least width at which training accuracy is {INTERPOLATED:.0%} on average."
    )
    threshold = next((w for w, some in widths.items() if of(some, _known).value >= INTERPOLATED), None)
    statements = _statements(widths, threshold)
    return finding("double-descent", (TITLE, setup), outcomes, statements, [_sheet(widths)], _charts(widths))


def _widths(outcomes: Sequence[Outcome]) -> Widths:
    widths: Widths = {}
    for outcome in sorted(outcomes, key=lambda o: o.item.network.widths):
        widths.setdefault(outcome.item.network.widths[0], []).append(outcome)
    return widths


def _statements(widths: Widths, threshold: int | None) -> list[Statement]:
    if threshold is None:
        words = "no width learned the training labels by heart"
        return [Statement("The test error descends twice", "undecided", words)]
    before, peak = _turns({width: of(some, _error).value for width, some in widths.items()})
    wide = max(widths)
    rise, fall = paired(widths[peak], widths[before], _error), paired(widths[peak], widths[wide], _error)
    evidence = (
        f"threshold at width {threshold}. Error: {of(widths[before], _error).text('.3f')} at its first minimum (width "
        f"{before}), {of(widths[peak], _error).text('.3f')} at its peak behind it (width {peak}), "
        f"{of(widths[wide], _error).text('.3f')} at width {wide}; rises by {rise.text('.3f')}, falls by "
        f"{fall.text('.3f')}"
    )
    if peak == before:
        narrow = min(widths)
        evidence = (
            f"threshold at width {threshold}. The mean error falls from width to width: "
            f"{of(widths[narrow], _error).text('.3f')} at width {narrow}, "
            f"{of(widths[threshold], _error).text('.3f')} at the threshold, {of(widths[wide], _error).text('.3f')} at "
            f"width {wide}"
        )
    verdict: Verdict = "undecided"
    if rise.low > 0 and fall.low > 0:
        verdict = "holds here"
    elif rise.high < 0 or fall.high < 0 or peak == before:
        verdict = "does not hold here"
    return [
        Statement("The test error descends, rises to a peak, and descends again", verdict, evidence),
        _beyond(widths, threshold, "Our question: past the threshold the sample basin grows with the width", _samples),
        _beyond(widths, threshold, "Our question: past the threshold the weight basin grows with the width", _weights),
        _beyond(
            widths,
            threshold,
            "Our question: past the threshold the first layer's gradient falls",
            _steepness,
            grows=False,
        ),
    ]


def _turns(errors: Mapping[int, float]) -> tuple[int, int]:
    """The width of the first minimum, and that of the greatest error from there on; one width where nothing rises."""
    order = list(errors)
    rises = (place for place, (one, wider) in enumerate(pairwise(order)) if errors[wider] > errors[one])
    first = next(rises, len(order) - 1)
    return order[first], max(order[first:], key=lambda width: errors[width])


def _beyond(widths: Widths, threshold: int, words: str, value: Value, *, grows: bool = True) -> Statement:
    """The greatest width against the threshold; our statements, since the paper's were not seen."""
    wide = max(widths)
    change = paired(widths[wide], widths[threshold], value)
    signed = change if grows else Estimate(-change.value, -change.high, -change.low, change.n)
    evidence = (
        f"{of(widths[threshold], value).text()} at width {threshold}, {of(widths[wide], value).text()} at width "
        f"{wide}, change {change.text()}"
    )
    return Statement(words, signed.verdict(), evidence)


def _sheet(widths: Widths) -> Sheet:
    values: tuple[tuple[str, Value, str], ...] = (
        ("test error", _error, ".3f"),
        ("training accuracy", _known, ".3f"),
        ("sample basin, test", _samples, ".2f"),
        ("sample basin, training", _train_samples, ".2f"),
        ("weight basin", _weights, ".2f"),
        ("gradient", _steepness, ".2f"),
        ("order kept", _mode("rate"), ".2f"),
        ("dead", _mode("dead"), ".2f"),
    )
    rows = [(width, *(of(some, value).text(form) for _, value, form in values)) for width, some in widths.items()]
    caption = "Of training samples, basins are of the labels that were trained on, false ones included."
    return Sheet("At the end of training", ("width", *(name for name, _, _ in values)), tuple(rows), caption)


def _charts(widths: Widths) -> list[Chart]:
    def series(*named: tuple[str, Value]) -> list[tuple[str, float, Estimate]]:
        return [(name, float(w), of(some, value)) for name, value in named for w, some in widths.items()]

    errors = series(("test error", _error), ("training error", lambda o: 1 - _known(o)))
    basins = series(("samples, test", _samples), ("samples, training", _train_samples), ("weights", _weights))
    modes = series(("gradient", _steepness), ("order-preserving rate", _mode("rate")), ("dead", _mode("dead")))
    return [
        Chart("Error over the width", lines(errors), "hidden neurons", "error"),
        Chart("Basins over the width", lines(basins), "hidden neurons", "amplitude"),
        Chart("Modes over the width", lines(modes), "hidden neurons", "gradient, or share"),
    ]
