"""What a callback with measures of gradients and updates adds to the training of a LeNet on all of MNIST."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch.nn import functional as F

import axonometry as ax
from axonometry.integrations.loop import AxonometryCallback
from axonometry.populations import datasets
from axonometry.populations.cifar_networks import LeNet
from benchmarks.recording import BATCH
from benchmarks.timing import Row, seconds

EPOCHS = 5
GRADIENTS = ("node_strength", "gradient.node_strength", "update_ratio", "update_cosine")


def callbacks() -> list[Row]:
    """The callback's share, capture and copies before updates included: each epoch, and each 100 steps."""
    data = datasets.load_dataset("mnist")
    images, labels = data.train_inputs, data.train_labels
    ax.capture(LeNet(tuple(images.shape[1:]), data.n_classes), images[:1])  # imports what exporting needs, once
    per_epoch = -(-len(images) // BATCH)
    rows = []
    cases = ((per_epoch, ("node_strength",), 0.02, "each epoch"), (100, GRADIENTS, 0.05, "each 100 steps, gradients"))
    for every, measures, goal, name in cases:
        torch.manual_seed(0)
        model, spent = LeNet(tuple(images.shape[1:]), data.n_classes), [0.0]
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

        def train(
            every: int = every, measures: tuple[str, ...] = measures, model: LeNet = model,
            optimizer: torch.optim.Optimizer = optimizer, spent: list[float] = spent,
        ) -> None:  # fmt: skip
            with tempfile.TemporaryDirectory() as folder:
                callback = AxonometryCallback(Path(folder) / "run", measures=measures, every=every, example=images[:1])
                spent[0] += seconds(lambda: callback.watch(model))
                step = 0
                for epoch in range(EPOCHS):
                    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(epoch))
                    for batch in order.split(BATCH):
                        step += 1
                        F.cross_entropy(model(images[batch]), labels[batch]).backward()
                        spent[0] += seconds(lambda step=step: callback.before_update(step, optimizer))
                        optimizer.step()
                        spent[0] += seconds(lambda step=step: callback.after_update(step, loss=0.0))
                        optimizer.zero_grad()
                spent[0] += seconds(callback.close)

        whole = seconds(train)
        share = spent[0] / (whole - spent[0])
        detail = f"{spent[0]:.2f} s of {whole:.1f} s, {EPOCHS} epochs"
        told = f"{100 * share:.1f} % of training"
        rows.append(Row(f"callback {name}, LeNet on MNIST", told, f"under {100 * goal:g} %", share < goal, 1, detail))
    return rows
