"""Weights in an HDF5 file, as Keras writes them (``.weights.h5``, and whole models before Keras 3): its data sets.

Only data sets in the file itself are read. HDF5 knows links to other files, numbers that lie in other files and data
sets put together from others; all three are named and left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from axonometry.checkpoints.checkpoint import (
    DAMAGE,
    ArrayFile,
    Contents,
    Entry,
    corrupt_checkpoint,
)
from axonometry.checkpoints.element_types import Array, as_bits, type_name
from axonometry.checkpoints.slices import Slice
from axonometry.checkpoints.training_state import names_training_state
from axonometry.errors import CheckpointError, MissingExtraError

if TYPE_CHECKING:
    import h5py

LARGEST_RATIO, LARGEST_UNPACKED = 500, 2**28
"""A compressed data set may be this much larger than in the file, or have this many bytes."""


class Hdf5File(ArrayFile[Path | Slice]):
    """An HDF5 file, opened for each tensor; they are called by the path of their data set, ``layers/dense/vars/0``."""

    kind = "hdf5"

    def _open(self) -> Path | Slice:
        """Where the HDF5 file is."""
        return self.path

    def _list(self, handle: Path | Slice) -> Contents:
        with _opened(self.path, handle) as file:
            try:
                return _contents(file)
            except DAMAGE as error:
                corrupt_checkpoint(self.path, error)

    def _get_array(self, handle: Path | Slice, name: str) -> Array:
        with _opened(self.path, handle) as file:
            try:
                return as_bits(np.asarray(file[name][()]), self.contents.entries[name].dtype)
            except DAMAGE as error:
                corrupt_checkpoint(self.path, error)


@contextmanager
def _opened(path: Path, place: Path | Slice) -> Iterator[h5py.File]:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError.of("h5py", "keras") from error
    with place.open("rb") as stream:
        try:
            file = h5py.File(stream, "r")
        except DAMAGE as error:
            found = f"{path}, which is an HDF5 file that cannot be opened ({type(error).__name__}: {error})"
            rule, remedy = "a file of HDF5 is whole", "Copy or download it again"
            raise CheckpointError(rule, " ".join(found.split()), remedy) from error
        with file:
            yield file


def _contents(handle: h5py.File) -> Contents:
    import h5py

    entries: dict[str, Entry] = {}
    unread: dict[str, str] = {}
    training: dict[str, None] = {}

    def visit(name: str | bytes, found: Any) -> None:
        text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
        if not isinstance(found, h5py.Dataset):
            return
        if names_training_state(text.split("/", maxsplit=1)[0]):
            training[f"{text.split('/', maxsplit=1)[0]} (none of the weights)"] = None
            return
        entry = _entry(text, found)
        if isinstance(entry, str):
            unread[text] = entry
        else:
            entries[text] = entry

    handle.visititems(visit)
    left_out = tuple(f"{name} ({reason})" for name, reason in unread.items())
    return Contents(entries, left_out=(*training, *left_out), unread=tuple(unread))


def _entry(name: str, found: h5py.Dataset) -> Entry | str:
    """Shape and type of a data set, or why it is not read."""
    if found.external is not None or found.is_virtual:
        return "numbers in another file"
    if found.shape is None:
        return "no numbers"
    # Keras writes bfloat16 as two bytes without a type, and says so in an attribute, or not at all.
    brain = found.dtype.kind == "V" and found.dtype.itemsize == 2 and not found.dtype.names
    dtype = "bfloat16" if brain else type_name(found.dtype)
    if dtype is None:
        return f"HDF5 {str(found.dtype)[:40]}"
    size, held = math.prod(found.shape) * found.dtype.itemsize, found.id.get_storage_size()
    plain = found.chunks is None
    if size and ((plain and held < size) or (size > LARGEST_UNPACKED and size > LARGEST_RATIO * max(held, 1))):
        raise ValueError(f"{name} of shape {found.shape}, in {held:,} bytes")
    return Entry(tuple(found.shape), dtype)
