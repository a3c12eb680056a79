"""What a notebook shows: a small table and one picture each; and the functions behind ``plot``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from axonometry.cell_text import number
from axonometry.errors import ConfigurationError, closest
from axonometry.metrics import fluctuation_references, node_strength
from axonometry.report import palette
from axonometry.report.axes import blank, escape
from axonometry.report.axonometric import draw_graph
from axonometry.report.curves import curves, curves_svg
from axonometry.report.drawing import graph_svg
from axonometry.report.svg import element

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from axonometry.metrics import Basin, NeuronModes, NeuronStatistics, RankDistribution
    from axonometry.populations import Population
    from axonometry.program import NeuralGraph
    from axonometry.trajectory import Trajectory
    from axonometry.values import NodeValues

__all__ = [
    "draw_graph",
    "graph_html",
    "graph_summary",
    "population_html",
    "run_html",
    "run_plot",
    "values_html",
    "values_plot",
]
_ROWS = 12
SCORES = ("accuracy", "loss")
_DARK = 'body[data-jp-theme-light="false"] .ax-view,body.vscode-dark .ax-view,html[theme="dark"] .ax-view'
_TOKENS = ";".join(f"--{name}:light-dark({light},{dark})" for name, (light, dark) in palette.TOKENS.items())
_STYLE = (
    f".ax-view{{color-scheme:light;{_TOKENS};color:var(--ink);overflow-x:auto}}"
    f"{_DARK}{{color-scheme:dark}}.ax-view table{{border-collapse:collapse;font-size:12px}}"
    ".ax-view td,.ax-view th{padding:2px 12px 2px 0;text-align:right;white-space:nowrap}"
    ".ax-view td:first-child,.ax-view th:first-child{text-align:left}"
    ".ax-view caption{text-align:left;font-weight:600;white-space:nowrap}"
)


def graph_summary(graph: NeuralGraph, *, draws: int | None = None) -> pd.DataFrame:
    """A row a group: what it is, how many parameters and links enter it, and how strong its neurons are.

    Args:
        graph: The network at one snapshot.
        draws: Networks that are drawn to hold the layers' fluctuation against, as in
            :func:`~axonometry.metrics.fluctuation_references`.

    Returns:
        Columns group, role, kind, shape, neurons, parameters, links, strength (mean), layer_fluctuation, and what this
        is by chance: untrained, shuffled, z.
    """
    import pandas as pd

    strength, references = node_strength(graph), fluctuation_references(graph, draws=draws)
    sizes = {name: tensor.numel() for name, tensor in graph.state.items()}
    rows: list[tuple[Any, ...]] = []
    counted: set[str] = set()
    for group in graph.groups:
        into = [s for s in graph.synapses if s.target == group.name]
        wires = [w for w in graph.wires if w.target == group.name]
        names = {name for s in into for name in s.parameter.split("+")} - counted
        counted |= names
        links = sum(s.n_links for s in into) + sum(w.n_links for w in wires)
        kinds = ", ".join(dict.fromkeys([*(s.kind for s in into), *(w.kind for w in wires)]))
        parameters = sum(sizes.get(name, 0) for name in names)
        mean = float(strength[group.name].double().mean())
        rows.append((group.name, group.role, kinds, group.shape, group.n_neurons, parameters, links, mean))
    columns = ["group", "role", "kind", "shape", "neurons", "parameters", "links", "strength"]
    return pd.DataFrame(rows, columns=columns).join(references, on="group")


def values_plot(values: NodeValues) -> go.Figure:
    """How the values of each group are distributed: a box a group.

    Args:
        values: A value for every neuron.
    """
    figure = blank("", "value")
    shades = palette.steps("depth", len(values))
    for (name, tensor), colour in zip(values.items(), shades, strict=True):
        array = tensor.detach().float().flatten().cpu().numpy()
        array = array[np.isfinite(array)]
        if not len(array):
            continue
        low, first, middle, third, high = np.quantile(array, [0, 0.25, 0.5, 0.75, 1])
        box = {"lowerfence": [low], "q1": [first], "median": [middle], "q3": [third], "upperfence": [high]}
        figure.add_box(x=[escape(name)], **box, name=escape(name), marker={"color": colour}, line={"width": 1.5})
    return figure


def run_plot(run: Trajectory, metric: str | None = None, statistic: str | None = None) -> go.Figure:
    """A measure, or a scalar, over the steps of a run: a line a group.

    Args:
        run: A recorded run.
        metric: A measure or a scalar that was recorded; by default layer fluctuation, or what was recorded first.
        statistic: Of the measure, such as ``"mean"``; by default the first that was recorded of ``value`` and ``mean``.

    Raises:
        ConfigurationError: It was not recorded.
    """
    if metric is None:
        known = list(dict.fromkeys(run.metrics["metric"]))
        metric = next((name for name in ("layer_fluctuation", *known) if name in known), "layer_fluctuation")
    return curves(_recorded(run, metric, statistic), x="step", y=_named(metric, statistic))


def _named(metric: str, statistic: str | None) -> str:
    return metric.replace("_", " ") + (f", {statistic}" if statistic else "")


def _recorded(run: Trajectory, metric: str, statistic: str | None) -> pd.DataFrame:
    metrics = run.metrics
    found = metrics[metrics["metric"] == metric]
    if not len(found):
        known = list(dict.fromkeys(metrics["metric"]))
        remedy = closest(metric, known, f"There are: {', '.join(known)}")
        raise ConfigurationError("a run is plotted by what was recorded of it", repr(metric), remedy)
    known = list(dict.fromkeys(found["statistic"]))
    chosen = statistic or next((name for name in ("value", "mean") if name in known), known[0])
    if chosen not in known:
        remedy = closest(chosen, known, f"There are: {', '.join(known)}")
        raise ConfigurationError(f"a statistic of {metric} is one that was recorded", repr(chosen), remedy)
    found = found[found["statistic"] == chosen]
    names = found["group"].where(found["group"] != "", metric)
    return found.assign(name=names, x=found["step"].astype(float), low=np.nan, high=np.nan)[
        ["name", "x", "value", "low", "high"]
    ]


def graph_html(graph: NeuralGraph) -> str:
    """A graph in a notebook: its picture without weights, so that it costs nothing, and its groups."""
    rows = [(g.name, g.role, g.shape, g.n_neurons) for g in graph.groups]
    picture = graph_svg(graph.groups, graph.synapses, graph.wires)
    return _view(repr(graph), ("group", "role", "shape", "neurons"), rows, picture)


def values_html(values: NodeValues) -> str:
    """Values in a notebook: for each group its moments and a strip of its distribution."""
    rows, strips = [], []
    for name, tensor in values.items():
        array = tensor.detach().double().flatten().cpu().numpy()
        array = array[np.isfinite(array)]
        spread = (array.mean(), array.std(), array.min(), array.max()) if len(array) else (np.nan,) * 4
        rows.append((name, tuple(tensor.shape), *(float(x) for x in spread)))
        strips.append(_strip(array))
    columns = ("group", "shape", "mean", "std", "min", "max", "distribution")
    return _view(f"Values of {len(values)} groups", columns, [(*r, s) for r, s in zip(rows, strips, strict=True)])


def statistics_html(found: NeuronStatistics) -> str:
    """Statistics over samples in a notebook: a row a group, and how its neurons' means are distributed."""
    rows = []
    for group, pooled in found.pooled.items():
        means = found.mean[group].detach().double().flatten().cpu().numpy()
        zeros, dead = float(found.sparsity[group].mean()), int(found.dead[group])
        numbers = (pooled.mean, pooled.std, zeros, dead, found.saturated.get(group, "–"))
        rows.append((group, len(means), *numbers, _strip(means[np.isfinite(means)])))
    columns = ("group", "neurons", "mean", "std", "zeros", "dead", "saturated", "means of neurons")
    return _view(f"Of {len(rows)} groups over {found.n_samples:,} samples", columns, rows)


def modes_html(found: NeuronModes) -> str:
    """Neuron modes in a notebook: a row a group, and how its neurons' rates are distributed."""
    table = found.summary()
    rates = (found[group].rate.double().cpu().numpy() for group in table["group"])
    strips = [_strip(rate[np.isfinite(rate)], (0.0, 1.0)) for rate in rates]
    rows = [(*row, strip) for row, strip in zip(table.itertuples(index=False, name=None), strips, strict=True)]
    return _view(f"Neuron modes of {len(rows)} groups", (*map(str, table.columns), "rates, 0 to 1"), rows)


def ranks_html(found: RankDistribution) -> str:
    """Rank distributions in a notebook: a row a group, its density over all classes."""
    rows = []
    for group, ranks in found.groups.items():
        known = ranks.by_class[ranks.by_class.isfinite()]
        spread = (ranks.mean, float(known.min()), float(known.max())) if len(known) else (np.nan,) * 3
        density = ranks.density.nanmean(0).nan_to_num().double().cpu().numpy()
        rows.append((group, *spread, _bars(density)))
    columns = ("group", "gradient", "least of a class", "greatest", "density of ranks, 0 to 1")
    return _view(f"Rank distributions of {len(rows)} groups", columns, rows)


def basin_html(found: Basin) -> str:
    """A basin in a notebook: amplitudes of the network and of its classes, and accuracy under noise."""
    frame, whole = found.frame(), found.curves.query("group == 'network' and amplitude > 0")
    shown = ("group", "amplitude", "low", "high", "state")
    values = whole.assign(name="network", x=whole["amplitude"].astype(float), value=whole["accuracy"])
    picture = curves_svg(
        values[["name", "x", "value", "low", "high"]], x="amplitude of the noise", y="accuracy", log=True
    )
    return _view(f"Basin of {found.space}", shown, list(frame[list(shown)].itertuples(index=False, name=None)), picture)


def _strip(array: np.ndarray, ends: tuple[float, float] | None = None) -> str:
    """A histogram of 24 bars."""
    return _bars(np.histogram(array, 24, ends)[0] if len(array) else np.zeros(24))


def _bars(counts: np.ndarray) -> str:
    """One bar a number, 96 wide."""
    wide = 96 / len(counts)
    tops = 16 * counts / (counts.max() or 1)
    way = "".join(f"M{wide * i:g} 16v-{top:.1f}h{0.75 * wide:g}v{top:.1f}z" for i, top in enumerate(tops) if top > 0)
    return element(
        "svg", element("path", d=way, fill="currentColor"), width=96, height=16, role="img", aria_label="histogram"
    )


def run_html(run: Trajectory) -> str:
    """A run in a notebook: its last scalars, and a curve."""
    scalars = run.scalars()
    rows = [(name, float(scalars[name].iloc[-1])) for name in scalars.columns] if len(scalars) else []
    picture = ""
    if len(run.steps) > 1 and rows:
        name = next((n for n in SCORES if n in scalars), str(scalars.columns[0]))
        picture = curves_svg(_recorded(run, name, None), x="step", y=name)
    return _view(repr(run), ("scalar", "at the last step"), rows, picture)


def population_html(population: Population) -> str:
    """A population in a notebook: its runs, one a row, by what they came to and what tells them apart."""
    frame = population.frame
    told = sorted((c for c in frame.columns if frame[c].astype(str).nunique() > 1), key=lambda c: c not in SCORES)
    shown = frame.loc[:, told[:8]]
    rows = [(name, *row) for name, row in zip(frame.index, shown.itertuples(index=False, name=None), strict=True)]
    return _view(f"Population of {len(frame)} runs", ("run", *map(str, shown.columns)), rows)


def _view(title: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], picture: str = "") -> str:
    """A small table below a picture; every text in it is escaped."""
    from markupsafe import Markup

    head = element("tr", *(element("th", column) for column in columns))
    few = rows if len(rows) <= _ROWS else [*rows[: _ROWS - 1]]
    body = [element("tr", *(element("td", c if isinstance(c, Markup) else number(c)) for c in row)) for row in few]
    if len(few) < len(rows):
        body.append(element("tr", element("td", f"… and {len(rows) - len(few)} more", colspan=len(columns))))
    table = element("table", element("caption", title), element("thead", head), element("tbody", *body))
    return str(element("div", element("style", Markup(_STYLE)), Markup(picture), table, class_="ax-view"))
