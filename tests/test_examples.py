"""Every example runs, in an empty folder, twice: the second time it finds what the first one left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples/notebooks").glob("*.ipynb"))
AGAIN = "---- again"

# Both in one process, since importing torch takes longer than most examples do: only files can be found again.
TWICE = f"""
import runpy, sys
runpy.run_path(sys.argv[1], run_name="__main__")
print({AGAIN!r})
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_twice(example: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", TWICE, str(example)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.split(f"{AGAIN}\n")
    assert first == second != ""


def test_there_are_examples() -> None:
    assert EXAMPLES
    assert NOTEBOOKS


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore:Kernel is running over TCP", "ignore::DeprecationWarning")
def test_notebook(notebook: Path) -> None:
    pytest.importorskip("ipykernel")
    import nbformat
    from nbclient import NotebookClient

    cells = nbformat.read(notebook, as_version=4)
    assert not any(cell.get("outputs") for cell in cells.cells), "clear the outputs: pictures of megabytes"
    NotebookClient(cells, timeout=120, kernel_name="python3").execute()
    outputs = [output for cell in cells.cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.output_type in ("stream", "error")] == []
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert {"text/html", "application/vnd.plotly.v1+json"} <= kinds
