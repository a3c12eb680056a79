"""The experiment of paper 3 with a few dozen tiny networks on the digits; its plans; its pages; its command."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from axonometry.cli import main
from axonometry.errors import ConfigurationError
from axonometry.papers import cikm2022
from axonometry.papers.cikm2022 import Results, carry_out
from axonometry.papers.cikm2022_page import results_page
from axonometry.papers.cikm2022_plans import Plan, full, small
from axonometry.papers.cikm2022_table import in_short, page, write_results
from axonometry.papers.pruning import Design
from axonometry.populations import cikm2022 as paper_grid, hard_grid
from axonometry.predict import Evaluation, RunTable, transfer
from axonometry.predict.evaluation import EvaluationPlan as Folds
from axonometry.report import Figure
from axonometry.trajectory import recorder

TINY: dict[str, Any] = {"dataset": "digits", "epochs": 2, "train_fraction": 0.1, "test_fraction": 0.2}
RATES, DROPOUTS = (1e-6, 0.02, 0.1), (0.0, 0.3, 0.6)


def on_the_grid(name: str, architecture: str, layers: int, dropouts: int = 2) -> Plan:
    networks = paper_grid(RATES, DROPOUTS[:dropouts], layers=layers, batch_size=8, **TINY)
    return Plan(name, f"{layers} layers", architecture, "paper", networks, architecture if layers > 1 else "")


def tiny() -> tuple[Plan, ...]:
    """A hard grid, and the paper's grid for an architecture and for another one in two depths."""
    hard = hard_grid(range(20), **TINY, batch_size=8)
    return (
        Plan("hard-fashion", "tiny, hard grid", "flat", "hard", hard),
        on_the_grid("flat", "flat", 1, dropouts=3),
        on_the_grid("deep-2", "resnet", 2),
        on_the_grid("deep-3", "resnet", 3),
    )


@dataclass
class Spy:
    """What was learned from and predicted in a transfer."""

    calls: list[tuple[RunTable, RunTable, Evaluation]] = field(default_factory=list)

    def __call__(self, train: RunTable, test: RunTable, *arguments: Any, **more: Any) -> Evaluation:
        found = transfer(train, test, *arguments, **more)
        self.calls.append((train, test, found))
        return found


FOLDS = {"folds": 3, "inner_folds": 2, "trees": 3, "resamples": 60}


@pytest.fixture(scope="module")
def spy() -> Spy:
    return Spy()


@pytest.fixture(scope="module", autouse=True)
def _small(spy: Spy) -> Iterator[None]:
    """Two epochs, few trees and folds, one capture an architecture."""
    graphs: dict[str, Any] = {}
    capture: Callable[..., Any] = recorder.capture

    def captured(model: nn.Module, example: torch.Tensor) -> Any:
        if str(model) not in graphs:
            graphs[str(model)] = capture(model, example)
        return graphs[str(model)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "capture", captured)
        patch.setattr(cikm2022, "HORIZONS", (1, 2))
        patch.setattr(cikm2022, "FEW", 20)
        patch.setattr(cikm2022, "SIZES", (6, 12, 400))
        patch.setattr(cikm2022, "FOLDS", Folds(**FOLDS))
        patch.setattr(cikm2022, "DESIGN", Design("graph+curve", 2, level=0.5, trials=8, splits=1, studies=2, trees=3))
        patch.setattr(cikm2022, "transfer", spy)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiment")


def carried_out(folder: Path, seen: list[str] | None = None) -> Results:
    with ThreadPoolExecutor(1) as executor:
        return carry_out(
            tiny(),
            scale="small",
            folder=folder,
            executor=executor,
            progress=None if seen is None else lambda done, total, words: seen.append(f"{done}/{total} {words}"),
        )


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    return carried_out(folder)


# ------------------------------------------------------------------------------------------------- what is found


def test_everything_is_trained_and_judged(results: Results, folder: Path) -> None:
    sizes = {"hard-fashion": 20, "flat": 9, "deep-2": 6, "deep-3": 6}
    assert results.trained == 41
    assert dict(zip(results.populations["name"], results.populations["n"])) == sizes
    assert {name: len(list((folder / name).glob("*/run.json"))) for name in sizes} == sizes
    assert list(results.reading) == list(sizes)
    assert [(f.name, f.median.predictions["run"].nunique()) for f in results.findings] == [
        ("hard-fashion", 20),
        ("flat", 9),
        ("resnet", 12),
    ]
    ordered = results.populations[["least", "lower", "median", "upper", "most"]].to_numpy()
    assert (np.diff(ordered) >= 0).all()
    assert (ordered[:, 0] < ordered[:, -1]).all()


def test_what_stands_beside_the_graph(results: Results) -> None:
    hard, flat, deep = results.findings
    sets = [*cikm2022.ALONE, "graph+curve", *cikm2022.COMBINED]
    assert [list(dict.fromkeys(f.median.scores["features"])) for f in results.findings] == [sets] * 3
    known = {name: set(part["epochs"]) for name, part in hard.median.scores.groupby("features")}
    assert set(map(frozenset, known.values())) == {frozenset({1, 2})}
    assert hard.learned is None
    assert hard.importances is not None
    assert hard.sizes is not None
    assert sorted(set(hard.sizes["size"])) == [6, 12]  # 400 networks are not there
    for found in (flat, deep):
        assert found.importances is None
        assert found.learned is not None
        assert found.learned.threshold == cikm2022.LEARNED
        assert found.median.threshold != cikm2022.LEARNED
        assert found.learned.predictions["predicted"].equals(found.median.predictions["predicted"])


def test_every_run_is_predicted_in_the_same_fold_by_every_set(results: Results) -> None:
    for found in results.findings:
        folds = found.median.predictions.groupby("run")["fold"].nunique()
        assert (folds == 1).all()
        assert set(found.median.predictions.groupby(["features", "epochs"]).size()) == {len(folds)}


def test_the_transfer_never_learns_from_what_it_predicts(results: Results, spy: Spy) -> None:
    assert [(t.kind, t.source, t.target, t.n_source) for t in results.transfers] == [
        ("architecture", "deep-2, deep-3", "flat", 12),
        ("architecture", "flat", "deep-2, deep-3", 9),
    ]
    calls = spy.calls[: len(results.transfers)]
    for found, (train, test, evaluation) in zip(results.transfers, calls, strict=True):
        assert found.evaluation is evaluation
        assert not set(train.features.index) & set(test.features.index)
        assert set(evaluation.predictions["run"]) == set(test.features.index)
        other = replace(test, final_accuracy=1 - test.final_accuracy)
        again = transfer(train, other, ("graph",), (1,), plan=Folds(**FOLDS))
        before = evaluation.predictions.query("features == 'graph' and epochs == 1")
        np.testing.assert_array_equal(again.predictions["predicted"], before["predicted"])
        moved = replace(
            train, final_accuracy=train.final_accuracy.sample(frac=1, random_state=0).set_axis(train.features.index)
        )
        elsewhere = transfer(moved, test, ("graph",), (1,), plan=Folds(**FOLDS))
        assert not np.array_equal(elsewhere.predictions["predicted"], before["predicted"])


def test_a_second_call_trains_nothing_and_finds_the_same(results: Results, folder: Path) -> None:
    seen: list[str] = []
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    again = carried_out(folder, seen)
    assert again.trained == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")} == before
    for one, two in zip(results.findings, again.findings, strict=True):
        pd.testing.assert_frame_equal(one.median.scores, two.median.scores)
        pd.testing.assert_frame_equal(one.median.differences, two.median.differences)
    pd.testing.assert_frame_equal(results.pruning, again.pruning)
    assert in_short(again) == in_short(results)
    assert any(line.startswith("20/20 training tiny, hard grid") for line in seen)
    assert any("comparing pruners" in line for line in seen)


# ------------------------------------------------------------------------------------------------- the Markdown page


def text_of(value: Mapping[Any, Any]) -> str:
    """An estimate with its interval as the page writes it."""
    if np.isnan(value["value"]):
        return "–"
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"


def tables(text: str) -> dict[str, list[list[str]]]:
    """The tables of a page by the line above them, with the heading that this stands under."""
    found: dict[str, list[list[str]]] = {}
    heading = above = ""
    for line in filter(None, text.splitlines()):
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            found.setdefault(f"{heading} / {above}", []).append(cells)
        else:
            heading = line.lstrip("# ") if line.startswith("#") else heading
            above = line
    return {name: [rows[0], *rows[2:]] for name, rows in found.items()}


def marked(frame: pd.DataFrame, start: float) -> pd.DataFrame:
    """The frame with numbers that say of which row they are."""
    value = start + np.arange(len(frame)) / 1000
    return frame.assign(value=value, low=value - 0.5, high=value + 0.5)


def distinct(results: Results) -> Results:
    """Results in which no two numbers are alike, so that a cell shows where it comes from."""
    places = iter(range(10, 1000, 10))

    def judged(found: Evaluation) -> Evaluation:
        return replace(
            found, scores=marked(found.scores, next(places)), differences=marked(found.differences, next(places))
        )

    findings = tuple(
        replace(
            f,
            median=judged(f.median),
            learned=None if f.learned is None else judged(f.learned),
            sizes=None if f.sizes is None else marked(f.sizes, next(places)),
        )
        for f in results.findings
    )
    transfers = tuple(replace(t, evaluation=judged(t.evaluation)) for t in results.transfers)
    return replace(results, findings=findings, transfers=transfers, pruning=marked(results.pruning, next(places)))


def by_place(frame: pd.DataFrame, *keys: str) -> dict[tuple[str, ...], str]:
    return {tuple(str(row[key]) for key in keys): text_of(row) for row in frame.to_dict("records")}


def test_every_cell_is_the_frames(results: Results) -> None:
    shown = distinct(results)
    found = tables(page(shown, "command"))
    checked = 0
    for finding in shown.findings:
        pairs = [(finding.median.scores, score, f"{title}:") for score, title in TITLES.items()]
        pairs.append((finding.median.differences, "r2", "R² more than the curve's, on the same draws:"))
        if finding.learned is not None:
            (name,) = (n for n in found if n.startswith(f"{finding.title} / Share right for the class *learned*"))
            pairs.append((finding.learned.scores, "accuracy", name.removeprefix(f"{finding.title} / ")))
        for frame, score, label in pairs:
            values = by_place(frame[frame["score"] == score], "features", "epochs")
            header, *rows = found[f"{finding.title} / {label}"]
            assert header == ["features", "1 epoch known", "2 epochs known"]
            assert {(row[0], str(n)): row[n] for row in rows for n in (1, 2)} == values
            checked += len(values)
    assert checked == 3 * 12 * 2 * 3 + 3 * 11 * 2 + 2 * 12 * 2


TITLES = {"r2": "R²", "auc": "AUC", "accuracy": "Share right"}


def test_the_other_tables_are_the_frames_too(results: Results) -> None:
    shown = distinct(results)
    found = tables(page(shown, "command"))
    hard = shown.findings[0]
    assert hard.sizes is not None
    assert hard.importances is not None
    header, *rows = found[f"{hard.title} / R² after one epoch by the number of runs that were learned from:"]
    sizes = by_place(hard.sizes[hard.sizes["score"] == "r2"], "features", "size")
    assert {(row[0], header[n]): row[n] for row in rows for n in (1, 2)} == sizes

    (name,) = (name for name in found if "What carries `graph`" in name)
    expected = [[r.family, str(r.columns), f"{r.loss:.3f} ± {r.std:.3f}"] for r in hard.importances.itertuples()]
    assert found[name][1:] == expected

    for epochs, label in ((1, "After 1 epoch:"), (2, "After 2 epochs:")):
        _, *rows = found[f"RQ2: what was never seen / {label}"]
        expected = []
        for t, n in zip(shown.transfers, (9, 12), strict=True):
            values = by_place(t.evaluation.scores, "features", "epochs", "score")
            for features in cikm2022.TRANSFERRED:
                cells = [values[features, str(epochs), score] for score in ("tau", "auc", "r2")]
                expected.append([t.kind, f"{t.source} ({t.n_source})", f"{t.target} ({n})", features, *cells])
        assert rows == expected

    (name,) = (name for name in found if name.startswith("RQ3"))
    header, *rows = found[name]
    pruning = by_place(shown.pruning, "pruner", "quantity")
    assert {(row[0], h.replace(" ", "_")): cell for row in rows for h, cell in zip(header[1:], row[1:])} == pruning
    assert [row[0] for row in rows] == ["none", "median", "hyperband", "predicted"]

    (name,) = (name for name in found if name.startswith("What was trained"))
    for row, one in zip(found[name][1:], shown.populations.itertuples(), strict=True):
        spread = ", ".join(f"{v:.3f}" for v in (one.least, one.lower, one.median, one.upper, one.most))
        assert row == [f"{one.title} (`{one.name}`)", str(one.n), spread, f"{shown.reading[str(one.name)]:.3f}"]


def test_the_claims_are_made_of_the_numbers(results: Results) -> None:
    shown = distinct(results)
    frames = [
        part
        for found in (
            *(f.median for f in shown.findings),
            *(f.learned for f in shown.findings),
            *(t.evaluation for t in shown.transfers),
        )
        if found is not None
        for part in (found.scores, found.differences)
    ]
    known = {text_of(row) for frame in frames for row in frame.to_dict("records")}
    lines = in_short(shown)
    numbers = [number for line in lines for number in re.findall(r"-?[\d.]+ \[[^]]*\]", line)]
    paper = [e for found in shown.findings if found.learned is not None for e in (found.learned, found.median)]
    sides = [(e.predictions["truth"] >= e.threshold).nunique() for e in paper]
    assert len(numbers) == 8 + 2 * sides.count(2) + 2 * 3
    assert sum(line.count("all runs are on one side") for line in lines) == sides.count(1)
    assert set(numbers) <= known
    hard = shown.findings[0]
    after_one = by_place(hard.median.scores, "features", "epochs", "score")
    first = f"R² {after_one['graph', '1', 'r2']} from the graph and {after_one['curve', '1', 'r2']} from the learning"
    assert first in lines[0]


@pytest.mark.parametrize(("gap", "words"), [(0.1, "intervals apart"), (-0.1, "intervals not apart")])
def test_apart_means_apart(results: Results, gap: float, words: str) -> None:
    hard = results.findings[0]
    scores = hard.median.scores.assign(value=0.5, low=0.4, high=0.6)
    scores.loc[scores["features"] == "graph", ["value", "low", "high"]] = [0.8 + gap, 0.6 + gap, 0.9 + gap]
    shown = replace(results, findings=(replace(hard, median=replace(hard.median, scores=scores)),), transfers=())
    assert in_short(shown)[0].count(f"({words};") == 2


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.2, 0.1, "is never surely worse than the curves alone, and surely better for: nothing"),
        (-0.2, -0.1, "is worse in 4 cases than the curves alone, and surely better for: nothing"),
        (
            0.1,
            0.2,
            "is never surely worse than the curves alone, and surely better for: R² after 1, AUC after 1, R² after 2",
        ),
    ],
)
def test_harm_is_said(results: Results, low: float, high: float, words: str) -> None:
    hard = results.findings[0]
    differences = hard.median.differences.assign(low=low, high=high)
    shown = replace(
        results, findings=(replace(hard, median=replace(hard.median, differences=differences)),), transfers=()
    )
    assert words in in_short(shown)[1]


@pytest.mark.parametrize(("low", "words"), [(0.94, "above 93%"), (0.92, "not surely above 93%")])
def test_the_papers_claim_is_held_against_the_lower_end(results: Results, low: float, words: str) -> None:
    flat = results.findings[1]
    assert flat.learned is not None
    scores = flat.learned.scores.assign(value=0.95, low=low, high=0.97)
    shown = replace(results, findings=(replace(flat, learned=replace(flat.learned, scores=scores)),), transfers=())
    assert f"right side of *learned* (20.0%; {words};" in in_short(shown)[0]


def test_the_page_says_what_was_run(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "results" / "page.md"
    write_results(results, path, command="axonometry paper cikm2022 --scale small")
    text = path.read_text(encoding="utf-8")
    assert "Written by `axonometry paper cikm2022 --scale small` (scale: small)" in text
    assert "trained 41 of 41 networks" in text
    assert "nan" not in text
    assert "**tiny, hard grid** (n = 20), after one epoch" in text


# ------------------------------------------------------------------------------------------------- HTML and command


def test_the_html_page_has_a_tab_a_question(results: Results, tmp_path: Path) -> None:
    made = results_page(results)
    assert [tab.name for tab in made.tabs] == [
        "In short",
        "hard-fashion",
        "flat",
        "resnet",
        "What was never seen",
        "In time",
        "Definitions",
    ]
    (figure,) = (block for block in made.tabs[4].blocks if isinstance(block, Figure))
    assert len(figure.panels) == 2 * 2
    first = results.transfers[0].evaluation.scores
    auc = first[(first["score"] == "auc") & (first["epochs"] == 1)]
    np.testing.assert_allclose(np.sort(figure.panels[0].figure.data[0].x), np.sort(auc["value"]), rtol=1e-6)
    assert "How good will it become?" in made.write(tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_command(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[dict[str, Any]] = []

    def run(**values: Any) -> Results:
        asked.append(values)
        return results

    monkeypatch.setattr(cikm2022, "run", run)
    words = ["paper", "cikm2022", "--folder", str(tmp_path / "runs"), "--data", str(tmp_path), "--workers", "2"]
    table, report = tmp_path / "table.md", tmp_path / "page.html"
    assert main([*words, "--table", str(table), "--report", str(report)]) == 0
    shown = capsys.readouterr()
    progress = asked[0].pop("progress")
    assert callable(progress)
    assert asked == [{"scale": "small", "folder": tmp_path / "runs", "data": tmp_path, "workers": 2}]
    assert " ".join(in_short(results)[0].replace("*", "").split()) in " ".join(shown.out.split())
    assert f"Wrote {table}" in shown.err
    assert "41 networks trained" in shown.err
    assert f"--scale small --table {table}" in table.read_text(encoding="utf-8")
    assert report.stat().st_size > 10_000

    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trained"] == 41
    assert [one["name"] for one in found["findings"]] == ["hard-fashion", "flat", "resnet"]
    assert len(found["findings"][0]["scores"]) == len(results.findings[0].median.scores)
    assert [one["source"] for one in found["transfers"]] == ["deep-2, deep-3", "flat"]
    assert len(found["pruning"]) == len(results.pruning) == 4 * 4


def test_an_unknown_scale_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"its scales; got 'tiny'\. Choose from: small, full"):
        cikm2022.run(scale="tiny", folder=tmp_path)


# ------------------------------------------------------------------------------------------------- plans


def kinds(plans: tuple[Plan, ...]) -> dict[str, int]:
    return {plan.name: len(plan.configurations) for plan in plans}


def test_the_small_scale_has_what_was_asked_for() -> None:
    plans = small()
    assert kinds(plans)["hard-fashion"] >= 400
    assert kinds(plans)["lenet"] >= 240
    by_architecture: dict[str, int] = {}
    for plan in plans:
        by_architecture[plan.architecture] = by_architecture.get(plan.architecture, 0) + len(plan.configurations)
    assert set(by_architecture) == {"lenet", "vgg-like", "alexnet-like", "resnet"}
    assert min(by_architecture.values()) >= 60
    everything = [c for plan in plans for c in plan.configurations]
    assert len({c.identity for c in everything}) == len(everything)
    assert {c.epochs for c in everything} == {10}
    for plan in plans:
        assert {c.augmentation for c in plan.configurations} == {"crop-flip" if plan.grid == "paper" else "none"}


def test_the_full_scale_is_the_papers_grid() -> None:
    plans = full()
    grid = [plan for plan in plans if plan.grid == "paper"]
    assert {len(plan.configurations) for plan in grid} == {360}
    assert {(c.family, c.epochs) for plan in grid for c in plan.configurations} == {
        ("lenet", 100),
        *((family, 50) for family in ("vgg-like", "alexnet-like", "resnet-32", "resnet-44", "resnet-56")),
    }
    assert {c.width for plan in grid for c in plan.configurations} == {0.5, 1.0, 2.0}
    assert len({plan.name for plan in plans}) == len(plans) == 18 + 3


def test_the_names_that_transfers_ask_for_are_there() -> None:
    for plans in (small(), full()):
        assert {"lenet", "lenet-wide", "hard-fashion", "hard-cifar"} <= {plan.name for plan in plans}
        seeds = {plan.name: {c.seed for c in plan.configurations} for plan in plans if plan.grid == "hard"}
        assert not seeds["hard-fashion"] & seeds["hard-cifar"]
