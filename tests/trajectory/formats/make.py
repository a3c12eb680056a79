"""Writes the small run of the present format that test_formats opens, beside this file.

Run it (python -m tests.trajectory.formats.make) once when a new format is made, never again: the folder
stands for all runs of that format in the world.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from axonometry.trajectory import Recorder, store

EXAMPLE = torch.zeros(1, 2)


def network() -> nn.Module:
    """The recorded network."""
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))


def main() -> None:
    """Three steps; the recorder was closed after the second and killed after the third."""
    store.software = lambda: {"axonometry": "0.1.0", "torch": "2.13.0", "python": "3.11.7", "platform": "any"}
    folder = Path(__file__).parent / str(store.FORMAT)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.5)
    options = {"measures": ("node_strength",), "configuration": {"lr": 0.1, "name": "größe"}}
    for steps in ((0, 1), (2,)):
        recorder = Recorder(folder, model, EXAMPLE, resume=True, **options)
        for step in steps:
            for parameter in model.parameters():
                parameter.data.fill_(step + 0.5)
                parameter.grad = torch.ones_like(parameter)
            optimizer.step()
            recorder.record(step, optimizer=optimizer, loss=1 / (step + 1))
        if steps == (0, 1):
            recorder.close()
        else:
            recorder._lock.release()


if __name__ == "__main__":
    main()
