"""The same seeds give the same page, from training to the last byte."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from axonometry.experiments import run, write_markdown
from axonometry.papers.lin2025 import EXPERIMENT


@pytest.mark.usefixtures("in_this_process")
def test_the_same_seeds_give_the_same_page(tmp_path: Path) -> None:
    pages = []
    for name in ("first", "second"):
        results = run(EXPERIMENT, "tiny", folder=tmp_path / name, only=["third-phase"], seeds=1, workers=1)
        assert results.trained == results.networks == 1
        write_markdown(results, tmp_path / name / "page" / "page.md", command="again")
        files = sorted(path for path in (tmp_path / name / "page").rglob("*") if path.is_file())
        pages.append({str(path.relative_to(tmp_path / name)): _untimed(path.read_text()) for path in files})
    assert len(pages[0]) == 3  # the page and two pictures
    assert pages[0] == pages[1]


def _untimed(text: str) -> str:
    """A page without how long the call took."""
    return re.sub(r"This call took \S+ minutes", "This call took some minutes", text)
