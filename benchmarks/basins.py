"""Attraction basins: how long one takes, and whether many networks with noise run faster stacked than one by one."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import axonometry as ax
from axonometry.metrics.basins.classifier import examined
from axonometry.metrics.basins.weight_noise import NoisyWeights
from axonometry.populations import datasets
from axonometry.populations.families import build
from benchmarks.timing import Row, compare

SAMPLES = 1000
DRAWS = 32
UPDATES = 300


def trained(family: str, **choices: object) -> tuple[nn.Module, Tensor, Tensor]:
    """A network after a few hundred updates on MNIST, with the first test images."""
    data = datasets.load_dataset("mnist")
    torch.manual_seed(0)
    model = build(family, data.shape, data.n_classes, **choices)
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(UPDATES):
        some = torch.randint(0, len(data.train_labels), (128,))
        optimiser.zero_grad()
        F.cross_entropy(model(data.train_inputs[some]), data.train_labels[some]).backward()
        optimiser.step()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return model.to(device), data.test_inputs[:SAMPLES].to(device), data.test_labels[:SAMPLES].to(device)


def lenet() -> list[Row]:
    """Both basins of a LeNet over 1,000 test images, and the weight basin over a quarter of them."""
    model, samples, labels = trained("lenet")
    rows, widths = [], []
    for name, measure, n, goal in (
        ("sample", ax.sample_basin, SAMPLES, 30),
        ("weight", ax.weight_basin, SAMPLES, 60),
        ("weight", ax.weight_basin, SAMPLES // 4, 20),
    ):
        processor = time.process_time()
        start = time.perf_counter()
        basin = measure(model, samples[:n], labels[:n])
        took, processor = time.perf_counter() - start, time.process_time() - processor
        one = basin.network
        widths.append((one.high_all - one.low_all) / one.amplitude)
        detail = f"{one.amplitude:.3f} [{one.low_all:.3f}, {one.high_all:.3f}], {basin.search.draws} draws"
        what = f"{name} basin of a LeNet over {n:,} MNIST images, bisected to 2%, with those of classes and samples"
        rows.append(
            Row(what, f"{took:.1f} s", f"at most {goal} s", took <= goal, 1, f"{processor:.1f} s of cores; {detail}")
        )
    wider = widths[2] / widths[1]
    what = "width of the weight basin's interval over a quarter of the images, against all"
    rows.append(Row(what, f"{wider:.2f} times", "at most 1.5", wider <= 1.5, 1, ""))
    return rows


def stacking() -> list[Row]:
    """One amplitude with 32 networks: all as one (vmap) against one by one, and against plain passes."""
    rows = []
    kinds = {"LeNet": ("lenet", {}), "784-32-32-200-10": ("fully-connected", {"size": "small"})}
    for name, (family, choices) in kinds.items():
        model, samples, labels = trained(family, **choices)
        for n in (50, SAMPLES):
            with examined(model, samples[:n], labels[:n]) as classifier:
                amplitude = torch.full((n,), 0.5, dtype=torch.float64)
                together, alone = (NoisyWeights(classifier, DRAWS, 0, stacked=stacked) for stacked in (True, False))

                def passes() -> None:
                    for _ in range(DRAWS):
                        for part in classifier.samples.split(classifier.rows):
                            classifier.model(part)

                stacked = compare(lambda: together.right(amplitude), lambda: alone.right(amplitude), n=5)  # noqa: B023
                floor = compare(lambda: alone.right(amplitude), passes, n=5)  # noqa: B023
            what = f"{DRAWS} noisy networks of {name} on {n:,} images, stacked against one by one"
            speed = 1 / stacked.ratio
            rows.append(Row(what, f"{speed:.2f} times as fast", "at least 3", speed >= 3, stacked.n, stacked.detail))
            rows += [floor.at_most(f"the same one by one, against as many passes without noise ({name}, {n:,})", 2)]
    return rows
