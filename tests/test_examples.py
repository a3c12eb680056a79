"""Every example runs, in an empty folder, twice: the second time it finds what the first one left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_twice(example: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(example)]
    first, second = (
        subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False) for _ in range(2)
    )
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == second.stdout != ""


def test_there_are_examples() -> None:
    assert EXAMPLES
