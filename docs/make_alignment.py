"""The page on alignment: pairs of networks from two seeds, the barrier between them before and after.

    python docs/make_alignment.py FOLDER [--data DATA]

trains the pairs into FOLDER (what is there is not trained again; minutes) and writes docs/results/alignment.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import axonometry as ax
from axonometry.experiments.markdown import markdown_table
from axonometry.metrics.basins.line import WeightLine, merge, weight_line
from axonometry.populations import RunConfiguration, train_population
from axonometry.populations.training import dataset_of, network_of

PAGE = Path(__file__).parent / "results/alignment.md"
USUAL: dict[str, Any] = {
    "dataset": "fashion-mnist-14",
    "test_fraction": 0.2,
    "optimiser": "adam",
    "learning_rate": 1e-3,
    "batch_size": 64,
    "epochs": 4,
}
PAIRS: dict[str, dict[str, Any]] = {
    "LeNet": {"family": "lenet", "train_fraction": 0.2},
    "LeNet, 4 times the width": {"family": "lenet", "train_fraction": 0.1, "width": 4.0},
    "ResNet-8, half of the width": {"family": "resnet-8", "train_fraction": 0.1, "width": 0.5},
    "ResNet-8, the usual width": {"family": "resnet-8", "train_fraction": 0.05, "width": 1.0},
    "transformer, 2 blocks of 32 units": {"family": "attention", "train_fraction": 0.2},
}
LITERATURE = """## Beside the literature [recalled]

Ainsworth et al. (2022): zero barrier between wide MLPs on MNIST and CIFAR-10 and between ResNet-20 of 32 times the
width on CIFAR-10; clearly above zero at the usual width. Jordan et al. (2022, REPAIR): most of what is left of the
barrier of narrow networks goes when the statistics of activations are set anew. Imfeld et al. (2023) and others: of
transformers, matching takes away a part of the barrier, much less than of convolutional networks. Numbers of other
architectures and data cannot be held against those above; the direction can.
"""
CHANCE = """`before` is the straight line from one network to the other as they were trained, `weights` after
`ax.align`, `activations` after `ax.program.align_activations` on {samples} training images. Barrier: most by which
the test loss on the line lies above the straight line between the ends (nats, {points} points; running statistics of
batch norms are estimated anew at each point). Accuracies are of the test images, `merged` is the mean of the aligned
weights with its statistics estimated anew. One pair each: a difference of a few hundredths says nothing."""
SAMPLES, POINTS = 1000, 7


def main() -> None:
    """Train, measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder of the runs")
    parser.add_argument("--data", help="folder of the image data; $AXONOMETRY_DATA where it is left out")
    given = parser.parse_args()
    rows = [_row(name, choices, given.folder, given.data) for name, choices in PAIRS.items()]
    PAGE.write_text("\n".join(_page(rows)), encoding="utf-8")


def _row(name: str, choices: dict[str, Any], folder: Path, data: str | None) -> tuple[Any, ...]:
    pair = [RunConfiguration(**USUAL, **choices, seed=seed) for seed in (1, 2)]
    trained = train_population(pair, folder, workers=1, data=data, measures=("link_weights",))
    a, b = ({key: tensor.clone() for key, tensor in trained.graph(one).state.items()} for one in trained.runs)
    dataset = dataset_of(pair[0], data)
    model = network_of(pair[0], dataset.train_inputs.shape[1:], dataset.n_classes).eval()
    graph = ax.capture(model, dataset.test_inputs[:1])
    seen, inputs, labels = dataset.train_inputs[:SAMPLES], dataset.test_inputs, dataset.test_labels
    start = time.perf_counter()
    by_weights = ax.permute(b, graph, ax.align(graph, a, b))
    seconds = time.perf_counter() - start
    by_activations = ax.permute(b, graph, ax.program.align_activations(graph, a, b, seen))
    lines = [weight_line(model, a, other, inputs, labels, points=POINTS) for other in (b, by_weights, by_activations)]
    merged = merge(model, [a, min((by_weights, by_activations), key=lambda s: _line(lines, s, by_weights))], seen)
    ends = f"{lines[0].accuracy[0]:.3f}, {lines[0].accuracy[-1]:.3f}"
    middle = [f"{line.accuracy[POINTS // 2]:.3f}" for line in lines]
    barriers = [f"{line.barrier:.3f}" for line in lines]
    lengths = [f"{_distance(a, other, graph):.2f}" for other in (b, by_weights, by_activations)]
    return name, ends, *barriers, *middle, f"{_accuracy(model, merged, inputs, labels):.3f}", *lengths, f"{seconds:.2f}"


def _line(lines: list[WeightLine], state: dict[str, Tensor], by_weights: dict[str, Tensor]) -> float:
    return lines[1 if state is by_weights else 2].barrier


@torch.no_grad()
def _accuracy(model: torch.nn.Module, state: dict[str, Tensor], inputs: Tensor, labels: Tensor) -> float:
    model.load_state_dict(state)
    return float((model(inputs).argmax(1) == labels).double().mean())


def _distance(a: dict[str, Tensor], b: dict[str, Tensor], graph: ax.NeuralGraph) -> float:
    return float(sum((a[key] - b[key]).double().square().sum() for key in graph.program.parameters)) ** 0.5


def _page(rows: list[tuple[Any, ...]]) -> Iterator[str]:
    yield "# Alignment of trained networks\n"
    yield (
        "Written by `python docs/make_alignment.py FOLDER`; do not edit. Two networks of each architecture on 14 x 14 "
        f"Fashion-MNIST, from seeds 1 and 2 (Adam, {USUAL['epochs']} epochs).\n"
    )
    yield CHANCE.format(samples=SAMPLES, points=POINTS) + "\n"
    kinds = ("before", "weights", "activations")
    yield "## Barrier and distance\n"
    heads = ("network", *(f"barrier {k}" for k in kinds), *(f"distance {k}" for k in kinds), "seconds to align")
    yield markdown_table(heads, [(row[0], *row[2:5], *row[9:12], row[12]) for row in rows])
    yield "\n## Accuracy of the mean\n"
    heads = ("network", "the two", *(f"middle {k}" for k in kinds), "merged")
    yield markdown_table(heads, [(row[0], row[1], *row[5:9]) for row in rows])
    yield "\n" + LITERATURE


if __name__ == "__main__":
    main()
