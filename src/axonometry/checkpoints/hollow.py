"""Networks without their weights: built and captured in the memory of one number a parameter.

A module that is built makes all its weights, draws initial values, and throws them away when others are loaded: for a
network of a billion parameters four gigabytes and a minute. Here parameters are on the meta device while the module is
built, where making and drawing costs nothing, and then each is one number that is read at every place (a stride of 0).
So the module can be captured, which runs it. Buffers are what they are: many are computed and in no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from axonometry.program.quiet import CAPTURING

VALUE = 0.02
"""The number: 0 would be taken for a weight that switches its layer off."""


def hollow(build: Callable[[], Any]) -> Any:
    """What a function builds, its modules' parameters without memory.

    >>> layer = hollow(lambda: nn.Linear(2_000, 1_000))
    >>> layer.weight.shape, layer.weight.untyped_storage().nbytes()
    (torch.Size([1000, 2000]), 4)

    Args:
        build: Makes a module, or a tuple with modules.
    """
    with _on_meta():
        found = build()
    for part in found if isinstance(found, tuple) else (found,):
        if isinstance(part, nn.Module):
            _fill(part)
    return found


@contextmanager
def _on_meta() -> Iterator[None]:
    """Parameters that are registered are moved to the meta device."""
    with CAPTURING:  # no other thread builds or captures a module meanwhile: the method is that of all modules
        yield from _registered_on_meta()


def _registered_on_meta() -> Iterator[None]:
    register = nn.Module.register_parameter

    def registered(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None and type(parameter) is nn.Parameter and not parameter.is_meta:
            parameter = nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad)
        register(module, name, parameter)

    nn.Module.register_parameter = registered  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]


def _fill(module: nn.Module) -> None:
    """One number for each parameter; those that are one stay one."""
    filled: dict[int, nn.Parameter] = {}
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is None or not parameter.is_meta:
                continue
            if id(parameter) not in filled:
                number = torch.full((), VALUE, dtype=parameter.dtype)
                filled[id(parameter)] = nn.Parameter(number.expand(parameter.shape), requires_grad=False)
            part._parameters[name] = filled[id(parameter)]
