"""The page of attraction basins of recorded runs: curves, classes, samples, planes, and their change in training."""

from __future__ import annotations

import inspect
import math
import re
from typing import TYPE_CHECKING

from axonometry.metrics.basins import hessian, sample_noise, weight_noise
from axonometry.report import basins_figures as figures, palette
from axonometry.report.page import Block, Facts, Figure, Key, Page, Panel, Prose, Tab, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

    from axonometry.metrics import Basin
    from axonometry.report.basins_study import Planes, StepBasins

SPACES = {"samples": "Noise on the samples", "weights": "Noise on the weights"}
MODULES: dict[str, ModuleType] = {"samples": sample_noise, "weights": weight_noise}
INTERVAL = "Intervals are 95% confidence intervals over draws of the noise"


def basins_page(steps: Sequence[StepBasins], planes: Mapping[str, Planes] | None = None, *, command: str = "") -> Page:
    """The page of one run or of several.

    Args:
        steps: The measured steps, of each run in order.
        planes: By run, planes through the basins of its last step.
        command: The command that writes the page.
    """
    runs = list(dict.fromkeys(one.run for one in steps))
    tabs = [Tab("Overview", _overview(steps))]
    for run in runs:
        mine = [one for one in steps if one.run == run]
        before = f"{run}: " if len(runs) > 1 else ""
        tabs.append(Tab(f"{before}Curves", tuple(_curves(basin, mine[-1]) for basin in mine[-1].basins)))
        tabs.append(Tab(f"{before}Classes and samples", _groups(mine[-1])))
        sections = _sections(planes[run]) if planes and run in planes else ()
        tabs += [Tab(f"{before}Planes", sections)] if sections else []
        tabs += [Tab(f"{before}Over training", _over_training(mine))] if len(mine) > 1 else []
    tabs.append(Tab("Definitions", (*(Prose(_words(m), SPACES[s]) for s, m in MODULES.items()), _sharpness_words())))
    title = f"Attraction basins of {runs[0]}" if len(runs) == 1 else f"Attraction basins of {len(runs)} runs"
    n = len(steps[-1].weights.samples)
    subtitle = f"Robustness to noise: the amplitude at which accuracy on {n:,} test samples falls to "
    subtitle += f"{steps[-1].weights.search.threshold:.0%}."
    return Page(title, subtitle, tuple(tabs), {}, command)


def amplitude(value: float) -> str:
    """An amplitude in words, "none" where accuracy never falls to the threshold.

    >>> amplitude(0.51234), amplitude(float("inf"))
    ('0.512', 'none')
    """
    return "none" if math.isinf(value) else f"{value:.3g}"


def _overview(steps: Sequence[StepBasins]) -> tuple[Block, ...]:
    last = steps[-1]
    facts: dict[str, object] = {
        f"{space}: amplitude": amplitude(basin.network.amplitude)
        for space, basin in ((SPACES[basin.space], basin) for basin in last.basins)
    }
    facts |= {"accuracy without noise": f"{last.weights.network.clean:.1%}", "sharpness": f"{last.sharpness.value:.3g}"}
    rows = []
    for one in steps:
        row: list[object] = [one.run, one.step, one.weights.network.clean]
        for basin in (one.samples, one.weights):
            found = basin.network if basin else None
            row += [found.amplitude, found.low, found.high] if found else [None] * 3
        rows.append((*row, one.sharpness.value, one.scaled.value))
    heads = ("run", "step", "accuracy", "samples s*", "low", "high", "weights s*", "low", "high", "sharpness", "scaled")
    caption = f"s* is the amplitude at which accuracy falls to the threshold. {INTERVAL}, for these samples."
    blocks: list[Block] = [Facts(facts, prominent=True)] if len({one.run for one in steps}) == 1 else []
    blocks.append(Table(heads, tuple(rows), "Networks", caption))
    said = dict.fromkeys(
        f"{one.run}, {SPACES[b.space].lower()}: {r}." for one in steps for b in one.basins for r in b.remarks
    )
    return (*blocks, *([Prose("\n\n".join(said), "Remarks")] if said else []))


def _curves(basin: Basin, one: StepBasins) -> Figure:
    names = [f"class {label}" for label in basin.classes]
    keys = (
        Key("network", palette.TOKENS["accent"][0]),
        *(Key(name, colour) for name, colour in zip(names, palette.steps("depth", len(names)), strict=True)),
    )
    caption = (
        f"Mean accuracy over {basin.search.draws} draws of the noise, at step {one.step}. The band is the network's "
        "95% confidence interval over draws; the dotted line is the threshold."
    )
    panel = Panel(figures.accuracy_curves(basin))
    return Figure(SPACES[basin.space], (panel,), caption, _words(MODULES[basin.space]), keys, "wide")


def _groups(one: StepBasins) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for basin in one.basins:
        counts = basin.samples["state"].value_counts()
        wrong, censored = counts.get("wrong", 0), counts.get("censored", 0)
        panels = (
            Panel(figures.classes(basin), "Classes"),
            Panel(figures.samples(basin), "Samples", f"n = {counts.get('crossed', 0)}"),
        )
        caption = (
            f"Left: amplitude at which each class's accuracy falls to the threshold. {INTERVAL}. Right: amplitude at "
            f"which each sample is classified correctly in at most that share of the draws; {wrong} samples are "
            f"misclassified without noise, {censored} stay in their class up to the largest amplitude."
        )
        blocks.append(Figure(f"{SPACES[basin.space]}, by class and by sample", panels, caption))
        frame = basin.frame().rename(columns={"low_all": "low (all)", "high_all": "high (all)", "clean": "accuracy"})
        blocks.append(
            Table.of(frame, title=SPACES[basin.space], caption="(all): intervals over samples as well as draws.")
        )
    return tuple(blocks)


def _sections(planes: Planes) -> tuple[Block, ...]:
    blocks: list[Block] = []
    if planes.samples is not None:
        p, names = planes.samples, [f"a sample of class {label}" for label in planes.classes]
        predicted, margin = p.predicted.numpy(), p.margin.numpy()
        panels = (
            Panel(figures.answers(p.x, p.y, predicted, p.corners, names), "Predicted class"),
            Panel(figures.heights(p.x, p.y, margin, p.corners, names, value="margin"), "Margin"),
        )
        caption = (
            "Output of the last step's network on the plane through three test samples (rings): the first at 0, 0, the "
            "second to its right, the third above. The margin is the largest logit minus the second largest; basins "
            "end where it is 0."
        )
        blocks.append(Figure("Plane through three samples", panels, caption))
    if planes.weights is not None:
        w, names = planes.weights, [f"step {step}" for step in planes.steps]
        accuracy, margins = w.accuracy.numpy(), w.margin.mean(-1).numpy()
        panels = (
            Panel(figures.heights(w.x, w.y, accuracy, w.corners, names, value="accuracy"), "Accuracy"),
            Panel(figures.heights(w.x, w.y, margins, w.corners, names, value="mean margin"), "Mean margin"),
        )
        caption = (
            "Networks on the plane through the weights at three steps of training (rings: the first at 0, 0, the "
            f"second to its right, the third above), on {len(w.labels)} test samples. The margin is the correct "
            "class's logit minus the largest other logit."
        )
        blocks.append(Figure("Plane through three training steps", panels, caption))
    return tuple(blocks)


def _over_training(steps: Sequence[StepBasins]) -> tuple[Block, ...]:
    import pandas as pd

    blocks: list[Block] = []
    for space, words in SPACES.items():
        found = [(one.step, b.network) for one in steps for b in one.basins if b.space == space]
        rows = [(step, e.amplitude, e.low, e.high) for step, e in found if math.isfinite(e.high)]
        if rows:
            frame = pd.DataFrame(rows, columns=["step", "value", "low", "high"])
            panel = Panel(figures.over_training(frame, y=figures.AMPLITUDE[space]))
            caption = f"Amplitude of the network at each step where it exists. {INTERVAL}."
            blocks.append(Figure(f"{words} over training", (panel,), caption, arrangement="wide"))
    curvature = pd.DataFrame([(one.step, *[one.sharpness.value] * 3) for one in steps])
    panel = Panel(
        figures.over_training(
            curvature.set_axis(["step", "value", "low", "high"], axis=1), y="largest eigenvalue (nats)"
        )
    )
    blocks.append(Figure("Sharpness over training", (panel,), "", _words(hessian), arrangement="wide"))
    return tuple(blocks)


def _sharpness_words() -> Prose:
    return Prose(_words(hessian), "Sharpness")


def _words(module: ModuleType) -> str:
    """The docstring of a module, with the page's markup."""
    text = re.sub(r":math:`([^`]*)`", lambda match: f"`{_plain(match[1])}`", inspect.cleandoc(module.__doc__ or ""))
    return re.sub(r"``([^`]+)``", r"`\1`", text)


def _plain(formula: str) -> str:
    r"""A formula without TeX markup.

    >>> _plain(r"W^l + s\,\sigma(W^l)\,\xi")
    'W^l + s σ(W^l) ξ'
    """
    signs = {r"\,": " ", r"\sigma": "σ", r"\xi": "ξ", r"\sim": "~", r"\arg\max": "argmax"}
    for mark, sign in signs.items():
        formula = formula.replace(mark, sign)
    return formula
