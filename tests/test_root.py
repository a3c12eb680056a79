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
    assert imported == {name: home for name, home in ax._HOMES.items() if home not in ax._WHOLE}
    assert whole == set(ax._WHOLE)
    assert set(ax.__all__) == set(dir(ax)) == {"__version__", *ax._HOMES}


def test_a_name_has_one_home() -> None:
    names = [name for home in ax._WHOLE for name in import_module(home).__all__]
    assert len(names) == len(set(names))
    for name, home in ax._HOMES.items():
        assert home not in ax._WHOLE or name in import_module(home).__all__
        assert getattr(ax, name) is getattr(import_module(home), name)


def test_about_forty_names_are_listed_and_the_packages_have_the_others() -> None:
    assert len(ax.__all__) <= 45
    code = "import axonometry as ax; ax.metrics.NeuronModes, ax.program.Synapse, ax.trajectory.verify; ax.NeuronModes"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_measure_of_the_catalogue_is_listed() -> None:
    functions = {spec.function.__name__ for spec in ax.CATALOGUE.values()}
    assert {name for name in functions if hasattr(ax, name)} <= set(ax.__all__)


@pytest.mark.parametrize("name", ax.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(ax, name) is not None


FUNCTIONS = """
align canonical capture communities deep_graph_persistence eigenvector_centrality layer_fluctuation link_weights load
load_checkpoints load_runs neural_persistence neuron_modes neuron_strength node_strength null permutations permute
proxies sample_basin to_graphml to_networkx to_pyg weighted_degree
""".split()
"""What other people's code calls at the root, listed or not."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_graphs_weights_and_runs_are_at_the_root(name: str) -> None:
    assert callable(getattr(ax, name))


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = ax.nothing


def test_importing_the_root_imports_no_torch() -> None:
    code = "import sys, axonometry; assert axonometry.__version__; hasattr(axonometry, '__path_hooks__')"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)


def test_names_bring_no_library_that_they_do_not_need() -> None:
    heavy = "{'scipy', 'pandas', 'sklearn', 'pyarrow', 'plotly', 'skops', 'typer'} & {*sys.modules}"
    code = f"""
import sys, axonometry as ax
for name in ax.__all__:
    name in ("AccuracyPredictor", "Experiment") or getattr(ax, name)
assert not {heavy}, {heavy}
assert ax.Experiment and not {{'sklearn', 'plotly'}} & {{*sys.modules}}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_come_from_their_packages_with_a_star() -> None:
    code = "from axonometry import *; assert capture and node_strength and Recorder and NodeValues"
    subprocess.run([sys.executable, "-c", code], check=True)
