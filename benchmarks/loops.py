"""Node strength of paper 1's convolutional network, against nested loops over links as in the official code."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import axonometry as ax
from benchmarks.timing import Row, seconds

Array = NDArray[np.float64]


def along_links(kernel: Array, side: int) -> tuple[Array, Array]:
    """In-strength of a valid convolution's map and out-strength of its input, one step a link."""
    outputs, channels, height, width = kernel.shape
    received = np.zeros((outputs, side - height + 1, side - width + 1))
    sent = np.zeros((channels, side, side))
    for o in range(outputs):
        for y in range(received.shape[1]):
            for x in range(received.shape[2]):
                for c in range(channels):
                    for i in range(height):
                        for j in range(width):
                            sent[c, y + i, x + j] += kernel[o, c, i, j]
                received[o, y, x] = kernel[o].sum()
    return received, sent


def by_loops(model: nn.Sequential) -> dict[str, Array]:
    """Node strength of two convolutions and two linear layers: real links only, link by link in the convolutions."""
    first, second, third, fourth = (
        layer.weight.detach().double().numpy() for layer in model if isinstance(layer, (nn.Conv2d, nn.Linear))
    )
    from_pixels, pixels = along_links(first, 28)
    from_maps, maps = along_links(second, 26)
    return {
        "input": pixels,
        "0": from_pixels + maps,
        "2": from_maps + third.sum(0).reshape(second.shape[0], 24, 24),
        "5": third.sum(1) + fourth.sum(0),
        "7": fourth.sum(1),
    }


def convolutional_network() -> list[Row]:
    """64 channels on MNIST's 28x28 pixels."""
    layers = [nn.Conv2d(1, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten()]
    model = nn.Sequential(*layers, nn.Linear(64 * 24 * 24, 200), nn.ReLU(), nn.Linear(200, 10))
    graph = ax.capture(model, torch.zeros(1, 1, 28, 28))
    expected: dict[str, Array] = {}
    loops = sorted(seconds(lambda: expected.update(by_loops(model))) for _ in range(3))[1]
    ax.node_strength(graph)
    ours = sorted(seconds(lambda: ax.node_strength(graph)) for _ in range(25))[12]
    exact = ax.node_strength(graph.at({name: tensor.double() for name, tensor in model.state_dict().items()}))
    worst = max(
        float(np.abs(exact[name].numpy() - value).max() / np.abs(value).max()) for name, value in expected.items()
    )
    times = f"{1e3 * ours:.3g} ms against {loops:.3g} s"
    return [
        Row(
            "node strength of paper 1's CNN with 64 channels, against nested loops",
            f"{loops / ours:,.0f} times faster",
            "at least 3,000",
            loops / ours >= 3000,
            3,
            times,
        ),
        Row(
            "largest difference between the two, relative to the layer's largest strength",
            f"{worst:.1e}",
            "at most 1e-6",
            worst <= 1e-6,
            1,
            "float64",
        ),
    ]
