"""The page in a real browser, against trainings under way: killed, continued, ended, deleted."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.watch import AlertRule, FolderFollower
from tests.watch.conftest import until

pytest.importorskip("uvicorn")
pytest.importorskip("playwright.sync_api")

from tests.watch.test_server import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from axonometry.watch.server import WatchServer

pytestmark = pytest.mark.slow

TRAINING = """
import sys, torch, axonometry as ax
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with ax.Recorder(sys.argv[1], model, torch.zeros(1, 3), planned_steps=8) as recorder:
    for step in range(8):
        loss = model(torch.randn(16, 3)).square().mean()
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        recorder.record(step, optimizer=optimizer, loss=loss.item(), accuracy=step / 8)
        print(step, flush=True)
        sys.stdin.readline()
"""


class Screen:
    """A page that complains about nothing, and asks nobody but its own server."""

    def __init__(self, page: Any, server: WatchServer) -> None:
        self.page, self.complaints = page, list[str]()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        own = f"http://127.0.0.1:{server.port}/"
        page.on(
            "request", lambda asked: None if asked.url.startswith((own, "data:")) else self.complaints.append(asked.url)
        )
        page.goto(server.address)

    def row(self, run: str) -> list[str]:
        """The cells of a run's row."""
        found = self.page.locator("#runs tr").filter(has=self.page.get_by_text(run, exact=True))
        return (
            [text.removesuffix("only").strip() for text in found.locator("td").all_inner_texts()]
            if found.count()
            else []
        )

    def points(self, name: str, chart: int = 0) -> int:
        """How many points a chart has drawn."""
        figure = self.page.locator(f'section[data-name="{name}"] figure').nth(chart)
        return int(figure.get_attribute("data-points") or 0) if figure.count() else 0

    def charts(self, name: str) -> list[str]:
        """What the charts of a series are called."""
        return self.page.locator(f'section[data-name="{name}"] figcaption b').all_inner_texts()


@pytest.fixture
def screen(_chromium: Any) -> Iterator[Callable[[WatchServer], Screen]]:
    opened: list[Screen] = []
    context = _chromium.new_context(viewport={"width": 1280, "height": 2400})

    def open_page(server: WatchServer) -> Screen:
        opened.append(Screen(context.new_page(), server))
        return opened[-1]

    yield open_page
    context.close()
    assert [one.complaints for one in opened] == [[] for _ in opened]


def test_a_training_under_way_is_seen_killed_continued_ended_and_deleted(
    tmp_path: Path, screen: Callable[[WatchServer], Screen]
) -> None:
    follower = FolderFollower(tmp_path, rules=[AlertRule.parse("accuracy > 0.2")])
    with serving(follower) as server:
        page = screen(server)
        assert page.page.locator("#empty").is_visible()
        assert page.page.url == f"http://127.0.0.1:{server.port}/", "the token leaves the history"
        training = subprocess.Popen(
            [sys.executable, "-c", TRAINING, str(tmp_path / "net")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert training.stdin is not None
        assert training.stdout is not None
        for step in range(3):
            assert training.stdout.readline() == f"{step}\n"
            until(lambda step=step: page.points("accuracy") == step + 1)
            if step < 2:
                training.stdin.write("\n")
                training.stdin.flush()
        assert page.row("net")[:4] == ["net", "running", "2 (3 of 8)", "0.25"]
        assert page.page.locator("#alerts-list").inner_text().startswith("accuracy > 0.2 net: 0.25 at step 2")
        assert page.page.title() == f"(1) {tmp_path.name}"
        training.kill()
        training.communicate()
        until(lambda: page.row("net")[1] == "interrupted")
        assert page.page.locator("#states").is_visible()
        model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        with ax.Recorder(tmp_path / "net", model, torch.zeros(1, 3), resume=True) as recorder:
            recorder.restore()
            recorder.record(3, loss=0.1, accuracy=0.125)
            until(lambda: page.points("accuracy") == 4)
            until(lambda: page.row("net")[1:4] == ["running", "3 (4 of 8)", "0.125"])
            assert page.page.locator("#alerts-list li.over").count() == 1
        until(lambda: page.row("net")[1] == "stopped")
        shutil.rmtree(tmp_path / "net")
        until(lambda: page.row("net")[1] == "deleted")
        assert page.points("accuracy") == 4
        server.stop()
        until(lambda: "Not connected" in page.page.locator("#status").inner_text())
        page.complaints.clear()  # the browser's own, that nobody answers


def test_curves_are_chosen_by_run_by_series_and_by_layer(
    tmp_path: Path, writer: Callable, screen: Callable[[WatchServer], Screen]
) -> None:
    for run in ("a", "b"):
        writer(tmp_path / run).write(0, 1, 2, loss=0.5)
    with serving(FolderFollower(tmp_path)) as server:
        page = screen(server)
        until(lambda: page.points("accuracy") == 6)
        assert page.charts("node_strength.mean") == ["0", "2"]
        page.page.locator("label", has_text="loss").click()
        until(lambda: page.charts("loss") == [])
        page.page.locator("#layers").fill("2")
        until(lambda: page.charts("node_strength.mean") == ["2"])
        page.page.locator("#layers").fill("")
        page.page.get_by_label("Show only b").click(force=True)
        until(lambda: (page.charts("node_strength.mean"), page.points("node_strength.mean")) == ([""], 6))
        assert page.points("accuracy") == 3
        assert [box.is_checked() for box in page.page.locator("#runs input").all()] == [False, True]
        page.page.locator("#all").click()
        until(lambda: page.points("accuracy") == 6)
        page.page.locator("#none").click()
        until(lambda: page.points("accuracy") == 0)
        page.page.get_by_label("a", exact=True).check()
        until(lambda: page.points("accuracy") == 3)
        page.page.locator("#find").fill("b")
        assert page.page.locator("#runs tr:visible").count() == 1


def test_the_page_works_by_keyboard_in_the_dark_and_on_a_phone(
    tmp_path: Path, writer: Callable, screen: Callable[[WatchServer], Screen]
) -> None:
    writer(tmp_path / "a").write(0, 1, 2)
    with serving(FolderFollower(tmp_path)) as server:
        page = screen(server)
        until(lambda: page.points("accuracy") == 3)
        canvas = page.page.locator('section[data-name="accuracy"] canvas[role="img"]')
        canvas.focus()
        readout = page.page.locator('section[data-name="accuracy"] .readout')
        said = [(page.page.keyboard.press(key), readout.inner_text())[1] for key in ("ArrowLeft", "ArrowLeft", "Home")]
        assert said == ["a, step 2: 0.75", "a, step 1: 0.6667", "a, step 0: 0.5"]
        ground = "getComputedStyle(document.body).backgroundColor"
        light = page.page.evaluate(ground)
        page.page.locator("#_theme").focus()
        page.page.keyboard.press("Enter")
        assert page.page.evaluate(ground) != light == "rgb(244, 245, 247)"
        page.page.set_viewport_size({"width": 375, "height": 800})
        until(lambda: page.points("accuracy") == 3)
        assert page.page.evaluate("document.documentElement.scrollWidth") == 375
        log = page.page.locator('section[data-name="accuracy"]').get_by_role("button", name="log scale")
        log.click()
        assert log.get_attribute("aria-pressed") == "true"
        until(lambda: page.points("accuracy") == 3)


def test_names_of_strangers_are_text(tmp_path: Path, writer: Callable, screen: Callable[[WatchServer], Screen]) -> None:
    name = "<img src=x onerror=alert(1)>"
    writer(tmp_path / name).write(0, **{"<b>x</b>": 1.0})
    with serving(FolderFollower(tmp_path)) as server:
        page = screen(server)
        until(lambda: page.row(name)[:2] == [name, "running"])
        page.page.locator("label", has_text="<b>x</b>").click()
        until(lambda: page.points("<b>x</b>") == 1)
        assert page.page.locator("main img").count() == 0


def test_paper_shows_all_charts_in_light_colours(
    tmp_path: Path, writer: Callable, screen: Callable[[WatchServer], Screen]
) -> None:
    run = writer(tmp_path / "a").write(0, 1, 2)
    with serving(FolderFollower(tmp_path)) as server:
        page = screen(server)
        until(lambda: page.points("dead") == 3)
        page.page.locator("#_theme").click()
        page.page.set_viewport_size({"width": 800, "height": 100})
        drawn = "[...document.querySelectorAll('.plot canvas[role=img]')].map((canvas) => canvas.width > 0)"
        until(lambda: False in page.page.evaluate(drawn))
        run.write(3)
        until(lambda: page.points("accuracy") == 4)
        assert page.points("dead") == 3
        ground = "getComputedStyle(document.body).backgroundColor"
        dark = page.page.evaluate(ground)
        page.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert set(page.page.evaluate(drawn)) == {True}
        assert page.points("dead") == 4
        assert page.page.evaluate(ground) == "rgb(244, 245, 247)" != dark
        page.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert False in page.page.evaluate(drawn), "a canvas out of sight takes no memory"
        assert page.page.evaluate(ground) == dark
