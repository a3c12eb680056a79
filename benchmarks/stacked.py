"""LeNets trained together on a GPU, against one after the other on the same GPU; nothing where there is none.

The two differ in the number of networks per stack alone: a stack of one is what a GPU does with a single network.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence

import torch

from axonometry.populations import RunConfiguration, draw_hard_grid
from axonometry.populations.datasets import load_dataset
from axonometry.populations.layers import dropouts
from axonometry.populations.schedule import optimiser_of
from axonometry.populations.stacked import train_stacked
from axonometry.populations.stacked.sampling import StackedSampler
from axonometry.populations.stacked.stack import Stack
from axonometry.populations.training import initial_network
from benchmarks.timing import Row

TOGETHER = 128
GOAL = 20
UPDATES = 100


def lenets() -> list[Row]:
    """LeNet-epochs per second: updates alone, then whole runs with their captures and records."""
    if not torch.cuda.is_available():
        print("left out: stacked training is measured on a GPU, and there is none", file=sys.stderr)
        return []
    fixed = {"batch_size": 128, "train_fraction": 1.0, "optimiser": "sgd", "activation": "relu", "dropout": 0.2}
    runs = draw_hard_grid(range(TOGETHER), dataset="fashion-mnist", family="lenet", epochs=1, **fixed)
    one, many = _updates(runs[:1]), _updates(runs)
    rows = [_row("updates", one, many)]
    return [*rows, _row("whole runs, captures and records included", _whole(runs[:8], 1), _whole(runs, TOGETHER))]


def _row(what: str, one: float, many: float) -> Row:
    detail = f"{many:.2f} against {one:.2f} LeNet-epochs per second, {TOGETHER} together"
    ratio = many / one
    return Row(f"stacked LeNets, {what}", f"{ratio:.0f} times", f"at least {GOAL}", ratio >= GOAL, 1, detail)


def _updates(runs: Sequence[RunConfiguration]) -> float:
    device, data = torch.device("cuda"), load_dataset("fashion-mnist")
    networks = [initial_network(run, data) for run in runs]
    optimisers = [optimiser_of(run, network) for run, network in zip(runs, networks)]
    stack = Stack(networks[0], runs, networks=networks, optimisers=optimisers, step=0, device=device)
    labels = data.train_labels.expand(len(runs), -1)
    units = [layer.units for layer in dropouts(networks[0])]
    feed = StackedSampler(runs, data.train_inputs, labels, units=units, device=device)
    for batch in feed.batches(0, 10):  # not counted: kernels are chosen and memory is asked for
        stack.update(*batch)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for batch in feed.batches(10, 10 + UPDATES):
        stack.update(*batch)
    torch.cuda.synchronize()
    per_epoch = -(-len(data.train_labels) // runs[0].batch_size)
    return len(runs) * UPDATES / per_epoch / (time.perf_counter() - start)


def _whole(runs: Sequence[RunConfiguration], at_once: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        train_stacked(runs, folder, device="cuda", at_once=at_once)
        return len(runs) / (time.perf_counter() - start)
