"""The user's module while it is looked at: in evaluation mode and without hooks; afterwards as it was."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import torch
from torch import nn

CONTAINERS = (list, dict, set)
COLLECTING = ("transformers.utils.", "timm.models._features")
OBSERVERS = ("_forward_hooks", "_backward_hooks", "_backward_pre_hooks")


def unwrapped(module: nn.Module) -> nn.Module:
    """The user's own module inside torch.compile's or a parallel wrapper."""
    while True:
        if isinstance(getattr(module, "_orig_mod", None), nn.Module):
            module = module._orig_mod  # type: ignore[assignment]
        elif isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            module = module.module
        else:
            return module


@contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without the user's hooks; afterwards everything is as it was, also after an error.

    Pre-hooks of torch.nn.utils stay: pruning and weight norm compute weights in them. So do hooks by which a library's
    own forward passes collect what they return.
    """
    submodules = list(module.modules())
    before = [(m, _copied(m)) for m in submodules]
    cpu_rng = torch.get_rng_state()
    cuda_rng = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    try:
        for m in submodules:
            m.training = False
            for kind in OBSERVERS:
                vars(m)[kind] = OrderedDict((k, h) for k, h in getattr(m, kind).items() if collects_results(h))
            vars(m)["_forward_pre_hooks"] = OrderedDict(
                (key, hook) for key, hook in m._forward_pre_hooks.items() if computes_weights(hook)
            )
        yield
    finally:
        for m, attributes in before:
            _put_back(m, attributes)
        torch.set_rng_state(cpu_rng)
        if cuda_rng:
            torch.cuda.set_rng_state_all(cuda_rng)


def _copied(module: nn.Module) -> dict[str, tuple[Any, Any]]:
    """Every attribute, and for a container a copy of what it holds."""
    return {
        name: (value, copy(value) if isinstance(value, CONTAINERS) else None) for name, value in vars(module).items()
    }


def _put_back(module: nn.Module, attributes: dict[str, tuple[Any, Any]]) -> None:
    vars(module).clear()
    for name, (value, content) in attributes.items():
        vars(module)[name] = value
        if isinstance(value, list):
            value[:] = content
        elif isinstance(value, (dict, set)):
            value.clear()
            value.update(content)


def computes_weights(hook: Callable[..., Any]) -> bool:
    """Whether a forward pre-hook is one of torch.nn.utils, which computes weights from other tensors."""
    return type(hook).__module__.startswith("torch.nn.utils")


def collects_results(hook: Callable[..., Any]) -> bool:
    """Whether a hook is the network's own: the backbones of Transformers and timm return what hooks have collected."""
    return str(getattr(hook, "__module__", "")).startswith(COLLECTING)
