"""Values of a file that a stranger may have written: each is checked by type, shape and range before it is used.

An index array of floats, a depth of 2.5, a NaN among weights: numpy computes with all of them, and gives NaN, the last
element for -1, or an error ten calls later. Every function here gives the value as it is used, or a ``ValueError`` that
names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

LARGEST_NUMBER = 1e300
"""The rank transform clips there; products of larger ones overflow."""


def part(holder: Any, name: str) -> Any:
    """An entry of a dictionary.

    Raises:
        ValueError: It is no dictionary, or has none.
    """
    if not isinstance(holder, dict) or name not in holder:
        raise ValueError(f"no {name}")
    return holder[name]


def part_list(holder: Any, name: str, count: int | None = None) -> list[Any]:
    """An entry that is a list.

    Args:
        holder: The dictionary.
        name: The entry.
        count: How many elements it has; None for any number but 0.

    Raises:
        ValueError: It is not so.
    """
    found = part(holder, name)
    if not isinstance(found, list) or not found or count not in (None, len(found)):
        raise ValueError(f"{name} that are no list of {'any' if count is None else count}")
    return found


def whole(value: Any, name: str, least: int, most: int) -> int:
    """A whole number in a range, its ends included.

    Raises:
        ValueError: It is none, or outside.

    >>> whole(2.5, "depth", 0, 9)
    Traceback (most recent call last):
    ValueError: depth is a whole number from 0 to 9, and not 2.5
    """
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is a whole number from {least} to {most}, and not {_shown(value)}")
    return value


def places(value: Any, name: str, count: int) -> Int[np.ndarray, " _"]:
    """An array of indices below a count.

    Raises:
        ValueError: It is no array of whole numbers along one axis, or one leads outside.

    >>> places(np.array([0.0, 1.0]), "views", 2)
    Traceback (most recent call last):
    ValueError: views are indices from 0 to 1 along one axis, and not float64 of shape (2,)
    """
    shown = f"{name} are indices from 0 to {count - 1} along one axis"
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu" or value.ndim != 1:
        raise ValueError(f"{shown}, and not {_shown(value)}")
    if ((value < 0) | (value >= count)).any():
        raise ValueError(f"{shown}, and not from {value.min()} to {value.max()}")
    return value


def finite_numbers(value: Any, name: str, shape: Sequence[int | None]) -> Float[np.ndarray, "*shape"]:
    """An array of finite numbers of a shape, as float64.

    Args:
        value: What stands in the file.
        name: What it is, for the error.
        shape: Sizes along the axes; None for any from 1.

    Raises:
        ValueError: It is not so.

    >>> finite_numbers(np.array([1.0, np.nan]), "weights", (2,))
    Traceback (most recent call last):
    ValueError: weights are finite, and not nan
    """
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
        raise ValueError(f"{name} are numbers, and not {_shown(value)}")
    sizes = zip(value.shape, shape, strict=False)
    if value.ndim != len(shape) or any(size != wanted if wanted is not None else not size for size, wanted in sizes):
        raise ValueError(f"{name} have the shape {_sizes(shape)}, and not {value.shape}")
    found = value.astype(np.float64)
    wrong = found[~(np.abs(found) <= LARGEST_NUMBER)]
    if wrong.size:
        raise ValueError(f"{name} are finite, and not {wrong.flat[0]}")
    return found


def _sizes(shape: Sequence[int | None]) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    if isinstance(value, int) and value.bit_length() > 200:  # Python refuses to write 10**5000
        return f"a number of {value.bit_length()} bits"
    return repr(value)[:80] if isinstance(value, int | float | str | None) else f"a {type(value).__name__}"
