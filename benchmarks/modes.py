"""Neuron modes and rank distributions against a plain sort of the same pre-activations, and a network of 100 layers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.metrics.modes.order import by_rows
from axonometry.metrics.modes.pre_activations import parts
from axonometry.program.readings.linear import linear_maps
from benchmarks.timing import Row, compare, seconds

SAMPLES, PAIRS = 10_000, 3


def deep(depth: int, width: int, activation: type[nn.Module]) -> tuple[ax.NeuralGraph, Tensor, Tensor]:
    """A network for MNIST's shapes with He's law, as many samples as the module names, and labels."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for before, after in pairwise((784, *[width] * depth, 10)):
        layers += [nn.Linear(before, after), activation()]
        nn.init.kaiming_normal_(layers[-2].weight)
    network = nn.Sequential(*layers[:-1]).eval()
    return ax.capture(network, torch.zeros(1, 784)), torch.rand(SAMPLES, 784), torch.randint(0, 10, (SAMPLES,))


def measured() -> list[Row]:
    """The modes of all neurons of a 10 x 512 network, the rank distributions of ten classes, 100 layers."""
    rows: list[Row] = []
    for activation in (nn.ReLU, nn.GELU):
        graph, samples, labels = deep(10, 512, activation)
        hidden = [group.name for group in graph.groups if group.role == "hidden"]
        streamed = parts(graph, samples, dict.fromkeys(hidden, False), by="neuron", memory=2**33)
        held = [part.pre_activations for part in streamed]
        what = f"10 x 512 {activation.__name__}, 10,000 samples"

        def sort_all(held: list[np.ndarray] = held) -> None:
            for rows in held:
                torch.sort(torch.from_numpy(rows), dim=1)

        def quickest(held: list[np.ndarray] = held) -> None:
            for rows in held:
                by_rows(lambda some, rows=rows: np.sort(rows[some], axis=1), rows.shape)

        def modes(graph: ax.NeuralGraph = graph, samples: Tensor = samples, names: list[str] = hidden) -> object:
            return ax.neuron_modes(graph, samples, groups=names)

        def ranked(graph: ax.NeuralGraph = graph, samples: Tensor = samples, labels: Tensor = labels) -> object:
            return ax.rank_distribution(graph, samples, labels)

        found = compare(modes, sort_all, n=PAIRS)
        rows.append(found.at_most(f"neuron modes with the forward passes, {what}, against torch.sort", 3))
        against = compare(modes, quickest, n=PAIRS)
        row = against.at_most("the same against numpy's sort, values alone", 3)
        rows.append(row if activation is nn.ReLU else Row(row.what, row.measured, "none", True, row.n, row.detail))
        found = compare(ranked, sort_all, n=PAIRS)
        rows.append(found.at_most(f"rank distributions of ten classes, {what}, against torch.sort", 3))
    return [*rows, _hundred()]


def _hundred() -> Row:
    """A network of 100 layers from its capture on."""
    samples = torch.rand(1000, 784)

    def whole() -> int:
        graph = deep(100, 128, nn.ReLU)[0]
        linear_maps(graph)
        return len(ax.neuron_modes(graph, samples).groups)

    took = seconds(whole)
    what = "capture, modes over 1,000 samples and linear maps of all layers, 100 x 128 ReLU"
    return Row(what, f"{took:.1f} s", "at most 60 s", took <= 60, 1, "from the module on")
