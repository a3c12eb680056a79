"""A module and an example become an exported program; the module is left exactly as it was."""

from __future__ import annotations

import io
import logging
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from axonometry.errors import CaptureError
from axonometry.program.branches import take_branches

CONTAINERS = (list, dict, set)
OBSERVERS = ("_forward_hooks", "_backward_hooks", "_backward_pre_hooks")


def export(module: nn.Module, example_inputs: tuple[Any, ...]) -> ExportedProgram:
    """The module's forward pass as ATen calls on one sample, functional and in evaluation mode.

    Raises:
        CaptureError: If the forward pass fails on the example, or its control flow depends on data.
    """
    module = unwrapped(module)
    inputs = _first_sample(example_inputs)
    with untouched(module), torch.no_grad(), _quiet():
        try:
            exported = torch.export.export(module, inputs)
        except Exception as error:  # whatever the user's forward or the exporter raises
            failure = _failure(error)
            raise failure from error
        exported = exported.run_decompositions({})
        take_branches(exported, inputs)
        return exported


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

    Pre-hooks of torch.nn.utils stay: pruning and weight norm compute weights in them.
    """
    submodules = list(module.modules())
    before = [(m, _copied(m)) for m in submodules]
    cpu_rng = torch.get_rng_state()
    cuda_rng = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    try:
        for m in submodules:
            m.training = False
            for kind in OBSERVERS:
                vars(m)[kind] = OrderedDict()
            vars(m)["_forward_pre_hooks"] = OrderedDict(
                (key, hook) for key, hook in m._forward_pre_hooks.items() if _computes_weights(hook)
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


def _computes_weights(hook: Callable[..., Any]) -> bool:
    return type(hook).__module__.startswith("torch.nn.utils")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter warns, logs and prints: what goes wrong is said in one error."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _first_sample(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """One sample of a batch; inputs whose first axes differ are taken as they are."""
    leaves, spec = torch.utils._pytree.tree_flatten(inputs)
    sizes = {leaf.shape[0] if leaf.dim() else None for leaf in leaves if isinstance(leaf, Tensor)}
    if not sizes:
        raise CaptureError(
            "capture needs example inputs",
            "none that is a tensor",
            "Call ax.capture(module, example) with a batch of inputs",
        )
    if len(sizes) > 1 or None in sizes:
        return inputs
    sliced = [leaf[:1].detach() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
    return torch.utils._pytree.tree_unflatten(sliced, spec)


def _failure(error: Exception) -> CaptureError:
    """One error for the many that exporting can end in."""
    text = str(error)
    where = _users_place(error)
    if "data-dependent" in text.lower() or "DataDependent" in type(error).__name__:
        return CaptureError(
            "a program has no control flow that depends on data",
            f"a decision on a tensor's value{where}",
            "Write it with torch.cond or torch.where, or capture the submodules on either side",
        )
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return CaptureError(
        "the module must run on the example inputs and be exportable with torch.export",
        f"{type(error).__name__}: {first}{where}",
        "Try module(*example_inputs) first, then torch.export.export(module, example_inputs); or capture a submodule",
    )


def _users_place(error: BaseException) -> str:
    """The innermost frame of the traceback, or of its causes, that is neither torch's nor ours."""
    places = []
    pending: list[BaseException] = [error]
    while pending:
        current = pending.pop()
        frames = traceback.extract_tb(current.__traceback__)
        places += [f for f in frames if "/torch/" not in f.filename and "/axonometry/program/" not in f.filename]
        pending += [cause for cause in (current.__cause__, current.__context__) if cause is not None]
    if not places:
        return ""
    frame = places[-1]
    return f" at {frame.filename.rsplit('/', 1)[-1]}, line {frame.lineno}: {frame.line}"
