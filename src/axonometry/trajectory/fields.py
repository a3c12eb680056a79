"""Fields of ``run.json``, each checked against the type that its dataclass declares: the file may be anybody's.

>>> fitting([3, 2], tuple[int, ...], "shape")
(3, 2)
>>> fitting("two", int, "n_links")
Traceback (most recent call last):
axonometry.trajectory.fields.FieldError: n_links is a whole number below 2^63; got 'two'
"""

from __future__ import annotations

import math
import types
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from axonometry.program import Group, Synapse, Wire

_INTEGERS = range(2**63)


class FieldError(ValueError):
    """A field does not hold what it must; one line."""


def nonfinite(content: Any, where: str = "configuration") -> Iterator[str]:
    """The places of NaN and infinity in a JSON value; JSON has no word for them.

    >>> list(nonfinite({"rates": [0.1, float("nan")]}))
    ['configuration.rates[1]']
    """
    if isinstance(content, float) and not math.isfinite(content):
        yield where
    elif isinstance(content, dict):
        for key, inside in content.items():
            yield from nonfinite(inside, f"{where}.{key}")
    elif isinstance(content, list):
        for place, inside in enumerate(content):
            yield from nonfinite(inside, f"{where}[{place}]")


def fitting(value: Any, kind: Any, where: str) -> Any:
    """A JSON value as a field of some type: lists as tuples, dictionaries as dataclasses.

    Args:
        value: The value; other keys of dictionaries are left out.
        kind: ``str`` (a name: text without control characters), ``int`` (a whole number of 63 bits), ``bool``, a
            ``Literal``, a dataclass; tuples, dictionaries and optionals of these; ``Any``.
        where: What an error calls the value.

    Raises:
        FieldError: It does not fit.

    >>> fitting([1, 2], tuple[int, ...], "steps")
    (1, 2)
    """
    if kind is Any:
        return value
    if is_dataclass(kind) and isinstance(kind, type):
        return _record(value, kind, where)
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else fitting(value, inside[0], where)
    if origin is Literal:
        return value if value in inside and isinstance(value, str) else _wrong(where, f"one of {_named(inside)}", value)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            _wrong(where, "a list", value)
        return tuple(fitting(one, inside[0], f"{where}[{place}]") for place, one in enumerate(value))
    if kind is dict or origin is dict:
        if not isinstance(value, dict):
            _wrong(where, "a dictionary", value)
        of = inside[1] if inside else Any
        return {name: fitting(one, of, f"{where}[{short(name)}]") for name, one in value.items()}
    return _plain(value, kind, where)


def check_graph(groups: Iterable[Group], synapses: Iterable[Synapse], wires: Iterable[Wire]) -> None:
    """Check that the parts of a network belong together.

    Raises:
        FieldError: A name is given twice, a link leaves or enters a group that is not there, or an axis is outside.
    """
    known: set[str] = set()
    for group in groups:
        where = f"groups[{short(group.name)}]"
        if group.name in known:
            raise FieldError(f"groups have names of their own; {short(group.name)} is there twice")
        if not 0 <= group.channel_axis < max(len(group.shape), 1):
            _wrong(f"{where}.channel_axis", f"an axis of {group.shape}", group.channel_axis)
        if math.prod(group.shape) not in _INTEGERS:
            _wrong(f"{where}.shape", "one of fewer than 2^63 neurons", group.shape)
        known.add(group.name)
    ends = {f"synapses[{place}]": (*synapse.sources, synapse.target) for place, synapse in enumerate(synapses)}
    ends |= {f"wires[{place}]": (*wire.sources, wire.target) for place, wire in enumerate(wires)}
    for where, names in ends.items():
        for name in names:
            if name not in known:
                _wrong(where, "between groups of the network", name)


def _record(value: Any, kind: Any, where: str) -> Any:
    if not isinstance(value, dict):
        _wrong(where, "a dictionary", value)
    hints = _hints(kind)
    missing = [field.name for field in fields(kind) if field.name not in value]
    if missing:
        raise FieldError(f"{where or 'the file'} has no {missing[0]}")
    inside = f"{where}." if where else ""
    return kind(**{name: fitting(value[name], hint, f"{inside}{name}") for name, hint in hints.items()})


@lru_cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _plain(value: Any, kind: Any, where: str) -> Any:
    if kind is bool:
        return value if isinstance(value, bool) else _wrong(where, "true or false", value)
    if kind is int:
        right = isinstance(value, int) and not isinstance(value, bool) and value in _INTEGERS
        return value if right else _wrong(where, "a whole number below 2^63", value)
    if not isinstance(value, str):
        _wrong(where, "text", value)
    if not value.isprintable() and any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in value):
        _wrong(where, "text without control characters", value)
    return value


def _named(choices: Iterable[Any]) -> str:
    return ", ".join(map(str, choices))


def short(value: object) -> str:
    """A value in words, however long it is.

    >>> short(3), short(10**5000), short("x" * 100)[-10:]
    ('3', 'an integer of 16610 bits', 'xxxxxxx...')
    """
    if isinstance(value, int) and abs(value) >= 2**64:  # Python refuses to write thousands of digits
        return f"an integer of {value.bit_length()} bits"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _wrong(where: str, rule: str, value: Any) -> NoReturn:
    raise FieldError(f"{where} is {rule}; got {short(value)}")
