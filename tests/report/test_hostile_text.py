"""Text of strangers in every place of every page: nothing of it runs, and no element comes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.experiments.section import LineChart
from axonometry.program.ir import Group, Synapse, Wire
from axonometry.report import Drawing, Page, Prose, Tab, Table, run_page, weights_tab
from axonometry.report.drawing import graph_svg
from axonometry.report.svg import element

HARM = "</text></title></svg></script><script>harmed=1</script><img src=x onerror=harmed=1><svg onload=harmed=1>\"'&"
LINK = "<a href=javascript:harmed=1>click</a>"


class Hostile(nn.Module):
    """Two layers whose names are markup."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module(HARM, nn.Linear(4, 3))
        self.add_module(LINK, nn.Linear(3, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores."""
        return self._modules[LINK](torch.relu(self._modules[HARM](x)))


@pytest.fixture
def run(tmp_path: Path) -> ax.Trajectory:
    """A run whose every text is markup: names by its own recorder, and what a stranger wrote into run.json."""
    folder = tmp_path / "<img src=x onerror=harmed=1>"
    choices = {HARM: HARM, "list": [HARM, {LINK: LINK}]}
    with ax.Recorder(folder, Hostile(), torch.zeros(1, 4), configuration=choices) as recorder:
        for step in range(2):
            recorder.record(step, accuracy=0.5, **{HARM: 1.0, LINK: 2.0})
    content = json.loads((folder / "run.json").read_text())
    for part in (*content["groups"], *content["synapses"], *content["coverage"]):
        part |= {name: HARM for name in ("place", "rolled", "kind", "claimed_by", "reason") if name in part}
    content["software"] = [{HARM: HARM, "torch": LINK}]
    (folder / "run.json").write_text(json.dumps(content))
    return ax.load(folder)


@pytest.fixture
def watched(browser: Any) -> Iterator[Any]:
    """A browser page that tells what it complained of: scripts that did not run are complaints too."""
    browser.set_default_timeout(90_000)
    browser.complaints = []
    browser.on("console", lambda said: browser.complaints.append(said.text) if said.type == "error" else None)
    browser.on("pageerror", lambda error: browser.complaints.append(str(error)))
    return browser


def opened(watched: Any, page: Page, folder: Path) -> None:
    """Open the page, and scroll through all of its tabs until every figure is drawn."""
    watched.goto(page.write(folder / "page.html").as_uri())
    for tab in watched.get_by_role("tab").all():
        tab.click()
        for plot in watched.locator("section:not([hidden]) .panel:not([hidden]) .plot").all():
            plot.scroll_into_view_if_needed()
            plot.locator(".main-svg").first.wait_for()


def elements_of_strangers(watched: Any) -> int:
    return watched.evaluate(
        "document.querySelectorAll('main img, main svg a, [onerror], [onload], main svg script').length"
    )


def test_a_run_of_a_stranger(watched: Any, run: ax.Trajectory, tmp_path: Path) -> None:
    opened(watched, run_page(run, title=HARM, command=HARM, network=ax.capture(Hostile(), torch.zeros(1, 4))), tmp_path)
    assert watched.evaluate("window.harmed === undefined")
    assert watched.complaints == []
    assert elements_of_strangers(watched) == 0
    assert HARM in watched.evaluate("document.body.textContent")


def test_a_role_of_a_stranger_is_refused_and_harmless(tmp_path: Path, run: ax.Trajectory, watched: Any) -> None:
    """What is drawn by hand from such parts is text, whoever made them."""
    groups = [Group(HARM, (2,), "hidden", 0, ""), Group("b", (3,), "output", 0, "")]
    wire = Wire("b", "skip", (HARM,), 2)
    object.__setattr__(groups[0], "role", HARM)
    object.__setattr__(wire, "kind", HARM)
    svg = graph_svg(groups, [Synapse(HARM, HARM, "w", (3, 2), (HARM,), "b", 6)], [wire])
    assert "<script" not in svg
    assert "<img" not in svg
    opened(watched, Page("t", "", (Tab("a", (Drawing(HARM, svg, HARM),)),)), tmp_path)
    assert watched.evaluate("window.harmed === undefined")
    assert elements_of_strangers(watched) == 0
    content = json.loads((run.folder / "run.json").read_text())
    content["groups"][1]["role"] = HARM
    (run.folder / "run.json").write_text(json.dumps(content))
    with pytest.raises(ax.errors.RunError, match=r"groups\[1\]\.role is one of input, hidden, output; got") as caught:
        ax.load(run.folder)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_a_stranger(watched: Any, tmp_path: Path) -> None:
    row = {"count": 4, "nonfinite": 0, "mean": 0.0, "std": 1.0, "skewness": 0.0, "kurtosis": 0.0}
    rows = [
        {"tensor": HARM, "dtype": HARM, "shape": "2x2", **row},
        {"tensor": LINK, "dtype": "F32", "shape": "1x4", **row},
    ]
    opened(watched, Page(HARM, HARM, (weights_tab(pd.DataFrame(rows), name=HARM), Tab(LINK, ()))), tmp_path)
    assert watched.evaluate("window.harmed === undefined")
    assert watched.complaints == []
    assert elements_of_strangers(watched) == 0


def test_titles_and_conditions_of_an_experiment(watched: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"name": [HARM, LINK], "x": [1.0, 2.0], "value": [1.0, 2.0], "low": [0.5, 1.0], "high": [2, 3.0]}
    )
    chart = LineChart(HARM, frame, HARM, LINK, caption=HARM)
    assert ElementTree.fromstring(chart.svg()).tag.endswith("svg")
    assert not [
        part for part in ElementTree.fromstring(chart.svg()).iter() if part.tag.endswith(("script", "img", "}a"))
    ]
    drawn = Drawing(HARM, chart.svg())
    opened(
        watched,
        Page(
            "t",
            "",
            (
                Tab(HARM, (Prose(HARM, HARM), Table((HARM,), ((HARM,),), HARM, HARM), chart.figure(), drawn)),
                Tab(LINK, ()),
            ),
        ),
        tmp_path,
    )
    assert watched.evaluate("window.harmed === undefined")
    assert watched.complaints == []
    assert elements_of_strangers(watched) == 0


def test_a_script_that_came_in_all_the_same_does_not_run(watched: Any, tmp_path: Path) -> None:
    """The second wall: the page's policy knows its own scripts by their hashes and runs no other."""
    svg = (
        "<svg onload='harmed=1'><script>harmed=1</script><a href='javascript:harmed=1'><text y='20'>on</text></a></svg>"
    )
    html = Page("t", "", (Tab("a", (Drawing("d", svg),)), Tab("b", ()))).html()
    assert "'unsafe-inline'" not in html.split("script-src")[1].split(";")[0]
    (tmp_path / "page.html").write_text(html)
    watched.goto((tmp_path / "page.html").as_uri())
    watched.get_by_text("on", exact=True).click()
    assert watched.evaluate("window.harmed === undefined")
    assert len([words for words in watched.complaints if "Content Security Policy" in words]) >= 2
    assert watched.get_by_role("tab").first.get_attribute("aria-selected") == "true", "the page's own script ran"


def test_names_that_xml_and_utf_8_cannot_hold(tmp_path: Path) -> None:
    svg = str(element("text", "a\x00\x1b\ud800b", x="\x01"))
    assert ElementTree.fromstring(svg).text == r"a\x00\x1b\ud800b"
    page = Page("file \udcff", "\ud800", (Tab("a", (Prose("\ud800"),)),)).write(tmp_path / "page.html")
    assert r"file \udcff" in page.read_text(encoding="utf-8")
