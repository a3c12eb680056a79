"""What a function's code speaks of: the globals and attributes that it names, and the libraries that are trusted."""

from __future__ import annotations

import dis
import types
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

TRUSTED = {*"torch math cmath operator typing typing_extensions collections itertools functools enum abc".split()}
"""Libraries whose functions depend on nothing but their arguments, as far as shapes and choices go."""
REFLECTING = {"getattr", "hasattr", "vars", "dir"}
"""Builtins by which code reaches methods without naming them, and attributes that do the same."""
REFLECTED = {"__dict__", "__mro__", "__subclasses__", "attrgetter", "methodcaller"}
REFUSED = {*"eval exec compile globals locals open input breakpoint id hash __import__ delattr setattr".split()}
SILENT = {f"__{name}__" for name in "dict weakref doc module annotations annotate qualname slots init new repr".split()}
SILENT |= {f"__{name}__" for name in "str parameters orig_bases dataclass_fields dataclass_params getstate".split()}
SILENT |= {f"__{name}__" for name in "setstate static_attributes firstlineno type_params match_args".split()}
"""Special names of a class that a forward pass does not call of itself; others it may call by an operator."""


class Opaque(Exception):  # noqa: N818 - no error: such a module is captured anew each time
    """Something decides, or may decide, that cannot be compared by value."""


def is_trusted(library: str | None) -> bool:
    """Whether a library's functions depend on nothing but their arguments."""
    return library is not None and library.split(".")[0] in TRUSTED


def home_of(function: Any) -> str | None:
    """The library of a builtin function; a method of an object, such as ``tensor.add``, has none."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, types.ModuleType):
        return owner.__name__
    return owner.__module__ if isinstance(owner, type) else function.__module__ if owner is None else None


@dataclass(frozen=True)
class CodeNames:
    """What a piece of code speaks of, with the functions that are written inside it."""

    globals: tuple[str, ...]
    attributes: frozenset[str]


@lru_cache(maxsize=1024)
def names_in(code: types.CodeType) -> CodeNames:
    """The names in a piece of code.

    Raises:
        Opaque: It imports, or writes a global.
    """
    names, attributes = dict[str, None](), set[str]()
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith(("IMPORT_", "STORE_GLOBAL", "DELETE_GLOBAL")):
            raise Opaque("an import or a global that is written")
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names[str(instruction.argval)] = None
        elif instruction.opname.startswith(("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "STORE_ATTR")):
            attributes.add(str(instruction.argval))
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            seen = names_in(inner)
            names.update(dict.fromkeys(seen.globals))
            attributes |= seen.attributes
    return CodeNames(tuple(names), frozenset(attributes))


def reachable_members(kind: type, named: Set[str] | None, *, is_made: bool) -> Iterator[tuple[str, Any]]:
    """Members of a class that code may reach, by place and name: overridden ones too, which super() reaches.

    Args:
        kind: The class; what torch and Python themselves define is left out.
        named: The attributes that code names; None for all.
        is_made: Whether code may make instances, so that what makes them counts.

    Raises:
        Opaque: torch's own forward pass has been replaced.
    """
    silent = SILENT - {"__init__", "__new__"} if is_made else SILENT
    for place, base in enumerate(kind.__mro__):
        ours, members = not is_trusted(base.__module__), vars(base)
        forward = members.get("forward")
        patched = isinstance(forward, types.FunctionType) and not is_trusted(forward.__globals__["__name__"])
        if patched and not ours:
            raise Opaque("a forward of torch that is not torch's")
        if not ours or base.__module__ == "builtins":
            continue
        for name, member in members.items():
            special = name.startswith("__") and name.endswith("__")
            if name not in silent and (named is None or special or name in named):
                yield f"{place}.{name}", member
