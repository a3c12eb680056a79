"""Test accuracy that comes late because batch norm's running statistics do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from axonometry.experiments import Claim, Section, mean_estimate, paired_estimate
from axonometry.papers.lin2025.reading import chart, groups, in_pairs, mean, means, section

HALF = 0.5
"""The accuracy whose first crossing says when [our choice]."""
AT_ONCE = 4.0
"""Updates between two looks: what is sooner than that is not told from none."""
KNOWN = 0.9
"""Training accuracy from which on samples would count as known [our choice]."""

Delays = Mapping[tuple[int, float], Mapping[int, float]]


@section("version 5", still=True, settled_by="the authors' depth and width, which are not known to us")
def running_statistics(table: pd.DataFrame) -> Section:
    """When accuracy comes with running statistics, and when with those of each batch."""
    one = table.iloc[0]
    table = table.assign(lag=table["batch_test_accuracy"] - table["test_accuracy"])
    alike = [some for _, some in table.groupby(["layers", "norm_momentum"])]
    settings = {(int(some["layers"].iloc[0]), float(some["norm_momentum"].iloc[0])): some for some in alike}
    deep = max(layers for layers, _ in settings)
    delays = {name: {seed: delay(own) for seed, own in groups(some, "seed").items()} for name, some in settings.items()}
    between = pd.concat([at_the_crossing(own) for own in groups(settings[deep, 0.1], "seed").values()])
    setup = (
        f"ReLU networks of width {one['width']} with batch norm, Adam ({one['learning_rate']:g}), {one['max_steps']:,} "
        f"updates of {one['batch_size']} images of {one['data']}. Test accuracy is taken with running statistics, in "
        "evaluation mode, and with those of each test batch, as in training, of the same weights. *Delay*: updates "
        f"between the first crossings of {HALF:.0%} by the two, interpolated."
    )
    titles = {name: f"{name[0]} layers, momentum {name[1]:g}" for name in settings}
    rows = {(titles[name],): at_the_crossing_of(some) for name, some in settings.items()}
    columns = ("step", "test_accuracy", "batch_test_accuracy", "train_accuracy", "batch_train_accuracy")
    tables = (means(f"Where accuracy by batch statistics first is {HALF:.0%}", rows, ("networks",), columns),)
    lines = {}
    for name, some in settings.items():
        if name[0] == deep:
            lines[f"momentum {name[1]:g}"] = (some, "test_accuracy")
    lines["batch statistics"] = (settings[deep, 0.1], "batch_test_accuracy")
    charts = (chart(f"Test accuracy over training, {deep} layers", ("update", "accuracy"), "step", lines),)
    claims = (*_delays(delays, deep), *_memorised(between))
    return Section("Do deep networks seem to grok by batch norm in evaluation mode?", setup, claims, tables, charts)


def crossing(steps: pd.Series[int], accuracy: pd.Series[float]) -> float:
    """The first update at which an accuracy reaches one half, interpolated; the last one where it never does.

    At updates 10 and 20 it is 0.2 and 0.8: half of the way, update 15.
    """
    x, y = steps.to_numpy(dtype=float), accuracy.to_numpy(dtype=float)
    reached = np.flatnonzero(y >= HALF)
    if not len(reached):
        return float(x[-1])
    at = int(reached[0])
    return float(x[0] if at == 0 else x[at - 1] + (x[at] - x[at - 1]) * (HALF - y[at - 1]) / (y[at] - y[at - 1]))


def delay(network: pd.DataFrame) -> float:
    """Updates from the crossing by batch statistics to that by running ones, of one network's rows."""
    rows = network.sort_values("step")
    return crossing(rows["step"], rows["test_accuracy"]) - crossing(rows["step"], rows["batch_test_accuracy"])


def at_the_crossing(network: pd.DataFrame) -> pd.DataFrame:
    """The first look at which accuracy by batch statistics is one half; the last look where it never is."""
    rows = network.sort_values("step")
    reached = rows[rows["batch_test_accuracy"] >= HALF]
    return reached.head(1) if len(reached) else rows.tail(1)


def at_the_crossing_of(some: pd.DataFrame) -> pd.DataFrame:
    """:func:`at_the_crossing` of each network."""
    return pd.concat([at_the_crossing(own) for own in groups(some, "seed").values()])


def _delays(delays: Delays, deep: int) -> tuple[Claim, ...]:
    found = {name: mean_estimate(own.values()) for name, own in delays.items()}
    shallow = min(layers for layers, _ in delays)
    slower = paired_estimate(delays[deep, 0.01], delays[deep, 0.1])
    deeper = paired_estimate(delays[deep, 0.1], delays[shallow, 0.1])
    late, gone = found[deep, 0.1], found[deep, 1.0]
    numbers = in_pairs({f"momentum {m:g}": found[deep, m] for m in (0.01, 0.1, 1.0)})
    return (
        Claim.above(
            "In evaluation mode the test accuracy of deep networks with batch norm comes late",
            late,
            AT_ONCE,
            numbers=f"delay in updates at torch's momentum of 0.1 {late}; at once is within {AT_ONCE:g}",
        ),
        Claim.within(
            "The delay vanishes at momentum 1",
            gone,
            AT_ONCE,
            numbers=f"delay in updates. {numbers}",
        ),
        Claim.above(
            "It is longer where running statistics follow more slowly", slower, numbers=f"0.01 less 0.1: {slower}"
        ),
        Claim.above(
            "It is of deep networks", deeper, numbers=f"{deep} layers less {shallow}, both at 0.1: {deeper} updates"
        ),
    )


def _memorised(between: pd.DataFrame) -> tuple[Claim, ...]:
    """Grokking is late generalisation of samples that are known: whether training samples are, meanwhile."""
    known, gap = mean(between, "train_accuracy"), between["batch_train_accuracy"] - between["batch_test_accuracy"]
    numbers = (
        f"when test accuracy by batch statistics first is {HALF:.0%}, training accuracy in evaluation mode is {known} "
        f"and by batch statistics {mean(between, 'batch_train_accuracy')}, {mean_estimate(gap)} above the test's: the "
        "accuracy of both halves is late, nothing is memorised"
    )
    return (
        Claim.above(
            "Our question: meanwhile the training samples are known, as in grokking", known, KNOWN, numbers=numbers
        ),
    )
