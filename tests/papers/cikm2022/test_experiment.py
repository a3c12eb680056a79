"""Paper 3's experiment with a few dozen networks on the digits; its scales, sections and pages."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from axonometry.experiments import Estimate, Results, Scale, markdown, plain, results_page, run
from axonometry.integrations.pruning import Design
from axonometry.papers import load_paper
from axonometry.papers.cikm2022 import predictions, sections
from axonometry.papers.cikm2022.grids import Grid
from axonometry.papers.cikm2022.predictions import ALONE, COMBINED, LEARNED, TRANSFERRED, Prediction
from axonometry.papers.cikm2022.scales import SCALES, GridOptions, grid_trials
from axonometry.populations import RunConfiguration, cikm2022 as paper_grid, draw_hard_grid
from axonometry.predict import Evaluation, EvaluationPlan, RunTable, transfer
from axonometry.report import Figure, Table

DIGITS: dict[str, Any] = {"dataset": "digits", "epochs": 2, "train_fraction": 0.1, "test_fraction": 0.2}
RATES, DROPOUTS = (1e-6, 0.02, 0.1), (0.0, 0.3, 0.6)


def on_the_grid(name: str, architecture: str, layers: int, dropouts: int = 2) -> Grid:
    networks = partial(paper_grid, RATES, DROPOUTS[:dropouts], layers=layers, batch_size=8, **DIGITS)
    return Grid(name, f"{layers} layers", architecture, "paper", networks, architecture if layers > 1 else "")


def grids(seeds: int) -> tuple[Grid, ...]:
    """A hard grid, and the paper's grid for an architecture and for another one in two depths."""
    hard = partial(draw_hard_grid, range(seeds), **DIGITS, batch_size=8)
    return (
        Grid("hard-digits", "hard networks", "flat", "hard", hard),
        on_the_grid("flat", "flat", 1, dropouts=3),
        on_the_grid("deep-2", "deep", 2),
        on_the_grid("deep-3", "deep", 3),
    )


PLAN = EvaluationPlan(folds=3, inner_folds=2, trees=3, resamples=60)
OPTIONS = GridOptions(
    grids,
    (("width", "flat", "flat-wide"),),
    horizons=(1, 2),
    plan=PLAN,
    design=Design("graph+curve", 2, level=0.5, trials=8, splits=1, studies=2, trees=3),
    few=20,
    sizes=(6, 12, 400),
)
FEW = Scale(lambda seeds: grid_trials(grids, seeds), 20, titles={g.name: g.title for g in grids(1)}, options=OPTIONS)


@dataclass
class Spy:
    """What was learned from and predicted in a transfer."""

    calls: list[tuple[RunTable, RunTable, Evaluation]] = field(default_factory=list)

    def __call__(self, train: RunTable, test: RunTable, *arguments: Any, **more: Any) -> Evaluation:
        found = transfer(train, test, *arguments, **more)
        self.calls.append((train, test, found))
        return found


@pytest.fixture(scope="module")
def spy() -> Iterator[Spy]:
    with pytest.MonkeyPatch.context() as patch:
        made = Spy()
        patch.setattr(predictions, "transfer", made)
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiment")


def carried_out(folder: Path, seen: list[str] | None = None) -> Results:
    with ThreadPoolExecutor(1) as executor:
        return run(
            replace(load_paper("cikm2022"), scales={"few": FEW}),
            "few",
            folder=folder,
            executor=executor,
            progress=None if seen is None else lambda done, total, words: seen.append(f"{done}/{total} {words}"),
        )


@pytest.fixture(scope="module")
def results(folder: Path, spy: Spy) -> Results:
    return carried_out(folder)


@pytest.fixture(scope="module")
def found(results: Results) -> tuple[Prediction, ...]:
    measured = results.measurements
    return (*predictions.predictions(measured, "hard"), *predictions.predictions(measured, "paper"))


# ------------------------------------------------------------------------------------------------- what is found


def test_everything_is_trained_and_judged(results: Results, found: tuple[Prediction, ...], folder: Path) -> None:
    sizes = {"hard-digits": 20, "flat": 9, "deep-2": 6, "deep-3": 6}
    assert results.trained == 41
    assert dict(zip(results.conditions["condition"], results.conditions["networks"])) == sizes
    assert {name: len(list((folder / name).glob("*/run.json"))) for name in sizes} == sizes
    assert [(one.grids[0].name, one.n) for one in found] == [("hard-digits", 20), ("flat", 9), ("deep-2", 12)]
    assert [one.median.predictions["run"].nunique() for one in found] == [20, 9, 12]


def test_what_stands_beside_the_graph(found: tuple[Prediction, ...]) -> None:
    hard, flat, deep = found
    sets = [*ALONE, "graph+curve", *COMBINED]
    assert [list(dict.fromkeys(one.median.scores["features"])) for one in found] == [sets] * 3
    known = {name: set(part["epochs"]) for name, part in hard.median.scores.groupby("features")}
    assert set(map(frozenset, known.values())) == {frozenset({1, 2})}
    assert (hard.large, flat.large, deep.large) == (True, False, False)
    assert sorted(set(hard.sizes["size"])) == [6, 12]  # 400 networks are not there
    assert not hard.importances.empty
    for one in (flat, deep):
        assert one.learned.threshold == LEARNED != one.median.threshold
        assert one.learned.predictions["predicted"].equals(one.median.predictions["predicted"])


def test_every_run_is_predicted_in_the_same_fold_by_every_set(found: tuple[Prediction, ...]) -> None:
    for one in found:
        folds = one.median.predictions.groupby("run")["fold"].nunique()
        assert (folds == 1).all()
        assert set(one.median.predictions.groupby(["features", "epochs"]).size()) == {len(folds)}


def test_the_transfer_never_learns_from_what_it_predicts(results: Results, spy: Spy) -> None:
    (table,) = results.section("unseen").tables
    pairs = list(dict.fromkeys(row[:3] for row in table.rows))
    assert pairs == [
        ("architecture", "deep-2, deep-3 (12)", "flat (9)"),
        ("architecture", "flat (9)", "deep-2, deep-3 (12)"),
    ]
    for train, test, evaluation in spy.calls[:2]:
        assert not set(train.features.index) & set(test.features.index)
        assert set(evaluation.predictions["run"]) == set(test.features.index)
        other = replace(test, final_accuracy=1 - test.final_accuracy)
        again = transfer(train, other, ("graph",), (1,), plan=PLAN)
        before = evaluation.predictions.query("features == 'graph' and epochs == 1")
        np.testing.assert_array_equal(again.predictions["predicted"], before["predicted"])
        moved = replace(
            train, final_accuracy=train.final_accuracy.sample(frac=1, random_state=0).set_axis(train.features.index)
        )
        elsewhere = transfer(moved, test, ("graph",), (1,), plan=PLAN)
        assert not np.array_equal(elsewhere.predictions["predicted"], before["predicted"])


def test_a_second_call_trains_nothing_and_finds_the_same(results: Results, folder: Path) -> None:
    seen: list[str] = []
    before = {
        path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in {".safetensors", ".parquet"}
    }
    again = carried_out(folder, seen)
    assert again.trained == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert repr(plain(again)["sections"]) == repr(plain(results)["sections"])
    assert any(line.startswith("20/20 training hard networks") for line in seen)


# ------------------------------------------------------------------------------------------------- tables


def estimates(frame: pd.DataFrame, *keys: str) -> dict[tuple[Any, ...], tuple[float, float, float]]:
    return {
        tuple(row[key] for key in keys): (row["value"], row["low"], row["high"]) for row in frame.to_dict("records")
    }


def cells(table: Table) -> dict[tuple[Any, ...], tuple[float, float, float]]:
    columns = [int(column.split()[0]) for column in table.columns[1:]]
    return {
        (row[0], column): (one.value, one.low, one.high)
        for row in table.rows
        for column, one in zip(columns, row[1:], strict=True)
        if isinstance(one, Estimate)
    }


def test_every_cell_is_the_frames(results: Results, found: tuple[Prediction, ...]) -> None:
    shown = {t.title: t for name in ("architectures", "hard-grid") for t in results.section(name).tables}
    for one in found:
        pairs = [(one.median.scores, score, f"{title}: {one.title}") for score, title in sections.SCORES.items()]
        pairs.append((one.median.differences, "r2", f"R² more than the curve's, on the same draws: {one.title}"))
        if one.grids[0].kind == "paper":
            (title,) = (t for t in shown if "*learned*" in t and t.endswith(f": {one.title}"))
            pairs.append((one.learned.scores, "accuracy", title))
        for frame, score, title in pairs:
            expected = estimates(frame[frame["score"] == score], "features", "epochs")
            np.testing.assert_equal(cells(shown[title]), expected)
            assert shown[title].columns == ("features", "1 epoch known", "2 epochs known")
    hard = found[0]
    sizes = shown[f"R² after one epoch by the number of runs that were learned from: {hard.title}"]
    np.testing.assert_equal(cells(sizes), estimates(hard.sizes[hard.sizes["score"] == "r2"], "features", "size"))
    carried = shown[f"What carries the graph after one epoch: {hard.title}"]
    assert [row[:2] for row in carried.rows] == [(r.family, r.columns) for r in hard.importances.itertuples()]


def test_the_other_tables_are_the_frames_too(results: Results, spy: Spy) -> None:
    (table,) = results.section("unseen").tables
    expected = [estimates(evaluation.scores, "features", "epochs", "score") for _, _, evaluation in spy.calls[:2]]
    assert len(table.rows) == 2 * 2 * len(TRANSFERRED)
    for number, row in enumerate(table.rows):
        which = expected[number // len(TRANSFERRED) % 2]
        for score, one in zip(("tau", "auc", "r2"), row[5:], strict=True):
            np.testing.assert_equal((one.value, one.low, one.high), which[row[3], row[4], score])
    (table,) = results.section("in-time").tables
    assert table.columns == ("pruner", "saved", "kept", "lost", "saved at equal best", "good stopped")
    assert [row[0] for row in table.rows] == ["none", "median", "hyperband", "predicted"]
    assert table.rows[0][1].value == 0.0


# ------------------------------------------------------------------------------------------------- claims


def changed(one: Prediction, part: str, **values: Any) -> Prediction:
    """A prediction with scores of our own."""
    copy = Prediction(one.grids, one.found)
    evaluation: Evaluation = getattr(one, part)
    vars(copy)[part] = replace(evaluation, **values)
    vars(copy).setdefault("median", one.median)
    return copy


@pytest.mark.parametrize(("gap", "words"), [(0.1, "intervals apart"), (-0.1, "intervals not apart")])
def test_apart_means_apart(found: tuple[Prediction, ...], gap: float, words: str) -> None:
    scores = found[0].median.scores.assign(value=0.5, low=0.4, high=0.6)
    scores.loc[scores["features"] == "graph", ["value", "low", "high"]] = [0.8 + gap, 0.6 + gap, 0.9 + gap]
    claims = list(sections.hard_claims(changed(found[0], "median", scores=scores)))
    assert [f"({words};" in claim.numbers for claim in claims] == [True, True, False]


@pytest.mark.parametrize(
    ("low", "high", "verdict", "words"),
    [
        (-0.2, 0.1, "undecided", "surely better for nothing; surely worse in 0 of 4 cases"),
        (-0.2, -0.1, "contradicted", "surely better for nothing; surely worse in 4 of 4 cases"),
        (
            0.1,
            0.2,
            "holds",
            "surely better for R² after 1, AUC after 1, R² after 2, AUC after 2; surely worse in 0",
        ),
    ],
)
def test_harm_is_said(found: tuple[Prediction, ...], low: float, high: float, verdict: str, words: str) -> None:
    differences = found[0].median.differences.assign(value=(low + high) / 2, low=low, high=high)
    *_, claim = sections.hard_claims(changed(found[0], "median", differences=differences))
    assert claim.verdict == verdict
    assert words in claim.numbers


@pytest.mark.parametrize(("low", "verdict"), [(0.94, "holds"), (0.92, "undecided")])
def test_the_papers_claim_is_held_against_the_lower_end(
    found: tuple[Prediction, ...], low: float, verdict: str
) -> None:
    flat = found[1]
    scores = flat.learned.scores.assign(value=0.95, low=low, high=0.97)
    claim = next(iter(sections.degree_claims(changed(flat, "learned", scores=scores))))
    assert claim.verdict == verdict
    assert "more than 93% of the runs on the right side of *learned* (20.0%)" in claim.words


def test_one_side_alone_decides_nothing(found: tuple[Prediction, ...]) -> None:
    truth = found[1].learned.predictions.assign(truth=0.9)
    claim = next(iter(sections.degree_claims(changed(found[1], "learned", predictions=truth))))
    assert (claim.verdict, claim.numbers) == ("undecided", "all 9 runs are on one side")


# ------------------------------------------------------------------------------------------------- pages


def test_the_page_says_what_was_run(results: Results) -> None:
    text = markdown(results, command="axonometry paper cikm2022 --scale few")
    assert "Written by `axonometry paper cikm2022 --scale few` (scale: few)" in text
    assert "trained 41 of 41 networks" in text
    assert "nan" not in text
    assert "After one epoch the graph predicts more than the learning curves (R²): hard networks" in text


def test_the_html_page_has_a_tab_a_question(results: Results, spy: Spy) -> None:
    made = results_page(results)
    assert [tab.name for tab in made.tabs] == [
        *("Summary", "Architectures", "Hard grid", "Unseen", "In time", "Definitions")
    ]
    (figure,) = (block for block in made.tabs[3].blocks if isinstance(block, Figure))
    (table,) = results.section("unseen").tables
    traces = figure.panels[0].figure.data
    assert [trace.name for trace in traces] == list(TRANSFERRED[:3])
    for trace in traces:
        drawn = [row[6].value for row in table.rows if row[3] == trace.name and row[4] == 2]
        np.testing.assert_allclose(trace.x, drawn, rtol=1e-6)
    assert [key.name for key in figure.legend] == list(TRANSFERRED[:3])
    assert "how good it becomes?" in made.html()


# ------------------------------------------------------------------------------------------------- scales


def test_the_small_scale_has_what_was_asked_for() -> None:
    options: GridOptions = SCALES["small"].options
    small = options.grids(480)
    sizes = {grid.name: len(grid.configurations) for grid in small}
    assert sizes["hard-fashion"] >= 400
    assert sizes["lenet"] >= 240
    by_architecture: dict[str, int] = {}
    for grid in small:
        by_architecture[grid.architecture] = by_architecture.get(grid.architecture, 0) + len(grid.configurations)
    assert set(by_architecture) == {"lenet", "vgg-like", "alexnet-like", "resnet"}
    assert min(by_architecture.values()) >= 60
    everything = [c for grid in small for c in grid.configurations]
    assert len({c.identity for c in everything}) == len(everything)
    assert {c.epochs for c in everything} == {10}
    for grid in small:
        assert {c.augmentation for c in grid.configurations} == {"crop-flip" if grid.kind == "paper" else "none"}


def test_the_full_scale_is_the_papers_grid() -> None:
    full = SCALES["full"].options.grids(2000)
    grid = [one for one in full if one.kind == "paper"]
    assert {len(one.configurations) for one in grid} == {360}
    assert {(c.family, c.epochs) for one in grid for c in one.configurations} == {
        ("lenet", 100),
        *((family, 50) for family in ("vgg-like", "alexnet-like", "resnet-32", "resnet-44", "resnet-56")),
    }
    assert {c.width for one in grid for c in one.configurations} == {0.5, 1.0, 2.0}
    assert len({one.name for one in full}) == len(full) == 18 + 3


def test_the_names_that_transfers_ask_for_are_there() -> None:
    for scale in SCALES.values():
        all_grids = scale.options.grids(16)
        assert {name for _, *names in scale.options.others for name in names} <= {one.name for one in all_grids}
        hard = [{c.seed for c in one.configurations} for one in all_grids if one.kind == "hard"]
        assert sum(map(len, hard)) == len(set().union(*hard))
        assert set(scale.titles) == {one.name for one in all_grids}


def test_networks_are_drawn_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunConfiguration, "__post_init__", lambda _: pytest.fail("seconds, at every import"))
    for scale in SCALES.values():
        assert scale.titles == {grid.name: grid.title for grid in scale.options.grids(1)}


def test_a_section_trains_what_it_needs() -> None:
    needed = {trial.population: trial.sections for trial in SCALES["tiny"].trials(3)}
    assert needed["hard-digits"] == ("hard-grid", "unseen", "in-time")
    assert needed["deep-2"] == ("architectures", "unseen")
