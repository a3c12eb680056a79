"""What recording adds to the training of a LeNet on all of MNIST."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import axonometry as ax
from axonometry.populations import datasets
from axonometry.populations.cifar_networks import LeNet
from benchmarks.timing import Row, seconds

BATCH = 128
EPOCHS = 10


def training(model: nn.Module, images: Tensor, labels: Tensor, after_step: Callable[[int], None]) -> None:
    """One pass after the other over the images, plain SGD."""
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    model.train()
    step = 0
    for epoch in range(EPOCHS):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(epoch))
        for batch in order.split(BATCH):
            optimiser.zero_grad(set_to_none=True)
            F.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimiser.step()
            step += 1
            after_step(step)


def lenet_on_mnist() -> list[Row]:
    """The share of the recorded training's time that is spent in the recorder, capture and files included."""
    data = datasets.load_dataset("mnist")
    images, labels = data.train_inputs, data.train_labels
    ax.capture(LeNet(tuple(images.shape[1:]), data.n_classes), images[:1])  # imports what exporting needs, once
    per_epoch = -(-len(images) // BATCH)
    rows = []
    for every, goal, name in ((per_epoch, 0.02, "every epoch"), (100, 0.10, "every 100 steps")):
        torch.manual_seed(0)
        model = LeNet(tuple(images.shape[1:]), data.n_classes)
        spent = [0.0]
        with tempfile.TemporaryDirectory() as folder:

            def train(
                every: int = every, model: nn.Module = model, folder: str = folder, spent: list[float] = spent
            ) -> None:
                recorders: list[ax.Recorder] = []
                spent[0] += seconds(lambda: recorders.append(ax.Recorder(Path(folder) / "run", model, images[:1])))

                def record(step: int) -> None:
                    if step % every == 0:
                        spent[0] += seconds(lambda: recorders[0].record(step))

                training(model, images, labels, record)
                spent[0] += seconds(recorders[0].close)

            whole = seconds(train)
        share = spent[0] / (whole - spent[0])
        detail = f"{spent[0]:.2f} s of {whole:.1f} s, {EPOCHS} epochs"
        rows.append(
            Row(
                f"recording {name}, LeNet on MNIST",
                f"{100 * share:.1f} % of training",
                f"at most {100 * goal:g} %",
                share <= goal,
                1,
                detail,
            )
        )
    return rows
