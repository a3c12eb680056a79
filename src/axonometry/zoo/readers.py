"""Telling the format of a published zoo by its files, and reading it."""

from __future__ import annotations

from pathlib import Path

from axonometry.errors import DataError
from axonometry.zoo import model_zoos, small_cnn, wild_park
from axonometry.zoo.published import PublishedZoo


def published_format(folder: Path) -> str | None:
    """The name of the format of a published zoo; None where the folder holds none."""
    if (folder / "weights.npy").is_file() and (folder / "layout.csv").is_file():
        return small_cnn.NAME
    if (folder / wild_park.SPLIT_FILE).is_file():
        return wild_park.NAME
    return model_zoos.NAME if next(folder.glob("*/params.json"), None) is not None else None


def read_published(folder: str | Path) -> PublishedZoo:
    """Read a published zoo: Small CNN Zoo, CNN Wild Park or Model Zoos, told by its files.

    Args:
        folder: With ``weights.npy``, ``metrics.csv.gz`` and ``layout.csv``; with ``cnn_park_splits.json``; or with
            trial folders that have ``params.json``.

    Raises:
        DataError: It is none of these, or a file is missing or damaged.
    """
    folder = Path(folder)
    readers = {
        small_cnn.NAME: small_cnn.read_small_cnn_zoo,
        wild_park.NAME: wild_park.read_wild_park,
        model_zoos.NAME: model_zoos.read_model_zoo,
    }
    name = published_format(folder)
    if name is None:
        rule = "a published zoo is the Small CNN Zoo (weights.npy, metrics.csv.gz, layout.csv), the CNN Wild Park "
        rule += "(cnn_park_splits.json) or one of the Model Zoos (trial folders with params.json)"
        raise DataError(rule, f"{folder}, which is none", "Unpack the zoo, and name the folder of these files")
    return readers[name](folder)
