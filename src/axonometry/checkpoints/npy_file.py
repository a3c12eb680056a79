"""Weights in a ``.npy`` file: one array, which is called ``array``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from axonometry.checkpoints.checkpoint import DAMAGE, ArrayFile, Contents, Entry, corrupt_checkpoint, read_bytes
from axonometry.checkpoints.element_types import Array, as_bits, type_name

NAME = "array"


class NpyFile(ArrayFile[Path]):
    """A ``.npy`` file; one of Python objects, which would have to be unpickled, holds no weights."""

    kind = "numpy"

    def _open(self) -> Path:
        return self.path

    def _list(self, handle: Path) -> Contents:
        try:
            with handle.open("rb") as file:
                self._header(file, handle.stat().st_size)
        except DAMAGE as error:
            corrupt_checkpoint(self.path, error)
        name = type_name(self._dtype)
        if name is None:
            return Contents({}, left_out=(f"{NAME} ({'Python objects' if self._dtype.hasobject else self._dtype})",))
        return Contents({NAME: Entry(self._shape, name)})

    def _header(self, file: Any, size: int) -> None:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        self._shape, self._fortran, self._dtype = read(file)
        self._begin, needed = file.tell(), math.prod(self._shape) * self._dtype.itemsize
        if any(n < 0 for n in self._shape) or (needed != size - self._begin and not self._dtype.hasobject):
            raise ValueError(f"shape {self._shape} of {needed:,} bytes, of which {size - self._begin:,} are there")

    def _get_array(self, handle: Path, name: str) -> Array:
        count = math.prod(self._shape) * self._dtype.itemsize
        try:
            with handle.open("rb") as file:
                raw = read_bytes(file, self._begin, count).view(self._dtype)
        except DAMAGE as error:
            corrupt_checkpoint(self.path, error)
        array = raw.reshape(self._shape[::-1]).T if self._fortran else raw.reshape(self._shape)
        return as_bits(array, self.contents.entries[name].dtype)
