"""What is read of outcomes: of made-up ones whose answer is known, and of tiny networks from end to end."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats
from typer.testing import CliRunner

from axonometry.cli import app
from axonometry.errors import ConfigurationError, RunError
from axonometry.papers.lin2025 import depth, double_descent, experiments, flat_minima, grokking, lmap, measuring, phases
from axonometry.papers.lin2025.experiments import READERS, Results, carry_out, run
from axonometry.papers.lin2025.finding import Estimate, Finding, correlation, estimate, lines, paired
from axonometry.papers.lin2025.items import ADDITION, Item, Network, Outcome, Task
from axonometry.papers.lin2025.page import results_page
from axonometry.papers.lin2025.plans import items
from axonometry.papers.lin2025.table import in_short, page, write_results
from axonometry.report import Figure

SEEDS = range(3)


def known(
    item: Item, accuracy: float = 0.9, *, train: float = 1.0, moments: list[dict[str, Any]] | None = None
) -> Outcome:
    """An outcome that is made up."""
    row = {"train_loss": 0.01, "test_loss": 0.1, "train_accuracy": train, "test_accuracy": accuracy}
    steps = (0, item.training.steps)
    return Outcome(item, [{"step": float(s), **row} for s in steps], moments or [{"step": s} for s in steps], 1.0)


def verdicts(found: Finding) -> dict[str, str]:
    return {statement.words: statement.verdict for statement in found.statements}


def wiggled(seed: int) -> float:
    """A little that differs between seeds, so that intervals are not empty."""
    return 0.001 * (seed - 1)


# ------------------------------------------------------------------------------------------------ estimates


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=8))
def test_intervals_are_students(values: list[float]) -> None:
    one = estimate(values)
    if np.std(values) > 1e-6:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
        assert (one.value, one.low, one.high) == pytest.approx((np.mean(values), low, high), abs=1e-9)
    assert one.low <= one.value + 1e-9
    assert one.value <= one.high + 1e-9


def test_estimates_say_what_they_can() -> None:
    assert estimate([]).text() == "–"
    assert estimate([math.nan]).n == 0
    assert estimate([0.5, math.nan]).text() == "0.50"
    assert estimate([0.5]).verdict() == estimate([0.5]).within(1.0) == "undecided"
    assert Estimate(-0.5, -0.75, -0.25, 3).text() == "−0.50 [−0.75, −0.25]"
    assert Estimate(-0.5, -0.75, -0.25, 3).verdict() == "does not hold here"
    assert Estimate(0.5, 0.25, 0.75, 3).verdict() == "holds here"
    assert Estimate(0.0, -0.1, 0.1, 3).verdict() == "undecided"
    assert Estimate(0.0, -0.1, 0.1, 3).within(0.2) == "holds here"
    assert Estimate(0.5, 0.3, 0.7, 3).within(0.2) == "does not hold here"
    assert Estimate(0.2, 0.1, 0.3, 3).within(0.2) == "undecided"


def test_differences_are_taken_seed_by_seed() -> None:
    items_ = [replace(items("flat-minima", "small", 1)[0], seed=seed) for seed in (0, 1, 2)]
    first = [known(item, 0.1 * (item.seed + 2)) for item in items_]
    second = [known(item, 0.1 * (item.seed + 1)) for item in reversed(items_[1:])]
    gap = paired(first, second, lambda outcome: outcome.last["test_accuracy"])
    assert (gap.value, gap.n) == (pytest.approx(0.1), 2)
    assert gap.high - gap.low == pytest.approx(0, abs=1e-9)


def test_correlations_without_spread_say_nothing() -> None:
    assert correlation([1.0, 2.0, 3.0], [10.0, 20.0, 15.0]) == pytest.approx(0.5)
    assert math.isnan(correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))
    assert math.isnan(correlation([1.0, 2.0], [1.0, 2.0]))


# ------------------------------------------------------------------------------------------------ experiments


def lmap_outcomes(gap: Callable[[int], float], steep: Callable[[int, str], list[float]]) -> list[Outcome]:
    """The tanh network's L-Map and the linear network are both less accurate by the gap."""
    found = []
    for item in items("lmap", "small", 3):
        n, kind = item.task.n_train, item.network.activation
        own = 0.9 + wiggled(item.seed) - (gap(n) if kind == "identity" else 0)
        mapped = own - (gap(n) if kind == "tanh" else 0)
        slopes = [g + wiggled(item.seed) for g in steep(n, kind)]
        ends = {"input": {"accuracy": mapped, "error": 0.3}, "2": {"accuracy": own, "error": 0.0}}
        moments = [{"step": 10 * k, "ranks": {"0": g}, "truncation": ends} for k, g in enumerate(slopes)]
        found.append(known(item, own, moments=moments))
    return found


def test_lmap_finds_where_they_part() -> None:
    found = lmap.read(
        lmap_outcomes(
            lambda n: 0.1 if n >= 6000 else 0.0,
            lambda n, kind: [0.0, 2.0, 1.5 if kind == "tanh" and n == 60_000 else 1.9],
        )
    )
    assert list(verdicts(found).values()) == ["holds here"] * 5
    (parting,) = [one.evidence for one in found.statements if "critical" in one.words]
    assert parting.endswith("L-Map: 6,000, 6,000, 6,000; linear network: 6,000, 6,000, 6,000")
    assert (found.networks, found.seeds) == (42, 3)


def test_lmap_refutes_too() -> None:
    found = lmap.read(lmap_outcomes(lambda n: 0.1, lambda n, kind: [3.0, 2.0, 1.0 if kind == "identity" else 2.0]))
    said = verdicts(found)
    assert said["For small training sets all three are equally accurate"] == "does not hold here"
    assert said["With 600 images the rank distributions of tanh and linear network coincide"] == "does not hold here"
    steeper = "With 60,000 images the linear network's rank distribution is steeper"
    assert said[steeper] == "does not hold here"
    assert said["The gradient rises while the network begins to learn, then falls"] == "undecided"


def test_lmap_networks_that_never_part() -> None:
    found = lmap.read(lmap_outcomes(lambda n: 0.0, lambda n, kind: [0.0, 1.0]))
    assert verdicts(found)["They part at the same critical number of images"] == "does not hold here"
    assert any("never, never, never" in one.evidence for one in found.statements)


def phase_outcomes(slow: tuple[float, float], fast: tuple[float, float], way: list[list[float]]) -> list[Outcome]:
    """(accuracy, first gradient) of the slow and the fast SGD; other layers' gradients over time are the way's."""
    found = []
    for item in items("phases", "small", 3):
        accuracy, first = slow if item.training.learning_rate == 0.03 else fast
        moments: list[dict[str, Any]] = []
        for step, gradients in enumerate([*way, [first, *way[-1][1:]]]):
            named = {str(2 * k): g + wiggled(item.seed) for k, g in enumerate(gradients)}
            modes = {name: {"rate": 0.5, "dead": 0.0} for name in named}
            moments.append({"step": step, "ranks": named, "modes": modes})
        found.append(known(item, accuracy + wiggled(item.seed), moments=moments))
    return found


def test_phases_compare_the_learning_rates() -> None:
    steep_first, flat = [3.0, 3, 3, 1, 1, 1], [0.0] * 6
    late = [1.0, 1, 1, 3, 3, 3]
    holds = phases.read(phase_outcomes((0.90, 1.2), (0.95, 1.0), [flat, steep_first, late]))
    assert list(verdicts(holds).values()) == ["holds here", "holds here", "holds here", "holds here"]
    # The faster one is more accurate with the higher gradient; early layers are never the steeper ones.
    fails = phases.read(phase_outcomes((0.90, 0.2), (0.95, 0.4), [[0.0, 0, 0, 1, 1, 1], [0.1, 0, 0, 2, 2, 2]]))
    assert list(verdicts(fails).values())[:3] == ["does not hold here"] * 3
    equal = phases.read(phase_outcomes((0.90, 0.2), (0.90, 0.4), [flat, late]))
    assert next(iter(verdicts(equal).values())) == "undecided"


def depth_outcomes(
    best: Callable[[int], int], sample: Callable[[int], float], weight: Callable[[int], float]
) -> list[Outcome]:
    found = []
    for item in items("depth", "small", 3):
        layers = len(item.network.widths)
        accuracy = 0.5 if layers == 100 else 0.95 - 0.01 * abs(math.log2(layers / best(item.network.widths[0])))
        classes = {str(k): 1.0 + 0.1 * k for k in range(9)} | {"0": 5.0, "2": math.inf, "9": 0.1}
        moment = {
            "test_samples": {"amplitude": sample(layers) + wiggled(item.seed), "classes": classes},
            "test_weights": {"amplitude": weight(layers) + wiggled(item.seed)},
        }
        moments = [{"step": step, **moment} for step in (0, item.training.steps)]
        found.append(known(item, accuracy, moments=moments))
    return found


def test_depth_finds_the_optimum_and_the_trends() -> None:
    found = depth.read(depth_outcomes(lambda width: 6, lambda d: 0.5 + d / 100, lambda d: 2 - d / 100))
    assert list(verdicts(found).values()) == ["holds here"] * 5 + ["undecided"]
    (optimum,) = [one.evidence for one in found.statements if "6 to 8" in one.words]
    assert "width 32, he: 6, 6, 6" in optimum
    assert "width 128, torch: 6, 6, 6" in optimum


def test_depth_refutes_too_and_leaves_untrained_networks_out() -> None:
    # Networks of 100 layers, which have not learned, would turn the sample basin's trend round.
    found = depth.read(
        depth_outcomes(
            lambda width: 1 if width == 32 else 30, lambda d: 2 - d / 100 if d < 100 else 9, lambda d: d / 100
        )
    )
    assert list(verdicts(found).values())[:4] == ["does not hold here"] * 4


def test_flat_minima_compare_the_batches() -> None:
    def outcomes(sign: float) -> Iterable[Outcome]:
        for item in items("flat-minima", "small", 3):
            flat = sign * -math.log(item.training.batch) / 100 + wiggled(item.seed) / 100
            basin = {"amplitude": 1 + flat}
            names = ("test_samples", "test_weights", "train_weights")
            moment = dict.fromkeys(names, basin) | {"flatness": {"plain": 1 - flat, "scaled": 0.5 - flat}}
            yield known(item, 0.9 + flat, moments=[{"step": step, **moment} for step in (0, 1)])

    assert set(verdicts(flat_minima.read(list(outcomes(1.0)))).values()) == {"holds here"}
    against = verdicts(flat_minima.read(list(outcomes(-1.0))))
    assert list(against.values()) == ["does not hold here"] * 4 + ["holds here"] * 2


def grokking_outcomes(late: float) -> list[Outcome]:
    """Training samples known at step 100, test accuracy 0.2 then, and a late one from step 1000 on."""
    found = []
    for item in items("grokking", "small", 3):
        curve, moments = [], []
        for step in (0, 10, 100, 300, 1000, 3000):
            tests = late if step >= 1000 else 0.2
            row = {"step": float(step), "train_accuracy": 1.0 if step >= 100 else 0.3, "test_accuracy": tests}
            curve.append(row | {"train_loss": 0.1, "test_loss": 0.1})
            basin = 0.01 + wiggled(item.seed) + (0.3 if step >= 1000 else 0)
            modes, ranks = {"0": {"rate": 0.7}}, {"0": 0.2 + basin}
            found_now = {"test_samples": {"mean": basin}, "train_samples": {"mean": basin + 0.1 + wiggled(item.seed)}}
            moments.append(
                {"step": step, **found_now, "test_weights": {"amplitude": 1.0}, "ranks": ranks, "modes": modes}
            )
        found.append(Outcome(item, curve, moments, 1.0))
    return found


def test_grokking_finds_the_jump() -> None:
    outcomes = grokking_outcomes(0.9)
    for outcome in outcomes:
        assert (grokking.memorised(outcome), grokking.jump(outcome)) == (100, 1000)
        assert [moment["step"] for moment in grokking.around(outcome)] == [100, 1000, 3000]
    found = grokking.read(outcomes)
    said = list(verdicts(found).values())
    assert said == ["holds here"] * 6 + ["undecided"]
    assert "left to the full scale" in found.setup


def test_a_network_that_does_not_grok_has_no_jump() -> None:
    outcomes = grokking_outcomes(0.25)
    assert all(math.isinf(grokking.jump(outcome)) for outcome in outcomes)
    said = verdicts(grokking.read(outcomes))
    assert [v for words, v in said.items() if "jumps long after" in words] == ["does not hold here"] * (len(said) - 4)
    never = replace(outcomes[0], curve=[row | {"train_accuracy": 0.5} for row in outcomes[0].curve])
    assert math.isinf(grokking.memorised(never))
    assert math.isnan(grokking.gained(never))
    assert [moment["step"] for moment in grokking.around(never)] == [3000, 3000, 3000]


def test_a_jump_that_comes_at_once_is_not_late() -> None:
    outcomes = []
    for outcome in grokking_outcomes(0.9):
        curve = [row | {"train_accuracy": 1.0 if row["step"] >= 300 else 0.3} for row in outcome.curve]
        curve += [row | {"step": 400.0} for row in curve if row["step"] == 1000]
        outcomes.append(replace(outcome, curve=sorted(curve, key=lambda row: row["step"])))
    assert grokking.jump(outcomes[0]) == 400
    assert [moment["step"] for moment in grokking.around(outcomes[0])] == [300, 300, 3000]
    assert next(iter(verdicts(grokking.read(outcomes)).values())) == "does not hold here"


def descent(errors: Callable[[int], float], train: Callable[[int], float]) -> dict[str, str]:
    found = []
    for item in items("double-descent", "small", 3):
        width = item.network.widths[0]
        names = ("test_samples", "train_samples", "test_weights")
        moment = {name: {"amplitude": math.log(width) + wiggled(item.seed)} for name in names}
        slope = 2 - math.log(width) / 10 + wiggled(item.seed)
        moment |= {"ranks": {"0": slope}, "modes": {"0": {"rate": 0.9, "dead": 0.0}}}
        moments = [{"step": step, **moment} for step in (0, 1)]
        found.append(known(item, 1 - errors(width) - wiggled(item.seed), train=train(width), moments=moments))
    return verdicts(double_descent.read(found))


def test_double_descent_needs_a_peak_between_two_descents() -> None:
    def twice(width: int) -> float:
        return {2: 0.5, 4: 0.3, 6: 0.35, 8: 0.45, 12: 0.4}.get(width, 0.2)

    said = descent(twice, lambda width: 1.0 if width >= 8 else 0.9)
    assert list(said.values()) == ["holds here"] * 4
    once = descent(lambda width: 1 / width, lambda width: 1.0 if width >= 8 else 0.9)
    assert once["The test error descends, rises to a peak, and descends again"] == "does not hold here"
    overfit = descent(lambda width: abs(math.log(width / 8)) / 10, lambda width: 1.0 if width >= 8 else 0.9)
    assert overfit["The test error descends, rises to a peak, and descends again"] == "undecided"
    assert descent(twice, lambda width: 0.5) == {"The test error descends twice": "undecided"}


def test_one_seed_decides_nothing() -> None:
    outcomes = [o for o in grokking_outcomes(0.9) if o.item.seed == 0]
    assert set(verdicts(grokking.read(outcomes)).values()) == {"undecided"}


# ------------------------------------------------------------------------------------------------ from end to end


def tiny(item: Item) -> Item:
    """The same question of a network that trains in a blink."""
    task = item.task
    if task.name == ADDITION:
        task = Task(ADDITION, 30, 19, modulus=7)
    else:
        task = Task("digits", max(20, task.n_train // 200), 60, label_noise=task.label_noise)
    network = replace(item.network, widths=tuple(min(width, 2 + width // 64) for width in item.network.widths))
    steps = 8 if item.experiment != "flat-minima" else 40
    training = replace(item.training, steps=steps, batch=max(5, min(20, item.training.batch // 50)))
    plan = replace(item.plan, looked=(steps // 2,), moments=(2,), samples=15, ranked=40)
    return replace(item, task=task, network=network, training=training, plan=plan)


def tiny_plans() -> dict[str, list[Item]]:
    """Two seeds of a few networks of each experiment."""
    few: dict[str, Callable[[Item], bool]] = {
        "lmap": lambda item: item.task.n_train in (600, 60_000),
        "phases": lambda item: item.training.optimiser == "sgd",
        "depth": lambda item: len(item.network.widths) in (1, 4),
        "flat-minima": lambda item: item.training.batch in (16, 4000),
        "grokking": lambda item: item.training.weight_decay != 0.1,
        "double-descent": lambda item: item.network.widths[0] in (2, 256),
    }
    return {name: [tiny(item) for item in items(name, "small", 2) if keep(item)] for name, keep in few.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiments")


@pytest.fixture(scope="module", autouse=True)
def _few_draws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "PRECISION", 0.7)
        patch.setattr(measuring, "SAMPLE_DRAWS", 2)
        patch.setattr(measuring, "WEIGHT_DRAWS", 2)
        yield


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    return carry_out(tiny_plans(), scale="small", folder=folder, workers=1)


def test_all_experiments_are_carried_out_and_read(results: Results, folder: Path) -> None:
    assert [found.name for found in results.findings] == list(READERS)
    assert results.missing == ()
    assert results.trained == results.networks == len(list((folder / "networks").iterdir()))
    for found in results.findings:
        assert found.seeds == 2
        assert found.statements
        assert all(statement.evidence for statement in found.statements)
        assert all(len(sheet.columns) == len(row) for sheet in found.sheets for row in sheet.rows)
        assert all(len(chart.frame) for chart in found.charts)


def test_a_second_call_trains_nothing_and_finds_the_same(results: Results, folder: Path) -> None:
    again = carry_out(tiny_plans(), scale="small", folder=folder, workers=1)
    assert again.trained == 0
    assert [found.statements for found in again.findings] == [found.statements for found in results.findings]
    assert [found.sheets for found in again.findings] == [found.sheets for found in results.findings]


def test_the_table_says_all_with_its_figures_beside_it(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "results" / "lin.md"
    write_results(results, path, command="axonometry paper lin2025 --scale small")
    text = path.read_text(encoding="utf-8")
    assert "Written by `axonometry paper lin2025 --scale small` (scale: small)" in text
    assert "**Three seeds are little**" in text
    assert re.search(r"takes [\d,]+ times the multiplications", text)
    for found in results.findings:
        assert f"## {found.name}: {found.title}" in text
        assert all(f"| {s.words} | **{s.verdict}** | {s.evidence} |" in text for s in found.statements)
    figures = re.findall(r"\]\((lin/[\w-]+\.svg)\)", text)
    assert len(figures) == sum(len(found.charts) for found in results.findings) == len(set(figures))
    assert all((path.parent / name).read_text(encoding="utf-8").startswith("<svg ") for name in figures)
    assert not re.search(r"\bnan\b", text)


def test_experiments_that_were_not_asked_for_are_named(results: Results) -> None:
    some = replace(results, findings=results.findings[:1], missing=("phases", "depth"))
    assert in_short(some)[-1] == "Not run in this call: phases, depth."
    assert "## phases" not in page(some, "x")


def test_networks_that_diverge_are_named_and_left_out(tmp_path: Path) -> None:
    plan = [item for item in tiny_plans()["phases"] if item.seed == 0]
    wild = replace(plan[1], cell="wild", training=replace(plan[1].training, learning_rate=1e30))
    found = carry_out({"phases": [*plan, wild]}, scale="small", folder=tmp_path, workers=1)
    assert found.findings[0].diverged == ("wild, seed 0",)
    assert found.findings[0].networks == len(plan)
    assert "nothing here applies: wild, seed 0." in page(found, "x")
    with pytest.raises(RunError, match="learns without diverging"):
        carry_out({"phases": [wild]}, scale="small", folder=tmp_path, workers=1)


def test_the_page_has_a_tab_an_experiment(results: Results, tmp_path: Path) -> None:
    made = results_page(results, command="axonometry paper lin2025")
    assert [tab.name for tab in made.tabs] == ["In short", *READERS]
    figures = [block for tab in made.tabs for block in tab.blocks if isinstance(block, Figure)]
    assert len(figures) == sum(len(found.charts) for found in results.findings)
    text = html.unescape(made.write(tmp_path / "page.html").read_text(encoding="utf-8"))
    assert all(one.evidence[1:] in text for found in results.findings for one in found.statements)


def test_the_command_prints_and_writes(results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(experiments, "run", lambda **options: asked.update(options) or results)
    words = ["paper", "lin2025", "--experiment", "lmap", "--experiment", "depth", "--seeds", "2"]
    table, report = tmp_path / "t.md", tmp_path / "r.html"
    done = CliRunner().invoke(app, [*words, "--folder", str(tmp_path), "--table", str(table), "--report", str(report)])
    assert done.exit_code == 0, done.output
    assert asked["experiments"] == ["lmap", "depth"]
    assert (asked["seeds"], asked["scale"], asked["folder"]) == (2, "small", tmp_path)
    head = table.read_text(encoding="utf-8").splitlines()[2]
    assert (
        f"`axonometry paper lin2025 --experiment lmap --experiment depth --scale small --seeds 2 --table {table}`"
        in head
    )
    assert report.exists()
    plain = CliRunner().invoke(app, [*words, "--json"])
    assert '"verdict": "undecided"' in plain.stdout


def test_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'lmaps'"):
        run(experiments=["lmaps"], folder=tmp_path)
    with pytest.raises(ConfigurationError, match="'large'"):
        run(scale="large", folder=tmp_path)
    with pytest.raises(ConfigurationError, match="at least 1"):
        run(seeds=0, folder=tmp_path)


def test_charts_keep_the_order_of_their_lines() -> None:
    frame = lines([("b", 2.0, estimate([1.0, 2.0])), ("a", 1.0, estimate([3.0]))])
    assert frame["name"].tolist() == ["b", "a"]
    assert math.isnan(frame["low"][1])
    assert frame["value"].tolist() == [1.5, 3.0]


def test_networks_of_a_plan_have_one_description_each() -> None:
    cells = {name: {item.cell for item in items(name, "small", 1)} for name in READERS}
    for name, names in cells.items():
        assert len(names) == len(items(name, "small", 1))
    assert Network((3,)) != Network((4,))
