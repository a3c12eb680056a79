"""The figures of a population's page, each with caption, definition and n."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axonometry.metrics import CATALOGUE
from axonometry.report import definitions, distributions, figures, samples
from axonometry.report.chance import chance_table
from axonometry.report.page import Block, Figure, Key, Panel

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from axonometry.report.study import Study

OF_SAMPLES = (
    ("neuron_strength", "mean", "Neuron strength over time"),
    ("neuron_activation", "mean", "Neuron activation over time"),
    ("neuron_activation", "sparsity", "Zeros among the activations over time"),
)
"""Figures of networks that ran on samples: metric, statistic, title."""


ALWAYS = ("layer_fluctuation", "node_strength", "link_weights")
"""Measures whose definitions a page always has: its densities are of two of them."""
SHOWN = (
    ("layer_fluctuation", "value", "Layer fluctuation over time"),
    ("node_strength", "mean", "Node strength over time"),
)


def defined(found: Study) -> list[str]:
    """The measures on the page, in the order of its definitions."""
    recorded = found.example.description.measures
    return [name for name in dict.fromkeys([*ALWAYS, *recorded]) if name in ALWAYS or name in recorded]


def accuracy_over_time(found: Study) -> Figure:
    """Accuracy over time by final accuracy."""
    values, score = found.carried(found.score.name), found.score
    figure = figures.over_time(values, y=score.axis, percent=score.share, step=found.step_name)
    subject = "Test accuracy" if score.name == "accuracy" else _capital(score.words)
    caption = f"{subject} over training, by final {score.words}. {_band(found)}"
    return Figure(
        f"{_capital(score.words)} over time", (Panel(figure),), caption, legend=legend(found), arrangement="wide"
    )


def measures_over_time(found: Study) -> tuple[Block, ...]:
    """Loss, fluctuation, mean strength, spread of the weights, and measures of samples over time."""
    measured = [
        _over_time(found, metric, statistic, found.measured_groups(metric, statistic), title)
        for metric, statistic, title in (*SHOWN, *OF_SAMPLES, *_further(found))
        if found.measured_groups(metric, statistic)
    ]
    blocks: list[Block] = [*measured]
    if found.synapses:
        title = "Spread of the link weights over time"
        blocks.insert(min(2, len(measured)), _over_time(found, "link_weights", "std", found.synapses, title))
    loss = found.carried("loss").dropna()
    if len(loss) and found.score.name != "loss":
        figure = figures.over_time(loss, y="loss on test data (nats)", step=found.step_name)
        blocks.append(
            Figure("Loss over time", (Panel(figure),), _band(found), legend=legend(found), arrangement="wide")
        )
    return tuple(blocks)


def by_accuracy(found: Study) -> tuple[Block, ...]:
    """Fluctuation, node strength and link weights by accuracy bin."""
    last = found.tracked_last("layer_fluctuation")
    panels = []
    for group in found.measured_groups("layer_fluctuation"):
        values = last[last["group"] == group]
        log = figures.spans_decades(values["value"])
        panels.append(Panel(_by_bin(found, values, log=log), group))
    caption = "Each dot is a network at its last step; the box is the interquartile range of its bin, with the median."
    caption += f" Layer fluctuation in the {definitions.convention('layer_fluctuation')}."
    title, of = f"Layer fluctuation by {found.score.words}", definitions.definition("layer_fluctuation")
    fluctuation = [Figure(title, tuple(panels), caption, of, legend(found))] if panels else []
    return (*fluctuation, *_densities(found))


def divergence_figures(found: Study) -> tuple[Block, ...]:
    """Divergence of node strength and link weights between accuracy bins, by layer."""
    blocks: list[Block] = []
    for metric, name in (("node_strength", "Node strength"), ("link_weights", "Link weights")):
        if any(of == metric for of, _ in found.divergences):
            caption = (
                f"Jeffreys divergence, in nats, between the densities of two {found.score.words} bins: 0 for equal "
                f"densities. Colours run from 0 to each layer's maximum. {_pooled(found)}"
            )
            panels = distributions.divergence_panels(found.divergences, metric)
            title = f"{name}: divergence between {found.score.words} bins"
            blocks += [Figure(title, panels, caption, definitions.divergence())]
            blocks += chance_table(found.chance, metric)
    return tuple(blocks)


def by_choice(found: Study) -> list[Block]:
    """Final accuracy by the choices in which the networks differ; choices with long names have separate figures."""
    kinds: dict[tuple[int, ...], str] = {}
    for name in found.differing:
        codes, values = found.networks[name].factorize()
        # A choice that another one determines (a learning rate that goes with the optimiser) adds no information.
        drawn = 1 < len(values) <= distributions.MOST_CHOICES or distributions.numerous(found.networks[name])
        if name != "seed" and drawn:
            kinds.setdefault(tuple(codes), name)
    long = [name for name in kinds.values() if distributions.long(found.networks[name])]
    short = [name for name in kinds.values() if name not in long]
    caption = "Each dot is a network; boxes are the interquartile range for the same choice, with the median."
    blocks: list[Block] = []
    if short:
        panels = [
            Panel(distributions.by_value(found.networks, name, found.score), name.replace("_", " ")) for name in short
        ]
        blocks.append(Figure(f"{_capital(found.score.words)} by choice", tuple(panels), caption))
    for name in long:
        panel = Panel(distributions.by_value(found.networks, name, found.score))
        blocks.append(
            Figure(f"{_capital(found.score.words)} by {name.replace('_', ' ')}", (panel,), caption, arrangement="wide")
        )
    return blocks


def legend(found: Study, counts: dict[str, int] | None = None) -> tuple[Key, ...]:
    """The accuracy bins with their colours and numbers of networks."""
    sizes = {str(name): n for name, n in found.networks["bin"].value_counts().items()} if counts is None else counts
    return distributions.keys(found.bins, counts=sizes)


def _over_time(found: Study, metric: str, statistic: str, groups: list[str], title: str) -> Figure:
    axis = definitions.axis(metric, statistic)
    panels = tuple(
        Panel(figures.over_time(found.carried(metric, group, statistic), y=axis, step=found.step_name), group)
        for group in groups
    )
    return Figure(
        title,
        panels,
        f"{axis[0].upper()}{axis[1:]}, by layer. {_band(found)}",
        definitions.definition(metric),
        legend(found),
    )


def _densities(found: Study) -> list[Block]:
    blocks: list[Block] = []
    for metric, name in (("node_strength", "Node strength"), ("link_weights", "Link weights")):
        title = f"{name} by {found.score.words}"
        panels = distributions.density_panels(found.densities, found.bins, metric)
        if panels:
            caption = (
                f"Density of all values of a layer, pooled over the networks of {_one(found)} bin. {_pooled(found)}"
            )
            blocks.append(Figure(title, panels, caption, definitions.definition(metric), legend(found, found.read)))
    return blocks


def _band(found: Study) -> str:
    words = f"The line is the median over the networks of {_one(found)} bin, the band their interquartile range."
    return words + (" Networks whose training has ended keep their last value." if found.lengths_differ else "")


def _pooled(found: Study) -> str:
    most = f"At most {samples.MOST_NETWORKS} networks of a bin, at their last step"
    return f"{most}, and at most {samples.MOST_VALUES:,} values of each layer."


def _further(found: Study) -> list[tuple[str, str, str]]:
    """Measures that a page has no figure of its own for: metric, statistic, title."""
    shown = {metric for metric, *_ in (*SHOWN, *OF_SAMPLES)} | {"link_weights"}
    names = [name for name in found.example.description.measures if name in CATALOGUE and name not in shown]
    titles = {name: f"{_capital(CATALOGUE[name].title)} over time" for name in names}
    return [(name, statistic, titles[name]) for name in names for statistic in ("value", "mean")]


def _by_bin(found: Study, values: pd.DataFrame, *, log: bool) -> go.Figure:
    return distributions.by_bin(values, y=definitions.axis("layer_fluctuation"), log=log, score=found.score)


def _one(found: Study) -> str:
    """The score's name behind its article."""
    return f"{'an' if found.score.words[:1] in 'aeiou' else 'a'} {found.score.words}"


def _capital(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}"
