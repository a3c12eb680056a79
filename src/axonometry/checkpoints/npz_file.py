"""Weights in a ``.npz`` file."""

from __future__ import annotations

import math
import zipfile
from typing import Any

import numpy as np

from axonometry.checkpoints.checkpoint import DAMAGE, ArrayFile, Contents, Entry, corrupt_checkpoint
from axonometry.checkpoints.element_types import Array, as_bits, type_name
from axonometry.checkpoints.remote import RemotePath

LARGEST_RATIO, LARGEST_UNPACKED = 500, 2**28
"""A compressed array may be this much larger than in the file, or have this many bytes; constant ones shrink a lot."""


class NpzFile(ArrayFile[zipfile.ZipFile]):
    """A ``.npz`` file; arrays of Python objects, which would have to be unpickled, are left out."""

    kind = "numpy"

    def _open(self) -> zipfile.ZipFile:
        try:
            # An archive closes a file that it opened itself, and a path of another file system it cannot open.
            return zipfile.ZipFile(self.path.open("rb") if isinstance(self.path, RemotePath) else self.path)
        except DAMAGE as error:
            corrupt_checkpoint(self.path, error)

    def _list(self, handle: zipfile.ZipFile) -> Contents:
        entries, left_out = {}, []
        with handle:
            for member in handle.namelist():
                name = member.removesuffix(".npy")
                try:
                    shape, dtype = _header(handle, member)
                    _require_size(handle.getinfo(member), shape, dtype)
                except DAMAGE as error:
                    corrupt_checkpoint(self.path, error)
                if (known := type_name(dtype)) is None:
                    left_out.append(f"{name} ({'Python objects' if dtype.hasobject else f'numpy {dtype}'})")
                else:
                    entries[name] = Entry(shape, known)
        return Contents(entries, left_out=tuple(left_out))

    def _get_array(self, handle: zipfile.ZipFile, name: str) -> Array:
        try:
            with handle.open(f"{name}.npy") as stream:
                array = np.lib.format.read_array(stream, allow_pickle=False)
                stream.read()  # the checksum is compared at the end
        except DAMAGE as error:
            corrupt_checkpoint(self.path, error)
        return as_bits(array, self.contents.entries[name].dtype)

    def release(self) -> None:
        """Close the file."""
        if self._handle is not None:
            self._handle.close()
        super().release()


def _header(archive: zipfile.ZipFile, member: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    return shape, dtype


def _require_size(member: zipfile.ZipInfo, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """A shape and what is in the file go together, before any memory is taken for it.

    Raises:
        ValueError: They do not.
    """
    size = math.prod(shape) * dtype.itemsize
    if any(n < 0 for n in shape) or (size > member.file_size and not dtype.hasobject):
        raise ValueError(f"{member.filename} of shape {shape}, in {member.file_size:,} bytes")
    packed = member.compress_size
    if member.file_size > LARGEST_UNPACKED and member.file_size > LARGEST_RATIO * max(packed, 1):
        raise ValueError(f"{member.filename}: {packed:,} bytes that unpack to {member.file_size:,}")
