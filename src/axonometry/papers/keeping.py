"""Tables that take long to compute, kept beside the runs that they come from, so that a second call finds them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from axonometry.files import atomic_write
from axonometry.predict import RunTable

if TYPE_CHECKING:
    import pandas as pd


def kept(folder: Path, inputs: tuple[object, ...], compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """A table, read from the folder where it was computed from the same inputs before, else computed and written there.

    Args:
        folder: Where tables are kept; it is made if it is not there.
        inputs: All that the table depends on: :class:`RunTable` by content, everything else by its ``repr``.
        compute: Makes the table.

    Raises:
        RunError: The file could not be written.
    """
    import pandas as pd

    path = folder / f"{_fingerprint(inputs)}.parquet"
    if path.exists():
        return pd.read_parquet(path)
    table = compute()
    with atomic_write(path, parents=True) as partial:
        table.to_parquet(partial)
    return table


def _fingerprint(inputs: tuple[object, ...]) -> str:
    """The first 16 digits of a SHA-256 of the inputs and of the version that computes."""
    from axonometry import __version__

    digest = hashlib.sha256(__version__.encode())
    for one in inputs:
        if isinstance(one, RunTable):
            digest.update("\n".join(map(str, (*one.features, *one.features.index, *one.groups))).encode())
            digest.update(one.features.to_numpy(dtype=float).tobytes())
            digest.update(one.final_accuracy.to_numpy(dtype=float).tobytes())
        else:
            digest.update(repr(one).encode())
    return digest.hexdigest()[:16]
