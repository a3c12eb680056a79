"""What a population of the experiment is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from axonometry.populations import RunConfiguration

EPOCHS = 10
"""Length of every training of the small and medium scales."""


@dataclass(frozen=True)
class Grid:
    """One population.

    Attributes:
        name: A short name, the folder of its runs.
        title: What it is, in words.
        architecture: What networks of it are called where architectures are compared; ResNets of all depths are one.
        kind: The paper's grid, which gives much of the answer away, the hard one, or one in which most networks learn.
        draw: Makes the configurations, one a network; thousands of them take seconds.
        subject: Populations of one subject are judged together; each by itself where it is empty.
    """

    name: str
    title: str
    architecture: str
    kind: Literal["paper", "hard", "learning"]
    draw: Callable[[], tuple[RunConfiguration, ...]]
    subject: str = ""

    @cached_property
    def configurations(self) -> tuple[RunConfiguration, ...]:
        """One network each."""
        return self.draw()
