"""Tidy frames as wide ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def widened(rows: pd.DataFrame, *, index: str, columns: str) -> pd.DataFrame:
    """A column's values as a wide frame whose rows and columns keep the order of their first appearance.

    >>> import pandas as pd
    >>> rows = pd.DataFrame({"group": ["fc2", "fc1"], "step": [0, 0], "value": [0.5, 0.25]})
    >>> widened(rows, index="group", columns="step")[0].to_dict()  # a pivot alone would sort the layers
    {'fc2': 0.5, 'fc1': 0.25}

    Args:
        rows: A column ``value``, and one value for each pair of index and column.
        index: The column that names the rows.
        columns: The column that names the columns.
    """
    wide = rows.pivot(index=index, columns=columns, values="value")
    return wide.reindex(index=rows[index].unique(), columns=rows[columns].unique())
