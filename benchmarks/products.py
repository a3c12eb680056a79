"""What a product with the graph costs, in forward passes of the network."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import torch

import axonometry as ax
from axonometry.populations.resnet import ResNet
from benchmarks.timing import Row, compare, fresh_capture, seconds

IMAGE = (1, 3, 224, 224)


def resnet_18() -> list[Row]:
    """Capture and both products of a ResNet-18."""
    model, image = ResNet(18).eval(), torch.zeros(IMAGE)
    ax.capture(model, image)  # torch.export imports what it needs once
    capture = sorted(seconds(lambda: fresh_capture(model, image)) for _ in range(3))[1]
    graph = ax.capture(model, image)
    ones = graph.ones()
    with torch.no_grad():
        received = compare(lambda: graph @ ones, lambda: model(image))
        sent = compare(lambda: graph.T @ ones, lambda: model(image))
    return [
        Row("capture of a ResNet-18, 224x224", f"{capture:.2f} s", "at most 3 s", capture <= 3, 3, "median"),
        received.at_most("graph @ ones, ResNet-18, 224x224", 1.5, "forward passes"),
        sent.at_most("graph.T @ ones, ResNet-18, 224x224", 3, "forward passes"),
    ]


def resnet_50() -> list[Row]:
    """The measures of one snapshot of a ResNet-50."""
    model, image = ResNet(50).eval(), torch.zeros(IMAGE)
    graph = ax.capture(model, image)
    parameters = [p.detach() for p in model.parameters()]
    with torch.no_grad():
        strength = compare(lambda: ax.layer_fluctuation(ax.node_strength(graph)), lambda: model(image), n=9)
        links = compare(lambda: ax.link_weights(graph), lambda: sum(p.abs().sum() for p in parameters), n=25)
    memory = int(
        subprocess.run([sys.executable, "-m", "benchmarks.products"], check=True, capture_output=True, text=True).stdout
    )
    return [
        strength.at_most("node strength and layer fluctuation of a ResNet-50 snapshot, 224x224", 5, "forward passes"),
        links.at_most("link weights of a ResNet-50 snapshot, against reading all weights once", 4),
        Row(
            "memory of both beyond the weights, ResNet-50",
            f"{memory / 1e6:.0f} MB",
            "at most 500 MB",
            memory <= 500e6,
            1,
            "peak",
        ),
    ]


def peak_of_one_snapshot() -> int:
    """Bytes that the measures of one snapshot add at their worst moment, in a process that holds the captured network.

    Linux counts the peak from where it was last told to; a forward pass before that brings in what the network needs.
    What the capture freed goes back to the system first: else the measures would fill that, and seem to need less.
    """
    model, image = ResNet(50).eval(), torch.zeros(IMAGE)
    graph = ax.capture(model, image)
    with torch.no_grad():
        model(image)
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    snapshot = graph.at(model.state_dict())
    ax.link_weights(snapshot)
    ax.layer_fluctuation(ax.node_strength(snapshot))
    return _status("VmHWM") - before


def _status(name: str) -> int:
    """A figure of this process's memory in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name))) * 1024


if __name__ == "__main__":
    print(peak_of_one_snapshot())
