"""What is examined: a network that can be built, with an example of two samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Example:
    """A module with what it takes.

    Attributes:
        module: The network.
        args: Its inputs by position, with two samples along their first axis.
        kwargs: Its inputs by name, likewise.
        options: What ``capture`` takes besides.
    """

    module: nn.Module
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """A network by name, built when it is examined."""

    library: str
    name: str
    build: Callable[[], Example]
