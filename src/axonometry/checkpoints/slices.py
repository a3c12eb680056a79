"""A part of a file, read as if it were a file: an archive within an archive, a tensor within a shard."""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


def begin_of_member(file: Any, member: zipfile.ZipInfo) -> int:
    """Where the bytes of an archive's member begin: behind its header, whose last two fields have lengths of their own.

    Args:
        file: The archive, open.
        member: What is in it.

    Raises:
        EOFError: The header is cut short.
    """
    file.seek(member.header_offset)
    header = file.read(30)
    if len(header) < 30:
        raise EOFError(f"the header of {member.filename} is missing")
    name, extra = struct.unpack("<HH", header[26:30])
    return member.header_offset + 30 + int(name) + int(extra)


@dataclass(frozen=True)
class Slice:
    """Bytes of a file.

    Attributes:
        path: The file.
        begin: The first byte.
        length: How many there are.
    """

    path: Path
    begin: int
    length: int

    def open(self, mode: Literal["rb"] = "rb") -> io.BufferedReader:
        """The bytes as a file, for reading."""
        return io.BufferedReader(_Window(self.path.open(mode), self.begin, self.length))


class _Window(io.RawIOBase):
    """What lies between two places of an open file; closing it closes that file."""

    def __init__(self, file: Any, begin: int, length: int) -> None:
        self._file, self._begin, self._length, self._here = file, begin, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._here, io.SEEK_END: self._length}[whence]
        if start + offset < 0:
            raise ValueError("a place before the file")
        self._here = start + offset
        return self._here

    def tell(self) -> int:
        return self._here

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")[: max(0, self._length - self._here)]
        self._file.seek(self._begin + self._here)
        count: int = self._file.readinto(view) if view else 0
        self._here += count
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
