"""The Small CNN Zoo of Unterthiner et al. 2020: ``weights.npy``, ``metrics.csv.gz``, ``layout.csv``.

A row of the weights is a checkpoint, flat, and so is a row of the metrics: ``modeldir`` names the network, ``step`` the
epoch, ``config.*`` the hyper-parameters. The layout says where each variable begins and ends in a row. Variables are
TensorFlow's, ``.../kernel:0`` and ``.../bias:0``, kernels in the order height, width, inputs, outputs.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from axonometry.errors import DataError, corrupt_file
from axonometry.zoo.published import SOURCE, PublishedNetwork, PublishedZoo, split_in_half

if TYPE_CHECKING:
    import pandas as pd

NAME = "small-cnn-zoo"
FILES = ("weights.npy", "metrics.csv.gz", "layout.csv")
SCALARS = {
    "test_accuracy": "accuracy",
    "test_loss": "loss",
    "train_accuracy": "train_accuracy",
    "train_loss": "train_loss",
}


@dataclass(frozen=True)
class Variable:
    """Where one variable stands in a row, and what it is called in our module.

    Attributes:
        name: In the state dict.
        start: Its first entry.
        end: Behind its last.
        shape: TensorFlow's.
    """

    name: str
    start: int
    end: int
    shape: tuple[int, ...]

    def tensor(self, row: np.ndarray) -> Tensor:
        """The variable as torch has it: (out, in, height, width), or (out, in).

        >>> dense = Variable("fc.weight", 0, 6, (2, 3))
        >>> dense.tensor(np.arange(6.0)).tolist()
        [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
        """
        values = torch.from_numpy(np.array(row[self.start : self.end], dtype=np.float32)).reshape(self.shape)
        if values.ndim == 4:
            return values.permute(3, 2, 0, 1).contiguous()
        return values.T.contiguous() if values.ndim == 2 else values


def read_small_cnn_zoo(folder: Path) -> PublishedZoo:
    """Read the tables; rows of weights are read when asked for.

    The split is NFN's (:func:`axonometry.zoo.published.split_in_half`), in the order of a file ``*split*.csv``, one
    row number a line, where there is one beside the tables, else in the tables' own order.

    Raises:
        DataError: A file is missing or damaged, or the tables do not fit each other.
    """
    metrics, layout = _tables(folder)
    weights = _weights(folder / FILES[0])
    variables = _variables(folder / FILES[2], layout, weights.shape[1])
    if len(metrics) != len(weights):
        came = f"{len(metrics):,} of {FILES[1]} and {len(weights):,} of {FILES[0]}"
        raise DataError("both tables have a row a checkpoint", came, f"Get {folder} again")
    networks = []
    splits = _splits(folder, metrics)
    for number, (key, rows) in enumerate(metrics.groupby("modeldir", sort=False)):
        places = dict(zip(rows["step"].astype(int), rows.index, strict=True))
        networks.append(
            PublishedNetwork(
                name=f"{number:05d}",
                split=splits[str(key)],
                configuration=_configuration({str(k): v for k, v in rows.iloc[-1].items()}),
                scalars={
                    step: _scalars({str(k): v for k, v in metrics.loc[place].items()})
                    for step, place in sorted(places.items())
                },
                weights={step: _Row(weights, place, variables) for step, place in sorted(places.items())},
            )
        )
    return PublishedZoo(NAME, folder, tuple(networks))


@dataclass(frozen=True)
class _Row:
    weights: np.ndarray
    place: int
    variables: tuple[Variable, ...]

    def __call__(self) -> dict[str, Tensor]:
        row = self.weights[self.place]
        return {variable.name: variable.tensor(row) for variable in self.variables}


def _tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    try:
        metrics, layout = pd.read_csv(folder / FILES[1], compression="gzip"), pd.read_csv(folder / FILES[2])
    except (OSError, EOFError, ValueError) as error:
        raise DataError(corrupt_file(folder, error), "", "Get it again") from error
    for table, name, needed in (
        (metrics, FILES[1], {"step", "modeldir", "test_accuracy"}),
        (layout, FILES[2], {"varname", "start_idx", "end_idx", "shape"}),
    ):
        if missing := sorted(needed - set(map(str, table.columns))):
            raise DataError(f"{folder / name} has the column {missing[0]}", f"{', '.join(map(str, table.columns))}")
    return metrics, layout


def _weights(path: Path) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise DataError(corrupt_file(path, error), "", "Get it again") from error
    if found.ndim != 2:
        raise DataError("weights.npy has a row a checkpoint", f"shape {found.shape}", "Get it again")
    return np.asarray(found) if not isinstance(found, np.ndarray) else found


def _variables(path: Path, layout: pd.DataFrame, width: int) -> tuple[Variable, ...]:
    """The variables by our names: the last two are the dense layer's, the others' layers are counted from 0."""
    found: list[Variable] = []
    dense, layer = [], -1
    for row in layout.to_dict("records"):
        variable = str(row["varname"])
        owner, _, kind = variable.rpartition("/")
        if kind not in ("kernel:0", "bias:0"):
            raise DataError(f"variables of {path} end in kernel:0 or bias:0", repr(variable), "Get it again")
        shape = _shape(path, str(row["shape"]))
        start, end = int(row["start_idx"]), int(row["end_idx"])
        if end - start != int(np.prod(shape)) or not 0 <= start < end <= width:
            raise DataError(
                f"{path} says where in a row of {width:,} a variable stands", f"{variable}: {start} to {end}"
            )
        if owner not in dense:
            dense.append(owner)
            layer += 1
        role = "weight" if kind == "kernel:0" else "bias"
        found.append(Variable(f"layers.{dense.index(owner)}.{role}", start, end, shape))
    last = f"layers.{layer}."
    return tuple(replace(v, name=v.name.replace(last, "fc.")) if v.name.startswith(last) else v for v in found)


def _shape(path: Path, text: str) -> tuple[int, ...]:
    try:
        found = ast.literal_eval(text)
        return tuple(int(n) for n in found)
    except (ValueError, SyntaxError, TypeError) as error:
        raise DataError(f"a shape in {path} is a tuple of numbers", repr(text), "Get it again") from error


def _splits(folder: Path, metrics: pd.DataFrame) -> dict[str, str]:
    """The split of each network: of its last checkpoint, as the publishers' experiments use those alone."""
    order = np.arange(len(metrics))
    listed = sorted(folder.glob("*split*.csv"))
    if listed:
        order = np.atleast_1d(np.loadtxt(listed[0], dtype=np.int64, ndmin=1))
        if sorted(order.tolist()) != list(range(len(metrics))):
            raise DataError(f"{listed[0]} holds every row's number once", f"{len(order):,} lines", "Get it again")
    last = metrics.groupby("modeldir", sort=False)["step"].transform("max") == metrics["step"]
    final = [str(metrics["modeldir"].iloc[place]) for place in order if bool(last.iloc[place])]
    return dict(zip(final, split_in_half(len(final)), strict=True))


def _configuration(row: Mapping[str, Any]) -> dict[str, Any]:
    chosen = {str(k).removeprefix("config."): v for k, v in row.items() if str(k).startswith("config.")}
    plain = {name: value.item() if hasattr(value, "item") else value for name, value in chosen.items()}
    plain = {name: value for name, value in plain.items() if not (isinstance(value, float) and np.isnan(value))}
    return {SOURCE: NAME, **plain} | ({"seed": plain["random_seed"]} if "random_seed" in plain else {})


def _scalars(row: Mapping[str, Any]) -> dict[str, float]:
    return {ours: float(row[theirs]) for theirs, ours in SCALARS.items() if theirs in row}
