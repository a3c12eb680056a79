"""Test error, modes and basins over the width, across the threshold where noisy labels are learned by heart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import pandas as pd

from axonometry.experiments import Claim, Estimate, Section, paired_estimate
from axonometry.papers.lin2025.reading import (
    OURS,
    at_chosen,
    at_end,
    chart,
    chosen_by_others,
    ends,
    groups,
    label,
    mean,
    means,
    over_seeds,
    paired,
    section,
)

INTERPOLATED = 0.99
"""Training accuracy, noisy labels included, from which on a width interpolates [our choice]."""
SMALL = 0.02
"""Errors that differ by less make no peak [our choice]."""
NEAR = 1.0
"""Octaves of width within which two widths are called one [our choice]."""
QUESTIONS = {
    "the sample basin grows with the width": ("sample_basin", Claim.above),
    "the weight basin grows with the width": ("weight_basin", Claim.above),
    "the first layer's gradient falls": ("gradient_1", Claim.below),
}
"""Ours, since the paper's claims were not seen: the column, and the side on which its change is claimed to be."""
DRAWN = {
    "Basins": ("amplitude", ("sample_basin", "train_sample_basin", "weight_basin")),
    "Modes": ("gradient, or share", ("gradient_1", "rate_1", "dead_1")),
}
"""By a chart's title, what is on its vertical axis, and the columns."""

Widths = Mapping[int, pd.DataFrame]


@section("versions 1 and 2", still=False, settled_by="the authors' own set-up, which is not known to us")
def double_descent(table: pd.DataFrame) -> Section:
    """What the networks say; the paper's own set-up was not seen."""
    end, one = ends(table), table.iloc[0]
    end = end.assign(test_error=1 - end["test_accuracy"], train_error=1 - end["train_accuracy"])
    losses = groups(end, "objective")
    squared, entropy = losses["squared-error"], losses["cross-entropy"]
    widths = groups(squared, "width")
    setup = (
        f"One hidden layer of ReLU neurons on {one['components']} principal components of {one['n_train']:,} images of "
        f"{one['data']}, {one['label_noise']:.0%} of them with a false label; {one['max_steps']:,} updates of all of "
        f"them by Adam ({one['learning_rate']:g}, falling to 0 as a cosine), squared error to one-hot labels, which is "
        "what shows the peak; cross entropy for contrast. The threshold is the least width at which training accuracy "
        f"is {INTERPOLATED:.0%} on average. Minimum and peak of a seed are where the mean of the others has them. "
        "How it was set up in the paper was not seen, so that this is our choice."
    )
    errors = {
        f"{name}: test": (some, "test_error") for name, some in (("squared error", squared), ("cross entropy", entropy))
    }
    errors["random features: test"] = (squared, "features_error")
    charts = (
        chart("Error over the width", ("hidden neurons", "error"), "width", errors),
        *(
            chart(f"{name} over the width", ("hidden neurons", y), "width", {label(c): (squared, c) for c in columns})
            for name, (y, columns) in DRAWN.items()
        ),
    )
    rows = {
        (loss.replace("-", " "), width): some
        for loss, own in losses.items()
        for width, some in groups(own, "width").items()
    }
    columns = ("test_error", "train_accuracy", "features_error", *DRAWN["Basins"][1], *DRAWN["Modes"][1])
    tables = (means("At the end of training", rows, ("loss", "width"), columns),)
    title = "What do basins and modes do across the interpolation threshold?"
    return Section(title, setup, _claims(widths, squared, entropy), tables, charts)


def _claims(widths: Widths, squared: pd.DataFrame, entropy: pd.DataFrame) -> tuple[Claim, ...]:
    known = [width for width, some in widths.items() if mean(some, "train_accuracy").value >= INTERPOLATED]
    words = "By squared error the test error descends, rises to a peak, and descends again"
    rise, fall, peak = peaking(squared, "test_error")
    descends = _descends(
        words, (rise, fall), f"from its minimum to width {_listed(peak)} by {rise}, then falls by {fall}"
    )
    up, down, top = peaking(squared, "features_error")
    features = _descends(
        f"{OURS}: least squares on random features, with as many parameters, does the same (an independent check)",
        (up, down),
        f"from its minimum to the features of width {_listed(top)} by {up}, then falls by {down}",
    )
    contrast = _contrast(squared, entropy)
    words = "The peak is where the training labels are first learned by heart"
    if not known:
        return (descends, Claim(words, "undecided", numbers="no width learns them by heart"), features, contrast)
    places = own_places(squared)
    cases = [abs(math.log2(at / threshold)) <= NEAR for at, threshold in places]
    pairs = ", ".join(f"{at} and {threshold}" for at, threshold in places)
    numbers = f"widths of the peak and of the threshold, seed by seed: {pairs}; one place within {NEAR:g} octave"
    place = Claim.counted(words, cases, numbers=numbers)
    return (descends, place, features, contrast, *(_beyond(widths, known[0], words) for words in QUESTIONS))


def own_places(squared: pd.DataFrame) -> list[tuple[int, int]]:
    """Of each seed that learns its labels by heart, its own peak, and the least width at which it does."""
    error, known = (over_seeds(squared, "width", column) for column in ("test_error", "train_accuracy"))
    there = {s: known.index[known[s] >= INTERPOLATED] for s in error}
    return [(int(turns(dict(error[s]))[1]), int(at[0])) for s, at in there.items() if len(at)]


def _contrast(squared: pd.DataFrame, entropy: pd.DataFrame) -> Claim:
    """How far the error rises by one loss and by the other, at the widths that both have."""
    shared = squared[squared["width"].isin(entropy["width"])]
    rises = {}
    for name, some in (("squared error", shared), ("cross entropy", entropy)):
        wide = over_seeds(some, "width", "test_error")
        found = chosen_by_others(wide, lambda means: turns(dict(means)))
        least, peak = (at_chosen(wide, {s: pair[k] for s, pair in found.items()}) for k in (0, 1))
        rises[name] = {s: peak[s] - least[s] for s in peak}
    more = paired_estimate(rises["squared error"], rises["cross entropy"], within=(-1.0, 1.0))
    own, _, at = peaking(entropy, "test_error")
    words = f"{OURS}: by cross entropy, all else equal, the peak is smaller"
    numbers = f"squared error rises by {more} more; cross entropy itself by {own}, to width {_listed(at)}"
    return Claim.above(words, more, numbers=numbers)


def _descends(words: str, rise_and_fall: tuple[Estimate, Estimate], numbers: str) -> Claim:
    each = (Claim.above(words, one, refuted_below=SMALL) for one in rise_and_fall)
    return Claim.all_of(words, each, numbers=f"rises {numbers}", one_refutes=True)


def peaking(some: pd.DataFrame, column: str) -> tuple[Estimate, Estimate, dict[int, int]]:
    """How far an error rises from its first minimum to its peak, and falls from there to the greatest width.

    Each seed's widths of minimum and peak are those of the other seeds' mean.
    """
    wide = over_seeds(some, "width", column)
    found = chosen_by_others(wide, lambda means: turns(dict(means)))
    peaks = {s: int(peak) for s, (_, peak) in found.items()}
    least, peak = at_chosen(wide, {s: first for s, (first, _) in found.items()}), at_chosen(wide, peaks)
    rise, fall = (paired_estimate(peak, other, within=(-1.0, 1.0)) for other in (least, at_end(wide)))
    return rise, fall, peaks


def _listed(peaks: Mapping[int, int]) -> str:
    return " or ".join(map(str, sorted(set(peaks.values()))))


def turns(errors: Mapping[int, float]) -> tuple[int, int]:
    """The width of the minimum before the peak, and that of the peak.

    Of all pairs of a width and a later one that of the greatest rise, so that a small bump on the way is no peak; the
    greatest width, behind which nothing can fall, is none either. Where the error falls from width to width, it is the
    pair between which it falls the least.

    >>> turns({2: 0.5, 4: 0.3, 8: 0.4, 16: 0.2}), turns({2: 0.5, 4: 0.3, 8: 0.25, 16: 0.4})
    ((4, 8), (4, 8))
    """
    order = list(errors)
    return max(
        combinations(order[:-1] if len(order) > 2 else order, 2), key=lambda pair: errors[pair[1]] - errors[pair[0]]
    )


def _beyond(widths: Widths, threshold: int, words: str) -> Claim:
    """The greatest width against the threshold."""
    (column, claimed), wide = QUESTIONS[words], max(widths)
    change = paired(widths[wide], widths[threshold], column)
    numbers = f"from width {threshold} to {wide} by {change}"
    return claimed(f"{OURS}: past the threshold {words}", change, numbers=numbers)
