"""Test error, modes and basins over the width, across the threshold where noisy labels are learned by heart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pandas as pd

from axonometry.experiments import Claim, Section
from axonometry.papers.lin2025.reading import chart, ends, groups, label, mean, means, paired, section

INTERPOLATED = 0.99
"""Training accuracy, noisy labels included, from which on a width interpolates [our choice]."""
QUESTIONS = {
    "the sample basin grows with the width": ("sample_basin", Claim.above),
    "the weight basin grows with the width": ("weight_basin", Claim.above),
    "the first layer's gradient falls": ("gradient_1", Claim.below),
}
"""Ours, since the paper's claims were not seen: the column, and the side on which its change is claimed to be."""
DRAWN = {
    "Error": ("error", ("test_error", "train_error")),
    "Basins": ("amplitude", ("sample_basin", "train_sample_basin", "weight_basin")),
    "Modes": ("gradient, or share", ("gradient_1", "rate_1", "dead_1")),
}
"""By a chart's title, what is on its vertical axis, and the columns."""

Widths = Mapping[int, pd.DataFrame]


@section
def double_descent(table: pd.DataFrame) -> Section:
    """What the networks say; the paper's own set-up was not seen."""
    end, one = ends(table), table.iloc[0]
    end = end.assign(test_error=1 - end["test_accuracy"], train_error=1 - end["train_accuracy"])
    widths = groups(end, "width")
    setup = (
        f"One hidden layer of ReLU neurons on {one['n_train']:,} images of {one['data']}, {one['label_noise']:.0%} "
        f"of them with a false label; {one['max_steps']:,} updates of {one['batch_size']} images by Adam "
        f"({one['learning_rate']:g}). Double descent stands in the abstracts of the paper's versions 1 and 2; how it "
        "was set up there was not seen, so that this is our choice. The threshold is the least width at which training "
        f"accuracy is {INTERPOLATED:.0%} on average. Basins of training samples are of the labels that were trained on."
    )
    charts = tuple(
        chart(f"{name} over the width", ("hidden neurons", y), "width", {label(c): (end, c) for c in columns})
        for name, (y, columns) in DRAWN.items()
    )
    rows = {(width,): some for width, some in widths.items()}
    columns = ("test_error", "train_accuracy", *DRAWN["Basins"][1], *DRAWN["Modes"][1])
    tables = (means("At the end of training", rows, ("width",), columns),)
    title = "What do basins and modes do across the interpolation threshold?"
    return Section(title, setup, _claims(widths), tables, charts)


def _claims(widths: Widths) -> tuple[Claim, ...]:
    known = [width for width, some in widths.items() if mean(some, "train_accuracy").value >= INTERPOLATED]
    if not known:
        numbers = "no width learned the training labels by heart"
        return (Claim("The test error descends twice", "undecided", numbers=numbers),)
    return (_descends(widths, known[0]), *(_beyond(widths, known[0], words) for words in QUESTIONS))


def _descends(widths: Widths, threshold: int) -> Claim:
    errors = {width: mean(some, "test_error") for width, some in widths.items()}
    before, peak = turns({width: error.value for width, error in errors.items()})
    rise, fall = (paired(widths[peak], widths[other], "test_error") for other in (before, max(widths)))
    turning = f"a first minimum at width {before}, a peak at {peak}; rises by {rise}, falls by {fall} to {max(widths)}"
    falling = f"the mean error falls from width to width, to {errors[peak]} at {peak}"
    numbers = f"threshold at width {threshold}; {falling if peak == before else turning}"
    words = "The test error descends, rises to a peak, and descends again"
    claim = Claim.all_of(words, (Claim.above(words, one) for one in (rise, fall)), numbers=numbers)
    return claim if peak > before else replace(claim, verdict="contradicted")


def turns(errors: Mapping[int, float]) -> tuple[int, int]:
    """The width of the first minimum, and that of the greatest error from there on; one width where nothing rises.

    >>> turns({2: 0.5, 4: 0.3, 8: 0.4, 16: 0.2}), turns({2: 0.5, 4: 0.3, 8: 0.2})
    ((4, 8), (8, 8))
    """
    order = list(errors)
    rises = (place for place, (one, wider) in enumerate(pairwise(order)) if errors[wider] > errors[one])
    first = next(rises, len(order) - 1)
    return order[first], max(order[first:], key=lambda width: errors[width])


def _beyond(widths: Widths, threshold: int, words: str) -> Claim:
    """The greatest width against the threshold."""
    (column, claimed), wide = QUESTIONS[words], max(widths)
    change = paired(widths[wide], widths[threshold], column)
    numbers = f"from width {threshold} to {wide} by {change}"
    return claimed(f"Our question: past the threshold {words}", change, numbers=numbers)
