"""Tensors of a ``torch.save`` file that have not been read: where their bytes are, and the stand-ins that find out.

``torch.save`` writes of each tensor a call, ``_rebuild_tensor_v2(storage, offset, size, stride, ...)``, and the
storage's bytes somewhere else in the file. The stand-ins here take the call's arguments and read nothing; the bytes are
read when the tensor is asked for, no more of them than it needs, and only after its extent was checked::

    _rebuild_tensor_v2(Storage("0", float32, 6), 2, (2, 2), (2, 1))  ->  StoredTensor, elements 2 to 5 of storage 0
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from axonometry.checkpoints.pickles import Standin

LARGEST_EXPANDED = 2**28
"""Most elements of a tensor that is written out from fewer stored numbers: a sparse one, or one of stride 0."""

STORAGES = {
    **{"DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16"},
    **{"LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8"},
    **{"ByteStorage": "uint8", "BoolStorage": "bool", "UntypedStorage": "uint8"},
    **{"ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128"},
    **{"QInt8Storage": "int8", "QUInt8Storage": "uint8", "QInt32Storage": "int32"},
}
"""The element types of torch's storage classes; of quantised ones, that of their codes."""


@dataclass(frozen=True)
class Storage:
    """Numbers that lie in the file one after the other.

    Attributes:
        key: Its name in the file.
        dtype: Type of its elements.
        numel: How many elements it says it has.
        start: Its first element within the storage of that name, in elements.
    """

    key: str
    dtype: torch.dtype
    numel: int
    start: int = 0


class _Stateless:
    """Something that a pickle may set a state on, which is not looked at."""

    def __setstate__(self, state: Any) -> None:
        """Nothing is kept."""


@dataclass(frozen=True)
class StoredTensor(_Stateless):
    """A tensor in the file.

    Attributes:
        storage: Its numbers.
        dtype: Its type, which an untyped storage does not tell.
        offset: Its first element.
        size: Its shape.
        stride: Elements between neighbours along each axis.
        scale: Of quantised tensors, what turns the codes into numbers; None for all others.
    """

    storage: Storage
    dtype: torch.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    scale: Quantiser | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.size

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.size)

    @property
    def extent(self) -> tuple[int, int]:
        """First element and the one behind the last, in the storage."""
        if self.numel == 0:
            return self.offset, self.offset
        return self.offset, self.offset + sum(
            (n - 1) * step for n, step in zip(self.size, self.stride, strict=True)
        ) + 1


@dataclass(frozen=True)
class Quantiser:
    """From codes to numbers: ``(code - zero) * scale``, along an axis where there are several of both."""

    scale: Any
    zero: Any
    axis: int | None = None


@dataclass(frozen=True)
class SparseTensor(_Stateless):
    """A tensor of few numbers that are not zero; ``parts`` as ``torch.sparse_coo_tensor`` and its likes take them."""

    layout: str
    parts: tuple[Any, ...]
    size: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.size

    @property
    def dtype(self) -> torch.dtype:
        """Its values' type."""
        values: torch.dtype = self.parts[-1].dtype
        return values


@dataclass
class NumpyArray:
    """An array of numpy within a pickle; its state comes after it is made."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


@dataclass
class NumpyType:
    """A type of numpy's; its byte order comes after it is made."""

    code: str = ""
    order: str = "="

    def __setstate__(self, state: Any) -> None:
        self.order = str(state[1]) if isinstance(state, tuple) and len(state) > 1 else "="


@dataclass(frozen=True)
class WithoutNumbers(_Stateless):
    """A tensor whose numbers are not in the file, or not in a form that is read; ``reason`` says which."""

    reason: str


Stored = StoredTensor | SparseTensor | NumpyArray


def lookup(module: str, name: str) -> Any:
    """What stands for a name of torch's or numpy's in a pickle; None for all others."""
    if module == "torch.jit._pickle":  # TorchScript's own containers
        return _FIRST if name.startswith("build_") or name == "restore_type_tag" else None
    if module.split(".", maxsplit=1)[0] == "torch":
        found = getattr(torch, name, None) if module == "torch" else None
        if isinstance(found, torch.dtype):
            return found
        if name in STORAGES:
            return _STORAGE_TYPES[name]
        if name in ("per_tensor_affine", "per_channel_affine", "strided", "sparse_coo") and module == "torch":
            return _NAMES[name]
        return _TORCH.get((module, name))
    return _NUMPY.get(name) if module.split(".", maxsplit=1)[0] == "numpy" else None


@dataclass(frozen=True)
class StorageType(_Stateless):
    """A storage class of torch's."""

    dtype: torch.dtype


_STORAGE_TYPES = {name: StorageType(getattr(torch, dtype)) for name, dtype in STORAGES.items()}


@dataclass(frozen=True)
class _Name(_Stateless):
    text: str


_NAMES = {name: _Name(name) for name in ("per_tensor_affine", "per_channel_affine", "strided", "sparse_coo")}


def storage_of(pid: Any) -> Storage:
    """The storage that a persistent id names: ``("storage", type, key, location, numel)`` and, in old files, a part.

    Raises:
        ValueError: It is no such id.
    """
    if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
        raise ValueError("a reference that is no storage")
    dtype = pid[1].dtype if isinstance(pid[1], StorageType) else pid[1]
    if not isinstance(dtype, torch.dtype):
        raise ValueError("a storage of an unknown type")
    part = pid[5] if len(pid) == 6 else None
    if part is None:
        return Storage(str(pid[2]), dtype, _whole(pid[4]))
    return Storage(str(pid[2]), dtype, _whole(part[2]), _whole(part[1]))


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**62:
        raise ValueError(f"a size of {str(value)[:40]}")
    return value


def _sizes(values: Any) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)) or len(values) > 64:
        raise ValueError("a shape that is none")
    return tuple(map(_whole, values))


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, dtype: torch.dtype | None = None) -> StoredTensor:
    if not isinstance(storage, Storage):
        raise ValueError("a tensor without a storage")
    size, stride = _sizes(size), _sizes(stride)
    if len(size) != len(stride):
        raise ValueError("a shape without strides")
    found = StoredTensor(storage, dtype or storage.dtype, _whole(offset), size, stride)
    # An untyped storage counts bytes, the tensor its own elements.
    held = storage.numel * storage.dtype.itemsize // found.dtype.itemsize
    if found.extent[1] > held:
        raise ValueError(f"a tensor of {found.extent[1]:,} elements in a storage of {held:,}")
    if found.numel > max(found.extent[1] - found.offset, LARGEST_EXPANDED):
        raise ValueError(f"a tensor of {found.numel:,} elements of which the file holds {held:,}")
    return found


def _typed(*args: Any) -> StoredTensor:
    """``_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype)``."""
    if len(args) < 7 or not isinstance(args[6], torch.dtype):
        raise ValueError("a tensor without a type")
    return _tensor(args[0], args[1], args[2], args[3], args[6])


def _quantised(storage: Any, offset: Any, size: Any, stride: Any, how: Any, *_: Any) -> StoredTensor | WithoutNumbers:
    found = _tensor(storage, offset, size, stride)
    kind = how[0].text if isinstance(how[0], _Name) else None
    if kind == "per_tensor_affine":
        scale = Quantiser(float(how[1]), int(how[2]))
    elif kind == "per_channel_affine":
        scale = Quantiser(how[1], how[2], _whole(how[3]))
    else:
        return WithoutNumbers("quantised in an unknown way")
    return StoredTensor(found.storage, torch.float32, found.offset, found.size, found.stride, scale)


def _sparse(layout: Any, data: Any) -> SparseTensor:
    text = layout.text if isinstance(layout, _Name) else str(layout)
    kind = text.rsplit(".", 1)[-1]
    parts, size = (data[:2], data[2]) if kind == "sparse_coo" else (data[:3], data[3])
    if not all(isinstance(part, StoredTensor) for part in parts):
        raise ValueError("a sparse tensor without its numbers")
    return SparseTensor(kind, tuple(parts), _sizes(size))


def _from_type(function: Any, _: Any, args: Any, *__: Any) -> Any:
    """A subclass of Tensor: read as the tensor that it is made from."""
    return function(*args) if isinstance(function, Standin) else WithoutNumbers("a tensor subclass")


def _first(value: Any = None, *_: Any) -> Any:
    return value


_FIRST = Standin(_first)
_TORCH: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor"): Standin(lambda *args: _tensor(*args[:4])),
    ("torch._utils", "_rebuild_tensor_v2"): Standin(lambda *args: _tensor(*args[:4])),
    ("torch._utils", "_rebuild_tensor_v3"): Standin(_typed),
    ("torch._utils", "_rebuild_parameter"): _FIRST,
    ("torch._utils", "_rebuild_parameter_with_state"): _FIRST,
    ("torch._utils", "_rebuild_qtensor"): Standin(_quantised),
    ("torch._utils", "_rebuild_sparse_tensor"): Standin(_sparse),
    ("torch._utils", "_rebuild_device_tensor_from_numpy"): _FIRST,
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): Standin(lambda *_: WithoutNumbers("meta: no numbers")),
    ("torch._utils", "_rebuild_nested_tensor"): Standin(lambda *_: WithoutNumbers("a nested tensor")),
    ("torch._utils", "_rebuild_wrapper_subclass"): Standin(lambda *_: WithoutNumbers("a tensor subclass")),
    ("torch._tensor", "_rebuild_from_type_v2"): Standin(_from_type),
    ("torch._tensor", "_rebuild_from_type"): Standin(_from_type),
    ("torch.nn.parameter", "Parameter"): _FIRST,
    ("torch.serialization", "_get_layout"): _FIRST,
    ("torch", "Size"): Standin(lambda values=(): tuple(values)),
    ("torch", "device"): Standin(lambda *args: ":".join(map(str, args))),
}
_NUMPY: dict[str, Any] = {
    "_reconstruct": Standin(lambda *_: NumpyArray()),
    "dtype": Standin(lambda code="", *_: NumpyType(str(code))),
    "ndarray": Standin(lambda *_: NumpyArray()),
    "scalar": Standin(lambda kind, data=b"": _array(NumpyArray((1, (), kind, False, data))).item()),
}


# from the file to numbers ---------------------------------------------------------------------------------------------


ReadBytes = Callable[[Storage, int, int], Tensor]
"""Gives so many bytes of a storage from a byte on, as a new uint8 tensor."""


def read_tensor(stored: Stored, read: ReadBytes) -> Tensor:
    """The numbers of a tensor.

    Args:
        stored: What is known of it.
        read: Reads bytes of the file.

    Raises:
        ValueError: It does not hold together.
    """
    if isinstance(stored, StoredTensor):
        return _dense(stored, read)
    if isinstance(stored, SparseTensor):
        return _from_sparse(stored, read)
    return from_numpy(stored)


def _dense(stored: StoredTensor, read: ReadBytes) -> Tensor:
    codes = stored.storage.dtype if stored.scale is not None else stored.dtype
    first, end = stored.extent
    base = stored.storage.start * stored.storage.dtype.itemsize
    raw = read(stored.storage, base + first * codes.itemsize, (end - first) * codes.itemsize)
    values = raw != 0 if codes == torch.bool else raw.view(codes)
    values = values.as_strided(stored.size, stored.stride)
    return values if stored.scale is None else _numbers(values, stored.scale, read)


def _numbers(codes: Tensor, how: Quantiser, read: ReadBytes) -> Tensor:
    if how.axis is None:
        return (codes.float() - how.zero) * how.scale
    scale, zero = (read_tensor(part, read).float() for part in (how.scale, how.zero))
    shape = [-1 if axis == how.axis else 1 for axis in range(codes.dim())]
    return (codes.float() - zero.reshape(shape)) * scale.reshape(shape)


def _from_sparse(stored: SparseTensor, read: ReadBytes) -> Tensor:
    if math.prod(stored.size) > LARGEST_EXPANDED:
        raise ValueError(
            f"a sparse tensor of {math.prod(stored.size):,} elements; at most {LARGEST_EXPANDED:,} are read"
        )
    parts = [read_tensor(part, read).contiguous() for part in stored.parts]
    kinds: dict[str, Callable[..., Tensor]] = {
        "sparse_coo": torch.sparse_coo_tensor,
        **{name: getattr(torch, f"{name}_tensor") for name in ("sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc")},
    }
    if stored.layout not in kinds:
        raise ValueError(f"a tensor of layout {stored.layout}")
    # Without its invariants checked, a sparse tensor's indices write where they like.
    return kinds[stored.layout](*parts, stored.size, check_invariants=True).to_dense()


def numpy_shape(stored: NumpyArray) -> tuple[tuple[int, ...], torch.dtype]:
    """Shape and type of an array.

    Raises:
        ValueError: It has no numbers that torch knows.
    """
    array = _array(stored)
    return tuple(array.shape), torch.from_numpy(array[..., None][:0].copy()).dtype


def from_numpy(stored: NumpyArray) -> Tensor:
    """The numbers of an array within the pickle."""
    array = _array(stored)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))


def _array(stored: NumpyArray) -> Any:
    import numpy as np

    if not isinstance(stored.state, tuple) or len(stored.state) < 5:
        raise ValueError("an array without a state")
    _, shape, kind, fortran, data = stored.state[:5]
    if not isinstance(kind, NumpyType) or not isinstance(data, bytes) or kind.code[:1] not in tuple("fiubc?"):
        raise ValueError("an array of objects")
    dtype = np.dtype(kind.code).newbyteorder(">" if kind.order == ">" else "<")
    shape = _sizes(shape)
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array of shape {shape} in {len(data):,} bytes")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
