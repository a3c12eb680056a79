"""The state of torch itself that decides what a module is exported to."""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch.nn.modules import module as torch_module
from torch.overrides import _get_current_function_mode_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack


def settings() -> Hashable:
    """Defaults and switches that can be compared."""
    defaults = torch.get_default_dtype(), torch.get_default_device(), torch.are_deterministic_algorithms_enabled()
    return *defaults, torch.is_inference_mode_enabled()


def has_global_state() -> bool:
    """Whether modes that change what operators do are on, or hooks on every module."""
    hooks = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
    on_all = any(getattr(torch_module, f"_global_{kind}", None) for kind in hooks)
    modes = _get_current_function_mode_stack() or _get_current_dispatch_mode_stack()
    device_modes = all(type(mode).__name__ == "DeviceContext" for mode in modes or ())
    autocast = any(torch.is_autocast_enabled(kind) for kind in ("cpu", "cuda"))
    return on_all or not device_modes or autocast
