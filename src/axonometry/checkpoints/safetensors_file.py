"""Weights in a ``.safetensors`` file."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from axonometry.checkpoints.checkpoint import Contents, Entry, File, corrupt_checkpoint

_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}


class SafetensorsFile(File[Any]):
    """A ``.safetensors`` file, mapped."""

    kind = "safetensors"

    def _open(self) -> Any:
        from safetensors import SafetensorError, safe_open

        try:
            return safe_open(self.path, framework="pt")
        except (SafetensorError, OSError) as error:
            corrupt_checkpoint(self.path, error)

    def _list(self, handle: Any) -> Contents:
        entries, left_out = {}, []
        for name in handle.keys():  # noqa: SIM118 - not a mapping
            part = handle.get_slice(name)
            dtype = getattr(torch, _TYPES.get(part.get_dtype(), ""), None)
            if dtype is None:
                left_out.append(f"{name} ({part.get_dtype()} numbers)")
            else:
                entries[name] = Entry(tuple(part.get_shape()), dtype)
        return Contents(entries, left_out=tuple(left_out))

    def _get(self, handle: Any, name: str) -> Tensor:
        from safetensors import SafetensorError

        try:
            return handle.get_tensor(name)
        except (SafetensorError, OSError) as error:
            corrupt_checkpoint(self.path, error)
