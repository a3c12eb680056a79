"""Types of numbers by torch's names, in numpy's hands: weights are read and counted without torch.

numpy has no bfloat16 and no floats of eight bits or fewer. Numbers of such a type are held as unsigned integers of the
same width, their bits, beside the name of the type; what each pattern of bits stands for is written out once::

    "bfloat16"       0x3F80, held as uint16 16,256      ->  1.0
    "float8_e4m3fn"  0x38, held as uint8 56             ->  1.0
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Array = np.ndarray[Any, np.dtype[Any]]

_NATIVE = (
    *("float64", "float32", "float16", "complex64", "complex128", "bool"),
    *("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"),
)
PAIRS = "float4_e2m1fn_x2"
"""Two floats of four bits in a byte, the first in its low half."""
_FLOATS = {
    # name: (bits of the exponent, bits of the fraction, bias, what the largest exponent or the negative zero says)
    "float8_e4m3fn": (4, 3, 7, "last is NaN"),
    "float8_e5m2": (5, 2, 15, "as IEEE"),
    "float8_e4m3fnuz": (4, 3, 8, "-0 is NaN"),
    "float8_e5m2fnuz": (5, 2, 16, "-0 is NaN"),
}
_WIDTHS = {"bfloat16": 2, "float8_e8m0fnu": 1, PAIRS: 1, **dict.fromkeys(_FLOATS, 1)}


def is_known(name: str) -> bool:
    """Whether torch has a type of this name.

    >>> is_known("bfloat16"), is_known("float6")
    (True, False)
    """
    return name in _NATIVE or name in _WIDTHS


def held_as(name: str) -> np.dtype[Any]:
    """The numpy type in whose arrays numbers of a known type are held.

    >>> held_as("float32"), held_as("bfloat16")
    (dtype('float32'), dtype('uint16'))
    """
    return np.dtype(name if name in _NATIVE else f"u{_WIDTHS[name]}")


def type_name(dtype: np.dtype[Any]) -> str | None:
    """Torch's name of a numpy type, also of those that ml_dtypes adds; None where torch has no such type.

    >>> type_name(np.dtype(">f4")), type_name(np.dtype("M8[D]"))
    ('float32', None)
    """
    return dtype.name if is_known(dtype.name) and dtype.name != PAIRS else None


def as_bits(array: Array, name: str) -> Array:
    """An array whose bytes are numbers of a type, as it is held: native order, in one piece, bits where needed."""
    held = held_as(name)
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)
    return plain if plain.dtype == held else plain.view(held)


def as_truth(array: Array) -> Array:
    """Truth values as the bytes 0 and 1, whatever bytes a file has for true; other arrays as they are.

    >>> as_truth(np.array([0, 1, 191], np.uint8).view(bool)).view(np.uint8)
    array([0, 1, 1], dtype=uint8)
    """
    return array if array.dtype != np.bool_ else np.ascontiguousarray(array).view(np.uint8).reshape(array.shape) != 0


def tensor_as_truth(tensor: Tensor) -> Tensor:
    """The same of a tensor."""
    import torch

    if tensor.dtype != torch.bool or tensor.layout != torch.strided:
        return tensor
    return tensor.view(torch.uint8) != 0


def tensor_of_array(array: Array, name: str) -> Tensor:
    """The tensor of an array that is held as :func:`held_as` says."""
    import torch

    found = torch.from_numpy(array if array.flags.writeable else array.copy())
    return found if name in _NATIVE else found.view(torch_type(name))


def as_array(tensor: Tensor) -> tuple[Array, str]:
    """A tensor's numbers as they are held, and the name of their type."""
    import torch

    name = name_of(tensor.dtype)
    plain = tensor.detach().resolve_conj().resolve_neg().contiguous()
    if name not in _WIDTHS:
        return plain.numpy(), name
    return plain.view(torch.uint16 if _WIDTHS[name] == 2 else torch.uint8).numpy(), name


def torch_type(name: str) -> torch.dtype:
    """Torch's type of a name."""
    import torch

    found: torch.dtype = getattr(torch, name)
    return found


def name_of(dtype: torch.dtype) -> str:
    """The name of a type of torch's.

    >>> import torch
    >>> name_of(torch.bfloat16)
    'bfloat16'
    """
    return str(dtype).removeprefix("torch.")


def unpacked(array: Array, name: str) -> tuple[Array, str]:
    """Numbers of which several share a byte, one in a byte each; all others as they are.

    >>> unpacked(np.array([[0x21]], np.uint8), "float4_e2m1fn_x2")  # 0x1 is 0.5, 0x2 is 1
    (array([[1, 2]], dtype=uint8), 'float4_e2m1fn')
    """
    if name != PAIRS:
        return array, name
    halves = np.stack([array & 15, array >> 4], axis=-1)
    return halves.reshape(*array.shape[:-1], -1), "float4_e2m1fn"


@cache
def patterns(name: str) -> Array | None:
    """What every pattern of bits of a type of at most 16 bits stands for, in float64; None for wider types.

    >>> patterns("float8_e8m0fnu")[126:129].tolist()
    [0.5, 1.0, 2.0]
    """
    if name in _FLOATS:
        return _small_floats(*_FLOATS[name])
    if name == "float4_e2m1fn":
        half = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
        return np.concatenate([half, -half])
    if name == "float8_e8m0fnu":
        return np.append(np.ldexp(1.0, np.arange(255) - 127), np.nan)
    if name == "bfloat16":
        with np.errstate(invalid="ignore"):
            return (np.arange(2**16, dtype=np.uint32) << 16).view(np.float32).astype(np.float64)
    if name == "bool":
        return np.array([0.0, 1.0])
    held = held_as(name)
    if held.itemsize > 2:
        return None
    with np.errstate(invalid="ignore"):
        return np.arange(256**held.itemsize, dtype=f"u{held.itemsize}").view(held).astype(np.float64)


def _small_floats(exponents: int, fractions: int, bias: int, special: str) -> Array:
    """``(-1)^s 2^(e - bias) (1 + f / 2^fractions)``, and ``2^(1 - bias) f / 2^fractions`` where e is 0."""
    bits = np.arange(128)
    e, f = bits >> fractions, bits & (2**fractions - 1)
    share = f / 2**fractions
    # e4m3 0x3A is 0 0111 010: e = 7, f = 2, and 2^(7 - 7) (1 + 2/8) = 1.25.
    values = np.where(e > 0, np.ldexp(1 + share, e - bias), np.ldexp(share, 1 - bias))
    if special == "last is NaN":
        values[-1] = np.nan
    if special == "as IEEE":
        top = e == 2**exponents - 1
        values[top] = np.where(f[top] == 0, np.inf, np.nan)
    both = np.concatenate([values, -values])
    if special == "-0 is NaN":
        both[128] = np.nan
    return both
