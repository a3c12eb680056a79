"""Scalars out of TensorBoard's event files, by TensorBoard's own reader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from axonometry.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd


def is_tensorboard(path: Path) -> bool:
    """Whether a path is an event file, or a folder that holds one."""
    name = "*tfevents*"
    return path.match(name) if path.is_file() else any(path.glob(name))


def tensorboard_scalars(path: Path) -> pd.DataFrame:
    """All scalars, a row a step and a column a tag; of a tag that was logged twice at a step, the later.

    Args:
        path: An event file, or a folder of them.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """
    import pandas as pd

    try:
        from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator
        from tensorboard.util import tensor_util
    except ImportError as error:
        missing = MissingExtraError.of("tensorboard", "tensorboard")
        raise missing from error
    events = EventAccumulator(str(path), size_guidance={SCALARS: 0, "tensors": 0})  # 0: all of them
    events.Reload()
    columns = {}
    for tag in events.Tags()[SCALARS]:
        columns[tag] = {one.step: one.value for one in events.Scalars(tag)}
    for tag in events.Tags()["tensors"]:  # as TensorFlow writes scalars
        values = {one.step: tensor_util.make_ndarray(one.tensor_proto) for one in events.Tensors(tag)}
        if all(value.shape == () and value.dtype.kind == "f" for value in values.values()):
            columns[tag] = {step: float(value) for step, value in values.items()}
    return pd.DataFrame(columns, dtype="float64").rename_axis("step").sort_index()
