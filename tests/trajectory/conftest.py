"""A small network with every kind of state that a recording must keep: batch norm, dropout, tied weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from axonometry.program import NeuralGraph, capture

EXAMPLE = torch.zeros(1, 1, 8, 8)


class Small(nn.Module):
    """Two convolutions, a batch norm, dropout, two linear layers of which one is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.conv2 = nn.Conv2d(3, 4, 3, stride=2)
        self.drop = nn.Dropout(0.3)
        self.hidden = nn.Linear(36, 36)
        self.head = nn.Linear(36, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores."""
        x = torch.relu(self.conv2(torch.relu(self.norm(self.conv1(x))))).flatten(1)
        x = torch.relu(self.hidden(self.drop(x)))
        return self.head(torch.relu(self.hidden(x)))


@pytest.fixture
def small() -> Small:
    """The network, from a fixed seed."""
    torch.manual_seed(1)
    return Small()


@pytest.fixture(scope="session")
def graph() -> NeuralGraph:
    """The network's graph, captured once."""
    return capture(Small(), EXAMPLE)


@pytest.fixture
def example() -> Tensor:
    """What the network takes."""
    return EXAMPLE
