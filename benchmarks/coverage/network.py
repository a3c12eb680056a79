"""What is examined: a network that can be built, with an example of two samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


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


class Net(nn.Module):
    """A forward pass as a function of the module and its inputs; parts are modules and numbers, or make them."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part() if callable(part) and not isinstance(part, nn.Module) else part)

    def forward(self, *inputs: Tensor) -> Any:
        """What the function gives."""
        return self.function(self, *inputs)
