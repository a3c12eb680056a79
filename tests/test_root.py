"""The root package: its names are the packages' own, and the same for readers, type checkers and at run time."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import axonometry as ax


def test_names_for_type_checkers_are_the_names_at_run_time() -> None:
    tree = ast.parse(Path(ax.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.name: node.module for node in block.body for alias in node.names if alias.name != "*"}
    whole = {node.module for node in block.body for alias in node.names if alias.name == "*"}
    assert imported == ax._SINGLE
    assert whole == set(ax._WHOLE)
    assert set(ax.__all__) == set(dir(ax))


def test_every_name_of_a_whole_package_is_the_roots() -> None:
    names = ["__version__", *ax._SINGLE, *(name for home in ax._WHOLE for name in import_module(home).__all__)]
    assert len(names) == len(set(names)), "a name has one home"
    assert sorted(ax.__all__) == sorted(names)
    for home in ax._WHOLE:
        assert all(getattr(ax, name) is getattr(import_module(home), name) for name in import_module(home).__all__)


@pytest.mark.parametrize("name", ax.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(ax, name) is not None


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = ax.nothing


def test_importing_the_root_imports_no_torch() -> None:
    code = "import sys, axonometry; assert axonometry.__version__; hasattr(axonometry, '__path_hooks__')"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)


def test_names_come_from_their_packages_with_a_star() -> None:
    code = "from axonometry import *; assert capture and node_strength and Recorder and NodeValues"
    subprocess.run([sys.executable, "-c", code], check=True)
