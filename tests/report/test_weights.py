"""The page of weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from axonometry.cli.checkpoints import Choice, read_checkpoints

pytest.importorskip("plotly")

from axonometry.report.weights import weight_map, weights_page


@pytest.fixture
def found(tmp_path: Path) -> list[dict]:
    choice, told = Choice(histograms=True), []
    for name in ("a", "b"):
        state = {"block.0.weight": torch.randn(20, 30), "block.1.<b>": torch.zeros(8, 9), "head": torch.randn(7)}
        save_file(state, tmp_path / f"{name}.safetensors")
        told += read_checkpoints(tmp_path / f"{name}.safetensors", lambda *_: None, choice)
    return told


def test_a_map_nests_tensors_by_their_names(found: list[dict]) -> None:
    shown = weight_map({"a": found[0], "b": found[1]})
    first, second = shown.figure.panels[0].figure.data
    parents = dict(zip(first.ids, first.parents, strict=True))
    assert parents["block.0.weight"] == "block.0"
    assert (parents["block.0"], parents["block"], parents["all"]) == ("block", "all", "")
    sizes = dict(zip(first.ids, first["values"], strict=True))
    assert (sizes["all"], sizes["block"], sizes["head"]) == (679, 672, 7)
    assert first.domain.x[1] < second.domain.x[0]
    assert {panel.title for panel in shown.figure.panels} >= {"standard deviation", "share of zeros"}


def test_distributions_hold_every_number_once(found: list[dict]) -> None:
    shown = weight_map({"a": found[0], "b": found[1]}).distributions
    assert set(shown["block.0.weight"]) == {"a", "b"}
    assert sum(shown["block.0.weight"]["a"]["counts"]) == 600
    assert "block.1.<b>" not in shown  # all its numbers are 0: there is no width to divide


def test_the_page_keeps_its_content_policy_and_escapes_names(found: list[dict]) -> None:
    html = weights_page(found).html()
    assert "default-src 'none'" in html
    assert "block.1.<b>" not in html
    assert html.count('type="search"') >= 3
    assert "dead" in html
    assert " on" + "click=" not in html
