r"""What kind of file this is, told by its first bytes: names lie, and not every file is a checkpoint.

>>> kind_of_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
'a git-lfs pointer to the file, not the file'
>>> kind_of_bytes(b"\x80\x02}q\x00.")
'pickle'
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from axonometry.errors import CheckpointError
from axonometry.files import REMEDIES, disguised, irregular

LONGEST_HEADER = 100_000_000
"""Bytes of a safetensors header; the format allows no more."""

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_FORMATS: tuple[tuple[bytes, str], ...] = (
    (b"\x93NUMPY", "npy"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"GGUF", "gguf"),
)
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"BZh", "a bzip2 archive"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program"),
)


def require_file(path: Path) -> None:
    """Refuse what is no regular file before anything of it is read: pipes wait for ever, devices have no end.

    Raises:
        CheckpointError: It is a pipe, a device, a socket, or cannot be looked at.
    """
    try:
        path.stat()
    except (OSError, ValueError) as error:
        raise CheckpointError("a checkpoint is a file or a folder", f"{path}: {error}", "Check the path") from error
    what = irregular(path)
    if what is not None:
        raise CheckpointError("a checkpoint is a regular file", f"{path}, which is {what}", "Copy it into a file first")


def kind_of(path: Path) -> str:
    """``zip``, ``pickle``, ``safetensors`` or another kind of a format, or what the file is in words.

    Raises:
        CheckpointError: It cannot be read.
    """
    require_file(path)
    try:
        with path.open("rb") as file:
            return kind_of_bytes(file.read(512), path.stat().st_size)
    except OSError as error:
        raise CheckpointError(
            "a checkpoint can be read", f"{path}: {error.strerror}", "Check its permissions"
        ) from error


def kind_of_bytes(head: bytes, size: int | None = None) -> str:
    """As :func:`kind_of`, from a file's first 512 bytes and its size."""
    if (other := disguised(head)) is not None:
        return other
    if head.startswith(ZIP):
        return "zip"
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and 2 <= length <= min(LONGEST_HEADER, size or LONGEST_HEADER):
        return "safetensors"
    if head[0] == 0x80 and len(head) > 1 and head[1] in range(1, 6):
        return "pickle"
    if (made := _without_magic(head)) is not None:
        return made
    for begin, name in (*_FORMATS, *_OTHERS):
        if head.startswith(begin):
            return name
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head.lstrip().startswith((b"{", b"[")):
        return "a JSON text"
    return "an unknown kind of file"


def _without_magic(head: bytes) -> str | None:
    """Formats of the kind of protobuf and msgpack, which begin with their first field.

    ONNX begins with field 1, the version of its format (up to 31), and goes on with another field of the model:
    ``08 0a`` and a text (``12``, ``1a``), say. Flax begins with a dictionary (``8n``, ``de``, ``df``) whose first key
    is a text (``a0`` to ``bf``, ``d9``).
    """
    if len(head) > 2 and head[0] == 0x08 and 0 < head[1] < 32 and head[2] in (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42):
        return "onnx"
    keys = {0xDE: 3, 0xDF: 5}.get(head[0], 1 if 0x81 <= head[0] <= 0x8F else 0)
    if keys and len(head) > keys + 1 and (0xA0 <= head[keys] <= 0xBF or head[keys] == 0xD9):
        return "msgpack"
    return None


def kind_of_zip(path: Path, *, torch: bool) -> str:
    """``zip of torch``, ``zip of numpy`` or ``zip of keras``.

    Archives of ``torch.save`` have a ``data.pkl``, numpy's have arrays; of one that cannot be listed the name decides.

    Args:
        path: The archive.
        torch: Whether it is called as files of torch are.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            names = {name.split("/")[-1] for name in archive.namelist()}
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        names = set()
    if path.suffix == ".keras" or "model.weights.h5" in names:
        return "zip of keras"
    if path.suffix == ".npz":
        return "zip of numpy"
    return "zip of torch" if torch or "data.pkl" in names else "zip of numpy"


def refuse(path: Path, kind: str) -> CheckpointError:
    """The error for a file that is something else."""
    rule = "a checkpoint is a file of safetensors, torch.save, numpy, Keras, ONNX, GGUF or Flax"
    return CheckpointError(rule, f"{path}, which is {kind}", REMEDIES.get(kind, "Save the model's state dict"))
