"""Weights in a file of ``torch.save``, new or old, in a TorchScript archive, or in a plain pickle.

A new file is an archive: ``data.pkl`` says which tensors there are, ``data/0``, ``data/1``, ... are their storages. An
old one is several pickles, then each storage behind its length. Both are read by :mod:`axonometry.checkpoints.pickles`,
which runs nothing of the file, and tensor by tensor from the places that the pickle names.
"""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from axonometry.checkpoints import nesting
from axonometry.checkpoints.checkpoint import DAMAGE, Contents, Entry, File, corrupt_checkpoint
from axonometry.checkpoints.element_types import name_of
from axonometry.checkpoints.pickles import read_pickle
from axonometry.checkpoints.slices import Slice, begin_of_member
from axonometry.checkpoints.stored import (
    NumpyArray,
    Storage,
    StoredTensor,
    lookup,
    numpy_shape,
    read_tensor,
    storage_of,
)

MAGIC = 0x1950A86A20F9469CFC6C
"""The first number of an old file."""
LARGEST_PICKLE = 2**30
"""Bytes of an archive's ``data.pkl``."""
LARGEST_RATIO = 200
"""How much larger than in the file a compressed storage may be; torch compresses none, and numbers hardly shrink."""


class Container(ABC):
    """A kind of file that ``torch.save`` writes.

    Attributes:
        content: The object in it, with stand-ins for tensors.
        asked: Names of code that the file asks for; nothing of it was run.
    """

    content: Any
    asked: tuple[str, ...]

    @abstractmethod
    def read(self, storage: Storage, start: int, count: int) -> Tensor:
        """So many bytes of a storage from a byte on, as uint8."""


class Archive(Container):
    """A zip archive, as torch writes them since 1.6; TorchScript's too.

    Args:
        path: The file, or a part of one that holds an archive.
    """

    def __init__(self, path: Path | Slice) -> None:
        self._path = path
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            self._members = {member.filename: member for member in archive.infolist()}
            self.content, self.asked = self._pickle(archive)

    def _pickle(self, archive: zipfile.ZipFile) -> tuple[Any, tuple[str, ...]]:
        found = sorted((name for name in self._members if name.split("/")[-1] == "data.pkl"), key=len)
        if not found:
            raise ValueError("an archive without data.pkl")
        self._prefix = found[0].removesuffix("data.pkl")
        self._big = self._text(archive, "byteorder") == "big"
        if self._members[found[0]].file_size > LARGEST_PICKLE:
            raise ValueError(f"a pickle of {self._members[found[0]].file_size:,} bytes")
        return read_pickle(io.BytesIO(archive.read(found[0])), lookup, self._storage)

    def _text(self, archive: zipfile.ZipFile, name: str) -> str:
        member = self._members.get(self._prefix + name)
        return archive.read(member).decode("ascii", "replace").strip() if member and member.file_size < 100 else ""

    def _storage(self, pid: Any) -> Storage:
        found = storage_of(pid)
        member = self._members.get(f"{self._prefix}data/{found.key}")
        needed = (found.start + found.numel) * found.dtype.itemsize
        if member is None or member.file_size < needed:
            held = 0 if member is None else member.file_size
            raise ValueError(f"storage {found.key} of {needed:,} bytes, of which the file holds {held:,}")
        if member.file_size > LARGEST_RATIO * max(member.compress_size, 2**16):
            raise ValueError(f"storage {found.key}: {member.compress_size:,} bytes that unpack to {member.file_size:,}")
        return found

    def read(self, storage: Storage, start: int, count: int) -> Tensor:
        """So many bytes of a storage."""
        member = self._members[f"{self._prefix}data/{storage.key}"]
        raw = torch.empty(count, dtype=torch.uint8)
        # torch.save stores without compression, so that a tensor is a range of the file: of 10 GB, the 4 kB that are
        # asked for are read. A compressed member has to be read from its beginning.
        if member.compress_type == zipfile.ZIP_STORED:
            with self._path.open("rb") as file:
                _fill(raw, file, begin_of_member(file, member) + start)
        else:
            with self._path.open("rb") as file, zipfile.ZipFile(file) as archive, archive.open(member) as stream:
                _fill(raw, stream, start)
        return _swapped(raw, storage.dtype) if self._big else raw


class OldFile(Container):
    """A file from before torch 1.6: a magic number, a version, the writing machine, the object, the storages."""

    def __init__(self, path: Path) -> None:
        self._places: dict[str, tuple[int, int]] = {}
        self._path, self._big = path, False
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
            self.content, self.asked = self._pickles(stream)

    def _pickles(self, stream: Any) -> tuple[Any, tuple[str, ...]]:
        magic, asked = read_pickle(stream, lookup)
        if magic != MAGIC:  # a plain pickle, of another program: all that is in it was read
            return magic, asked
        read_pickle(stream, lookup)
        machine, _ = read_pickle(stream, lookup)
        self._big = isinstance(machine, dict) and machine.get("little_endian") is False
        sizes: dict[str, int] = {}

        def storage(pid: Any) -> Storage:
            found = storage_of(pid)
            sizes[found.key] = found.dtype.itemsize
            return found

        content, asked = read_pickle(stream, lookup, storage)
        keys, _ = read_pickle(stream, lookup)
        self._places = _places(stream, keys, sizes)
        return content, asked

    def read(self, storage: Storage, start: int, count: int) -> Tensor:
        """So many bytes of a storage."""
        begin, held = self._places[storage.key]
        # A view's offset and shape come from the pickle, the storage's size from the file: one may lie about the other.
        if start + count > held:
            raise ValueError(f"storage {storage.key} of {held:,} bytes, not of {start + count:,}")
        raw = torch.empty(count, dtype=torch.uint8)
        with self._path.open("rb") as file:
            _fill(raw, file, begin + start)
        return _swapped(raw, storage.dtype) if self._big else raw


class TorchFile(File[Container]):
    """A file that ``torch.save`` wrote: a state dict, dictionaries around some, or a whole module."""

    kind = "torch"

    def __init__(self, path: Path, key: str | None = None) -> None:
        self._key = key
        super().__init__(path)

    def _open(self) -> Container:
        try:
            with self.path.open("rb") as file:
                archive = zipfile.is_zipfile(file)
            return (Archive if archive else OldFile)(self.path)
        except DAMAGE as error:
            corrupt_checkpoint(self.path, error)

    def _list(self, handle: Container) -> Contents:
        try:
            found = nesting.find_weights(self.path, handle.content, self._key)
            entries = {name: _entry(stored) for name, stored in found.tensors.items()}
        except DAMAGE as error:
            corrupt_checkpoint(self.path, error)
        self._tensors = found.tensors
        unread = tuple(f"{name} ({reason})" for name, reason in found.unread.items())
        return Contents(
            entries, found.keys, found.left_out + unread, tuple(found.unread), handle.asked, _tied(found.tensors)
        )

    def _get(self, handle: Container, name: str) -> Tensor:
        try:
            return read_tensor(self._tensors[name], handle.read)
        except DAMAGE as error:
            corrupt_checkpoint(self.path, error)


def saved_object(path: Path) -> Any:
    """The object in a file that ``torch.save`` wrote, with stand-ins for tensors and for what is not known.

    Raises:
        CheckpointError: The file is corrupt.
    """
    return TorchFile(path)._ready().content


def _tied(tensors: dict[str, Any]) -> dict[str, str]:
    """Tensors that are written once and named twice: the same elements of the same storage."""
    first: dict[Any, str] = {}
    tied = {}
    for name, stored in tensors.items():
        if isinstance(stored, StoredTensor) and stored.scale is None and stored.numel:
            before = first.setdefault(stored, name)
            if before != name:
                tied[name] = before
    return tied


def _entry(stored: Any) -> Entry:
    shape, dtype = numpy_shape(stored) if isinstance(stored, NumpyArray) else (stored.shape, stored.dtype)
    return Entry(shape, name_of(dtype))


def _places(stream: Any, keys: Any, sizes: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Where each storage's bytes begin, and how many there are: each is written behind its number of elements."""
    if not isinstance(keys, list):
        raise ValueError("no list of storages")
    here = stream.tell()
    stream.seek(0, io.SEEK_END)
    end = stream.tell()
    places = {}
    for key in map(str, keys):
        stream.seek(here)
        (count,) = struct.unpack("<q", stream.read(8))
        size = count * sizes.get(key, 1)
        # A file of 100 bytes may say that its storage has 2^60 elements. Compared before anything is reserved: what the
        # file backs is all that is ever read.
        if count < 0 or here + 8 + size > end:
            raise ValueError(f"storage {key} of {size:,} bytes, of which the file holds {max(end - here - 8, 0):,}")
        places[key] = (here + 8, size)
        here += 8 + size
    missing = [key for key in sizes if key not in places]
    if missing:
        raise ValueError(f"no storage {missing[0]}")
    return places


def _fill(raw: Tensor, stream: Any, place: int) -> None:
    """Bytes from a stream into a tensor, in place."""
    stream.seek(place)
    view = raw.numpy().data
    while view:
        count = stream.readinto(view)
        if not count:
            raise EOFError(f"{len(view):,} bytes are missing")
        view = view[count:]


def _swapped(raw: Tensor, dtype: torch.dtype) -> Tensor:
    """Numbers that a big-endian machine wrote."""
    size = dtype.itemsize // 2 if dtype.is_complex else dtype.itemsize
    return raw.reshape(-1, size).flip(1).reshape(-1) if size > 1 else raw
