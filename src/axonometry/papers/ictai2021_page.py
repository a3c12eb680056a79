"""The findings of the experiment on La Malfa et al. 2021 as an HTML page, a tab an ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axonometry.papers.ictai2021_table import in_short
from axonometry.report import definitions, distributions, figures, palette
from axonometry.report.intervals import intervals, keys
from axonometry.report.page import Block, Facts, Figure, Key, Page, Panel, Prose, Tab, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from axonometry.papers.ensembles import Ensemble
    from axonometry.papers.ictai2021 import Results
    from axonometry.papers.individual import Individual

TITLES = {
    "node_strength": "Node strength",
    "link_weights": "Link weights",
    "layer_fluctuation": "Layer fluctuation",
}
DIVERGENCE = "Jeffreys divergence (nats)"
FLUCTUATION = (
    "rho: Spearman's rank correlation with accuracy over networks, rho_low and rho_high its 95% bootstrap interval. "
    "alike: the same among networks that were trained alike, which differ by their seed alone. lowest_bin and "
    "highest_bin: the median in the accuracy bins at both ends."
)
SEPARATION = (
    "auc: how often the number is greater in a network of the most accurate third than in one of the least accurate "
    "third, with its 95% bootstrap interval. p: Mann-Whitney test; p_adjusted: for all rows, by Holm's method. rho and "
    "alike as above."
)
APART = "in nats: 0 where two densities are alike, large where they are far apart."


def results_page(results: Results, *, command: str = "axonometry paper ictai2021") -> Page:
    """The page of the whole experiment.

    Args:
        results: Of :func:`axonometry.papers.ictai2021.run`.
        command: What repeats it.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    counted = sum(len(found.networks) for found in results.ensembles)
    tabs = [Tab(found.name, _ensemble(found)) for found in results.ensembles]
    return Page(
        "Does a network's graph tell how good it is?",
        f"The experiment of La Malfa et al. 2021 on {counted:,} networks, layer by layer.",
        (*tabs, Tab("One network", _individual(results.individual)), definitions.tab(TITLES)),
        {"scale": results.scale, "convention": "ictai2021", "networks": counted},
        command,
    )


def _ensemble(found: Ensemble) -> tuple[Block, ...]:
    accuracy = found.networks["accuracy"]
    facts = {
        "networks": len(accuracy),
        "accuracy": f"{accuracy.min():.0%} to {accuracy.max():.0%}",
        "median accuracy": f"{accuracy.median():.1%}",
        "left out: a weight is not finite": found.broken,
    }
    blocks: list[Block] = [
        Facts(facts, prominent=True),
        Prose("\n\n".join(line.replace("**", "") for line in in_short(found)), "In short"),
        _against_accuracy(found),
        _fluctuation(found),
        _separation(found),
        Table.of(found.fluctuation, title="Layer fluctuation and accuracy", caption=FLUCTUATION),
        Table.of(
            found.separation, title="The most accurate third against the least accurate third", caption=SEPARATION
        ),
    ]
    for metric, title in TITLES.items():
        blocks += [*_densities(found, metric, title), *_apart(found.divergences, metric, title)]
    if not found.divergences:
        blocks.append(Prose("Fewer than two accuracy bins have enough networks to be compared."))
    return tuple(blocks)


def _against_accuracy(found: Ensemble) -> Figure:
    rows = found.summaries[found.summaries["metric"] == "layer_fluctuation"].assign(step=0)
    values = rows.merge(found.networks["accuracy"], left_on="network", right_index=True)
    rho = found.fluctuation.set_index("layer")
    panels = tuple(
        Panel(
            figures.against_accuracy(
                values[values["group"] == layer],
                y=definitions.axis("layer_fluctuation"),
                log=figures.spans_decades(values.loc[values["group"] == layer, "value"]),
            ),
            layer,
            f"ρ = {rho.loc[layer, 'rho']:+.2f}, n = {rho.loc[layer, 'n']}",
        )
        for layer in dict.fromkeys(values["group"])
    )
    return Figure(
        "Do layers fluctuate more in networks that do better?",
        panels,
        "A dot is a network at the end of its training. ρ is Spearman's rank correlation over networks.",
        definitions.definition("layer_fluctuation"),
        arrangement="switch",
        chosen=min(1, len(panels) - 1),
    )


def _fluctuation(found: Ensemble) -> Figure:
    """How fluctuation goes with accuracy, layer by layer, over all networks and among those that were trained alike."""
    series = {"rho": "all networks", "alike": "networks trained alike"}
    panel = intervals(_estimates(found.fluctuation, series), x="Spearman's ρ with accuracy", reference=0.0)
    caption = (
        "Right of the dotted line, networks whose layer fluctuates more do better. A bar is the 95% bootstrap interval "
        f"over {len(found.networks)} networks. Networks trained alike differ by their seed alone: what is left among "
        "them is no effect of longer or faster training."
    )
    legend = keys(list(series.values()))
    return Figure("Fluctuation and accuracy, layer by layer", (panel,), caption, legend=legend, arrangement="wide")


def _separation(found: Ensemble) -> Figure:
    """How well node strength and link weights tell the best third from the worst, layer by layer."""
    panels, layers = [], list(found.fluctuation["layer"])
    for statistic, words in (("mean", "by their mean"), ("std", "by their standard deviation")):
        rows = found.separation[found.separation["statistic"] == statistic]
        named = rows.assign(name=rows["layer"], series=rows["metric"].map(TITLES).str.lower()).rename(
            columns={"auc": "value", "auc_low": "low", "auc_high": "high"}
        )
        named = named.sort_values("layer", key=lambda layer: layer.map(layers.index), kind="stable")
        panels.append(intervals(named, x="area under the ROC curve", reference=0.5, limits=(-0.03, 1.03), title=words))
    series = list(dict.fromkeys(named["series"]))
    caption = (
        "How often the number is greater in a network of the most accurate third than in one of the least accurate "
        "third. 1 or 0: it tells them apart without error; 0.5, the dotted line: not at all. A bar is the 95% "
        "bootstrap interval over networks."
    )
    title = "Does node strength tell accurate networks apart where link weights do not?"
    return Figure(title, tuple(panels), caption, legend=keys(series))


def _estimates(table: pd.DataFrame, series: Mapping[str, str]) -> pd.DataFrame:
    """Columns name, series, value, low, high, from columns that are called after the estimate."""
    import pandas as pd

    parts = [
        table[["layer", key, f"{key}_low", f"{key}_high"]].set_axis(["name", "value", "low", "high"], axis=1)
        for key in series
    ]
    return pd.concat([part.assign(series=name) for part, name in zip(parts, series.values(), strict=True)])


def _densities(found: Ensemble, metric: str, title: str) -> list[Block]:
    mine = found.densities[found.densities["metric"] == metric]
    panels = tuple(
        Panel(distributions.densities(mine[mine["group"] == layer], found.bins, x=definitions.axis(metric)), layer)
        for layer in dict.fromkeys(mine["group"])
    )
    caption = f"The density of {title.lower()} in each accuracy bin, over all networks in it; small bins are left out."
    counts = found.networks["bin"].value_counts()
    keys = _keys(found.bins, "accuracy", {name: f"n = {counts[name]}" for name in mine["name"].unique()})
    return [Figure(f"{title} by accuracy", panels, caption, definitions.definition(metric), keys)] if panels else []


def _apart(matrices: Mapping[tuple[str, str], pd.DataFrame], metric: str, title: str) -> list[Block]:
    panels = tuple(
        Panel(distributions.heatmap(matrix, value=DIVERGENCE), layer)
        for (of, layer), matrix in matrices.items()
        if of == metric
    )
    heading, caption = f"{title}: how far apart the accuracy bins are", f"Jeffreys divergence, {APART}"
    return [Figure(heading, panels, caption, definitions.divergence())] if panels else []


def _individual(found: Individual) -> tuple[Block, ...]:
    blocks: list[Block] = [Facts({"run": found.network, "accuracy": f"{found.accuracy:.1%}"}, prominent=True)]
    for metric, matrix in found.divergences.items():
        mine, layers = found.densities[found.densities["metric"] == metric], list(map(str, matrix.index))
        panels = (
            Panel(distributions.densities(mine, layers, x=definitions.axis(metric), scale="depth"), "Densities"),
            Panel(distributions.heatmap(matrix, value=DIVERGENCE), "How far apart the layers are"),
        )
        caption = f"One network, layer by layer; the divergence is Jeffreys', {APART}"
        keys = _keys(layers, "depth", dict.fromkeys(layers, ""))
        blocks.append(Figure(TITLES[metric], panels, caption, definitions.definition(metric), keys, arrangement="wide"))
    rows = tuple(found.fluctuation.items())
    return (*blocks, Table(("layer", "layer fluctuation"), rows, "Layer fluctuation of this network"))


def _keys(names: Sequence[str], scale: palette.Scale, notes: Mapping[str, str]) -> tuple[Key, ...]:
    """The legend of those names that have a note; colours are the scale's over all names."""
    colours = palette.steps(scale, len(names))
    return tuple(Key(name, colour, notes[name]) for name, colour in zip(names, colours, strict=True) if name in notes)
