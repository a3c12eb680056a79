"""The root package: its names are the same for readers, type checkers and at run time."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import axonometry as ax


def test_names_for_type_checkers_are_the_names_at_run_time() -> None:
    tree = ast.parse(Path(ax.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == ax._HOME
    assert set(ax.__all__) == {*imported, "__version__"} == set(dir(ax))


@pytest.mark.parametrize("name", ax.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(ax, name) is not None


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = ax.nothing
