"""A page with every kind of block and figure, of networks that were never trained."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pandas as pd

from axonometry.program.ir import Group, Synapse, Wire
from axonometry.report import (
    Drawing,
    Facts,
    Figure,
    Key,
    Page,
    Panel,
    Prose,
    Tab,
    Table,
    distributions,
    drawing,
    figures,
    palette,
)
from tests.report import synthetic

SCRIPT = "<script>harmed=1</script>"
GROUPS = (
    Group("input", (1, 8, 8), "input", 0, ""),
    Group("conv1", (4, 6, 6), "hidden", 0, ""),
    Group(SCRIPT, (16,), "hidden", 0, ""),
    Group("fc2", (10,), "output", 0, ""),
)
SYNAPSES = tuple(
    Synapse(b.name, "linear", b.name + ".weight", (1,), (a.name,), b.name, a.n_neurons * b.n_neurons)
    for a, b in itertools.pairwise(GROUPS)
)


@cache
def page() -> Page:
    """The page; its layers are called as in GROUPS."""
    frame = synthetic.metrics(12, layers=tuple(group.name for group in GROUPS))
    way = {group.name: synthetic.against_accuracy(frame, group.name) for group in GROUPS}
    last = way["input"].groupby("network").tail(1)
    names = ["low", "middle", "high"]
    bins = dict(zip(last["network"], pd.cut(last["accuracy"].rank(), 3, labels=names), strict=True))

    def binned(values: pd.DataFrame) -> pd.DataFrame:
        return values.assign(bin=pd.Categorical(values["network"].map(bins), categories=names, ordered=True))

    legend = tuple(Key(name, colour) for name, colour in zip(names, palette.steps("accuracy", 3), strict=True))
    grid = np.linspace(-3, 3, 50)
    curves = pd.concat(
        [pd.DataFrame({"name": name, "x": grid, "density": np.exp(-((grid - i) ** 2))}) for i, name in enumerate(names)]
    )
    matrix = pd.DataFrame([[0, 1.5, np.nan], [1.5, 0, 0.2], [np.nan, 0.2, 0]], [SCRIPT, "b", "c"], [SCRIPT, "b", "c"])
    hero = [
        Panel(figures.against_accuracy(values, y="fluctuation (weight)"), name, "n = 12")
        for name, values in way.items()
    ]
    table = Table.of(last[["network", "accuracy"]].assign(accuracy=[np.nan, *last["accuracy"][1:]]), title="Networks")
    over_time = [
        Panel(figures.over_time(binned(values), y="fluctuation (weight)"), name) for name, values in way.items()
    ]
    by_bin = [
        Panel(distributions.by_bin(binned(values), y="fluctuation (weight)"), name) for name, values in way.items()
    ]
    lines = figures.lines(pd.concat([values.assign(name=name) for name, values in way.items()]), y="value")
    wires = (Wire(SCRIPT, "skip", ("input",), 16),)
    return Page(
        "Twelve networks",
        "Never trained.",
        (
            Tab(
                "Overview",
                (
                    Facts({"networks": 12, "links": 12954}, prominent=True),
                    Figure("Story", tuple(hero), "Look.", arrangement="switch"),
                ),
            ),
            Tab(
                "Over time",
                (
                    Figure("Lines", tuple(over_time), "Bands.", "A `number`.", legend),
                    Figure("All", (Panel(lines),), arrangement="wide"),
                ),
            ),
            Tab(
                "Bins",
                (
                    Figure("Dots", tuple(by_bin), legend=legend),
                    Figure("Curves", (Panel(distributions.density_figure(curves, names, x="x")),), legend=legend),
                ),
            ),
            Tab("Networks", (Figure("Apart", (Panel(distributions.heatmap(matrix, value="nats")),)), table)),
            Tab("Graph", (Drawing("Graph", drawing.graph_svg(GROUPS, SYNAPSES, wires)),)),
            Tab("Definitions", (Prose("What the words mean."),)),
        ),
        {"data": "none", "layer": SCRIPT},
        "python -m pytest tests/report",
    )
