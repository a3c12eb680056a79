"""`axonometry analyze --graph` and `--network`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
import torch
from torch import nn

def net():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.zeros(1, 4)

def alone():
    return nn.Linear(4, 3)

def broken():
    raise ValueError("no such luck")
"""


@pytest.fixture
def file(tmp_path: Path, network: nn.Module) -> Path:
    torch.save(network.state_dict(), tmp_path / "w.pt")
    (tmp_path / "nets.py").write_text(CODE)
    return tmp_path / "w.pt"


def test_the_network_that_is_named(run, file: Path, network: nn.Sequential) -> None:
    outcome = run("analyze", file, "--network", f"{file.parent}/nets.py:net", "--json")
    (found,) = outcome.json
    rows = {row["group"]: row for row in found["graph"]["groups"]}
    strength = network[0].weight.sum(1) + network[2].weight.sum(0)
    assert rows["0"]["strength"] == pytest.approx(float(strength.mean().detach()), rel=1e-5)
    assert found["graph"]["note"] == ""
    assert "Neuron groups of" in run("analyze", file, "--network", f"{file.parent}/nets.py:net").out


def test_without_a_network_it_is_said_what_is_left_out(run, file: Path) -> None:
    outcome = run("analyze", file, "--graph")
    assert "0.weight (rows)" in outcome.out
    assert "each matrix is a layer of its own" in outcome.err


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("alone", "gives a network and an example of what it takes; got a Linear. Let it be a function with"),
        ("nothing", "gives a network and an example of what it takes; got nothing of that name"),
        ("broken", "makes a network; got ValueError: no such luck"),
    ],
)
def test_what_is_no_network(run, file: Path, name: str, words: str) -> None:
    outcome = run("analyze", file, "--network", f"{file.parent}/nets.py:{name}")
    assert outcome.code == 2
    assert words in outcome.err
