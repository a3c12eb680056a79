"""What the papers' pages of findings share: tables, and the machine that the numbers come from."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from axonometry.files import write_text


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table.

    >>> print(table(["a", "b"], [[1, 2]]))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def machine(seconds: float, trained: int, total: int) -> str:
    """How long a call took, how many networks it trained, and where.

    Args:
        seconds: Duration of the call.
        trained: Networks that it trained.
        total: Networks that it looked at.
    """
    import torch

    return (
        f"This call took {seconds / 60:.1f} minutes and trained {trained} of {total} networks, on {os.cpu_count()} "
        f"cores ({platform.machine()}, {platform.system()}), "
        f"Python {platform.python_version()}, torch {torch.__version__}."
    )


def write(text: str, markdown_path: str | Path) -> None:
    """Write a page; folders on the way are made."""
    write_text(Path(markdown_path), text + "\n", parents=True)
