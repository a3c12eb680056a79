"""What is in a checkpoint, tensor by tensor: everything that one reading of its numbers tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import numpy as np

from axonometry.checkpoints.channels import Channels, Spectrum, is_matrix, rows_and_columns, spectrum
from axonometry.checkpoints.checkpoint import Checkpoint
from axonometry.checkpoints.element_types import Array, as_array, unpacked
from axonometry.checkpoints.entry_statistics import PROBABILITIES, EntryStatistics, entry_statistics
from axonometry.checkpoints.floats import floats
from axonometry.checkpoints.initial import InitialDistribution, initial_distribution
from axonometry.checkpoints.scales import NOT_DONE, dequantised, is_coded, is_packed, needs_more, scale_of
from axonometry.errors import CheckpointError

BINS = 48
"""Steps of a tensor's histogram."""
SAMPLED = 512
"""Entries of each matrix that are kept, to find copies among layers."""


@dataclass(frozen=True)
class TensorFacts:
    """What is known of a tensor.

    Attributes:
        name: Its name.
        shape: Its shape, of the numbers.
        dtype: Torch's name of its type on disk.
        scale: What its codes were multiplied with or made numbers from; empty for plain numbers.
        statistics: Its statistics.
        code: Share of its codes at the ends of their range; None where they are no codes of eight bits.
        rows: Of a matrix, its rows.
        columns: Of a matrix, its columns.
        spectrum: Of a matrix, its size as a map, where it was asked for.
        drawn: Of a matrix, the initialiser's distribution that it still has.
        sample: Of a matrix, some entries, centred and of norm 1.
        histogram: How many entries are between the minimum and the maximum, in steps of equal width.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: str
    statistics: EntryStatistics
    code: float | None = None
    rows: Channels | None = None
    columns: Channels | None = None
    spectrum: Spectrum | None = None
    drawn: InitialDistribution | None = None
    sample: Array | None = None
    histogram: tuple[int, ...] = ()

    def row(self) -> dict[str, Any]:
        """The tensor as a row of a table: the columns of ``weight_table``, and quantiles, norms and zeros."""
        t = self.statistics
        found: dict[str, Any] = {
            "tensor": self.name,
            "shape": "x".join(map(str, self.shape)),
            "dtype": self.dtype,
            "scale": self.scale,
            "count": t.count,
            "nonfinite": t.nonfinite,
            "zeros": t.zeros,
            "mean": t.mean,
            "std": t.std,
            "skewness": t.skewness,
            "kurtosis": t.kurtosis,
            "minimum": t.minimum,
            **{quantile_name(p): value for p, value in zip(PROBABILITIES, t.quantiles, strict=True)},
            "maximum": t.maximum,
            "norm": t.norm,
        }
        if self.spectrum is not None:
            found |= {"spectral_norm": self.spectrum.norm, "stable_rank": self.spectrum.stable_rank}
        return found


def quantile_name(probability: float) -> str:
    """The column of a quantile.

    >>> quantile_name(0.5), quantile_name(0.01)
    ('median', 'q1')
    """
    return "median" if probability == 0.5 else f"q{100 * probability:g}"


def chosen_names(names: Sequence[str], layers: Sequence[str] = (), exclude: Sequence[str] = ()) -> list[str]:
    """Names that patterns such as ``*.mlp.*`` choose; a pattern is met by a tensor or by a module above it.

    >>> chosen_names(["a.0.weight", "a.1.weight", "b"], layers=["a.*"], exclude=["a.1"])
    ['a.0.weight']

    Args:
        names: Of tensors.
        layers: Patterns of which one has to be met; none means all.
        exclude: Patterns of which none may be met.

    Raises:
        CheckpointError: Nothing is left.
    """

    def meets(name: str, found: Sequence[str]) -> bool:
        return any(
            fnmatchcase(name, one) or fnmatchcase(name, f"{one}.*") or fnmatchcase(name, f"{one}/*") for one in found
        )

    kept = [name for name in names if (not layers or meets(name, layers)) and not meets(name, exclude)]
    if names and not kept:
        words = " ".join([*(f"--layers {one}" for one in layers), *(f"--exclude {one}" for one in exclude)])
        raise CheckpointError(
            "the patterns choose some tensors", f"none by {words}", f"There are: {', '.join(names[:8])}"
        )
    return kept


def survey(
    checkpoint: Checkpoint, names: Sequence[str] | None = None, *, spectra: bool = False, histograms: bool = True
) -> Iterator[TensorFacts]:
    """Everything about each tensor, one in memory at a time.

    Args:
        checkpoint: The weights.
        names: Those that are looked at; all where None.
        spectra: Whether spectral norms are computed, which takes many more passes over a matrix.
        histograms: Whether histograms are made; of 20,000 small tensors that takes as long as all else.
    """
    for name in checkpoint.names if names is None else names:
        array, dtype, scale = numbers_of(checkpoint, name)
        found = entry_statistics(array, dtype)
        facts: dict[str, Any] = {"code": _at_the_ends(checkpoint, name, array, dtype)}
        if histograms:
            facts["histogram"] = _histogram(found)
        if is_matrix(array.shape) and found.finite:
            largest = max(abs(found.minimum), abs(found.maximum))
            facts["rows"], facts["columns"] = rows_and_columns(array, dtype, largest)
            facts["sample"] = _sample(array, dtype)
            facts["drawn"] = initial_distribution(array.shape, found)
            if spectra:
                facts["spectrum"] = spectrum(array, dtype, found.norm)
        # The counts of bit patterns take a megabyte a tensor, and there may be 20,000 of these.
        kept = replace(found, distribution=None)
        yield TensorFacts(name, array.shape, checkpoint.entries[name].dtype, scale, kept, **facts)


def _histogram(found: EntryStatistics) -> tuple[int, ...]:
    """The counted patterns of bits, put together; a pattern's numbers end where it says, and lie close below."""
    told = found.distribution
    if told is None or not found.finite or not found.maximum > found.minimum:
        return ()
    places = np.clip(told.edges, found.minimum, found.maximum)
    return tuple(
        np.histogram(places, BINS, (found.minimum, found.maximum), weights=told.counts)[0].astype(int).tolist()
    )


def numbers_of(checkpoint: Checkpoint, name: str) -> tuple[Array, str, str]:
    """A tensor's numbers, the name of their type, and what was done to get them: scales, codes that were unpacked."""
    entry = checkpoint.entries[name]
    if is_packed(name, entry.dtype):
        return checkpoint.array(name), entry.dtype, NOT_DONE
    if is_coded(entry.dtype) and (scale_of(name, checkpoint) is not None or needs_more(name, checkpoint)):
        numbers, scale = dequantised(name, checkpoint[name], checkpoint)
        return *as_array(numbers), scale
    array, dtype = unpacked(checkpoint.array(name), entry.dtype)
    return array, dtype, f"read from {entry.stored}" if entry.stored else ""


def _at_the_ends(checkpoint: Checkpoint, name: str, array: Array, dtype: str) -> float | None:
    """The share of codes that are the least or the greatest of their type."""
    stored = checkpoint.entries[name].dtype
    if stored not in ("int8", "float8_e4m3fn", "float8_e5m2") or not array.size:
        return None
    codes = array if dtype == stored else checkpoint.array(name)
    if stored == "int8":
        return float((np.abs(codes.astype(np.int16)) >= 127).mean())
    greatest = {"float8_e4m3fn": 0x7E, "float8_e5m2": 0x7B}[stored]
    return float(((codes.view(np.uint8) & 0x7F) == greatest).mean())


def _sample(array: Array, dtype: str) -> Array:
    """Entries at even distances, less their mean and over their norm."""
    flat = array.reshape(-1)
    taken = floats(flat[_even_places(flat.size)], dtype)
    taken = taken.astype(np.float64)
    taken -= taken.mean()
    norm = np.linalg.norm(taken)
    return (taken / norm if norm else taken).astype(np.float32)


@cache
def _even_places(size: int) -> Array:
    """Found once for all of 20,000 tensors of one size."""
    return np.linspace(0, size - 1, min(SAMPLED, size)).astype(np.int64)
