"""``graph.draw()``: from a graph, or two snapshots of one, to its picture, interactive and as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from axonometry.errors import ConfigurationError, ValuesError, closest
from axonometry.metrics.catalogue import CATALOGUE
from axonometry.report.axonometric.scene import scene_of

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.report.axonometric.figure import NetworkFigure

Colour = str | Mapping[str, Tensor]


def draw_graph(
    graph: NeuralGraph,
    colour: Colour = "node_strength",
    *,
    beside: NeuralGraph | None = None,
    names: Sequence[str] = ("before", "after"),
    arrangement: Literal["over", "beside"] = "over",
    n_links: int | None = None,
) -> NetworkFigure:
    """The network as an axonometric picture: layers as planes, channels as cells, the strongest links between them.

    Args:
        graph: The network at one snapshot.
        colour: What cells are coloured by: a measure of the catalogue that has a value a neuron or a group, or values
            by group, of the group's shape or one a channel.
        beside: Another snapshot of the network, drawn with the same scales; values by group are then of both.
        names: Of the two snapshots.
        arrangement: Whether the second snapshot is below the first or beside it.
        n_links: Links drawn between two groups; by default as many as stay readable.

    Returns:
        A Plotly figure, to turn and to zoom; its ``svg()`` is the drawing for pages and talks, without scripts.

    Raises:
        ConfigurationError: No measure has that name, or it has no value a neuron; ``n_links`` is below 0.
        ValuesError: Values do not fit the groups.

    >>> import torch
    >>> from torch import nn
    >>> from axonometry.program import capture
    >>> picture = draw_graph(capture(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.zeros(1, 4)))
    >>> "<script" in picture.svg(), picture.svg().count("<title>")
    (False, 4)
    """
    from axonometry.report.axonometric.figure import NetworkFigure

    if arrangement not in ("over", "beside"):
        raise ConfigurationError("arrangement is 'over' or 'beside'", repr(arrangement), "Choose one of them")
    if n_links is not None and n_links < 0:
        raise ConfigurationError("n_links is 0 or more", str(n_links), "Leave it out for as many as stay readable")
    graphs = [graph] if beside is None else [graph, beside]
    if beside is not None and len(names) != 2:
        raise ConfigurationError("two snapshots have two names", str(len(names)), 'Such as ("before", "after")')
    titles = (
        [_title(graph)] if beside is None else [f"{name} · {_title(g, plain=True)}" for name, g in zip(names, graphs)]
    )
    scenes = tuple(
        scene_of(g, _values(g, colour), n_links=n_links, title=t) for g, t in zip(graphs, titles, strict=True)
    )
    title = CATALOGUE[colour].title if isinstance(colour, str) else "Value"
    return NetworkFigure.of(scenes, title, across=arrangement == "beside")


def _title(graph: NeuralGraph, *, plain: bool = False) -> str:
    counts = f"{len(graph.groups)} groups, {graph.n_neurons:,} neurons, {graph.n_links:,} links"
    name = "Network" if graph.module is None else type(graph.module).__name__
    return counts if plain else f"{name} · {counts}"


def _values(graph: NeuralGraph, colour: Colour) -> Mapping[str, Tensor]:
    if not isinstance(colour, str):
        known = {group.name for group in graph.groups} | {group.rolled for group in graph.groups}
        if not isinstance(colour, Mapping) or not known & set(colour):
            came = ", ".join(map(repr, list(colour)[:4])) if isinstance(colour, Mapping) else type(colour).__name__
            raise ValuesError(
                "colours are values by the names of groups", came, f"The groups are: {', '.join(sorted(known)[:20])}"
            )
        return colour
    if colour not in CATALOGUE:
        remedy = closest(colour, CATALOGUE, "A measure with a value a neuron is node_strength")
        raise ConfigurationError("a measure is named as in the catalogue", repr(colour), remedy)
    spec = CATALOGUE[colour]
    found = None if spec.needs_samples or spec.needs_training else spec.function(graph)
    if not isinstance(found, Mapping):
        raise ConfigurationError(
            "cells are coloured by a value a neuron or a group of the weights alone",
            f"the measure {colour!r}",
            "Pass its values by group, such as ax.neuron_activation(graph, samples).mean",
        )
    return {name: torch.as_tensor(value) for name, value in found.items()}
