"""Weighted degree and eigenvector centrality of neuron graphs, against networkx and in forward passes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

import networkx as nx
import numpy as np
import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.metrics.catalogue import CATALOGUE, Shared
from axonometry.populations.cifar_networks import LeNet
from axonometry.populations.resnet import ResNet
from benchmarks.timing import Row, fresh_capture, seconds

FEATURES = ("channel_degree", "channel_centrality")
PLAN = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)


def vgg_16(size: int, hidden: tuple[int, ...] = (4096, 4096), classes: int = 10) -> nn.Sequential:
    """VGG-16: 3x3 convolutions with these channels, 0 for a pooling, then linear layers."""
    layers: list[nn.Module] = []
    channels = 3
    for wide in PLAN:
        if wide:
            layers += [nn.Conv2d(channels, wide, 3, padding=1), nn.ReLU()]
            channels = wide
        else:
            layers.append(nn.MaxPool2d(2))
            size //= 2
    wide = channels * size * size
    layers.append(nn.Flatten())
    for following in hidden:
        layers += [nn.Linear(wide, following), nn.ReLU()]
        wide = following
    return nn.Sequential(*layers, nn.Linear(wide, classes)).eval()


def link_by_link(kernel: Tensor, side: int, source: str, target: str, graph: nx.Graph) -> None:
    """The links of a valid convolution over a square map, one ``add_edge`` each."""
    weights = kernel.abs().numpy()
    outputs, inputs, tall, wide = weights.shape
    out = side - tall + 1
    for o, c, i, j in np.ndindex(outputs, inputs, tall, wide):
        weight = float(weights[o, c, i, j])
        for y in range(out):
            for x in range(out):
                graph.add_edge((source, c, y + i, x + j), (target, o, y, x), weight=weight)


def pooled(channels: int, side: int, source: str, target: str, graph: nx.Graph) -> None:
    """The links of a pooling over windows of 2x2."""
    for c, y, x in np.ndindex(channels, side, side):
        graph.add_edge((source, c, y, x), (target, c, y // 2, x // 2), weight=0.25)


def dense(weight: Tensor, sources: list[tuple[object, ...]], target: str, graph: nx.Graph) -> list[tuple[object, ...]]:
    """The links of a linear layer; its units."""
    units: list[tuple[object, ...]] = [(target, o) for o in range(len(weight))]
    for unit, row in zip(units, weight.abs().tolist(), strict=True):
        for node, value in zip(sources, row, strict=True):
            graph.add_edge(node, unit, weight=value)
    return units


def by_networkx(model: nn.Module) -> tuple[dict[object, float], dict[object, float]]:
    """LeNet on 3x32x32 as networkx's graph, its weighted degrees and its eigenvector centrality."""
    state, graph = {name: value.detach() for name, value in model.state_dict().items()}, nx.Graph()
    link_by_link(state["conv1.weight"], 32, "input", "conv1", graph)
    pooled(6, 28, "conv1", "pool1", graph)
    link_by_link(state["conv2.weight"], 14, "pool1", "conv2", graph)
    pooled(16, 10, "conv2", "pool2", graph)
    units: list[tuple[object, ...]] = [("pool2", *place) for place in np.ndindex(16, 5, 5)]
    for name in ("fc1", "fc2", "fc3"):
        units = dense(state[f"{name}.weight"], units, name, graph)
    return dict(graph.degree(weight="weight")), nx.eigenvector_centrality(graph, weight="weight")


def lenet() -> list[Row]:
    """The neuron graph of LeNet against networkx, and the channel features of a run of five snapshots."""
    torch.manual_seed(0)
    model, image = LeNet().eval(), torch.zeros(1, 3, 32, 32)
    graph, state = ax.capture(model, image, pooling="nodes"), model.state_dict()

    def ours() -> ax.NodeValues:
        snapshot = graph.at(state)
        ax.weighted_degree(snapshot)
        return ax.eigenvector_centrality(snapshot)

    def captured() -> object:
        return ax.weighted_degree(fresh := fresh_capture(model, image, pooling="nodes")), ax.eigenvector_centrality(
            fresh
        )

    captured(), ours()
    pairs = [(seconds(lambda: by_networkx(model)), median(seconds(ours) for _ in range(9))) for _ in range(3)]
    whole = median(seconds(captured) for _ in range(3))
    theirs, mine = median(a for a, _ in pairs), median(b for _, b in pairs)
    ratio = median(a / b for a, b in pairs)
    degrees, centrality = by_networkx(model)
    worst = max(np.abs(np.sort([*centrality.values()]) - np.sort(ours().flatten().numpy())))
    shared = median(seconds(lambda: _features(model, graph)) for _ in range(9))
    detail = f"{1e3 * mine:.3g} ms against {theirs:.3g} s, {len(degrees):,} neurons, {graph.n_links:,} links"
    return [
        Row(
            "weighted degree and eigenvector centrality of LeNet's neurons, against networkx",
            f"{ratio:,.0f} times faster",
            "at least 200",
            ratio >= 200,
            3,
            detail,
        ),
        Row(
            "the same with the capture",
            f"{theirs / whole:,.0f} times faster",
            "none",
            True,
            3,
            f"{whole:.3g} s",
        ),
        Row(
            "largest difference between the two, neurons ordered by centrality",
            f"{worst:.1e}",
            "at most 1e-4",
            bool(worst <= 1e-4),
            1,
            "networkx's own tolerance",
        ),
        Row(
            "channel-graph features of five snapshots of LeNet",
            f"{1e3 * shared:.1f} ms",
            "at most 50 ms",
            shared <= 0.05,
            9,
            "degree and centrality",
        ),
    ]


def _features(model: nn.Module, graph: ax.NeuralGraph) -> list[object]:
    rows: list[object] = []
    for _ in range(5):
        shared = Shared(graph.at(model.state_dict()))
        for name in FEATURES:
            rows += CATALOGUE[name].table(shared)
    return rows


def large() -> list[Row]:
    """Each network in a process of its own, for its memory."""
    rows: list[Row] = []
    for name in NETWORKS:
        command = [sys.executable, "-m", "benchmarks.centrality", name]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        links, products, took, forward, memory = (float(word) for word in run.stdout.split())
        small = name.endswith("32x32")
        good = products <= 60 and memory < 1e9 if small else True
        rows.append(
            Row(
                f"eigenvector centrality of {name}, {links:,.0f} links",
                f"{took / forward:.0f} forward passes",
                "at most 60 products, under 1 GB" if small else "that it ends",
                good,
                1,
                f"{products:.0f} products, {took:.3g} s, {memory / 1e6:,.0f} MB beyond the captured network",
            )
        )
    return rows


NETWORKS = {
    "VGG-16, 32x32": lambda: (vgg_16(32), 32),
    "VGG-16 without hidden linear layers, 32x32": lambda: (vgg_16(32, ()), 32),
    "ResNet-50, 224x224": lambda: (ResNet(50).eval(), 224),
    "VGG-16, 224x224": lambda: (vgg_16(224, classes=1000), 224),
}


def one(name: str) -> tuple[float, ...]:
    """Links, products, seconds, seconds of a forward pass, and bytes at the worst moment beyond the network."""
    model, size = NETWORKS[name]()
    image = torch.zeros(1, 3, size, size)
    graph = ax.capture(model, image)
    with torch.no_grad():
        forward = median(seconds(lambda: model(image)) for _ in range(5))
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    pair: list[ax.metrics.Eigenpair] = []
    took = seconds(lambda: pair.append(ax.leading_eigenpair(graph)))
    return graph.n_links, pair[0].products, took, forward, _status("VmHWM") - before


def _status(name: str) -> int:
    """A figure of this process's memory in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name))) * 1024


if __name__ == "__main__":
    print(*one(sys.argv[1]))
