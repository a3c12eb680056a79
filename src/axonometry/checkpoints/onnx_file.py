"""Weights in an ONNX file: the initial values of its graph, and of graphs within it; also those in files beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from axonometry.checkpoints.checkpoint import DAMAGE, ArrayFile, Contents, Entry, corrupt_checkpoint, read_bytes
from axonometry.checkpoints.element_types import Array, as_bits, held_as, type_name
from axonometry.checkpoints.kinds import require_file
from axonometry.errors import CheckpointError, MissingExtraError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorProto

LARGEST = 2**31
"""Bytes of an ONNX file; protobuf reads no more."""
STRING = 8
"""ONNX's number of text."""


class OnnxFile(ArrayFile[Any]):
    """An ONNX file. It is held in memory while it is read; numbers in files beside it are not."""

    kind = "onnx"

    def _open(self) -> ModelProto:
        try:
            import onnx
            from google.protobuf.message import DecodeError
        except ImportError as error:
            raise MissingExtraError.of("onnx", "onnx") from error
        try:
            if self.path.stat().st_size > LARGEST:
                raise ValueError(f"a model of {self.path.stat().st_size:,} bytes")
            return onnx.load_model_from_string(self.path.read_bytes())
        except (*DAMAGE, DecodeError) as error:
            corrupt_checkpoint(self.path, error)

    def _list(self, handle: ModelProto) -> Contents:
        entries: dict[str, Entry] = {}
        others: dict[str, str] = {}
        try:
            for name, tensor in self._by_name(handle).items():
                if tensor.data_type == STRING:
                    others[name] = "text"
                else:
                    entries[name] = self._entry(tensor)
        except DAMAGE as error:
            corrupt_checkpoint(self.path, error)
        sparse = {one.values.name: "a sparse tensor" for one in handle.graph.sparse_initializer}
        left_out = tuple(f"{name} ({reason})" for name, reason in (others | sparse).items())
        return Contents(entries, left_out=left_out, unread=tuple(sparse))

    def _by_name(self, model: ModelProto) -> dict[str, TensorProto]:
        found: dict[str, TensorProto] = {}
        for name, tensor in _initializers(model.graph, "", 0):
            if name in found:
                raise ValueError(f"two tensors called {name}")
            found[name] = tensor
        return found

    def _entry(self, tensor: TensorProto) -> Entry:
        """Shape and type; numbers of a type that torch has not are read as one that holds them all."""
        import onnx

        shape = tuple(tensor.dims)
        if any(n < 0 for n in shape):
            raise ValueError(f"{tensor.name} of shape {shape}")
        code = onnx.TensorProto.DataType.Name(tensor.data_type)
        plain = type_name(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            self._external(tensor)
        wider = "float32" if code.startswith("FLOAT") else "uint8" if code.startswith("U") else "int8"
        return Entry(shape, plain or wider, "" if plain else code)

    def _external(self, tensor: TensorProto) -> tuple[Path, int, int]:
        """The file of a tensor's numbers, their first byte and how many; it lies beside the model, or below."""
        told = {entry.key: entry.value for entry in tensor.external_data}
        place = Path(told.get("location", ""))
        path = self.path.parent / place
        if place.is_absolute() or ".." in place.parts or not place.parts:
            raise CheckpointError("an ONNX file names files beside it", f"{place} in {self.path}", "Do not use it")
        if not path.is_file() or not path.resolve().is_relative_to(self.path.parent.resolve()):
            raise CheckpointError(f"{self.path.name} names the files of its weights", f"no {place}", "Download it too")
        require_file(path)
        size = -(-math.prod(tensor.dims) * _bits(tensor) // 8)
        begin, length = int(told.get("offset") or 0), int(told.get("length") or size)
        if begin < 0 or length != size or begin + length > path.stat().st_size:
            raise ValueError(f"{tensor.name} of {size:,} bytes, told to be {length:,} at {begin:,} of {place}")
        return path, begin, size

    def _get_array(self, handle: ModelProto, name: str) -> Array:
        import onnx

        tensor, entry = self._by_name(handle)[name], self.contents.entries[name]
        try:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                path, begin, size = self._external(tensor)
                with path.open("rb") as file:
                    raw = read_bytes(file, begin, size).tobytes()
                tensor = onnx.TensorProto(dims=tensor.dims, data_type=tensor.data_type, raw_data=raw)
            array = np.asarray(onnx.numpy_helper.to_array(tensor)).reshape(entry.shape)
        except DAMAGE as error:
            corrupt_checkpoint(self.path, error)
        return as_bits(array.astype(held_as(entry.dtype)) if entry.stored else array, entry.dtype)


def _bits(tensor: TensorProto) -> int:
    """How many bits a number takes in a file."""
    import onnx

    code = onnx.TensorProto.DataType.Name(tensor.data_type)
    packed = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}
    return packed.get(code) or 8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize


def _initializers(graph: GraphProto, prefix: str, depth: int) -> Iterator[tuple[str, TensorProto]]:
    """Tensors of a graph and of the graphs that its nodes hold (branches, loops), those under the node's name."""
    if depth > 20:
        raise ValueError("over 20 graphs, one in another")
    for tensor in graph.initializer:
        yield prefix + tensor.name, tensor
    for place, node in enumerate(graph.node):
        for attribute in node.attribute:
            inside = f"{prefix}{node.name or f'{node.op_type}_{place}'}/{attribute.name}/"
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _initializers(inner, inside, depth + 1)
            if node.op_type == "Constant" and attribute.name == "value" and len(attribute.t.dims) > 1:
                yield prefix + (node.output[0] if node.output else inside), attribute.t
