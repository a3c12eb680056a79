"""Weights in a ``.pt`` file, read by torch's unpickler that makes tensors and nothing else."""

from __future__ import annotations

import pickle  # noqa: S403 - for the name of its error; nothing is unpickled here
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from axonometry.checkpoints.checkpoint import Contents, Entry, File, damaged
from axonometry.errors import CheckpointError

KEYS = ("state_dict", "model_state_dict", "model", "module", "net", "network", "params", "weights")
"""Where training scripts put the weights, in the order they are looked for."""

_DAMAGE = (
    *(
        OSError,
        RuntimeError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        EOFError,
        AssertionError,
        OverflowError,
    ),
    *(pickle.UnpicklingError, struct.error, zipfile.BadZipFile),
)


@dataclass(frozen=True)
class Weights:
    """What was found in a file: tensors, the keys that led to them, what is none."""

    tensors: dict[str, Tensor]
    keys: tuple[str, ...]
    left_out: tuple[str, ...]


class TorchFile(File[Weights]):
    """A file that ``torch.save`` wrote: a state dict, or dictionaries around one."""

    kind = "torch"

    def __init__(self, path: Path, key: str | None = None) -> None:
        self._key = key
        super().__init__(path)

    def _open(self) -> Weights:
        content = _unpickled(self.path)
        if not isinstance(content, Mapping):
            raise CheckpointError(
                "a checkpoint is a dictionary of tensors",
                f"{self.path}, which holds {type(content).__name__}",
                "Save the model's state dict",
            )
        if self._key is None:
            return _found(self.path, content, ())
        if not isinstance(content.get(self._key), Mapping):
            there = ", ".join(str(key) for key, value in content.items() if isinstance(value, Mapping))
            raise CheckpointError(
                "key names a dictionary in the file", repr(self._key), f"There are: {there or 'none'}"
            )
        return _found(self.path, content[self._key], (self._key,))

    def _list(self, handle: Weights) -> Contents:
        entries = {name: Entry(tuple(tensor.shape), tensor.dtype) for name, tensor in handle.tensors.items()}
        return Contents(entries, handle.keys, handle.left_out)

    def _get(self, handle: Weights, name: str) -> Tensor:
        tensor = handle.tensors[name].detach()
        tensor = tensor.dequantize() if tensor.is_quantized else tensor
        return tensor if tensor.layout == torch.strided else tensor.to_dense()


def _unpickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the file's age, or TorchScript: what matters raises
            return torch.load(path, map_location="cpu", weights_only=True, mmap=_can_be_mapped(path))
    except _DAMAGE as error:
        unsafe = re.search(r"GLOBAL (\S+\.\S+) w(?:as not|hose module)|(TorchScript) archive", str(error))
        if unsafe is None:
            damaged(path, error)
        named = next(filter(None, unsafe.groups()))
        raise CheckpointError(
            "a checkpoint holds tensors and plain values only, no code",
            f"{path}, which asks for {named}",
            "If you trust it, open it with the program that wrote it and save the model's state dict",
        ) from error


def _can_be_mapped(path: Path) -> bool:
    """Files before torch 1.6 are no zip archives; a compressed archive, which torch never writes, cannot be mapped."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return all(member.compress_type == zipfile.ZIP_STORED for member in archive.infolist())


def _found(path: Path, content: Mapping[Any, Any], keys: tuple[str, ...]) -> Weights:
    """The weights in nested dictionaries: under a known key, else here, else under the only key that has tensors."""
    known = [key for key in KEYS if _leads_to_tensors(content.get(key))]
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor) and not value.is_meta}
    holders = [key for key, value in content.items() if isinstance(value, Mapping) and _has_tensors(value)]
    if known or (not tensors and len(holders) == 1):
        key = known[0] if known else holders[0]
        inner = _found(path, content[key], (*keys, str(key)))
        others = tuple(str(other) for other in content if other != key)
        return Weights(inner.tensors, inner.keys, inner.left_out + _none_of_the_weights(others))
    if not tensors and holders:
        raise CheckpointError(
            "the weights are the file's only dictionary of tensors, or named state_dict or model",
            f"{path} with {', '.join(map(str, holders))}",
            f"Say which one: open_checkpoint(path, key={str(holders[0])!r})",
        )
    return Weights(tensors, keys, _none_of_the_weights(tuple(str(key) for key in content if str(key) not in tensors)))


def _none_of_the_weights(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name} (none of the weights)" for name in names)


def _has_tensors(content: Mapping[Any, Any]) -> bool:
    return any(isinstance(value, Tensor) for value in content.values())


def _leads_to_tensors(content: object) -> bool:
    """Whether this is a dictionary of tensors, or has one under a known key."""
    if not isinstance(content, Mapping):
        return False
    return _has_tensors(content) or any(_leads_to_tensors(content.get(key)) for key in KEYS)
