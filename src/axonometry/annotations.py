"""What an annotation says: whether a value fits it, and how it is said to people."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from numbers import Integral, Real
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

LOOKED_AT = 100  # items of a list
NUMBERS: dict[Any, type] = {int: Integral, float: Real}
WORDS = {
    "int": ("a whole number", "whole numbers"),
    "float": ("a number", "numbers"),
    "bool": ("True or False", "truth values"),
    "str": ("a text", "texts"),
    "Path": ("a path", "paths"),
    "NoneType": ("None", "None"),
    "Tensor": ("a tensor", "tensors"),
    "ndarray": ("an array", "arrays"),
    "Module": ("a module", "modules"),
    "NeuralGraph": ("a captured graph", "captured graphs"),
    "ChannelGraph": ("a channel graph", "channel graphs"),
    "NodeValues": ("node values", "node values"),
    "Callable": ("a function", "functions"),
    "Mapping": ("a mapping", "mappings"),
}
"""What a type is called, one of it and several."""


@dataclass(frozen=True)
class Fits:
    """What a type alone does not say, in ``Annotated[int, Fits("a number of draws, 1 or more", lambda n: n >= 1)]``.

    Attributes:
        words: What the argument is.
        check: Whether a value of the type is it.
    """

    words: str
    check: Callable[[Any], bool]


Seed = Annotated[int, Fits("a whole number, 0 or more", lambda number: number >= 0)]
Count = Annotated[int, Fits("a whole number, 1 or more", lambda number: number >= 1)]
Batches = Annotated[
    Any,
    Fits(
        "a tensor, an array, a mapping of them, or batches one after the other",
        lambda given: isinstance(given, Iterable) and not isinstance(given, (str, bytes)),
    ),
]


def fits(value: object, hint: Any) -> bool:
    """Whether a value is what an annotation says; where that cannot be told, it is.

    >>> fits(3, float), fits(2.5, int), fits(["a"], list[str]), fits([1], list[str]), fits(None, str | None)
    (True, False, True, False, True)

    Args:
        value: The value; of a list or dictionary the first hundred items are looked at.
        hint: The annotation, resolved.
    """
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in inside)
    if origin is Annotated:
        said = [one.check(value) for one in inside[1:] if isinstance(one, Fits)] if fits(value, inside[0]) else [False]
        return all(said)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in inside)
    if hint is None or hint in NUMBERS:
        return value is None if hint is None else _is_number(value, NUMBERS[hint])
    kind = hint if origin is None else origin
    if not isinstance(kind, type):
        return True
    try:
        return isinstance(value, kind) and _items_fit(value, inside)
    except TypeError:  # a protocol whose methods are not looked for at run time
        return True


def type_in_words(hint: Any, several: bool = False) -> str:
    """What an annotation says, for people.

    >>> type_in_words(float | None), type_in_words(Mapping[str, int]), type_in_words(Literal["in", "out"])
    ('a number or None', 'a mapping from texts to whole numbers', "'in' or 'out'")

    Args:
        hint: The annotation, resolved.
        several: Whether it is said of several.
    """
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_in_words(one, several) for one in inside))
    if origin is Annotated:
        return next((one.words for one in inside[1:] if isinstance(one, Fits)), type_in_words(inside[0], several))
    if origin is Literal:
        return " or ".join(map(repr, inside))
    if hint is Any or isinstance(hint, TypeVar):
        return "things" if several else "anything"
    if hasattr(hint, "dim_str"):  # a shape of jaxtyping's: Float[Tensor, "samples n"]
        return f"{type_in_words(hint.array_type, several)} of shape ({', '.join(hint.dim_str.split())})"
    kind = hint if origin is None else origin
    name = getattr(kind, "__name__", str(kind))
    if isinstance(kind, type) and issubclass(kind, Mapping) and len(inside) == 2:
        return f"a mapping from {type_in_words(inside[0], True)} to {type_in_words(inside[1], True)}"
    if isinstance(kind, type) and issubclass(kind, Iterable) and inside:
        return f"a list of {type_in_words(inside[0], True)}"
    return WORDS.get("NoneType" if hint is None else name, (f"a {name}", f"{name}s"))[several]


def _is_number(value: object, kind: type) -> bool:
    """A number of the kind; a tensor or array of one number is whatever it holds."""
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "ndim", None) == 0:
        value = item()
    return isinstance(value, kind)


def _items_fit(value: object, inside: tuple[Any, ...]) -> bool:
    if not inside:
        return True
    if isinstance(value, dict):
        pairs = islice(value.items(), LOOKED_AT)
        return len(inside) != 2 or all(fits(key, inside[0]) and fits(item, inside[1]) for key, item in pairs)
    if isinstance(value, tuple) and Ellipsis not in inside and len(inside) > 1:
        return len(value) == len(inside) and all(map(fits, value, inside))
    if isinstance(value, (list, tuple, set, frozenset, str, bytes)):
        return all(fits(item, inside[0]) for item in islice(value, LOOKED_AT))
    return not (str in inside and hasattr(value, "dtype"))  # tensors and arrays are of numbers
