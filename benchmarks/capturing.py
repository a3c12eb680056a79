"""What a capture costs in processor time: the first of a process, a later one, one of an architecture seen before."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

import axonometry as ax
from axonometry.populations.resnet import ResNet
from benchmarks.timing import Row, fresh_capture


def lenet() -> nn.Module:
    """A LeNet for 32x32 images."""
    features = [nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    return nn.Sequential(*features, *head).eval()


def processor_seconds(function: Callable[[], object]) -> float:
    """Seconds of all processors that one call takes, whatever else the machine does."""
    start = time.process_time()
    function()
    return time.process_time() - start


def capturing() -> list[Row]:
    """Captures of a LeNet and a ResNet-18."""
    image = torch.zeros(1, 3, 32, 32)
    first = float(subprocess.check_output([sys.executable, "-m", "benchmarks.capturing"], text=True))
    later = [processor_seconds(lambda: fresh_capture(lenet(), image)) for _ in range(8)][1:]
    again = [processor_seconds(lambda: ax.capture(lenet(), image)) for _ in range(9)]
    large = [processor_seconds(lambda: fresh_capture(ResNet(18).eval(), torch.zeros(1, 3, 224, 224))) for _ in range(3)]
    return [
        Row("processor time of a process's first capture, a LeNet, 32x32", f"{first:.2f} s", "none", True, 1, ""),
        _median("processor time of a later capture of a LeNet", later, 0.3),
        _median("processor time of a capture of a LeNet, its architecture captured before", again, 0.01),
        _median("processor time of a capture of a ResNet-18", large, 0.8),
    ]


def _median(what: str, times: list[float], goal: float) -> Row:
    median = statistics.median(times)
    shown = f"{median:.2f} s" if goal >= 0.1 else f"{1e3 * median:.1f} ms"
    detail = f"{min(times):.3g} s to {max(times):.3g} s"
    return Row(what, shown, f"at most {goal:g} s", median <= goal, len(times), detail)


if __name__ == "__main__":
    print(processor_seconds(lambda: ax.capture(lenet(), torch.zeros(1, 3, 32, 32))))
