"""The figures of a population's page, each with caption, definition and n."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axonometry.report import definitions, distributions, figures, samples
from axonometry.report.chance import chance_table
from axonometry.report.page import Block, Figure, Key, Panel

if TYPE_CHECKING:
    from axonometry.report.study import Study

OF_SAMPLES = (
    ("neuron_strength", "mean", "Neuron strength over time"),
    ("neuron_activation", "mean", "Neuron activation over time"),
    ("neuron_activation", "sparsity", "Zeros among the activations over time"),
)
"""Figures of networks that ran on samples: metric, statistic, title."""


def defined(found: Study) -> list[str]:
    """The measures on the page, in the order of its definitions."""
    live = [metric for metric, *_ in OF_SAMPLES if metric in found.example.description.measures]
    return list(dict.fromkeys(["layer_fluctuation", "node_strength", "link_weights", *live]))


def accuracy_over_time(found: Study) -> Figure:
    """Accuracy over time by final accuracy."""
    values = found.carried("accuracy")
    figure = figures.over_time(values, y="accuracy on test data", percent=True, step=found.step_name)
    caption = f"Test accuracy over training, by final accuracy. {_band(found)}"
    return Figure("Accuracy over time", (Panel(figure),), caption, legend=legend(found), arrangement="wide")


def measures_over_time(found: Study) -> tuple[Block, ...]:
    """Loss, fluctuation, mean strength, spread of the weights, and measures of samples over time."""
    blocks = [
        _over_time(found, "layer_fluctuation", "value", found.groups, "Layer fluctuation over time"),
        _over_time(found, "node_strength", "mean", found.groups, "Node strength over time"),
        _over_time(found, "link_weights", "std", found.synapses, "Spread of the link weights over time"),
    ]
    for metric, statistic, title in OF_SAMPLES:
        measured = [group for group in found.groups if len(found.tracked(metric, group, statistic))]
        if measured:
            blocks.append(_over_time(found, metric, statistic, measured, title))
    loss = found.carried("loss").dropna()
    if len(loss):
        figure = figures.over_time(loss, y="loss on test data (nats)", step=found.step_name)
        blocks.append(
            Figure("Loss over time", (Panel(figure),), _band(found), legend=legend(found), arrangement="wide")
        )
    return tuple(blocks)


def by_accuracy(found: Study) -> tuple[Block, ...]:
    """Fluctuation, node strength and link weights by accuracy bin."""
    last = found.tracked_last("layer_fluctuation")
    panels = []
    for group in found.groups:
        values = last[last["group"] == group]
        log = figures.spans_decades(values["value"])
        panels.append(Panel(distributions.by_bin(values, y=definitions.axis("layer_fluctuation"), log=log), group))
    caption = "Each dot is a network at its last step; the box is the interquartile range of its bin, with the median."
    caption += f" Layer fluctuation in the {definitions.convention('layer_fluctuation')}."
    fluctuation = Figure(
        "Layer fluctuation by accuracy",
        tuple(panels),
        caption,
        definitions.definition("layer_fluctuation"),
        legend(found),
    )
    return (fluctuation, *_densities(found))


def divergence_figures(found: Study) -> tuple[Block, ...]:
    """Divergence of node strength and link weights between accuracy bins, by layer."""
    blocks: list[Block] = []
    for metric, name in (("node_strength", "Node strength"), ("link_weights", "Link weights")):
        if any(of == metric for of, _ in found.divergences):
            caption = (
                "Jeffreys divergence, in nats, between the densities of two accuracy bins: 0 for equal densities. "
                f"Colours run from 0 to each layer's maximum. {_pooled(found)}"
            )
            panels = distributions.divergence_panels(found.divergences, metric)
            title = f"{name}: divergence between accuracy bins"
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
        panels = [Panel(distributions.by_value(found.networks, name), name.replace("_", " ")) for name in short]
        blocks.append(Figure("Accuracy by choice", tuple(panels), caption))
    for name in long:
        panel = Panel(distributions.by_value(found.networks, name))
        blocks.append(Figure(f"Accuracy by {name.replace('_', ' ')}", (panel,), caption, arrangement="wide"))
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
    for metric, title in (("node_strength", "Node strength by accuracy"), ("link_weights", "Link weights by accuracy")):
        panels = distributions.density_panels(found.densities, found.bins, metric)
        if panels:
            caption = f"Density of all values of a layer, pooled over the networks of an accuracy bin. {_pooled(found)}"
            blocks.append(Figure(title, panels, caption, definitions.definition(metric), legend(found, found.read)))
    return blocks


def _band(found: Study) -> str:
    words = "The line is the median over the networks of an accuracy bin, the band their interquartile range."
    return words + (" Networks whose training has ended keep their last value." if found.lengths_differ else "")


def _pooled(found: Study) -> str:
    most = f"At most {samples.MOST_NETWORKS} networks of a bin, at their last step"
    return f"{most}, and at most {samples.MOST_VALUES:,} values of each layer."
