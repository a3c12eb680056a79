"""Weights in a ``.safetensors`` file.

The file is eight bytes that say how long its header is, the header in JSON, and the numbers::

    {"w": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}, "__metadata__": {"format": "pt"}}

It is read here and not by its own library, which maps the whole file, gives numpy no bfloat16 and no floats of eight
bits, and reads no part of a file that is somewhere else. What the library checks is checked: numbers without gaps and
without overlaps, from the header's end to the file's.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axonometry.checkpoints.checkpoint import DAMAGE, ArrayFile, Contents, Entry, corrupt_checkpoint, read_bytes
from axonometry.checkpoints.element_types import PAIRS, Array, held_as
from axonometry.checkpoints.kinds import LONGEST_HEADER

_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "F4": PAIRS,
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}
_UNNAMED_BITS = {"F6_E2M3": 6, "F6_E3M2": 6}
"""Bits of the types that torch does not have."""


@dataclass(frozen=True)
class _Place:
    """A tensor's bytes, counted from the file's begin."""

    begin: int
    end: int
    shape: tuple[int, ...]
    code: str


class SafetensorsFile(ArrayFile[Path]):
    """A ``.safetensors`` file; it is opened for each tensor, and only that one's bytes are read."""

    kind = "safetensors"

    def _open(self) -> Path:
        return self.path

    def _list(self, handle: Path) -> Contents:
        try:
            with handle.open("rb") as file:
                self._places = _places(file, handle.stat().st_size)
        except DAMAGE as error:
            corrupt_checkpoint(self.path, error)
        entries, unread = {}, {}
        for name, place in sorted(self._places.items()):
            if place.code in _TYPES:
                entries[name] = Entry(_shape(place), _TYPES[place.code])
            else:
                unread[name] = f"{name} ({place.code} numbers)"
        return Contents(entries, left_out=tuple(unread.values()), unread=tuple(unread))

    def _get_array(self, handle: Path, name: str) -> Array:
        place = self._places[name]
        try:
            with handle.open("rb") as file:
                raw = read_bytes(file, place.begin, place.end - place.begin)
        except (OSError, ValueError, EOFError, MemoryError) as error:
            corrupt_checkpoint(self.path, error)
        dtype = _TYPES[place.code]
        held = raw != 0 if dtype == "bool" else raw.view(held_as(dtype))
        return held.reshape(_shape(place))


def _shape(place: _Place) -> tuple[int, ...]:
    """The shape in torch's counting, of which two floats of four bits are one element."""
    return (*place.shape[:-1], place.shape[-1] // 2) if place.code == "F4" else place.shape


def _places(file: Any, size: int) -> dict[str, _Place]:
    """Where every tensor's bytes are, in the order of the header."""
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(LONGEST_HEADER, size - 8):
        raise ValueError(f"a header of {length:,} bytes in a file of {size:,}")
    text = file.read(length)
    header = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    if not isinstance(header, dict):
        raise ValueError("a header that is no dictionary")
    found = {name: _place(name, told, 8 + length) for name, told in header.items() if name != "__metadata__"}
    here = 8 + length
    for name, place in sorted(found.items(), key=lambda item: (item[1].begin, item[1].end)):
        if place.begin != here:
            raise ValueError(f"{name} begins at byte {place.begin:,} and not at {here:,}")
        here = place.end
    if here != size:
        raise ValueError(f"{here:,} bytes by the header, {size:,} in the file")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dictionary whose keys differ: of two tensors with one name, which would be meant?"""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name that is written twice")
    return found


def _place(name: str, told: Any, start: int) -> _Place:
    code, shape, (begin, end) = told["dtype"], tuple(told["shape"]), told["data_offsets"]
    bits = _UNNAMED_BITS.get(code) or (4 if code == "F4" else None)
    if bits is None:
        if code not in _TYPES:
            raise ValueError(f"{name} of an unknown type {str(code)[:40]!r}")
        bits = 8 * held_as(_TYPES[code]).itemsize
    for count in (*shape, begin, end):
        if type(count) is not int or not 0 <= count < 2**62:
            raise ValueError(f"{name} with a size of {str(count)[:40]}")
    if len(shape) > 64 or math.prod(shape) * bits != 8 * (end - begin):
        raise ValueError(f"{name} of shape {shape} in {end - begin:,} bytes")
    if code == "F4" and (not shape or shape[-1] % 2):
        raise ValueError(f"{name}: an odd number of floats of four bits")
    return _Place(start + begin, start + end, shape, code)
