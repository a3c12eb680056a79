"""Two processes that train one network, by DDP and sharded: equal to one, one writes, none waits for a dead one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import ConfigurationError
from axonometry.integrations.loop import AxonometryCallback

SCRIPT = Path(__file__).parent / "processes" / "two_ranks.py"
pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed")


def started(rank: int, world: int, folder: Path, *kinds: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(rank), str(world), str(folder), *kinds]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **pipes)


def ended(*processes: subprocess.Popen[str]) -> list[str]:
    try:
        return ["".join(one.communicate(timeout=100)) for one in processes]
    finally:
        for one in processes:
            one.kill()


def table(folder: Path) -> pd.DataFrame:
    """Without the shape of a spread that is 0 but for rounding, as of two outputs with opposite gradients."""
    rows = ax.load(folder).metrics.query("statistic not in ('skewness', 'kurtosis')")
    return rows.set_index(["step", "metric", "group", "statistic"]).sort_index()


def test_two_processes_record_what_one_does_and_none_waits_for_a_dead_one(tmp_path: Path) -> None:
    (alone, two) = tmp_path / "alone", tmp_path / "two"
    alone.mkdir(), two.mkdir()
    kinds = ("ddp", "fsdp", "full", "stopped", "dies")
    first, second = (started(rank, 2, two, *kinds) for rank in (0, 1))
    single = started(0, 1, alone, "ddp")
    outputs = ended(single, first, second)
    assert single.returncode == 0, outputs[0]
    assert "stopped 0 4 True" in outputs[1], outputs[1]
    assert "stopped 1 4 False" in outputs[2], outputs[2]  # told by the first to stop
    assert "full 0 6 True" in outputs[1]
    assert "full 1 6 False" in outputs[2]  # it gathers on, although nothing is written any more
    assert second.returncode == 9
    assert first.returncode not in (0, -9), outputs[1]  # it met an error, and was not killed for waiting
    expected = table(alone / "ddp")
    assert ax.load(alone / "ddp").steps == (2, 4, 6)
    for kind in ("ddp", "fsdp"):
        pd.testing.assert_frame_equal(table(two / kind), expected, rtol=1e-6, atol=1e-9)
        weights, own = ax.load(two / kind).snapshots[6], ax.load(alone / "ddp").snapshots[6]
        assert all(torch.allclose(weights[name], own[name], rtol=1e-6) for name in own)


def test_a_network_is_watched_before_it_is_sharded(tmp_path: Path) -> None:
    class Sharded(nn.Parameter):
        full_tensor = None

    model = nn.Linear(2, 1)
    model.weight = Sharded(torch.ones(1, 2))
    with pytest.raises(ConfigurationError, match=r"before it is sharded; got sharded parameters\. Call watch\(model\)"):
        AxonometryCallback(tmp_path).watch(model)
