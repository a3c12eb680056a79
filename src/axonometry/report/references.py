"""Is this good? A run's numbers beside those of the same network at its first step, and of its weights shuffled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axonometry.metrics import fluctuation_references, weight_spreads
from axonometry.report.page import Block, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from torch import Tensor

    from axonometry.program import NeuralGraph
    from axonometry.trajectory import Trajectory

Row = dict[str, object]
COLUMNS = ("layer", "fluctuation", "before", "shuffled", "z")
OF_SUMS = ("spread", "before", "shuffled", "z")
SIDES = ("rows", "columns")
Z = "z is in standard deviations of these: beyond 3 is seldom chance"


def fluctuation_rows(run: Trajectory, network: NeuralGraph | None = None) -> list[Row]:
    """Each layer's fluctuation at the last step, at the first, and of the last step's weights shuffled.

    Args:
        run: A run with a complete step; one that did not measure fluctuation has rows only with its network.
        network: The run's network at any snapshot; without it, or without weights, nothing is shuffled.

    Returns:
        By layer: layer, fluctuation, before (at the first step), shuffled, z; None for what there is not.
    """
    if network is not None and {run.steps[0], run.steps[-1]} <= {*run.snapshots}:
        last, first = (network.at(run.snapshots[step]) for step in (run.steps[-1], run.steps[0]))
        found = fluctuation_references(last, first).reset_index()
        found = found.astype(object).where(found.notna(), None)
        return [dict(zip(COLUMNS, row, strict=True)) for row in found.itertuples(index=False, name=None)]
    now, then = (_recorded(run.metrics, step) for step in (run.steps[-1], run.steps[0]))
    return [dict(zip(COLUMNS, (name, value, then.get(name), None, None), strict=True)) for name, value in now.items()]


def weight_rows(run: Trajectory) -> list[Row]:
    """How far the sums of each weight's rows and columns differ at the last step, by chance, and at the first step.

    Args:
        run: A run; one that kept no weights has no rows.

    Returns:
        By synapse: its name, what :func:`~axonometry.metrics.weight_spreads` gives, and rows_before, columns_before.
    """
    if not {run.steps[0], run.steps[-1]} <= {*run.snapshots}:
        return []
    now, then = run.snapshots[run.steps[-1]], run.snapshots[run.steps[0]]
    shared = {synapse.parameter: synapse.name for synapse in reversed(run.synapses) if synapse.parameter in now}
    return [_weight_row(name, parameter, now, then) for parameter, name in reversed(shared.items())]


def references_blocks(run: Trajectory, network: NeuralGraph | None = None) -> tuple[Block, ...]:
    """The tables of both, for a page.

    Args:
        run: As above.
        network: As above.
    """
    first, last = run.steps[0], run.steps[-1]
    layers, weights = fluctuation_rows(run, network), weight_rows(run)
    blocks = []
    if layers:
        shuffled = any(row["shuffled"] is not None for row in layers)
        width = len(COLUMNS) if shuffled else 3
        heads = ("layer", "fluctuation", f"at step {first}", "weights shuffled", "z")
        caption = f"Beside each layer's fluctuation at step {last}: the same network at its first step"
        caption += (
            f", and with the weights of each layer in another order, on average of the draws; {Z}."
            if shuffled
            else ". That of shuffled weights is told of networks of up to a million weights whose code is known "
            "(--network FILE.py:NAME)."
        )
        cells = tuple(tuple(row[name] for name in COLUMNS[:width]) for row in layers)
        blocks.append(Table(heads[:width], cells, "Layer fluctuation beside its references", caption))
    if weights:
        words = ("spread", f"at step {first}", "shuffled", "z")
        names = ("synapse", *(f"{side}_{of}" for side in SIDES for of in OF_SUMS))
        shown = ("synapse", *(f"{side}: {of}" for side in SIDES for of in words))
        caption = (
            "How far the sums of a weight's rows differ (their standard deviation), and those of its columns: of a "
            "linear layer, rows are its outputs and columns its inputs. Beside them the first step, and the same "
            f"entries in another order, by formula; {Z}. What cannot differ by chance has no z."
        )
        cells = tuple(tuple(row[name] for name in names) for row in weights)
        blocks.append(Table(shown, cells, "Sums of weights beside their references", caption))
    return tuple(blocks)


def _weight_row(name: str, parameter: str, now: Mapping[str, Tensor], then: Mapping[str, Tensor]) -> Row:
    before = weight_spreads(then[parameter])
    earlier = {f"{side}_before": before[f"{side}_spread"] for side in SIDES}
    return {"synapse": name, **weight_spreads(now[parameter]), **earlier}


def _recorded(metrics: pd.DataFrame, step: int) -> dict[str, float]:
    rows = metrics[(metrics["step"] == step) & (metrics["metric"] == "layer_fluctuation")]
    rows = rows[rows["statistic"] == "value"]
    return dict(zip(rows["group"].astype(str), rows["value"].astype(float), strict=True))
