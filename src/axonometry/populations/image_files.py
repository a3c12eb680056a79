"""Image data sets on disk in their official formats: IDX (MNIST, Fashion-MNIST) and CIFAR-10's binary records."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from axonometry.errors import DataError
from axonometry.files import REMEDIES, disguise_of, read_whole

Bytes = npt.NDArray[np.uint8]

LARGEST = 2**28
"""Bytes of a file, unpacked; the largest of the three data sets' has 47 million."""
CLASSES = 10
"""Labels of all three data sets are 0 to 9."""

_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_CIFAR_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_CIFAR_SHAPE = (3, 32, 32)
_CIFAR_RECORD = 1 + 3 * 32 * 32


@dataclass(frozen=True)
class Split:
    """Images and labels of one half of a data set, as stored.

    Attributes:
        images: Pixels 0 to 255, shape (N, C, H, W).
        labels: Classes, shape (N,).
    """

    images: Bytes
    labels: Bytes


@dataclass(frozen=True)
class Layout:
    """Which files a data set is, and where they are looked for.

    Attributes:
        title: The data set's name in prose.
        folders: Names of its folder in the data directory; the directory itself is looked at last.
        stems: What the files' names begin with: the files of the training half first, then those of the test half.
        exact: Whether a stem is the whole name, apart from ``.gz``. Else ``STEM*.bin`` is meant, for parts of a batch
            such as ``data_batch_1.first4000.bin.gz``.
    """

    title: str
    folders: tuple[str, ...]
    stems: tuple[str, ...]
    exact: bool

    def find(self, directory: Path) -> Mapping[str, Path]:
        """The path of each stem's file; uncompressed files are preferred.

        Raises:
            DataError: A file is missing, or two files claim the same place.
        """
        places = [directory / name for name in self.folders]
        if directory.name not in FOLDERS or directory.name in self.folders:  # MNIST is never read from fashion-mnist/
            places.append(directory)
        candidates = [{stem: self._candidates(place, stem) for stem in self.stems} for place in places]
        best = max(candidates, key=lambda found: sum(map(bool, found.values())))
        missing = [stem for stem, paths in best.items() if not paths]
        if missing:
            none = len(missing) == len(self.stems)
            absent = "none of them" if none else f"no {' and no '.join(map(self._spelling, missing))}"
            raise DataError(
                f"{self.title} is read from {len(self.stems)} files, which belong in {places[0]}",
                f"{absent} there or in {directory}",
                f"Put {', '.join(map(self._spelling, self.stems))} into that folder, "
                "or name the directory above it with AXONOMETRY_DATA",
            )
        return {stem: self._only(stem, paths) for stem, paths in best.items()}

    def _spelling(self, stem: str) -> str:
        return f"{stem}[.gz]" if self.exact else f"{stem}*.bin[.gz]"

    def _candidates(self, place: Path, stem: str) -> list[Path]:
        pattern = re.compile(re.escape(stem) + (r"(\.gz)?" if self.exact else r"(\D.*)?\.bin(\.gz)?"))
        return sorted(path for path in place.glob(f"{stem}*") if pattern.fullmatch(path.name) and path.is_file())

    def _only(self, stem: str, paths: Sequence[Path]) -> Path:
        contents = {path.name.removesuffix(".gz") for path in paths}
        if len(contents) > 1:
            raise DataError(
                f"one file of {self.title} begins with {stem}",
                " and ".join(map(str, paths)),
                "Keep the one that is meant",
            )
        return min(paths, key=lambda path: len(path.name))


MNIST = Layout("MNIST", ("mnist",), _IDX, exact=True)
FASHION_MNIST = Layout("Fashion-MNIST", ("fashion-mnist",), _IDX, exact=True)
CIFAR10 = Layout("CIFAR-10", ("cifar10", "cifar-10-batches-bin"), (*_CIFAR_BATCHES, "test_batch"), exact=False)

FOLDERS = {name for layout in (MNIST, FASHION_MNIST, CIFAR10) for name in layout.folders}
"""Folders that belong to one data set."""


def read_idx(layout: Layout, directory: Path) -> tuple[Split, Split]:
    """The training and the test half of a data set in IDX files.

    An IDX file holds two zero bytes, 0x08 for unsigned bytes, the number of dimensions, a big-endian 32-bit size per
    dimension, then the values in row-major order.

    Raises:
        DataError: A file is missing or damaged.
    """
    files = layout.find(directory)
    train_images, train_labels, test_images, test_labels = (files[stem] for stem in layout.stems)
    return _idx_split(train_images, train_labels), _idx_split(test_images, test_labels)


def read_cifar(layout: Layout, directory: Path) -> tuple[Split, Split]:
    """The training and the test half of CIFAR-10 in binary records: a label byte, then red, green and blue planes.

    The number of records is taken from each file's length, so that the first part of a batch is read as well.

    Raises:
        DataError: A file is missing or damaged.
    """
    files = layout.find(directory)
    *batches, test = (_cifar_split(files[stem]) for stem in layout.stems)
    images = np.concatenate([batch.images for batch in batches])
    return Split(images, np.concatenate([batch.labels for batch in batches])), test


def _idx_split(images_path: Path, labels_path: Path) -> Split:
    images, labels = _idx(images_path, dimensions=3), _idx(labels_path, dimensions=1)
    if len(images) != len(labels):
        raise DataError(
            "there is one label for each image",
            f"{len(images)} images in {images_path} and {len(labels)} labels in {labels_path}",
            "Both files must be of the same data set: fetch them again",
        )
    _check_labels(labels_path, labels)
    return Split(images[:, None], labels)


def _idx(path: Path, dimensions: int) -> Bytes:
    content = _content(path)
    header = 4 + 4 * dimensions
    magic = bytes([0, 0, 8, dimensions])
    if content[:4] != magic:
        raise _damaged(
            path,
            f"begin with the IDX magic number {int.from_bytes(magic, 'big')}",
            f"{int.from_bytes(content[:4], 'big')}" if len(content) >= 4 else f"{len(content)} bytes",
        )
    if len(content) < header:
        raise _damaged(path, f"begin with a header of {header} bytes", f"{len(content)} bytes in all")
    shape = tuple(int(size) for size in np.frombuffer(content[4:header], ">u4"))
    expected = header + prod(shape)
    if len(content) != expected or not prod(shape):
        sizes = " x ".join(map(str, shape))
        raise _damaged(path, f"hold {expected} bytes for {sizes} values, as its header says", f"{len(content)} bytes")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _cifar_split(path: Path) -> Split:
    content = _content(path)
    if not content or len(content) % _CIFAR_RECORD:
        raise _damaged(path, f"hold records of {_CIFAR_RECORD} bytes", f"{len(content)} bytes")
    records = np.frombuffer(content, np.uint8).reshape(-1, _CIFAR_RECORD)
    labels = records[:, 0]
    _check_labels(path, labels)
    return Split(records[:, 1:].reshape(-1, *_CIFAR_SHAPE), labels)


def _check_labels(path: Path, labels: Bytes) -> None:
    if labels.max() >= CLASSES:
        wrong = int(np.argmax(labels >= CLASSES))
        raise _damaged(path, f"hold labels from 0 to {CLASSES - 1}", f"{labels[wrong]} at image {wrong}")


def _content(path: Path) -> bytes:
    try:
        raw = read_whole(path, LARGEST)
        if path.suffix != ".gz":
            return raw
        with gzip.open(io.BytesIO(raw)) as stream:
            content = stream.read(LARGEST + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, "be a whole gzip file", f"{len(raw)} bytes of which: {error}") from error
    except (OSError, ValueError) as error:
        raise _damaged(path, "be readable", str(error)) from error
    if len(content) > LARGEST:
        raise _damaged(path, f"unpack to {LARGEST:,} bytes at most", f"{len(raw):,} bytes that unpack to more")
    return content


def _damaged(path: Path, rule: str, came: str) -> DataError:
    other = disguise_of(path)
    if other is not None:
        remedy = f"{REMEDIES[other]}, and put {path.name} there again"
        return DataError(f"{path} must {rule}", f"{came}: it is {other}", remedy)
    return DataError(
        f"{path} must {rule}", came, f"The file is damaged or not the official one: put {path.name} there again"
    )
