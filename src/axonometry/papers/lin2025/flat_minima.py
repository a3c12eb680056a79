"""Small batches against large ones: weight basin, sharpness and accuracy of the minima that they find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axonometry.experiments import Claim, Section
from axonometry.papers.lin2025.reading import chart, correlated, ends, groups, paired, section, table_of_means

if TYPE_CHECKING:
    import pandas as pd

DRAWN = {
    "Accuracy on test data": ("accuracy on test data", "test_accuracy"),
    "Scaled sharpness": ("scaled sharpness (nats)", "scaled_sharpness"),
    "Weight basin": ("weight basin (standard deviations of the weights)", "weight_basin"),
}
"""By a chart's title, what is on its vertical axis, and the column."""


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
        _compared(end, "Small batches find minima of lower sharpness", "sharpness", greater=False),
        _compared(end, "The same of the scaled sharpness", "scaled_sharpness", greater=False),
        _compared(end, "Small batches find larger weight basins", "weight_basin", greater=True),
        _compared(end, "Small batches generalise better", "test_accuracy", greater=True),
        _together(
            end, "Networks of larger weight basins are more accurate", "weight_basin", "test_accuracy", rises=True
        ),
        _together(
            end, "Larger weight basins are less sharp (scaled)", "train_weight_basin", "scaled_sharpness", rises=False
        ),
    )
    rows = {(f"{batch:,}",): some for batch, some in groups(end, "batch_size").items()}
    columns = (
        "step",
        "test_accuracy",
        "train_loss",
        "sharpness",
        "scaled_sharpness",
        "train_weight_basin",
        "weight_basin",
    )
    tables = (table_of_means("Where training ended", rows, ("batch",), (*columns, "sample_basin")),)
    charts = tuple(
        chart(f"{name} by batch size", ("samples an update", y), "batch_size", {"mean over seeds": (end, column)})
        for name, (y, column) in DRAWN.items()
    )
    return Section(
        "Do small batches find flatter minima, and are these larger weight basins?", setup, claims, tables, charts
    )


def _compared(end: pd.DataFrame, words: str, column: str, *, greater: bool) -> Claim:
    """The smallest batch against the largest one."""
    batches = groups(end, "batch_size")
    small, large = min(batches), max(batches)
    gap = paired(batches[small], batches[large], column)
    numbers = f"batches of {small:,} less those of {large:,}: {gap}"
    return (Claim.above if greater else Claim.below)(words, gap, numbers=numbers)


def _together(end: pd.DataFrame, words: str, first: str, second: str, *, rises: bool) -> Claim:
    """Spearman's ρ over batch sizes, seed by seed."""
    rho = correlated(end, first, second)
    numbers = f"Spearman's ρ over batch sizes {rho}; nothing but the batch is varied, so that no cause is shown"
    return (Claim.above if rises else Claim.below)(words, rho, numbers=numbers)
