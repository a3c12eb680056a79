"""Types are checked at every call under test: shapes by jaxtyping, all others by beartype alone.

jaxtyping's import hook puts ``jaxtyping.jaxtyped`` on every function. For each call this binds the arguments and keeps
a memo of the sizes that the axes' names stand for: a sixth of the suite's time, and most modules name no axis at all.
Their functions are given to beartype as they are, with annotations that do not resolve at run time (imports for type
checkers) left out, as jaxtyping leaves them out too.
"""

from __future__ import annotations

import dataclasses
import inspect
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import jaxtyping
from beartype._check.code import codemain
from beartype._util.kind.integer import utilintget as integers

_SHAPED = jaxtyping.jaxtyped


def checked(item: Any = None, *, typechecker: Callable[[Any], Any]) -> Any:
    """In the place of ``jaxtyping.jaxtyped``: what the import hook puts on functions, properties and classes."""
    if item is None:
        return partial(checked, typechecker=typechecker)
    if inspect.isclass(item):
        if dataclasses.is_dataclass(item) and "__init__" in vars(item):
            item.__init__ = checked(item.__init__, typechecker=typechecker)
        return item
    check = partial(checked, typechecker=typechecker)
    if isinstance(item, classmethod | staticmethod):
        return type(item)(check(item.__func__))
    if isinstance(item, property):
        return property(*(part and check(part) for part in (item.fget, item.fset, item.fdel)))
    if not inspect.isfunction(item) or _names_shapes(item.__globals__):
        return _SHAPED(item, typechecker=typechecker)
    item.__annotations__ = {name: _resolved(text, item.__globals__) for name, text in item.__annotations__.items()}
    return typechecker(item)


def _names_shapes(names: dict[str, Any]) -> bool:
    found = names.get("__axonometry_shapes__")
    if found is None:
        found = any(inspect.isclass(value) and value.__module__.startswith("jaxtyping") for value in names.values())
        names["__axonometry_shapes__"] = found
    return bool(found)


def _resolved(annotation: Any, names: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, names)
    except Exception:  # noqa: BLE001 - whatever a name that is there for type checkers alone leads to
        return Any


def install() -> None:
    """From now on, modules that are imported use it.

    beartype draws which item of a list it looks at: from a generator of its own, so that a network that draws from
    Python's generator gets the numbers that it gets without checks.
    """
    integers.getrandbits = codemain.getrandbits = random.Random(0).getrandbits  # type: ignore[attr-defined]
    jaxtyping.jaxtyped = checked
