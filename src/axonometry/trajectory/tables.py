"""The measures of a run on disk: a parquet file a step, put into one of all steps now and then and at the end."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from axonometry.files import atomic_write, irregular
from axonometry.trajectory.state import corrupt_run

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

COMPACTED = "metrics.parquet"
PIECES = "metrics"

_STEPS = b"axonometry.steps"
_STEP_NUMBERS = range(-(2**63), 2**63)


def steps_in(folder: Path) -> tuple[int, ...]:
    """The complete steps of a run, ascending: a step is complete once its table is written.

    Raises:
        RunError: The table of all steps is corrupt.
    """
    # In this order: a recorder that closes meanwhile moves steps from the pieces to the compacted table.
    return tuple(sorted({*_pieces(folder), *_compacted_steps(folder)}))


def write_piece(folder: Path, step: int, measures: pd.DataFrame | None, scalars: Mapping[str, float]) -> None:
    """Write one step's measures and scalars; with the file's final name the step is complete.

    Args:
        folder: The run.
        step: Its number.
        measures: Columns group, metric, statistic and value.
        scalars: Further numbers by name; they get the empty group and the statistic ``value``.

    Raises:
        RunError: The file could not be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_piece(Path(folder), 3, None, {"accuracy": 0.5})
    ...     read_table(Path(folder), [3]).to_pylist()
    [{'step': 3, 'group': '', 'metric': 'accuracy', 'statistic': 'value', 'value': 0.5}]
    """
    import pyarrow as pa

    columns = ([] if measures is None else list(measures[name]) for name in ("group", "metric", "statistic", "value"))
    group, metric, statistic, value = columns
    rows = len(scalars)
    table = pa.table(
        [
            [step] * (len(group) + rows),
            group + [""] * rows,
            metric + list(scalars),
            statistic + ["value"] * rows,
            value + list(scalars.values()),
        ],
        schema=_schema(),
    )
    _write(folder / PIECES / f"{step}.parquet", table, [step], compression="none")


def read_table(folder: Path, steps: Iterable[int]) -> pa.Table:
    """The tables of the given complete steps as one, steps ascending.

    Raises:
        RunError: A file is missing or corrupt.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = set(steps)
    pieces: dict[int, pa.Table] = {}
    for step, path in _pieces(folder).items():
        with suppress(FileNotFoundError):  # a recorder closed meanwhile: the step is in the compacted table, read next
            pieces |= {step: read_file(path)} if step in wanted else {}
    compacted = _compacted_steps(folder)
    missing = wanted - pieces.keys() - set(compacted)
    if missing:
        corrupt_run(folder / PIECES / f"{min(missing)}.parquet", "no such file")
    parts = [pieces[step] for step in sorted(pieces.keys() - set(compacted))]
    if compacted:
        table = read_file(folder / COMPACTED)
        parts.insert(0, table.filter(pc.is_in(table["step"], pa.array(wanted, pa.int64()))))
    table = pa.concat_tables(parts).replace_schema_metadata() if parts else _schema().empty_table()
    # As many different keys as rows: none is there twice.
    if table.group_by(["step", "group", "metric", "statistic"]).aggregate([]).num_rows != len(table):
        corrupt_run(folder / (COMPACTED if compacted else PIECES), "a statistic of a step is there twice")
    return table


def compact(folder: Path) -> None:
    """Put the pieces into one file; killed at any instant, the run reads the same.

    Raises:
        RunError: A file is corrupt, or the new one cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for step in (0, 1):
    ...         write_piece(Path(folder), step, None, {"loss": 1.0})
    ...     compact(Path(folder))
    ...     sorted(path.name for path in Path(folder).iterdir()), steps_in(Path(folder))
    (['metrics.parquet'], (0, 1))
    """
    pieces = _pieces(folder)
    if pieces:
        steps = steps_in(folder)
        # The whole table first, the pieces after: killed in between, a step stands in both, and a reader takes the
        # whole table's. The other way round it would stand in neither.
        _write(folder / COMPACTED, read_table(folder, steps), steps, compression="zstd")
    for path in pieces.values():
        path.unlink()
    with suppress(OSError):  # absent, or with something of the user's in it
        (folder / PIECES).rmdir()


def extend(folder: Path, rows: pd.DataFrame) -> None:
    """Add measures of recorded steps to the table of all steps; the file is replaced as a whole.

    Args:
        folder: The run, which nobody else is writing.
        rows: Columns step, group, metric, statistic and value; they replace rows of the same metrics.

    Raises:
        RunError: A file is corrupt, or the new one cannot be written.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    compact(folder)
    # Column by column: a whole frame's NaN, which says that a network has diverged, would become nothing.
    new = pa.table([pa.array(rows[name].to_numpy(), from_pandas=False) for name in _schema().names], schema=_schema())
    steps = steps_in(folder)
    old = read_table(folder, steps)
    table = pa.concat_tables([old.filter(pc.invert(pc.is_in(old["metric"], new["metric"]))), new])
    # Stable, so that rows of one step keep the order of the catalogue; the new ones come behind the old.
    order = table["step"].to_numpy().argsort(kind="stable")
    _write(folder / COMPACTED, table.take(pa.array(order)).replace_schema_metadata(), steps, compression="zstd")


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        {
            "step": pa.int64(),
            "group": pa.string(),
            "metric": pa.string(),
            "statistic": pa.string(),
            "value": pa.float64(),
        }
    )


def table_files(folder: Path) -> tuple[Path, ...]:
    """The files that the tables are in."""
    compacted = folder / COMPACTED
    return (*([compacted] if compacted.exists() else []), *_pieces(folder).values())


def _pieces(folder: Path) -> dict[int, Path]:
    paths = (path for path in (folder / PIECES).glob("*.parquet") if is_step(path.stem))
    return {int(path.stem): path for path in sorted(paths, key=lambda path: int(path.stem))}


def is_step(name: str) -> bool:
    """Whether a file's stem is a step as we write it.

    >>> is_step("12"), is_step("-1"), is_step("012")
    (True, True, False)
    """
    return name.removeprefix("-").isdecimal() and str(int(name)) == name and int(name) in _STEP_NUMBERS


def _compacted_steps(folder: Path) -> tuple[int, ...]:
    path = folder / COMPACTED
    if not path.exists():
        return ()
    with _opened(path) as file:
        return _steps_named(path, file)


def _steps_named(path: Path, file: pq.ParquetFile) -> tuple[int, ...]:
    try:
        crc, steps = file.schema_arrow.metadata[_STEPS].split(maxsplit=1)
        if int(crc, 16) == zlib.crc32(steps):
            named = tuple(json.loads(steps))
            if all(type(step) is int and step in _STEP_NUMBERS for step in named) and [*named] == sorted({*named}):
                return named
    except (TypeError, KeyError, ValueError, RecursionError):
        pass
    corrupt_run(path, "no list of steps with a matching checksum")


def _write(path: Path, table: pa.Table, steps: Iterable[int], *, compression: str) -> None:
    import pyarrow.parquet as pq

    # The steps are named apart from the rows, of which a step may have none. Parquet's own checksums cover the rows.
    named = json.dumps(list(steps)).encode()
    table = table.replace_schema_metadata({_STEPS: b"%08x %s" % (zlib.crc32(named), named)})
    with atomic_write(path) as partial, partial.open("wb") as file:
        pq.write_table(table, file, compression=compression, write_page_checksum=True)


def read_file(path: Path) -> pa.Table:
    """One table file.

    Raises:
        RunError: It is corrupt; its checksums are compared.
        FileNotFoundError: It is missing.
    """
    named, table = _content(path)
    if path.name != COMPACTED and named != (int(path.stem),):
        corrupt_run(path, "rows of other steps than it names")
    return _checked(path, table, named)


def read_pieces(folder: Path, steps: Iterable[int]) -> pa.Table:
    """The tables of steps that have files of their own as one, in half the time that they take one by one.

    Raises:
        RunError: One is corrupt.
        FileNotFoundError: One is missing.
    """
    import pyarrow as pa

    contents = {step: _content(folder / PIECES / f"{step}.parquet") for step in steps}
    for step, (named, table) in contents.items():
        if named != (step,) or (len(table) and table["step"][0].as_py() != step):
            corrupt_run(folder / PIECES / f"{step}.parquet", "rows of other steps than it names")
    tables = [table.replace_schema_metadata() for _, table in contents.values()]
    return _checked(folder / PIECES, pa.concat_tables(tables) if tables else _schema().empty_table(), tuple(contents))


def _content(path: Path) -> tuple[tuple[int, ...], pa.Table]:
    """The steps that a file names, and its rows."""
    with _opened(path) as file:
        named = _steps_named(path, file)
        if not file.schema_arrow.equals(_schema()):
            corrupt_run(path, f"the columns {', '.join(file.schema_arrow.names)}")
        return named, file.read(use_threads=False)


def _checked(path: Path, table: pa.Table, named: tuple[int, ...]) -> pa.Table:
    import pyarrow.compute as pc

    if any(table[name].null_count for name in table.column_names if name != "value"):
        corrupt_run(path, "rows with nothing in a column")
    # Measures that were added to a run had nothing where they had no number.
    value = table["value"].fill_null(float("nan"))
    table = table.set_column(table.schema.get_field_index("value"), table.schema.field("value"), value)
    if not {*pc.unique(table["step"]).to_pylist()} <= {*named}:
        corrupt_run(path, "rows of other steps than it names")
    return table


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    other = irregular(path)  # a pipe would keep the reader waiting
    if other is not None:
        corrupt_run(path, f"{other}, not a file")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except FileNotFoundError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        corrupt_run(path, error)
