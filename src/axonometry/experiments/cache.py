"""On-disk memoisation of tables that take long to compute, keyed on everything that they depend on.

A table is found again only where the inputs, the version of the package and the source code of the function that
computes it are the same. The source includes the functions, classes and constants of the same top-level package that
it refers to by name, and those that they refer to, so that a corrected helper is never answered with its old result:

    def scaled(x): return FACTOR * x          # scaled -> FACTOR
    def table(runs): return scaled(runs)      # table -> scaled -> FACTOR: a change of any of the three counts

What is reached through an object (a method of an argument) or imported inside a function is covered by the version.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import pandas as pd

from axonometry.files import atomic_write
from axonometry.populations import Population
from axonometry.version import __version__

_PLAIN = (str, int, float, tuple, frozenset, type(None))


def cached(
    folder: Path,
    function: Callable[..., pd.DataFrame],
    *inputs: object,
    also: object = None,
    unkeyed: Sequence[object] = (),
) -> pd.DataFrame:
    """``function(*inputs, *unkeyed)``, read from the folder if it was computed before, else computed and written there.

    Args:
        folder: Where tables are; it is made if it is not there.
        function: Makes the table.
        inputs: What it depends on: frames, arrays and populations by content, everything else by ``repr``.
        also: What it depends on besides, which the function is not called with.
        unkeyed: Further arguments, which change nothing, such as progress or a number of processes.

    Raises:
        RunError: The file could not be written.
    """
    path = folder / f"{function.__name__.strip('_<>')}-{table_key(function, *inputs, also)}.parquet"
    if path.exists():
        return pd.read_parquet(path)
    table = function(*inputs, *unkeyed)
    with atomic_write(path, parents=True) as partial:
        table.to_parquet(partial)
    return table


def table_key(function: Callable[..., Any], *inputs: object) -> str:
    """The first 16 digits of a SHA-256 of the version, the function's source code and its inputs."""
    digest = hashlib.sha256(__version__.encode())
    digest.update(source_of(function).encode())
    for part in _content(inputs):
        digest.update(part)
    return digest.hexdigest()[:16]


def source_of(function: Callable[..., Any]) -> str:
    """The source code of a function and of all that it refers to by name in its own top-level package."""
    found: dict[str, str] = {}
    _collect(function, function.__module__.split(".")[0], found)
    return "\n".join(found[name] for name in sorted(found))


def _collect(value: Any, package: str, found: dict[str, str]) -> None:
    value = inspect.unwrap(value)
    name = f"{value.__module__}.{value.__qualname__}"
    if name in found or value.__module__.split(".")[0] != package:
        return
    try:
        found[name] = inspect.getsource(value)
    except (OSError, TypeError):  # typed at a prompt
        found[name] = repr(getattr(getattr(value, "__code__", None), "co_code", name))
    for method in _functions(value):
        for label, referred in _referred(set(_names(method.__code__)), method.__globals__):
            if inspect.isfunction(inspect.unwrap(referred)) or inspect.isclass(referred):
                _collect(referred, package, found)
            elif (isinstance(referred, _PLAIN) or is_dataclass(referred)) and " at 0x" not in repr(referred):
                found[f"{method.__module__}.{label}"] = repr(referred)


def _functions(value: Any) -> Iterator[FunctionType]:
    """A function itself; the methods and properties of a class."""
    for member in vars(value).values() if inspect.isclass(value) else (value,):
        # Static and class methods, properties, and cached properties hold their function.
        held = (getattr(member, name, None) for name in ("__func__", "fget", "func"))
        function = next(filter(None, held), member)
        if callable(function) and isinstance(inspect.unwrap(function), FunctionType):
            yield inspect.unwrap(function)


def _referred(names: set[str], namespace: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What names stand for in a module; a name of a module gives those of the other names that it holds."""
    for name in sorted(names & namespace.keys()):
        value = namespace[name]
        if isinstance(value, ModuleType):
            inside = vars(value)
            yield from ((f"{name}.{other}", inside[other]) for other in sorted(names & inside.keys()))
        else:
            yield name, value


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _content(value: object) -> Iterator[bytes]:
    """The bytes that say what a value is."""
    if isinstance(value, pd.DataFrame | pd.Series):
        yield repr([type(value).__name__, list(value.index), list(getattr(value, "columns", ()))]).encode()
        for column in value.to_frame() if isinstance(value, pd.Series) else value:
            yield from _content((value if isinstance(value, pd.Series) else value[column]).to_numpy())
    elif isinstance(value, np.ndarray):
        yield repr((value.dtype.str, value.shape)).encode()
        yield repr(value.tolist()).encode() if value.dtype == object else np.ascontiguousarray(value).tobytes()
    elif isinstance(value, Population):
        yield repr([(name, run.steps, run.description.measures) for name, run in value.runs.items()]).encode()
    elif is_dataclass(value) and not isinstance(value, type):
        yield type(value).__name__.encode()
        yield from _content({field.name: getattr(value, field.name) for field in fields(value)})
    elif isinstance(value, Mapping):
        yield from (part for pair in value.items() for one in pair for part in _content(one))
    elif isinstance(value, tuple | list):
        yield f"{len(value)} in a row".encode()
        yield from (part for one in value for part in _content(one))
    elif inspect.isfunction(value):
        yield source_of(value).encode()
    else:
        yield repr(value).encode()
