"""The history of a Weights & Biases run out of its offline file, which its own library only uploads.

A ``.wandb`` file is a log in LevelDB's format: a header of 7 bytes, then blocks of 32 KiB of fragments, each with a
header of 7 bytes (CRC-32 of type and piece, length, type) and a piece of a record::

    type 1  a whole record          a record of 40 KiB: 2 | first 32 KiB of it, then 4 | its rest
    type 2, 3, 4  its first, middle and last piece

A record is a message of W&B's protocol, which its library reads.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axonometry.errors import MissingExtraError, RunError, corrupt_file

if TYPE_CHECKING:
    import pandas as pd

_BLOCK, _HEAD = 32768, 7
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def wandb_file_in(path: Path) -> Path | None:
    """The ``.wandb`` file that a path is, or that a W&B folder holds."""
    if path.is_file():
        return path if path.suffix == ".wandb" else None
    return next(iter(sorted(path.glob("*.wandb"))), None)


def wandb_scalars(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The numbers of a run's history, a row a step, and its configuration.

    Our own numbers stand at the step that :class:`axonometry.integrations.wandb.WandbLogger` notes with them.

    Args:
        path: A ``.wandb`` file.

    Raises:
        MissingExtraError: W&B is not installed.
        RunError: The file is corrupt.
    """
    import pandas as pd

    try:
        from google.protobuf.message import DecodeError
        from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]  # made when it is imported
    except ImportError as error:
        missing = MissingExtraError.of("wandb", "wandb")
        raise missing from error
    rows: dict[int, dict[str, float]] = {}
    configuration: dict[str, Any] = {}
    for content in records_of(path):
        record = Record()
        try:
            record.ParseFromString(content)
            if record.HasField("run"):
                configuration |= _values(record.run.config.update)
            elif record.HasField("config"):
                configuration |= _values(record.config.update)
            elif record.HasField("history"):
                values = _values(record.history.item)
                step = int(values.get("axonometry/step", values.get("_step", record.history.step.num)))
                numbers = {key: float(value) for key, value in values.items() if _is_number(value)}
                rows.setdefault(step, {}).update(numbers)
        except (DecodeError, ValueError) as error:
            raise RunError(corrupt_file(path, error), "", "Restore it from a copy") from error
    frame = pd.DataFrame.from_dict(rows, orient="index", dtype="float64").rename_axis("step").sort_index()
    kept = {key: value for key, value in configuration.items() if not key.startswith("_")}
    return frame[[name for name in frame if not str(name).startswith("_")]], kept


def records_of(path: Path) -> Iterator[bytes]:
    """The records of a log in LevelDB's format; the last one is left out where the process was killed inside it.

    Args:
        path: The file.

    Raises:
        RunError: It is no such file, or a piece of it is not what was written.
    """
    content = path.read_bytes()
    if content[:4] != b":W&B":
        raise RunError(corrupt_file(path, "no file of W&B"), "", "Restore it from a copy")
    place, pieces = _HEAD, b""
    while place + _HEAD <= len(content):
        left = _BLOCK - place % _BLOCK
        if left < _HEAD:  # a block's last bytes are padding where no header fits
            place += left
            continue
        checksum, length, kind = struct.unpack_from("<IHB", content, place)
        piece = content[place + _HEAD : place + _HEAD + length]
        if len(piece) < length:
            return
        if kind not in (_WHOLE, _FIRST, _MIDDLE, _LAST) or zlib.crc32(bytes([kind]) + piece) != checksum:
            raise RunError(corrupt_file(path, f"a wrong checksum at byte {place:,}"), "", "Restore it from a copy")
        place += _HEAD + length
        pieces = piece if kind in (_WHOLE, _FIRST) else pieces + piece
        if kind in (_WHOLE, _LAST):
            yield pieces


def _values(items: Any) -> dict[str, Any]:
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
