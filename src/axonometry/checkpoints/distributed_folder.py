"""Weights in a distributed checkpoint of torch: a folder with ``.metadata`` and a file for each process.

``.metadata`` is a pickle, read as all pickles are here. It says of every tensor its size and type, into which chunks it
was cut, and where each chunk is: a file of the folder, a first byte, a length. There lies a little ``torch.save``
archive of that chunk alone::

    w of size (4, 3), chunks at (0, 0) and (2, 0)  ->  __0_0.distcp, bytes 0 to 1,577; __1_0.distcp, bytes 0 to 1,577
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from axonometry.checkpoints import nesting
from axonometry.checkpoints.checkpoint import DAMAGE, Contents, Entry, File, corrupt_checkpoint
from axonometry.checkpoints.element_types import name_of
from axonometry.checkpoints.kinds import require_file
from axonometry.checkpoints.pickles import Unknown, read_pickle
from axonometry.checkpoints.slices import Slice
from axonometry.checkpoints.stored import Storage, StoredTensor, WithoutNumbers, lookup, read_tensor
from axonometry.checkpoints.torch_file import LARGEST_PICKLE, Archive

METADATA = ".metadata"
_OWN = ("torch.", "pathlib.")
"""Modules of the classes that a metadata file always asks for; they are read as what they were given."""


@dataclass(frozen=True)
class _Chunk:
    """A part of a tensor, and where it is."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    file: str
    begin: int
    length: int


class DistributedFolder(File[Path]):
    """A folder that ``torch.distributed.checkpoint`` wrote; a tensor's chunks are read one after the other."""

    kind = "torch distributed"

    def _open(self) -> Path:
        return self.path

    def _list(self, handle: Path) -> Contents:
        metadata = handle / METADATA
        require_file(metadata)
        try:
            if metadata.stat().st_size > LARGEST_PICKLE:
                raise ValueError(f"a pickle of {metadata.stat().st_size:,} bytes")
            content, asked = read_pickle(io.BytesIO(metadata.read_bytes()), lookup)
            found = nesting.find_weights(handle, self._nested(content))
        except DAMAGE as error:
            corrupt_checkpoint(metadata, error)
        self._tensors: dict[str, StoredTensor] = found.tensors
        entries = {name: Entry(one.size, name_of(one.dtype)) for name, one in found.tensors.items()}
        unread = tuple(f"{name} ({reason})" for name, reason in found.unread.items())
        code = tuple(name for name in asked if not name.startswith(_OWN))
        return Contents(entries, found.keys, found.left_out + unread, tuple(found.unread), code)

    def _nested(self, content: Any) -> dict[str, Any]:
        """The dictionaries that were saved, with a stand-in for each tensor and None for all else."""
        told = _attributes(content)
        places = told.get("planner_data")
        self._chunks: dict[str, list[_Chunk]] = {}
        for index, where in _dictionary(told["storage_data"]).items():
            self._add_chunk(_attributes(index), _attributes(where))
        nested: dict[str, Any] = {}
        for name, one in _dictionary(told["state_dict_metadata"]).items():
            keys = places.get(name) if isinstance(places, Mapping) else None
            path = [str(key) for key in keys] if isinstance(keys, tuple | list) and keys else [str(name)]
            holder = nested
            for key in path[:-1]:
                holder = holder.setdefault(key, {})
                if not isinstance(holder, dict):
                    raise ValueError(f"{name}, which lies within a tensor")
            holder[path[-1]] = self._stored(str(name), _attributes(one))
        return nested

    def _add_chunk(self, index: Mapping[str, Any], where: Mapping[str, Any]) -> None:
        file, begin, length = (where[key] for key in ("relative_path", "offset", "length"))
        if not isinstance(file, str) or Path(file).name != file or not (self.path / file).is_file():
            raise ValueError(f"no file {str(file)[:80]!r} in the folder")
        if where.get("transform_descriptors"):
            file = ""  # compressed: read by nobody but the extension that did it
        size = (self.path / file).stat().st_size if file else 0
        if file and not 0 <= _number(begin) <= _number(begin) + _number(length) <= size:
            raise ValueError(f"bytes {begin:,} to {begin + length:,} of {file}, which has {size:,}")
        offsets = tuple(map(_number, index.get("offset") or ()))
        self._chunks.setdefault(str(index["fqn"]), []).append(_Chunk(offsets, (), file, begin, length))

    def _stored(self, name: str, told: Mapping[str, Any]) -> Any:
        """What stands for a tensor; None for what is none."""
        if "size" not in told:
            return None
        properties = told["properties"]
        state = properties.state if isinstance(properties, Unknown) else None
        dtype = state[0] if isinstance(state, tuple) and state else _attributes(properties).get("dtype")
        size = tuple(map(_number, told["size"]))
        if not isinstance(dtype, torch.dtype):
            return WithoutNumbers("of an unknown type")
        cut = [_attributes(chunk) for chunk in told["chunks"]]
        sizes = {tuple(map(_number, one["offsets"])): tuple(map(_number, one["sizes"])) for one in cut}
        placed = [_Chunk(one.offsets, sizes[_padded(one.offsets, size)], one.file, one.begin, one.length)
                  for one in self._chunks.get(name, ())]  # fmt: skip
        if any(not one.file for one in placed):
            return WithoutNumbers("compressed by an extension")
        _require_whole(name, size, placed, dtype.itemsize)
        self._chunks[name] = placed
        return StoredTensor(Storage(name, dtype, math.prod(size)), dtype, 0, size, _strides(size))

    def _get(self, handle: Path, name: str) -> Tensor:
        stored = self._tensors[name]
        whole = torch.empty(stored.size, dtype=stored.dtype)
        for chunk in self._chunks[stored.storage.key]:
            try:
                archive = Archive(Slice(handle / chunk.file, chunk.begin, chunk.length))
                part = read_tensor(archive.content, archive.read)
                if tuple(part.shape) != chunk.sizes or part.dtype != stored.dtype:
                    raise ValueError(f"{name}: a chunk of {tuple(part.shape)} {part.dtype}, not {chunk.sizes}")
            except DAMAGE as error:
                corrupt_checkpoint(handle / chunk.file, error)
            place = tuple(
                slice(o, o + n) for o, n in zip(_padded(chunk.offsets, stored.size), chunk.sizes, strict=True)
            )
            whole[place] = part
        return whole


def _require_whole(name: str, size: tuple[int, ...], chunks: list[_Chunk], itemsize: int) -> None:
    """The chunks lie within the tensor, do not overlap, fill it, and are as long as their numbers need."""
    for one in chunks:
        ends = [o + n for o, n in zip(_padded(one.offsets, size), one.sizes, strict=True)]
        if len(ends) != len(size) or any(end > n for end, n in zip(ends, size, strict=True)):
            raise ValueError(f"{name}: a chunk beyond its end")
        if math.prod(one.sizes) * itemsize > one.length:
            raise ValueError(f"{name}: a chunk of {one.sizes} in {one.length:,} bytes")
    if len({one.offsets for one in chunks}) != len(chunks) or sum(math.prod(c.sizes) for c in chunks) != math.prod(
        size
    ):
        raise ValueError(f"{name}: chunks that do not make up its {math.prod(size):,} numbers")


def _padded(offsets: tuple[int, ...], size: tuple[int, ...]) -> tuple[int, ...]:
    """Offsets of a chunk; a tensor that was not cut has none."""
    return offsets or (0,) * len(size)


def _attributes(value: Any) -> Mapping[str, Any]:
    """What an object of the metadata was given."""
    if not isinstance(value, Unknown):
        raise ValueError(f"{type(value).__name__} where an object was expected")
    return value.state if isinstance(value.state, Mapping) else {}


def _dictionary(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{type(value).__name__} where a dictionary was expected")
    return value


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise ValueError(f"a size of {str(value)[:40]}")
    return value


def _strides(size: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(size[axis + 1 :]) for axis in range(len(size)))
