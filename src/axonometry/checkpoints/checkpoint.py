"""A checkpoint: names, shapes and dtypes at once, tensors when asked for."""

from __future__ import annotations

import lzma
import pickle  # noqa: S403 - for its exception
import struct
import tokenize
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

import numpy as np

from axonometry.checkpoints.element_types import (
    Array,
    as_array,
    as_truth,
    tensor_as_truth,
    tensor_of_array,
    torch_type,
)
from axonometry.checkpoints.unchanged import check_unchanged, version_of
from axonometry.errors import CheckpointError, corrupt_file

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    TensorsByName = Mapping[str, Tensor]
else:  # the type checker of the tests would look for Tensor when the program runs
    TensorsByName = Mapping
DAMAGE = (
    *(OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, EOFError, AssertionError),
    *(ArithmeticError, MemoryError, SyntaxError, struct.error, tokenize.TokenError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, pickle.UnpicklingError),
)
"""What Python's, numpy's and torch's readers raise for corrupt files; one list for all formats, since an archive may be
in any of them, with members that are compressed in any way."""
HELD = 2**28
"""Bytes read through one opening of a file: what was read stays mapped, and so in memory, until the file is closed."""
Handle = TypeVar("Handle")


@dataclass(frozen=True)
class Entry:
    """What is known of a tensor before it is read.

    Attributes:
        shape: Its shape.
        dtype: Torch's name of its type, ``bfloat16`` say.
        stored: The code it is in the file, ``Q4_K`` say, where that is no type of torch's; ``dtype`` is then what it
            is read as.
    """

    shape: tuple[int, ...]
    dtype: str
    stored: str = ""


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        entries: The tensors by name, in the file's order.
        keys: The keys under which the weights were found in the file's dictionaries; empty where they are at the top.
        left_out: Names, with the reason in brackets, of what is no tensor of weights.
        unread: Names of tensors among these: they may be weights and could not be read.
        code: Names of code that the file asks for; nothing of it was run.
        tied: Names of tensors that lie in the same place of the file as one before them, and that one's name.
    """

    entries: dict[str, Entry]
    keys: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    tied: dict[str, str] = field(default_factory=dict)


class TensorSource(ABC):
    """A file, or several, that tensors are read from; each kind of file has one such class."""

    kind: str
    contents: Contents

    @abstractmethod
    def read(self, name: str) -> Tensor:
        """One tensor."""

    def array(self, name: str) -> Array:
        """The numbers of one tensor, as :func:`~axonometry.checkpoints.element_types.held_as` says."""
        return as_array(self.read(name))[0]

    @abstractmethod
    def release(self) -> None:
        """Let go of the memory that the file takes; the next reading opens it again."""


class File(TensorSource, Generic[Handle]):
    """One file; it is closed and opened again as it is read, so that what was read does not pile up."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: Handle | None = None
        self._held = 0
        self._version = version_of(path)
        with self._unchanged():
            self.contents = self._list(self._open())

    def read(self, name: str) -> Tensor:
        """One tensor.

        Raises:
            CheckpointError: It is corrupt.
        """
        with self._unchanged():
            tensor = self._get(self._ready(), name)
        self._held += tensor.nbytes
        return tensor

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """What is read is the file that was opened; where it is not, that is why it seems corrupt."""
        try:
            yield
        except CheckpointError:
            check_unchanged(self.path, self._version)
            raise
        check_unchanged(self.path, self._version)

    def _ready(self) -> Handle:
        """The file, opened anew where too much was read through it."""
        if self._handle is None or self._held > HELD:
            self.release()
            self._handle = self._open()
        return self._handle

    def release(self) -> None:
        """Close the file."""
        self._handle, self._held = None, 0

    @abstractmethod
    def _open(self) -> Handle:
        """The opened file."""

    @abstractmethod
    def _list(self, handle: Handle) -> Contents:
        """What it holds."""

    @abstractmethod
    def _get(self, handle: Handle, name: str) -> Tensor:
        """One tensor of it."""


class ArrayFile(File[Handle]):
    """A file whose numbers are read by numpy; torch is needed by those only who ask for tensors."""

    def array(self, name: str) -> Array:
        """The numbers of one tensor.

        Raises:
            CheckpointError: It is corrupt.
        """
        with self._unchanged():
            array = self._get_array(self._ready(), name)
        self._held += array.nbytes
        return array

    def _get(self, handle: Handle, name: str) -> Tensor:
        return tensor_of_array(self._get_array(handle, name), self.contents.entries[name].dtype)

    @abstractmethod
    def _get_array(self, handle: Handle, name: str) -> Array:
        """The numbers of one tensor of it."""


class Checkpoint(TensorsByName):
    """Weights on disk as a mapping from name to tensor, each read when asked for.

    Going through ``items()`` holds one tensor at a time, whatever the size of the whole. Tensors are on the CPU, in the
    type they have on disk.

    Attributes:
        path: The file or folder.
        kind: ``safetensors``, ``torch``, ``numpy`` or another name of a format; ``sharded`` in front of it for several
            files.
        keys_within: The keys under which the weights were found in the file's dictionaries, ``("state_dict",)`` say.
        left_out: Names, with the reason in brackets, of what is in the file and not in the mapping.
        unread: Names of the tensors among these, whose numbers could not be read: the mapping is then not complete.
        code: Names of the classes and functions that the file asks for and that are not torch's or Python's plain
            ones; nothing of them was run.
        entries: Shape and type of every tensor, in the file's order.
        tied: Names of tensors that are, in the file, the same numbers as one before them, and that one's name.
    """

    def __init__(self, path: Path, source: TensorSource) -> None:
        self.path, self._source = path, source
        self.kind = source.kind
        self.keys_within, self.left_out = source.contents.keys, source.contents.left_out
        self.unread, self.code = source.contents.unread, source.contents.code
        self.entries, self.tied = source.contents.entries, source.contents.tied
        if not self.entries:
            found = f"{path}, which holds none" + (f" but {', '.join(self.left_out)}" if self.left_out else "")
            raise CheckpointError("a checkpoint holds tensors by name", found, "Save the model's state dict")

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors' names, in the file's order."""
        return tuple(self.entries)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The tensors' shapes."""
        return {name: entry.shape for name, entry in self.entries.items()}

    @property
    def dtypes(self) -> dict[str, torch.dtype]:
        """The tensors' types on disk."""
        return {name: torch_type(entry.dtype) for name, entry in self.entries.items()}

    def __getitem__(self, name: str) -> Tensor:
        self._require(name)
        tensor = self._source.read(name)
        return tensor if tensor.dtype.itemsize > 1 else tensor_as_truth(tensor)

    def array(self, name: str) -> Array:
        """The numbers of one tensor in numpy's hands; torch is not needed.

        Args:
            name: Of the tensor.

        Returns:
            An array of the tensor's shape. Types that numpy has not, such as bfloat16, are the unsigned integers of
            their bits; ``entries[name].dtype`` says which type it is.

        Raises:
            CheckpointError: There is no such tensor, or it is corrupt.
        """
        self._require(name)
        return as_truth(self._source.array(name))

    def _require(self, name: str) -> None:
        if name not in self.entries:
            raise CheckpointError("a tensor is asked for by its name", repr(name), f"There are: {_some(self.names)}")

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"Checkpoint({self.path}, {self.kind}, {len(self)} tensors)"


def corrupt_checkpoint(path: Path, found: object) -> NoReturn:
    """Refuse a file that cannot be read as what its name says.

    Raises:
        CheckpointError: Always.
    """
    cause = found if isinstance(found, Exception) else None
    raise CheckpointError(corrupt_file(path, found), "", "Copy or download it again") from cause


def read_bytes(file: Any, begin: int, count: int) -> Array:
    """So many bytes of a file from a byte on, as uint8.

    Raises:
        EOFError: The file ends before.
    """
    raw = np.empty(count, np.uint8)
    view = raw.data
    file.seek(begin)
    while view:
        found: int = file.readinto(view)
        if not found:
            raise EOFError(f"{len(view):,} bytes are missing")
        view = view[found:]
    return raw


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
