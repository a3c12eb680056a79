"""Weights in a GGUF file (llama.cpp); its quantised types are turned into float32 by the ``gguf`` package."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from axonometry.checkpoints.checkpoint import DAMAGE, ArrayFile, Contents, Entry, corrupt_checkpoint
from axonometry.checkpoints.element_types import Array, as_bits, held_as
from axonometry.errors import CheckpointError, MissingExtraError

if TYPE_CHECKING:
    from gguf import GGUFReader

_TYPES = {
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"},
    **{"I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64"},
}
SMALLEST_FIELD, SMALLEST_TENSOR = 13, 24
"""Bytes that a field of the header and a tensor's description take at least."""


class GgufFile(ArrayFile[Any]):
    """A GGUF file, mapped; numbers of K-quants and their likes are read as float32."""

    kind = "gguf"

    def _open(self) -> GGUFReader:
        try:
            from gguf import GGUFReader
        except ImportError as error:
            raise MissingExtraError.of("gguf", "gguf") from error
        try:
            self._check_counts()
            return GGUFReader(self.path)
        except DAMAGE as error:
            found = f"{self.path}, which is a GGUF file that cannot be opened ({type(error).__name__}: {error})"
            rule, remedy = "a file of GGUF is whole", "Copy or download it again"
            raise CheckpointError(rule, " ".join(found.split())[:400], remedy) from error

    def _check_counts(self) -> None:
        """The reader believes the header's counts; there cannot be more than the file has room for."""
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            head = file.read(24)
        _, version, tensors, fields = struct.unpack("<4sIQQ", head)
        if version in (2, 3) and tensors * SMALLEST_TENSOR + fields * SMALLEST_FIELD > size:
            raise ValueError(f"{tensors:,} tensors and {fields:,} fields in {size:,} bytes")

    def _list(self, handle: GGUFReader) -> Contents:
        entries: dict[str, Entry] = {}
        unread: dict[str, str] = {}
        try:
            for tensor in handle.tensors:
                shape, code = tuple(int(n) for n in reversed(tensor.shape)), tensor.tensor_type.name
                if code in _TYPES:
                    entries[tensor.name] = Entry(shape, _TYPES[code])
                elif _can_be_read(tensor.tensor_type):
                    entries[tensor.name] = Entry(shape, "float32", code)
                else:
                    unread[tensor.name] = f"{code} numbers"
        except DAMAGE as error:
            corrupt_checkpoint(self.path, error)
        left_out = tuple(f"{name} ({reason})" for name, reason in unread.items())
        return Contents(entries, left_out=left_out, unread=tuple(unread))

    def _get_array(self, handle: GGUFReader, name: str) -> Array:
        from gguf import dequantize

        entry = self.contents.entries[name]
        try:
            tensor = next(one for one in handle.tensors if one.name == name)
            if entry.stored:
                with np.errstate(all="ignore"):
                    return as_bits(dequantize(tensor.data, tensor.tensor_type).reshape(entry.shape), entry.dtype)
            raw = np.frombuffer(np.ascontiguousarray(tensor.data).tobytes(), held_as(entry.dtype))
            return raw.reshape(entry.shape)
        except (*DAMAGE, StopIteration) as error:
            corrupt_checkpoint(self.path, error)


def _can_be_read(kind: Any) -> bool:
    """Whether the package can turn numbers of a quantised type into float32: it is tried on one block."""
    from gguf import GGML_QUANT_SIZES, dequantize

    try:
        with np.errstate(all="ignore"):
            dequantize(np.zeros((1, GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
    except DAMAGE:
        return False
    return True
