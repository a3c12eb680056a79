"""Statistics of every neuron over many samples, against nothing but the forward passes."""

from __future__ import annotations

import math
import resource
import subprocess
import sys
from dataclasses import replace

import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.populations import datasets
from axonometry.populations.cifar_networks import LeNet
from benchmarks.timing import Row, compare

BATCH = 256
IMAGES = 10_000


def lenet_on_mnist() -> list[Row]:
    """All statistics of LeNet's activations and strengths over MNIST's test images, and the memory that they take."""
    samples = datasets.load_dataset("mnist").test_inputs[:IMAGES]
    torch.manual_seed(0)
    network = LeNet(tuple(samples.shape[1:])).eval()
    graph = ax.capture(network, samples[:1])
    plain = lambda: forward(network, samples)  # noqa: E731
    images = f"{len(samples):,} MNIST images through a LeNet"
    what = f"all statistics, of {images}, against the forward passes"
    activation = compare(lambda: ax.neuron_activation(graph, samples), plain, n=9)
    strength = compare(lambda: ax.neuron_strength(graph, samples), plain, n=9)
    rows = [
        activation.at_most(f"neuron activation, {what}", 2.0),
        # each sample has links of its own behind max-pooling; no multiple is promised
        replace(strength.at_most(f"neuron strength, {what}", math.inf), goal="none"),
    ]
    few, many = peak(2_000), peak(20_000)
    rows.append(
        Row(
            "peak memory of neuron activation over 20,000 images, one batch at a time, beside that over 2,000",
            f"{many - few:+.1f} MiB",
            "at most +16 MiB",
            many - few <= 16,
            1,
            f"{many:.0f} MiB against {few:.0f} MiB",
        )
    )
    return rows


@torch.no_grad()
def forward(network: nn.Module, samples: Tensor) -> None:
    """The forward passes and nothing else."""
    for batch in samples.split(BATCH):
        network(batch)


def peak(images: int) -> float:
    """The most memory, in MiB, that a process of its own takes for so many images, which are made batch by batch."""
    command = [sys.executable, "-m", "benchmarks.live", str(images)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print this process's peak memory after a stream of images."""
    images = int(sys.argv[1])
    graph = ax.capture(LeNet((1, 28, 28)), torch.zeros(1, 1, 28, 28))
    ax.neuron_activation(graph, (torch.rand(BATCH, 1, 28, 28) for _ in range(images // BATCH)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
