"""Numbers of any type as floats that numpy calculates with."""

from __future__ import annotations

from functools import cache

import numpy as np

from axonometry.checkpoints.element_types import Array, patterns

_EXPONENT = {"bfloat16": 0x7F80, "float16": 0x7C00}
"""The bits of a number's exponent; all of them are set in what is no finite number."""
_ROUNDING = {"bfloat16": 2.0**-9, "float16": 2.0**-12, "float64": 2.0**-53}


def rounding(dtype: str) -> float:
    """Half the distance of neighbouring numbers, relative to them; float32's for all types that are not known.

    >>> rounding("bfloat16") == 2**-9
    True

    Args:
        dtype: Torch's name of their type.
    """
    return _ROUNDING.get(dtype, 2.0**-24)


def floats(array: Array, dtype: str) -> Array:
    """Numbers as float32, float64 as they are; what is not finite is 0.

    >>> floats(np.array([0x3F80, 0x7FC0], np.uint16), "bfloat16")  # 1 and NaN
    array([1., 0.], dtype=float32)

    Args:
        array: The numbers, as :func:`~axonometry.checkpoints.element_types.held_as` says.
        dtype: Torch's name of their type.
    """
    if dtype in _EXPONENT:
        return _of_sixteen_bits(array.view(np.uint16), dtype)
    if patterns(dtype) is not None:
        return _finite_table(dtype).take(array.view(f"u{array.itemsize}"))
    if dtype.startswith("complex"):
        found: Array = np.abs(array)
    else:
        found = array if array.dtype.kind == "f" else array.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        total = found.sum()
    return found if np.isfinite(total) else np.where(np.isfinite(found), found, 0)


def _of_sixteen_bits(bits: Array, dtype: str) -> Array:
    """By shifting bits: a table of 65,536 numbers takes twice as long to look up.

    A float16 has five bits of exponent with a bias of 15, a float32 eight with one of 127. Its bits at the places of a
    float32's read as 2^(15 - 127) times the number, also where that is below the smallest normal one::

        1.0  0 01111 0000000000  ->  0 00001111 00000000000000000000000 = 2^-112  ->  times 2^112
    """
    exponent = _EXPONENT[dtype]
    if ((bits & exponent) == exponent).any():
        return _finite_table(dtype).take(bits)
    wide = bits.astype(np.uint32)
    if dtype == "bfloat16":
        wide <<= 16
        return wide.view(np.float32)
    sign = wide & 0x8000
    wide ^= sign
    wide <<= 13
    sign <<= 16
    wide |= sign
    found = wide.view(np.float32)
    found *= np.float32(2.0**112)
    return found


@cache
def _finite_table(dtype: str) -> Array:
    table = patterns(dtype)
    assert table is not None
    return np.where(np.isfinite(table), table, 0).astype(np.float32)
