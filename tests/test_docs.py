"""The code in the documentation runs, each page from top to bottom in a namespace of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import axonometry as ax
from axonometry import populations
from axonometry.metrics import CATALOGUE
from axonometry.populations.registry import Registry

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def _nothing_stays_registered() -> Iterator[None]:
    registries = [value for value in vars(populations).values() if isinstance(value, Registry)]
    before = [(registry, set(registry)) for registry in registries]
    measures = set(CATALOGUE)
    yield
    for registry, names in before:
        for name in set(registry) - names:
            registry.unregister(name)
    for name in set(CATALOGUE) - measures:
        del CATALOGUE[name]


@pytest.mark.parametrize("page", [page for page in PAGES if BLOCK.search(page.read_text())], ids=lambda page: page.name)
def test_code_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page.stem}
    for block in BLOCK.findall(page.read_text()):
        exec(compile(block, page.name, "exec"), names)


def test_every_function_and_class_at_the_root_has_an_example() -> None:
    without = [name for name in ax.__all__ if callable(one := getattr(ax, name)) and ">>>" not in (one.__doc__ or "")]
    assert not without
