"""A paper's experiment from the command line, with fewer networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from axonometry.papers import ictai2021
from axonometry.populations import draw

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine networks on digits instead of 720 on MNIST."""
    networks = draw(range(9), {"max_steps": (5, 40, 120)}, initialiser="random-normal", scale=0.05)
    plan = ictai2021.Plan("few", "a few networks", networks, ("max_steps",))
    monkeypatch.setattr(ictai2021, "SCALES", {"small": lambda: (plan,)})


@pytest.mark.usefixtures("few")
def test_ictai2021(run, tmp_path: Path) -> None:
    words = ["paper", "ictai2021", "--folder", tmp_path / "runs"]
    found = run(*words, "--json").json
    (ensemble,) = found["ensembles"]
    assert (found["trained"], ensemble["networks"]) == (9, 9)
    assert [row["layer"] for row in ensemble["fluctuation"]][-1] == "mean of layers"
    assert all(row["rho_low"] <= row["rho"] <= row["rho_high"] for row in ensemble["fluctuation"])
    assert {row["metric"] for row in ensemble["separation"]} == {"link_weights", "node_strength"}

    again = run(*words)
    assert again.code == 0
    first = ensemble["fluctuation"][0]
    assert f"{first['rho']:.2f} [{first['rho_low']:.2f}, {first['rho_high']:.2f}]" in again.out
    assert again.err.startswith("0 networks trained")


def test_ictai2021_without_the_data_says_where_it_belongs(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AXONOMETRY_DATA", raising=False)
    outcome = run("paper", "ictai2021", "--folder", tmp_path / "runs")
    assert outcome.code == 2
    assert "AXONOMETRY_DATA" in outcome.err
