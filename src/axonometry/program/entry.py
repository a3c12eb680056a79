"""What people pass to begin with: modules, examples and graphs, converted where it is clear what is meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from axonometry.arguments import argument_errors
from axonometry.errors import CaptureError, SamplesError, ValuesError, WeightsError
from axonometry.program.quiet import CAPTURING
from axonometry.program.untouched import unwrapped
from axonometry.values import NodeValues

P = ParamSpec("P")
R = TypeVar("R")
QUANTISED = ("torch.ao.nn.quantized", "torch.nn.quantized", "torch.ao.nn.intrinsic.quantized")
SCRIPTED = "Pass the module that was scripted or traced: its Python code is what is read"


def checked_module(module: Any) -> None:
    """That a capture is of a module that can be read.

    Raises:
        CaptureError: It is none, or one whose weights or code are hidden.
    """
    if not isinstance(module, nn.Module):
        _refuse_module(module)
    inner = unwrapped(module)
    for path, part in inner.named_modules():
        where = f" at {path!r}" if path else ""
        if isinstance(part, torch.jit.ScriptModule):
            raise CaptureError("a capture is of a module of Python", f"a {type(part).__name__}{where}", SCRIPTED)
        if isinstance(part, (nn.Embedding, nn.EmbeddingBag)) and part.max_norm is not None:
            remedy = "Shorten them once, layer.weight.data.renorm_(layer.norm_type, 0, layer.max_norm); max_norm = None"
            raise CaptureError("a forward pass changes no weights", f"max_norm={part.max_norm:g}{where}", remedy)
        if type(part).__module__.startswith(QUANTISED):
            came = f"a quantised {type(part).__name__}{where}"
            raise CaptureError("weights are numbers, not packed codes", came, "Pass the module before quantize_dynamic")
    with CAPTURING:  # while another thread exports the module, its weights are exchanged for ones without values
        hidden = [name for name, t in [*inner.named_parameters(), *inner.named_buffers()] if t.is_meta]
    if hidden:
        came = f"{hidden[0]!r} on the meta device, without values"
        raise CaptureError("a graph reads the weights' values", came, "Load the weights, or module.to_empty first")


def _refuse_module(given: Any) -> NoReturn:
    rule = "a capture is of a torch.nn.Module"
    if isinstance(given, str):
        remedy = f"Load the model first, such as transformers.AutoModel.from_pretrained({given!r})"
        raise CaptureError(rule, f"the text {given!r}", remedy)
    if isinstance(given, type):
        raise CaptureError(rule, f"the class {given.__name__}", f"Make one: {given.__name__}(...)")
    if isinstance(given, torch.export.ExportedProgram):
        raise CaptureError(rule, "an ExportedProgram", "Pass it to axonometry.program.read_exported")
    if isinstance(given, Mapping):
        remedy = "Pass the module; other weights of it are read with graph.at(state)"
        raise CaptureError(rule, f"a {type(given).__name__}, such as a state dict", remedy)
    remedy = "Pass the module" if hasattr(given, "coverage") else "Wrap it in a module"
    raise CaptureError(rule, f"a {type(given).__name__}", remedy)


def converted(module: nn.Module, example: tuple[Any, Any]) -> tuple[Any, Any]:
    """An example with tensors in the place of arrays; of one without tensors, of lists of numbers too.

    Numbers with a point have the type of the module's parameters.

    Raises:
        CaptureError: A tensor has no samples or no values.
    """
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.get_default_dtype())
    example = tree_map(lambda leaf: as_tensor(leaf, dtype) if isinstance(leaf, np.ndarray) else leaf, example)
    inputs, keywords = example
    if not any(isinstance(leaf, Tensor) for leaf in tree_leaves(example)):
        inputs = tuple(as_tensor(x, dtype) if isinstance(x, list) and x else x for x in inputs)
    for leaf in tree_leaves((inputs, keywords)):
        if isinstance(leaf, Tensor) and leaf.is_meta:
            raise CaptureError("an example has values", "a tensor on the meta device", "Pass torch.zeros of its shape")
        if isinstance(leaf, Tensor) and leaf.numel() == 0:
            came = f"shape {tuple(leaf.shape)}"
            raise CaptureError("an example has at least one sample", came, "Pass a batch of one, such as torch.zeros")
    return inputs, keywords


def as_tensor(value: Any, dtype: torch.dtype | None = None) -> Any:
    """An array or a list of numbers as a tensor; all else as it is.

    >>> as_tensor([[1, 2]]), as_tensor(np.ones(2), torch.float32), as_tensor("text")
    (tensor([[1, 2]]), tensor([1., 1.]), 'text')

    Args:
        value: What was given.
        dtype: The type of numbers with a point; their own by default.
    """
    if not isinstance(value, (np.ndarray, list, tuple)) or not _is_of_numbers(value):
        return value
    try:
        tensor = torch.as_tensor(np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value)
    except (TypeError, ValueError, RuntimeError):  # rows of several lengths
        return value
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor


def _is_of_numbers(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fiub"
    leaves = tree_leaves(value)
    return bool(leaves) and all(isinstance(leaf, (bool, int, float)) for leaf in leaves)


def by_name(module: nn.Module, inputs: tuple[Any, ...]) -> str:
    """A remedy where a dictionary of the forward's own arguments is passed as one; empty where none is."""
    code = getattr(type(unwrapped(module)).forward, "__code__", None)
    names = set() if code is None else set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    for given in inputs:
        if isinstance(given, Mapping) and given and {str(key) for key in given} <= names:
            return "Pass it by name: ax.capture(module, **inputs)"
    return ""


def checking(check: Callable[[str, Any], None], place: int = 0) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator: an argument is checked before anything else is done with it; of the others raw errors are explained.

    Args:
        check: Takes the function's name and the argument, and raises what is to be said.
        place: Of the argument among the function's own.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name = list(inspect.signature(function).parameters)[place]

        @argument_errors
        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            if len(args) > place or name in kwargs:
                check(function.__name__, args[place] if len(args) > place else kwargs[name])
            return function(*args, **kwargs)

        return checked

    return decorate


def _no_module(name: str, given: Any) -> None:
    others = (nn.Module, str, Tensor, Mapping, list, tuple, int, float, np.ndarray, type(None))
    if isinstance(given, others) and not isinstance(given, NodeValues):
        came = f"the text {given!r}" if isinstance(given, str) else f"a {type(given).__name__}"
        remedy = "Capture the module first: graph = ax.capture(module, example)"
        raise ValuesError(f"{name} is of a captured graph", came, remedy)


def _a_module(name: str, given: Any) -> None:
    if not isinstance(given, nn.Module):
        raise SamplesError(f"{name} is of a module", f"a {type(given).__name__}", "Pass the module itself")


def _a_mapping(_: str, given: Any) -> None:
    if not isinstance(given, Mapping):
        rule, remedy = "a snapshot is a mapping from names to tensors", "Pass model.state_dict()"
        raise WeightsError(rule, f"a {type(given).__name__}", remedy)


of_graph, of_module, of_snapshot = checking(_no_module), checking(_a_module), checking(_a_mapping, place=1)
of_captured = checking(lambda _, given: checked_module(given))
