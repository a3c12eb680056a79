"""Small batches against large ones: weight basin, sharpness and accuracy of the minima that they find."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from axonometry.experiments import Claim, LineChart, Section
from axonometry.papers.lin2025.reading import (
    DRAWN,
    chart,
    chosen_by_others,
    correlated,
    ends,
    groups,
    means,
    over_seeds,
    paired,
    partly_correlated,
    section,
)


@section("versions 1 and 2", still=False, settled_by="the authors' own set-up, which is not known to us")
def flat_minima(table: pd.DataFrame) -> Section:
    """What the networks say of the paper's claims."""
    end, one = ends(table), table.iloc[0]
    reached = end[end["train_loss"] <= end["stop_at_train_loss"]]
    tuned = best_rates(reached)
    rates = sorted(f"{rate:g}" for rate in end["learning_rate"].unique())
    setup = (
        f"{one['layers']} hidden layers of {one['width']} ReLU neurons on {one['n_train']:,} images of {one['data']} "
        f"by Adam, each until its loss on training images is at most {one['stop_at_train_loss']:g} nats: batches "
        f"are compared at one loss; {len(end) - len(reached)} of {len(end)} networks that did not are left out. "
        f"Each batch size has the best of the learning rates {', '.join(rates)}: that of the highest test accuracy in "
        "the other seeds. The paper's set-up is not known to us. Weight basins and sharpness on "
        f"{one['noised']} images; sharpness is the largest eigenvalue of the Hessian of the cross entropy, *scaled* in "
        "the unit of the weight basin."
    )
    title = "Do small batches find flatter minima, and are these larger weight basins?"
    if tuned["batch_size"].nunique() < 2:
        words = "Small batches find flatter minima"
        return Section(title, setup, (Claim(words, "undecided", numbers="too few batch sizes reach the loss"),))
    claims = (
        _compared(Claim.below, tuned, "Small batches find minima of lower sharpness", "sharpness"),
        _compared(Claim.below, tuned, "The same of the scaled sharpness", "scaled_sharpness"),
        _compared(Claim.above, tuned, "Small batches find larger weight basins", "weight_basin"),
        _compared(Claim.above, tuned, "Small batches generalise better", "test_accuracy"),
        _together(
            Claim.above, reached, "Networks of larger weight basins are more accurate", "weight_basin", "test_accuracy"
        ),
        _together(
            Claim.below,
            reached,
            "Larger weight basins are less sharp (scaled)",
            "train_weight_basin",
            "scaled_sharpness",
        ),
    )
    rows = {
        (f"{batch:,}", f"{rate:g}"): mine
        for batch, some in groups(reached, "batch_size").items()
        for rate, mine in groups(some, "learning_rate").items()
    }
    columns = ("step", "test_accuracy", "sharpness", "scaled_sharpness", "weight_basin", "sample_basin")
    tables = (means("Where training ended", rows, ("batch", "rate"), columns),)
    return Section(title, setup, claims, tables, tuple(_charts(reached, tuned)))


def _charts(reached: pd.DataFrame, tuned: pd.DataFrame) -> Iterator[LineChart]:
    """By batch size: each batch at its best rate, and at each rate that reached the loss."""
    for column in ("test_accuracy", "scaled_sharpness", "weight_basin"):
        (title, y), lines = DRAWN[column], {"best rate": (tuned, column)}
        lines |= {f"rate {rate:g}": (some, column) for rate, some in groups(reached, "learning_rate").items()}
        yield chart(f"{title} by batch size", ("samples an update", y), "batch_size", lines)


def best_rates(end: pd.DataFrame) -> pd.DataFrame:
    """Of each batch size and seed the network of the learning rate that is best in the other seeds."""
    kept = [end[:0]]
    for some in groups(end, "batch_size").values():
        wide = over_seeds(some, "learning_rate", "test_accuracy")
        for seed, rate in chosen_by_others(wide).items():
            kept.append(some[(some["seed"] == seed) & (some["learning_rate"] == rate)])
    return pd.concat(kept)


def _compared(rule: Callable[..., Claim], tuned: pd.DataFrame, words: str, column: str) -> Claim:
    """The smallest batch against the largest one."""
    batches = groups(tuned, "batch_size")
    small, large = min(batches), max(batches)
    gap = paired(batches[small], batches[large], column)
    numbers = f"batches of {small:,} less those of {large:,}, each at its best rate: {gap}"
    return rule(words, gap, numbers=numbers)


def _together(rule: Callable[..., Claim], end: pd.DataFrame, words: str, first: str, second: str) -> Claim:
    """Spearman's ρ over batch sizes and rates, seed by seed, given the number of updates."""
    rho, plain = partly_correlated(end, first, second, "step"), correlated(end, first, second)
    numbers = f"Spearman's ρ over batch sizes and rates, given the number of updates, {rho}; without that {plain}"
    return rule(words, rho, numbers=numbers)
