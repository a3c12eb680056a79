"""Weights in a folder of Orbax (JAX): arrays in the zarr format, in a store of many keys or in a folder each.

``_METADATA`` says in JSON which arrays there are, ``{"tree_metadata": {"('params', 'kernel')": {"key_metadata":
[{"key": "params"}, {"key": "kernel"}], ...}}}``; TensorStore reads them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from axonometry.checkpoints.checkpoint import (
    DAMAGE,
    ArrayFile,
    Contents,
    Entry,
    corrupt_checkpoint,
)
from axonometry.checkpoints.element_types import Array, as_bits, type_name
from axonometry.checkpoints.kinds import require_file
from axonometry.checkpoints.training_state import names_training_state
from axonometry.errors import MissingExtraError

METADATA = "_METADATA"
LARGEST_METADATA = 2**28


def orbax_folder(path: Path) -> Path | None:
    """The folder with the arrays: the one that is asked for, or the only item in it; None where there is none."""
    if (path / METADATA).is_file():
        return path
    found = [item for item in sorted(path.iterdir()) if item.is_dir() and (item / METADATA).is_file()]
    return found[0] if len(found) == 1 else None


class OrbaxFolder(ArrayFile[Any]):
    """A folder of Orbax; an array is read when it is asked for."""

    kind = "orbax"

    def _open(self) -> Any:
        try:
            import tensorstore
        except ImportError as error:
            raise MissingExtraError.of("tensorstore", "orbax") from error
        return tensorstore

    def _list(self, handle: Any) -> Contents:
        metadata = self.path / METADATA
        require_file(metadata)
        entries: dict[str, Entry] = {}
        others: dict[str, str] = {}
        unread: dict[str, str] = {}
        try:
            if metadata.stat().st_size > LARGEST_METADATA:
                raise ValueError(f"{metadata.stat().st_size:,} bytes")
            told = json.loads(metadata.read_text(encoding="utf-8"))
            self._driver = "zarr3" if told.get("use_zarr3") else "zarr"
            self._store = bool(told.get("use_ocdbt", (self.path / "manifest.ocdbt").exists()))
            places = [_keys(one) for one in told["tree_metadata"].values()]
            skipped = {_name(keys) for keys, kind in places if kind in _WITHOUT}
        except DAMAGE as error:
            corrupt_checkpoint(metadata, error)
        for keys, _ in places:
            name = _name(keys)
            if names_training_state(keys[0]):
                others[keys[0]] = "none of the weights"
            elif name in skipped:
                others[name] = "none of the weights"
            else:
                array = self._array_of(handle, name)
                dtype = type_name(array.dtype.numpy_dtype)
                if dtype is None:
                    unread[name] = f"{array.dtype.name} numbers"
                else:
                    entries[name] = Entry(tuple(array.shape), dtype)
        left_out = tuple(f"{name} ({reason})" for name, reason in (others | unread).items())
        return Contents(entries, left_out=left_out, unread=tuple(unread))

    def _array_of(self, tensorstore: Any, name: str) -> Any:
        base = f"file://{self.path.resolve()}/"
        kvstore = {"driver": "ocdbt", "base": base, "path": f"{name}/"} if self._store else f"{base}{name}/"
        try:
            return tensorstore.open({"driver": self._driver, "kvstore": kvstore}, read=True, open=True).result()
        except DAMAGE as error:
            corrupt_checkpoint(self.path, f"{name}: {' '.join(str(error).split())}")

    def _get_array(self, handle: Any, name: str) -> Array:
        try:
            return as_bits(np.asarray(self._array_of(handle, name).read().result()), self.contents.entries[name].dtype)
        except DAMAGE as error:
            corrupt_checkpoint(self.path, f"{name}: {' '.join(str(error).split())}")


_WITHOUT = ("scalar", "string", "None", "Dict", "List", "Tuple", "NamedTuple", "")
"""Kinds of values that are no arrays: numbers, texts, and dictionaries and the like that are empty."""


def _keys(told: Any) -> tuple[tuple[str, ...], str]:
    """The keys that lead to a value, and its kind."""
    keys = tuple(str(one["key"]) for one in told["key_metadata"])
    if not keys or any(part in ("", ".", "..") or "/" in part or "\\" in part for part in keys):
        raise ValueError(f"a value under the keys {str(keys)[:80]}")
    return keys, str(told["value_metadata"].get("value_type"))


def _name(keys: tuple[str, ...]) -> str:
    return ".".join(keys)
