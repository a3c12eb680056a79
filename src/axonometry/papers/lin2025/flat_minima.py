"""Small batches against large ones: weight basin, sharpness and accuracy of the minima that they find."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from axonometry.experiments import Claim, Section
from axonometry.papers.lin2025.reading import DRAWN, chart, correlated, ends, groups, means, paired, section


@section
def flat_minima(table: pd.DataFrame) -> Section:
    """What the networks say of the paper's claims."""
    end, one = ends(table), table.iloc[0]
    setup = (
        f"{one['layers']} hidden layers of {one['width']} ReLU neurons on {one['n_train']:,} images of {one['data']} "
        f"by Adam ({one['learning_rate']:g}), each until its loss on training images is at most "
        f"{one['stop_at_train_loss']:g} nats, so that batches are compared at one loss and not after one number of "
        f"updates or epochs. The paper's set-up is not known to us. Weight basins and sharpness on {one['noised']} "
        "images; sharpness is the largest eigenvalue of the Hessian of the cross entropy, *scaled* in the unit of the "
        "weight basin."
    )
    claims = (
        _compared(Claim.below, end, "Small batches find minima of lower sharpness", "sharpness"),
        _compared(Claim.below, end, "The same of the scaled sharpness", "scaled_sharpness"),
        _compared(Claim.above, end, "Small batches find larger weight basins", "weight_basin"),
        _compared(Claim.above, end, "Small batches generalise better", "test_accuracy"),
        _together(
            Claim.above, end, "Networks of larger weight basins are more accurate", "weight_basin", "test_accuracy"
        ),
        _together(
            Claim.below, end, "Larger weight basins are less sharp (scaled)", "train_weight_basin", "scaled_sharpness"
        ),
    )
    rows = {(f"{batch:,}",): some for batch, some in groups(end, "batch_size").items()}
    columns = ("step", "test_accuracy", "train_loss", "sharpness", "scaled_sharpness")
    basins = ("train_weight_basin", "weight_basin", "sample_basin")
    tables = (means("Where training ended", rows, ("batch",), columns + basins),)
    charts = []
    for column in ("test_accuracy", "scaled_sharpness", "weight_basin"):
        (title, y), lines = DRAWN[column], {"mean over seeds": (end, column)}
        charts.append(chart(f"{title} by batch size", ("samples an update", y), "batch_size", lines))
    title = "Do small batches find flatter minima, and are these larger weight basins?"
    return Section(title, setup, claims, tables, tuple(charts))


def _compared(rule: Callable[..., Claim], end: pd.DataFrame, words: str, column: str) -> Claim:
    """The smallest batch against the largest one."""
    batches = groups(end, "batch_size")
    small, large = min(batches), max(batches)
    gap = paired(batches[small], batches[large], column)
    numbers = f"batches of {small:,} less those of {large:,}: {gap}"
    return rule(words, gap, numbers=numbers)


def _together(rule: Callable[..., Claim], end: pd.DataFrame, words: str, first: str, second: str) -> Claim:
    """Spearman's ρ over batch sizes, seed by seed."""
    rho = correlated(end, first, second)
    numbers = f"Spearman's ρ over batch sizes {rho}; nothing but the batch is varied, so that no cause is shown"
    return rule(words, rho, numbers=numbers)
