"""What a module's code keeps outside its attributes: in closures, objects, classes, globals and lru caches.

A rotation that is computed once is usual, and lies anywhere::

    @lru_cache
    def rotation(n):                      class Attention(nn.Module):
        return torch.randn(n, n)              table = {}    # of the class

An export runs such code on tensors without values. Were they kept, the user's next pass would meet them. So what a
pass has put there is taken away again, and lru caches are passed by; only entries that hold tensors are looked at.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

from torch import Tensor, nn

from axonometry.program.fx_utils import is_users

DEPTH = 3
"""How deep objects and containers lie in each other, and how many functions call each other."""
LARGE = 1000
"""Entries of containers that are registries, and no caches of tensors."""
PLAIN = (str, bytes, int, float, complex, type(None), Tensor, nn.Module, type, ModuleType)
LIBRARIES = ("torch", "numpy", "builtins", "logging", "threading", "weakref", "collections.abc", "typing")
CACHE = type(functools.lru_cache(lambda: None))
_ABSENT = object()


@contextmanager
def surroundings_kept(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Nothing that a pass computes is left outside the modules' own attributes, and no lru cache is asked or filled."""
    walk = _Walk()
    for module in modules:
        walk.module(module)
    try:
        for owner, name, cached in walk.caches:
            _assign(owner, name, _uncached(cached))
        yield
    finally:
        for owner, name, cached in walk.caches:
            _assign(owner, name, cached)
        walk.restore()


class _Walk:
    """Everything that the code of some modules reaches, as it is now."""

    def __init__(self) -> None:
        self.caches: list[tuple[Any, str, Any]] = []
        self._held: list[tuple[Any, Any]] = []  # a dictionary, list, class or cell, and what it holds
        self._globals: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._seen: dict[int, Any] = {}

    def module(self, module: nn.Module) -> None:
        """Follow what an instance holds, and the code of its class."""
        for value in list(vars(module).values()):
            self._value(value, 0)
            self._function(value, 0)
        for kind in type(module).__mro__:
            if _belongs_to_user(kind) and self._is_new(kind):
                self._class(kind)

    def restore(self) -> None:
        """Put back what entries were that hold tensors now."""
        for holder, before in self._held:
            if isinstance(holder, list):
                if any(_holds_tensors(x) and not any(x is y for y in before) for x in holder):
                    holder[:] = before
                continue
            now = {"": _content(holder)} if isinstance(holder, CellType) else _entries(holder)
            self._put_back(holder, now, before)
        for names, before in self._globals:  # of a file's names only those that a function mentions
            self._put_back(names, {name: names[name] for name in before if name in names}, before)

    def _put_back(self, holder: Any, now: dict[Any, Any], before: dict[Any, Any]) -> None:
        for name, value in now.items():
            was = before.get(name, _ABSENT)
            if value is not was and _holds_tensors(value):
                _assign(holder, name, was)

    def _class(self, kind: type) -> None:
        self._held.append((kind, dict(vars(kind))))
        for name, value in list(vars(kind).items()):
            inner = getattr(value, "__func__", value)
            if isinstance(inner, CACHE):
                self.caches.append((kind, name, value))
            inner = getattr(inner, "__wrapped__", None) or getattr(value, "fget", None) or inner
            self._function(getattr(value, "func", inner), 0)
            self._value(value, 0)

    def _function(self, function: Any, depth: int) -> None:
        function = function.__func__ if isinstance(function, MethodType) else function
        if not isinstance(function, FunctionType) or depth > DEPTH or not is_users(function.__code__.co_filename):
            return
        if not self._is_new(function):
            return
        for cell in function.__closure__ or ():
            content = _content(cell)
            if content is not _ABSENT and self._is_new(cell):
                self._held.append((cell, {"": content}))
                self._value(content, 0)
                self._function(content, depth + 1)
        names = function.__globals__
        found = {name: names.get(name, _ABSENT) for name in function.__code__.co_names}
        self._globals.append((names, found))
        for name, value in found.items():
            if isinstance(value, CACHE) and self._is_new(value):
                self.caches.append((names, name, value))
            self._function(getattr(value, "__wrapped__", value), depth + 1)
            self._value(value, 0)

    def _value(self, value: Any, depth: int) -> None:
        if isinstance(value, (*PLAIN, FunctionType, MethodType)) or depth > DEPTH or not self._is_new(value):
            return
        if isinstance(value, (list, tuple)) and len(value) <= LARGE:
            inside = list(value)
            self._held += [(value, inside)] if isinstance(value, list) else []
        elif isinstance(value, dict) and len(value) <= LARGE:
            entries = _entries(value)
            inside = list(entries.values())
            self._held.append((value, entries))
        elif hasattr(value, "__dict__") and not callable(value) and _belongs_to_user(type(value)):
            inside = list(vars(value).values())
            self._held.append((vars(value), dict(vars(value))))
        else:
            return
        for entry in inside:
            self._value(entry, depth + 1)

    def _is_new(self, thing: Any) -> bool:
        new = id(thing) not in self._seen
        self._seen[id(thing)] = thing
        return new


def _belongs_to_user(kind: type) -> bool:
    return kind.__module__.partition(".")[0] not in LIBRARIES


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a variable that is not set yet
        return _ABSENT


def _entries(holder: Any) -> dict[Any, Any]:
    """What a dictionary or class holds: subclasses may make an object when asked for an entry."""
    return dict(vars(holder)) if isinstance(holder, type) else dict(dict.items(holder))


def _assign(holder: Any, name: Any, value: Any) -> None:
    if isinstance(holder, CellType):
        holder.cell_contents = value
    elif isinstance(holder, type):
        setattr(holder, name, value) if value is not _ABSENT else delattr(holder, name)
    elif value is _ABSENT:
        del holder[name]
    else:
        holder[name] = value


def _uncached(cached: Any) -> Any:
    inner = getattr(cached, "__func__", None)
    return cached.__wrapped__ if inner is None else type(cached)(inner.__wrapped__)


def _holds_tensors(value: Any, depth: int = 0) -> bool:
    if isinstance(value, Tensor):
        return True
    if isinstance(value, PLAIN) or depth > DEPTH or callable(value):
        return False
    if isinstance(value, (list, tuple, set)):
        return any(_holds_tensors(x, depth + 1) for x in list(value)[:LARGE])
    entries = _entries(value) if isinstance(value, dict) else getattr(value, "__dict__", {})
    return any(_holds_tensors(x, depth + 1) for x in list(entries.values())[:LARGE])
