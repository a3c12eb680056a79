"""Runs of every format that there has been are opened and gone on with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from axonometry.trajectory import Recorder, load, store, verify
from tests.trajectory.formats.make import EXAMPLE, network

FORMATS = Path(__file__).parent / "formats"


def test_there_is_a_run_of_every_format() -> None:
    assert {path.name for path in FORMATS.iterdir() if path.name.isdecimal()} == {
        str(n) for n in range(1, store.FORMAT + 1)
    }


@pytest.mark.parametrize("number", range(1, store.FORMAT + 1))
def test_a_run_of_this_format_opens(number: int) -> None:
    folder = FORMATS / str(number)
    run = load(folder, network(), EXAMPLE)
    assert verify(folder) == ()
    assert (run.steps, run.complete) == ((0, 1, 2), False)
    assert run.configuration == {"lr": 0.1, "name": "größe"}
    assert [(group.name, group.shape, group.role) for group in run.groups] == [
        ("input", (2,), "input"),
        ("0", (3,), "hidden"),
        ("2", (1,), "output"),
    ]
    assert run.scalars()["loss"].tolist() == [1.0, 0.5, 1 / 3]
    means = run.metrics.query("group == '0' and metric == 'node_strength' and statistic == 'mean'")["value"].tolist()
    for step, mean in zip(run.steps, means, strict=True):
        weight = run.snapshots[step]["0.weight"]
        assert weight.shape == (3, 2)
        assert mean == pytest.approx(3 * weight[0, 0].item(), rel=1e-6), "two links in, one out"
        assert torch.equal(run.graph(step).kernel("0").weight, weight)


@pytest.mark.parametrize("number", range(1, store.FORMAT + 1))
def test_a_run_of_this_format_goes_on(tmp_path: Path, number: int) -> None:
    shutil.copytree(FORMATS / str(number), tmp_path / "run")
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.9, momentum=0.5)
    with Recorder(tmp_path / "run", model, EXAMPLE, measures="node_strength", resume=True) as recorder:
        assert recorder.restore(optimizer) == 2
        assert optimizer.param_groups[0]["lr"] == 0.1
        assert optimizer.state[model[0].weight]["momentum_buffer"].unique().tolist() == [1.75]
        recorder.record(3, optimizer=optimizer, loss=0.25)
    run = load(tmp_path / "run")
    assert (run.steps, run.complete) == ((0, 1, 2, 3), True)
    assert torch.equal(run.snapshots[3]["0.weight"], run.snapshots[2]["0.weight"])
    assert len(run.description.software) == 2, "who went on with it is said too"
