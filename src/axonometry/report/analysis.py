"""The pages of single networks: a run over time, and the weights of a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axonometry.errors import AxonometryError
from axonometry.report import definitions, distributions, figures, graph, palette, samples
from axonometry.report.axes import evenly
from axonometry.report.chance import beside_chance, chance_table
from axonometry.report.frames import widened
from axonometry.report.page import Block, Facts, Figure, Key, Page, Panel, Tab, Table
from axonometry.report.phases import null_blocks
from axonometry.report.references import references_blocks

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from axonometry.program import NeuralGraph
    from axonometry.trajectory import Trajectory

MOST_LINES = 10
"""Layers that are drawn as lines; more are drawn as a heatmap over layers and steps."""
MOMENTS = ("count", "nonfinite", "mean", "std", "skewness", "kurtosis", "minimum", "maximum")
COUNTS = ("count", "nonfinite", "dead", "saturated")
MOMENTS_CAPTION = "Population moments of the finite values; kurtosis is the excess over that of a normal distribution."
MEASURES = (
    ("layer_fluctuation", "value", "Layer fluctuation over time"),
    ("node_strength", "mean", "Node strength over time"),
    ("link_weights", "std", "Spread of the link weights over time"),
    ("link_weights", "kurtosis", "Tails of the link weights over time"),
)
"""Figures of a run: metric, statistic, title."""
OF_SAMPLES = (
    ("neuron_strength", "mean", "Neuron strength over time"),
    ("neuron_strength", "std", "Spread of the neuron strength over time"),
    ("neuron_activation", "mean", "Neuron activation over time"),
    ("neuron_activation", "sparsity", "Zeros among the activations over time"),
    ("neuron_activation", "dead", "Dead neurons over time"),
    ("neuron_activation", "saturated", "Saturated neurons over time"),
)
"""Figures of a run whose network ran on samples: metric, statistic, title."""
MEASURED = {
    "node_strength": "Node strength",
    "neuron_strength": "Neuron strength",
    "neuron_activation": "Neuron activation",
    "link_weights": "Link weights",
}
"""Measures with a table of moments by layer."""
LIVE_CAPTION = (
    "Population moments over samples and neurons; kurtosis is the excess over that of a normal distribution. Sparsity "
    "is the share of zeros; dead neurons have the same value at every sample, saturated ones nearly always the same "
    "bound's."
)


def run_page(run: Trajectory, *, network: NeuralGraph | None = None, title: str = "", command: str = "") -> Page:
    """The page of one run.

    Args:
        run: A recorded run with at least one complete step.
        network: The run's network at any snapshot, for densities and divergences of runs that kept their weights.
        title: Heading; the folder's name by default.
        command: The command that writes the page.

    Raises:
        AxonometryError: The run has no complete step.
        RunError: The run is corrupt.
    """
    if not run.steps:
        raise AxonometryError(f"no complete step in {run.folder}", "", "Continue its training")
    layers = (*references_blocks(run, network), *_layers(run), *null_blocks(run))
    tabs = [Tab("Overview", _overview(run)), Tab("Over time", _over_time(run)), Tab("Layers", layers)]
    if network is not None and run.snapshots:
        kept = [run.steps[i] for i in evenly(len(run.steps), 3)]
        values = {f"step {step}": samples.of_graph(network.at(run.snapshots[step])) for step in kept}
        tabs += [Tab("Distributions", _densities(values)), Tab("Divergence", _divergence(values[f"step {kept[-1]}"]))]
    tabs += [graph.network_tab(run), definitions.tab(_defined(run))]
    software = run.description.software[-1] if run.description.software else {}
    facts = {"run": run.folder.resolve(), "state": run.state, **software}
    heading = title or f"Run {run.folder.resolve().name}"
    subtitle = f"One network in training, steps {run.steps[0]} to {run.steps[-1]}."
    return Page(heading, subtitle, tuple(tabs), facts, command)


def weights_tab(table: pd.DataFrame, *, name: str) -> Tab:
    """The weights of a checkpoint, tensor by tensor.

    Args:
        table: A row a tensor with its moments, as ``checkpoints.weight_table`` or ``link_weights`` gives it; the first
            column names the tensor.
        name: The tab's name.
    """
    broken = int(table["nonfinite"].sum())
    facts = {"tensors": len(table), "weights": int(table["count"].sum()), "NaN or infinite": broken}
    # Biases, gains and counters are many and small: matrices and kernels distinguish layers.
    kernels = table[table["shape"].str.contains("x")] if "shape" in table else table
    panels = []
    for statistic, words in (("std", "standard deviation (weight)"), ("kurtosis", "excess kurtosis")):
        rows = kernels[[table.columns[0], statistic]].set_axis(["name", "value"], axis=1).dropna()
        panels.append(Panel(figures.profile(rows, y=words, log=figures.spans_decades(rows["value"]))))
    caption = (
        "Each dot is a matrix or kernel, in the order of the file; hover for its name. The excess kurtosis is 0 for a "
        "normal and −1.2 for a uniform distribution; far above 0, a few weights are much larger than the rest."
    )
    profile = Figure("Weights by layer", tuple(panels), caption, arrangement="wide")
    return Tab(name, (Facts(facts, prominent=True), profile, Table.of(table, title="Tensors", caption=MOMENTS_CAPTION)))


def _overview(run: Trajectory) -> tuple[Block, ...]:
    scalars = run.scalars().dropna(how="all", axis=1)
    totals = graph.totals(run)
    highlights: dict[str, object] = {"steps": len(run.steps)}
    if "accuracy" in scalars:
        highlights["last accuracy"] = f"{scalars['accuracy'].dropna().iloc[-1]:.1%}"
    highlights |= {name: totals[name] for name in ("neuron groups", "neurons", "links")}
    blocks: list[Block] = [Facts(highlights, prominent=True)]
    panels = [
        Panel(figures.lines(_line(scalars[name], name), y=name.replace("_", " "), percent=name == "accuracy"))
        for name in map(str, scalars)
        if name != "epoch"
    ]
    if panels:
        blocks.append(Figure("Learning curves", tuple(panels), "Scalars that were recorded beside the measures."))
    blocks += _measure(run, *MEASURES[0])
    if run.configuration:
        blocks.append(Facts(run.configuration, "Configuration"))
    return tuple(blocks)


def _over_time(run: Trajectory) -> tuple[Block, ...]:
    return tuple(block for measure in (*MEASURES[1:], *OF_SAMPLES) for block in _measure(run, *measure))


def _measure(run: Trajectory, metric: str, statistic: str, title: str) -> list[Block]:
    """One statistic of all layers over time: lines of few layers, a heatmap of many; none where it was not measured."""
    rows = run.metrics
    rows = rows[(rows["metric"] == metric) & (rows["statistic"] == statistic)]
    names = list(dict.fromkeys(rows["group"]))
    words = definitions.axis(metric, statistic)
    caption = f"{words[0].upper()}{words[1:]}, by layer{_counted(metric)}."
    if not names:
        return []
    if len(names) <= MOST_LINES:
        figure = figures.lines(rows.rename(columns={"group": "name"}), y=words)
        keys = tuple(Key(name, colour) for name, colour in zip(names, palette.steps("depth", len(names)), strict=True))
        caption += " Colour: light green for the first layer, blue for the last."
    else:
        wide = widened(rows, index="group", columns="step")
        figure = distributions.heatmap(wide.iloc[:, evenly(wide.shape[1], 200)], value=words, x="step")
        keys = ()
    height = 0.0 if keys else 6 + 0.9 * len(names)
    return [
        Figure(
            title, (Panel(figure, height=height),), caption, definitions.definition(metric), keys, arrangement="wide"
        )
    ]


def _counted(metric: str, form: str = " ({})") -> str:
    """The convention of a measure as an insertion; empty for one that has none."""
    words = definitions.convention(metric)
    return form.format(words) if words else ""


def _layers(run: Trajectory) -> tuple[Block, ...]:
    import pandas as pd

    first, last = (run.metrics[run.metrics["step"] == step] for step in (run.steps[0], run.steps[-1]))
    blocks = []
    for metric, title in MEASURED.items():
        rows, before = (step[step["metric"] == metric] for step in (last, first))
        if len(rows):
            wide = widened(rows, index="group", columns="statistic")
            live = "sparsity" in wide
            shown = (*MOMENTS, "sparsity", "dead", "saturated") if live else MOMENTS
            wide = wide[[name for name in shown if name in wide]].reset_index(names="layer")
            # A network that diverged has no counts; a layer without bounds has no saturated neurons.
            whole = [name for name in COUNTS if name in wide and wide[name].abs().lt(2**53).all()]
            counts = {name: wide[name].astype(int) for name in whole}
            caption = LIVE_CAPTION if live else MOMENTS_CAPTION + _counted(metric, " In the {}.")
            table = pd.DataFrame(wide.assign(**counts))
            if len(before) and len(run.steps) > 1:
                table = _beside_first(table, before, run.steps[0])
            blocks.append(Table.of(table, title=f"{title} at step {run.steps[-1]}", caption=caption))
    return tuple(blocks)


def _beside_first(table: pd.DataFrame, before: pd.DataFrame, step: int) -> pd.DataFrame:
    """The table with mean and spread at the first step beside those at the last."""
    wide = widened(before, index="group", columns="statistic")
    for name in ("std", "mean"):
        if name in table and name in wide:
            then = table["layer"].map(wide[name])
            table.insert(list(table.columns).index(name) + 1, f"{name} at step {step}", then)
    return table


def _defined(run: Trajectory) -> list[str]:
    """The measures on the page."""
    live = [metric for metric, *_ in OF_SAMPLES if metric in run.description.measures]
    return list(dict.fromkeys([*(metric for metric, *_ in MEASURES), *live]))


def _densities(values: Mapping[str, Mapping[tuple[str, str], samples.Values]]) -> tuple[Block, ...]:
    """The density of each layer at the first, the middle and the last step."""
    steps = list(values)
    by_place = {place: {step: values[step][place] for step in steps} for place in values[steps[-1]]}
    curves = samples.density_curves(by_place)
    keys = distributions.keys(steps, "depth")
    blocks = []
    for metric, title in (("node_strength", "Node strength"), ("link_weights", "Link weights")):
        panels = distributions.density_panels(curves, steps, metric, "depth")
        if panels:
            caption = f"Density of {title.lower()} by layer, at three steps of training."
            blocks.append(Figure(title, panels, caption, definitions.definition(metric), keys))
    return tuple(blocks)


def _divergence(values: Mapping[tuple[str, str], samples.Values]) -> tuple[Block, ...]:
    """Divergence between layers at the last step."""
    by_metric: samples.Samples = {}
    for (metric, group), found in values.items():
        by_metric.setdefault((metric, ""), {})[group] = found
    titles = {"node_strength": "Node strength", "link_weights": "Link weights"}
    matrices = samples.divergences(by_metric)
    panels = tuple(
        Panel(distributions.heatmap(matrix, value="Jeffreys divergence (nats)"), titles[metric])
        for (metric, _), matrix in matrices.items()
    )
    caption = (
        "Jeffreys divergence, in nats, between the densities of two layers at the last step: 0 for equal densities. A "
        "row is empty where all values of a layer are equal."
    )
    figure = Figure("Divergence between layers", panels, caption, definitions.divergence(), arrangement="wide")
    rows = beside_chance(by_metric, matrices)
    return (figure, *(table for metric in titles for table in chance_table(rows, metric)))


def _line(series: pd.Series, name: str) -> pd.DataFrame:
    known = series.dropna()
    return known.rename("value").rename_axis("step").reset_index().assign(name=name)
