"""Weights in a ``.msgpack`` file of Flax: dictionaries in dictionaries, with an array at each end.

An array is a piece of msgpack within the msgpack: its shape, the name of its type, its bytes. Arrays above a gigabyte
are cut into pieces, ``{"__msgpack_chunked_array__": true, "shape": {"0": ...}, "chunks": {"0": ..., "1": ...}}``.
Going through the file, the arrays' places are noted and their numbers skipped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from axonometry.checkpoints.checkpoint import (
    DAMAGE,
    ArrayFile,
    Contents,
    Entry,
    corrupt_checkpoint,
    read_bytes,
)
from axonometry.checkpoints.element_types import Array, held_as, is_known
from axonometry.checkpoints.training_state import names_training_state
from axonometry.errors import MissingExtraError

CHUNKED = "__msgpack_chunked_array__"
NDARRAY = 1
"""The code of arrays."""
DEEPEST, LONGEST = 100, 2**16
"""Dictionaries one in another, and bytes of a key or of a value that is no array."""
_MAP = range(0x80, 0x90), {0xDE: 2, 0xDF: 4}
_LIST = range(0x90, 0xA0), {0xDC: 2, 0xDD: 4}
"""First bytes of dictionaries and lists: those that hold a small count, and how many bytes of count follow others."""
_OTHER = object()
Place = tuple[str, ...]


@dataclass(frozen=True)
class _Piece:
    """An array in the file, or a piece of one."""

    shape: tuple[int, ...]
    dtype: str
    begin: int
    length: int


class FlaxFile(ArrayFile[Path]):
    """A file that ``flax.serialization.to_bytes`` made; its tensors are called by the keys that lead to them."""

    kind = "flax"

    def _open(self) -> Path:
        return self.path

    def _list(self, handle: Path) -> Contents:
        try:
            import msgpack
        except ImportError as error:
            raise MissingExtraError.of("msgpack", "flax") from error
        try:
            walk = _Walk(handle, msgpack)
            walk.visit((), 0)
            walk.require_end()
            return self._contents(walk.leaves)
        except (*DAMAGE, msgpack.UnpackException) as error:
            corrupt_checkpoint(self.path, error)

    def _contents(self, leaves: dict[Place, Any]) -> Contents:
        training = {place[0]: None for place in leaves if place and names_training_state(place[0])}
        kept = {place: leaf for place, leaf in leaves.items() if not place or place[0] not in training}
        entries, others, unread = {}, dict.fromkeys(training, "none of the weights"), {}
        self._pieces: dict[str, tuple[_Piece, ...]] = {}
        for place, (shape, pieces) in _arrays(kept).items():
            name, dtype = ".".join(place), pieces[0].dtype
            if not is_known(dtype):
                unread[name] = f"{dtype[:40]} numbers"
            elif math.prod(shape) * held_as(dtype).itemsize != sum(one.length for one in pieces):
                raise ValueError(f"{name} of shape {shape} in {sum(one.length for one in pieces):,} bytes")
            else:
                entries[name], self._pieces[name] = Entry(shape, dtype), pieces
        others |= {".".join(place): "none of the weights" for place, leaf in kept.items() if leaf is _OTHER}
        left_out = tuple(f"{name} ({reason})" for name, reason in (others | unread).items())
        return Contents(entries, left_out=left_out, unread=tuple(unread))

    def _get_array(self, handle: Path, name: str) -> Array:
        entry = self.contents.entries[name]
        try:
            with handle.open("rb") as file:
                raw = np.concatenate([read_bytes(file, one.begin, one.length) for one in self._pieces[name]])
        except DAMAGE as error:
            corrupt_checkpoint(self.path, error)
        return (raw != 0 if entry.dtype == "bool" else raw.view(held_as(entry.dtype))).reshape(entry.shape)


def _arrays(leaves: dict[Place, Any]) -> dict[Place, tuple[tuple[int, ...], tuple[_Piece, ...]]]:
    """Shape and pieces of every array; the pieces of one that was cut are put together, in their order."""
    found: dict[Place, tuple[tuple[int, ...], tuple[_Piece, ...]]] = {}
    cut: dict[Place, dict[str, dict[int, Any]]] = {place[:-1]: {} for place in leaves if place[-1:] == (CHUNKED,)}
    for place, leaf in list(leaves.items()):
        base = next((place[:depth] for depth in range(len(place)) if place[:depth] in cut), None)
        if base is None:
            if isinstance(leaf, _Piece):
                found[place] = leaf.shape, (leaf,)
        else:
            del leaves[place]
            if len(place) == len(base) + 2:
                cut[base].setdefault(place[-2], {})[int(place[-1])] = leaf
    for base, parts in cut.items():
        shape, pieces = (tuple(value for _, value in sorted(parts.get(key, {}).items())) for key in ("shape", "chunks"))
        if not all(isinstance(one, _Piece) for one in pieces) or len({one.dtype for one in pieces}) != 1:
            raise ValueError(f"{'.'.join(base)}: a cut array without its pieces")
        found[base] = _shape(shape), pieces
    return found


def _shape(values: Any) -> tuple[int, ...]:
    if not isinstance(values, tuple | list) or any(type(n) is not int or not 0 <= n < 2**62 for n in values):
        raise ValueError(f"a shape of {str(values)[:80]}")
    return tuple(values)


class _Walk:
    """Going through the file once: dictionaries and lists are entered, arrays noted, all else read and forgotten.

    Attributes:
        leaves: By the keys that lead there: arrays, whole numbers (sizes of cut arrays are among them), and
            :data:`_OTHER` for the rest.
    """

    def __init__(self, path: Path, msgpack: Any) -> None:
        self._unpacker, self._bytes, self._at = msgpack.Unpacker, np.memmap(path, np.uint8, "r"), 0
        self.leaves: dict[Place, Any] = {}

    def require_end(self) -> None:
        """Nothing follows the dictionary."""
        if self._at != len(self._bytes):
            raise ValueError(f"{len(self._bytes) - self._at:,} bytes behind the end")

    def visit(self, place: Place, depth: int) -> None:
        """The value where the walk is; it is behind it afterwards."""
        if depth > DEEPEST:
            raise ValueError(f"over {DEEPEST} dictionaries, one in another")
        code = self._number(self._at, 1)
        if (count := self._count(code, *_MAP)) is not None:
            for _ in range(count):
                key = self._unpack()
                if not isinstance(key, str | int):
                    raise ValueError("a key that is no text")
                self.visit((*place, str(key)), depth + 1)
        elif (count := self._count(code, *_LIST)) is not None:
            for number in range(count):
                self.visit((*place, str(number)), depth + 1)
        elif (found := self._extension(code)) is not None:
            self.leaves[place] = self._piece(*found)
        elif (value := self._unpack()) is not None:  # nothing stands for parameters that are not there
            whole = isinstance(value, int) and not isinstance(value, bool)
            self.leaves[place] = value if whole and place[-2:-1] == ("shape",) else _OTHER

    def _count(self, code: int, small: range, width_of: dict[int, int]) -> int | None:
        """How many values follow where a dictionary or a list begins; the walk is then at the first."""
        if code in small:
            self._at += 1
            return code - small.start
        if code not in width_of:
            return None
        count = self._number(self._at + 1, width_of[code])
        self._at += 1 + width_of[code]
        if count > len(self._bytes):
            raise ValueError(f"a dictionary of {count:,} entries")
        return count

    def _extension(self, code: int) -> tuple[int, int, int] | None:
        """Code, first byte and length of an extension."""
        if code in range(0xD4, 0xD9):  # of 1, 2, 4, 8 or 16 bytes
            return self._number(self._at + 1, 1), self._at + 2, 2 ** (code - 0xD4)
        width = {0xC7: 1, 0xC8: 2, 0xC9: 4}.get(code)
        if width is None:
            return None
        length = self._number(self._at + 1, width)
        return self._number(self._at + 1 + width, 1), self._at + 2 + width, length

    def _piece(self, code: int, begin: int, length: int) -> Any:
        """An array's place, without reading its numbers."""
        self._at = begin + length
        if self._at > len(self._bytes):
            raise EOFError(f"{self._at - len(self._bytes):,} bytes are missing")
        if code != NDARRAY:
            return _OTHER
        reader = self._unpacker(strict_map_key=False)
        reader.feed(self._bytes[begin : begin + min(length, 4096)].tobytes())
        if reader.read_array_header() != 3:
            raise ValueError("an array without shape, type and numbers")
        shape, dtype = _shape(reader.unpack()), str(reader.unpack())
        data = begin + reader.tell()
        width = {0xC4: 1, 0xC5: 2, 0xC6: 4}.get(self._number(data, 1))
        if width is None:
            raise ValueError("an array without numbers")
        held = self._number(data + 1, width)
        if data + 1 + width + held != begin + length:
            raise ValueError(f"an array of {held:,} bytes in {length:,}")
        return _Piece(shape, dtype, data + 1 + width, held)

    def _number(self, at: int, width: int) -> int:
        raw = self._bytes[at : at + width].tobytes()
        if len(raw) < width:
            raise EOFError("the end is missing")
        return int.from_bytes(raw, "big")

    def _unpack(self) -> Any:
        """A value that is no array, no dictionary and no list."""
        reader = self._unpacker(strict_map_key=False, max_buffer_size=LONGEST)
        reader.feed(self._bytes[self._at : self._at + LONGEST].tobytes())
        found = reader.unpack()
        self._at += reader.tell()
        return found
