"""The page of runs under way: how soon it opens, what it takes, and how soon a recorded step is seen."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import DataError
from axonometry.trajectory import store
from axonometry.trajectory.lock import FolderLock
from axonometry.trajectory.tables import compact, extend, write_piece
from benchmarks.timing import Row

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

RUNS, STEPS = 100, 1_000
NEW = 20
"""Steps whose way to the screen is timed."""
MEASURES = ("node_strength", "layer_fluctuation", "neuron_activation", "update_ratio")
LIVE = "run000"
# Resolves with the time at which the chart of accuracies has been drawn up to a step, or to so many points.
SEEN = """([name, least]) => new Promise((found) => {
    const look = () => {
        const figure = document.querySelector('section[data-name="accuracy"] figure');
        if (figure && Number(figure.dataset[name]) >= least) found(Date.now());
        else requestAnimationFrame(look);
    };
    look();
})"""


def watching() -> list[Row]:
    """A page of 100 runs of 1,000 steps, 99 of them finished, in headless Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise DataError("playwright is not installed") from error
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        raise DataError("neither chromium nor google-chrome is installed")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name) / "runs"
        template = made(folder)
        command = [sys.executable, "-m", "axonometry", "watch", str(folder)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[-1]
            return measured(browser, address, folder, template)
        finally:
            browser.close()
            server.terminate()
            server.wait()


def measured(browser: Browser, address: str, folder: Path, template: pd.DataFrame) -> list[Row]:
    """Open the page after the folder was read, and record steps while it is open."""
    first = browser.new_page()
    first.goto(address)
    first.evaluate(SEEN, ["points", RUNS * STEPS])  # the server has read everything
    first.close()
    opened = []
    for _ in range(5):
        page = browser.new_page()
        begun = time.time()
        page.goto(address)
        opened.append(page.evaluate(SEEN, ["points", RUNS * STEPS]) / 1e3 - begun)
        page.close() if _ < 4 else None
    delays = seen_after(page, folder, template)
    memory, heap = resident(browser, page), heap_of(page)
    median, worst = statistics.median(delays), max(delays)
    what = f"{RUNS} runs of {STEPS:,} steps"
    return [
        row(
            f"watch: until a page of {what} is drawn",
            statistics.median(opened),
            2.0,
            "s",
            len(opened),
            worst_of(opened),
        ),
        row(
            f"watch: memory of Chromium's process of this page, {what}",
            memory,
            200,
            "MB",
            1,
            f"JavaScript {heap:.0f} MB",
        ),
        row("watch: from a recorded step to its point on the screen", median, 1.0, "s", NEW, f"at most {worst:.2f} s"),
    ]


def row(what: str, value: float, goal: float, unit: str, n: int, detail: str) -> Row:
    """A line of the table."""
    return Row(what, f"{value:.3g} {unit}", f"under {goal:g} {unit}", value < goal, n, detail)


def worst_of(values: list[float]) -> str:
    """The longest time."""
    return f"at most {max(values):.2f} s"


def seen_after(page: Page, folder: Path, template: pd.DataFrame) -> list[float]:
    """Seconds from a step's file to its point, for steps that come every half second or so."""
    run = folder / LIVE
    lock = FolderLock(run)
    delays = []
    try:
        store.write_description(run, replace(store.read_description(run), complete=False))
        for number in range(NEW):
            time.sleep(0.3 + 0.037 * number)
            step = STEPS + number
            write_piece(run, step, template[template["metric"] != "accuracy"], {"accuracy": 0.9})
            written = time.time()
            delays.append(page.evaluate(SEEN, ["last", step]) / 1e3 - written)
    finally:
        lock.release()
    return delays


def resident(browser: Browser, page: Page) -> float:
    """The proportional share of memory, in MB, of the largest process that draws pages."""
    session = browser.new_browser_cdp_session()
    found = session.send("SystemInfo.getProcessInfo")["processInfo"]
    return max(share_of(process["id"]) for process in found if process["type"] == "renderer")


def share_of(process: int) -> float:
    """A process's memory in MB, of what it shares its part."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1e3


def heap_of(page: Page) -> float:
    """What JavaScript holds, in MB."""
    session: Any = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    return session.send("Runtime.getHeapUsage")["usedSize"] / 1e6


def made(folder: Path) -> pd.DataFrame:
    """Runs whose numbers are drawn; a network was recorded once, for what a run holds.

    Returns:
        The rows of one step.
    """
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2))
    samples, first = torch.randn(64, 4), folder / LIVE
    with ax.Recorder(first, model, samples[:1], measures=MEASURES, samples=samples, keep_weights=False) as recorder:
        recorder.record(0, loss=2.3, accuracy=0.1)
    one = ax.load(first).metrics.drop(columns="step")
    draw = np.random.default_rng(0)
    steps = np.arange(STEPS)
    rows = pd.concat([one] * STEPS, ignore_index=True)
    rows.insert(0, "step", np.repeat(steps, len(one)))
    known = rows["value"].to_numpy()
    for step in steps[1:]:
        write_piece(first, int(step), None, {})
    compact(first)
    for number in range(RUNS):
        run = folder / f"run{number:03}"
        if number:
            shutil.copytree(first, run)
        values = known + draw.normal(scale=0.02, size=len(rows))
        curve = 1 - 0.9 / (1 + steps / (20 + number)) + draw.normal(scale=0.01, size=STEPS)
        values[(rows["metric"] == "accuracy").to_numpy()] = curve
        extend(run, rows.assign(value=values))
    return one
