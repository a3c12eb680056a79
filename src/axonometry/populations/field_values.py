"""Values of a configuration's fields: the type that a field's annotation says, and rules that numbers keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from math import isfinite
from numbers import Integral, Real
from typing import Any

from axonometry.errors import ConfigurationError

_LARGEST = 2**128

_WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a finite number",
    "tuple[int, ...]": "a list of whole numbers",
    "None": "nothing",
}

_NUMBERS: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("train_fraction test_fraction", "is above 0 and at most 1", lambda value: 0 < value <= 1),
    ("label_noise", "is at least 0 and below 1", lambda value: 0 <= value < 1),
    ("scale learning_rate initial_factor", "is above 0", lambda value: value > 0),
    ("seed momentum weight_decay max_steps stop_at_train_loss", "is at least 0", lambda value: value >= 0),
    (
        "batch_size epochs n_train n_test n_train_evaluated stop_check_every components",
        "is at least 1",
        lambda value: value >= 1,
    ),
    ("modulus", "is at least 2", lambda value: value >= 2),
)


def typed_values(annotations: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as types of their annotations, each as by :func:`typed`.

    A grid of thousands of runs has nearly all its values in the right types: these are told here, without a call each.

    Raises:
        ConfigurationError: One has another type; the message names the field.

    >>> typed_values({"scale": "float", "widths": "tuple[int, ...] | None"}, {"scale": 1, "widths": [64, 32]})
    {'scale': 1.0, 'widths': (64, 32)}
    """
    found = {}
    for name, value in values.items():
        kind, allowed = type(value), _allowed(annotations[name])
        plain = (
            (value is None and "None" in allowed)
            or (kind is str and "str" in allowed)
            or (kind is float and "float" in allowed and isfinite(value))
            or (kind is int and "int" in allowed and abs(value) < _LARGEST)
            or (
                kind is tuple
                and "tuple[int, ...]" in allowed
                and all(type(n) is int and abs(n) < _LARGEST for n in value)
            )
        )
        found[name] = value if plain else typed(name, annotations[name], value)
    return found


@cache
def _allowed(annotation: str) -> frozenset[str]:
    return frozenset(annotation.split(" | "))


def typed(name: str, annotation: str, value: Any) -> Any:
    """The value as one of the annotation's types, which stand in it as ``str | int | None``.

    Raises:
        ConfigurationError: It has another type; the message names the field.

    >>> typed("scale", "float", 1), typed("widths", "tuple[int, ...] | None", [64, 32])
    (1.0, (64, 32))
    """
    allowed = annotation.split(" | ")
    for one in value if isinstance(value, list | tuple) else (value,):
        # Digests are made good seeds of; 10**400 fits no number of torch's or numpy's, and cannot be compared with one.
        require_field(name, "has at most 128 bits", _shown(one), not _is_whole(one) or abs(int(one)) < _LARGEST)
    if value is None and "None" in allowed:
        return None
    if isinstance(value, str) and "str" in allowed:
        return value
    if isinstance(value, list | tuple) and "tuple[int, ...]" in allowed and all(_is_whole(one) for one in value):
        return tuple(int(one) for one in value)
    if _is_whole(value) and "int" in allowed:
        return int(value)
    if _is_number(value) and "float" in allowed and isfinite(value):
        return float(value)
    raise ConfigurationError(f"`{name}` is {' or '.join(_WORDS[kind] for kind in allowed)}", repr(value))


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and _is_number(value)


def _shown(value: Any) -> Any:
    # Python refuses to write 10**5000 in digits.
    return f"a number of {int(value).bit_length()} bits" if _is_whole(value) else value


def _is_number(value: Any) -> bool:
    # True is a whole number to Python, never to a reader of configurations.
    return not isinstance(value, bool) and isinstance(value, Real)


def require_field(name: str, rule: str, value: object, holds: bool) -> None:
    """Make sure that a rule of a field holds.

    Raises:
        ConfigurationError: It does not; the message names the field.
    """
    if not holds:
        raise ConfigurationError(f"`{name}` {rule}", repr(value))


def require_numbers(configuration: object) -> None:
    """Make sure that every number is in its range; None is always.

    Raises:
        ConfigurationError: One is not.
    """
    for names, rule, holds in _NUMBERS:
        for name in names.split():
            value = getattr(configuration, name)
            if value is not None and not holds(value):
                require_field(name, rule, value, holds=False)
