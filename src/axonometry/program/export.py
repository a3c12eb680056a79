"""A module and an example become an exported program; the module is left exactly as it was."""

from __future__ import annotations

import io
import logging
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import copy
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from axonometry.errors import CaptureError
from axonometry.program.attention import find_attention
from axonometry.program.branches import take_branches
from axonometry.program.lookup import find_lookups
from axonometry.program.recurrence import unroll

CONTAINERS = (list, dict, set)
OBSERVERS = ("_forward_hooks", "_backward_hooks", "_backward_pre_hooks")


def export(
    module: nn.Module,
    example_inputs: tuple[Any, ...],
    keywords: Mapping[str, Any] | None = None,
    *,
    batch_axis: int = 0,
) -> ExportedProgram:
    """The module's forward pass as ATen calls on one sample, functional and in evaluation mode.

    Recurrent layers are taken apart into linear maps and elementwise steps, token ids become one-hot inputs of
    embeddings, and attention knows which tokens it may attend to.

    Raises:
        CaptureError: If the forward pass fails on the example, or its control flow depends on data.
    """
    module = unwrapped(module)
    inputs, named = _first_sample((example_inputs, dict(keywords or {})), batch_axis)
    with untouched(module), torch.no_grad(), _quiet(), _composed_attention():
        vars(module)["forward"] = _tensors_alone(module.forward)
        try:
            exported = torch.export.export(module, inputs, named)
        except Exception as error:  # whatever the user's forward or the exporter raises
            failure = _failure(error)
            raise failure from error
        exported = exported.run_decompositions({})
        take_branches(exported, (inputs, named))
        unroll(exported, batch_axis)
        find_lookups(exported)
        find_attention(exported)
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


@contextmanager
def _composed_attention() -> Iterator[None]:
    """Without the fused kernels for whole encoder layers, which hide the linear maps inside."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _tensors_alone(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The forward pass without results that are no tensors, such as caches of keys and values."""

    @wraps(forward)
    def run(*args: Any, **keywords: Any) -> tuple[Tensor, ...]:
        return tuple(_tensors(forward(*args, **keywords)))

    return run


def _tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from _tensors(value)
    elif isinstance(result, (list, tuple)):
        for value in result:
            yield from _tensors(value)
    elif is_dataclass(result) and not isinstance(result, type):
        for field in fields(result):
            yield from _tensors(getattr(result, field.name))


def _first_sample(inputs: tuple[Any, ...], batch_axis: int) -> tuple[Any, ...]:
    """One sample of a batch; inputs whose batch axes differ in size are taken as they are."""
    leaves, spec = torch.utils._pytree.tree_flatten(inputs)
    sizes = {leaf.shape[batch_axis] if leaf.dim() > batch_axis else None for leaf in leaves if isinstance(leaf, Tensor)}
    if not sizes:
        raise CaptureError(
            "capture needs example inputs",
            "none that is a tensor",
            "Call ax.capture(module, example) with a batch of inputs",
        )
    if len(sizes) > 1 or None in sizes:
        return inputs
    sliced = [leaf.narrow(batch_axis, 0, 1).detach() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
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
