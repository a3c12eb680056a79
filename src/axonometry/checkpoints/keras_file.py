"""Weights in a ``.keras`` file: an archive of which only the HDF5 file with the weights is read.

The archive's ``config.json`` describes layers, and names classes and code that Keras would make of it; it is not read.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from axonometry.checkpoints.checkpoint import DAMAGE, corrupt_checkpoint
from axonometry.checkpoints.hdf5_file import Hdf5File
from axonometry.checkpoints.slices import Slice, begin_of_member

MEMBER = "model.weights.h5"


class KerasFile(Hdf5File):
    """A ``.keras`` file."""

    kind = "keras"

    def _open(self) -> Path | Slice:
        try:
            with self.path.open("rb") as file, zipfile.ZipFile(file) as archive:
                member = archive.getinfo(MEMBER)
                if member.compress_type != zipfile.ZIP_STORED:
                    raise ValueError(f"{MEMBER} is compressed, which Keras does not do")
                begin = begin_of_member(file, member)
            return Slice(self.path, begin, member.file_size)
        except DAMAGE as error:
            corrupt_checkpoint(self.path, error)
