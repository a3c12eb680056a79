"""Paper 2's experiment with a few dozen networks on the digits; its scales, features, sections and pages."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from axonometry.experiments import Context, Measurements, Results, Scale, markdown, plain, results_page, run
from axonometry.metrics.neuron_strength import neuron_strength
from axonometry.papers import load_paper
from axonometry.papers.ijcai2024 import features as reading, sections
from axonometry.papers.ijcai2024.comparisons import COMPARISONS, KINDS, Comparison, among
from axonometry.papers.ijcai2024.features import (
    BASELINE,
    CHOICES,
    CONTROL,
    MEASURES,
    features,
    live_values,
    measure_conditions,
    measured_values,
    scaled_strength,
)
from axonometry.papers.ijcai2024.scales import DRAWN, SCALES, ComparisonOptions, condition_trials
from axonometry.papers.ijcai2024.sections import HIGH, LOW, SETS, TOGETHER, Answer, of_kind
from axonometry.populations import Architecture, grid, train_population
from axonometry.predict.classification import Discrimination
from axonometry.predict.evaluation import EvaluationPlan
from axonometry.program import capture
from axonometry.report import Figure
from axonometry.report.samples import density_curves

DIGITS: dict[str, Any] = {
    "dataset": "digits",
    "epochs": 1,
    "train_fraction": 0.1,
    "test_fraction": 0.2,
    "batch_size": 16,
    "record_every": 10**6,
}
CONDITIONS: dict[str, dict[str, Any]] = {
    "narrow": {"units": 6},
    "wide": {"units": 24},
    "tanh": {"units": 24, "activation": "tanh"},
    "copying": {"family": "autoencoder", "units": 6, "layers": 1, "objective": "bce"},
    "gru": {"family": "recurrent", "cell": "gru", "units": 3},
    "performance": {"activation": "relu", "units": 8, "test_fraction": 1.0, "train_fraction": 0.5},
}
ASKED = (
    Comparison("width", "size", "Narrow or wide?", {"narrow": "narrow", "wide": "wide"}, "The width."),
    Comparison("kind", "type", "Which kind?", {"narrow": "dense", "copying": "autoencoder", "gru": "GRU"}, "Much."),
    Comparison("activation", "activation", "ReLU or tanh?", {"wide": "ReLU", "tanh": "tanh"}, "Nothing."),
    Comparison("accuracy", "performance", "Low or high?", {"performance": "performance"}, "The rates."),
)
PLAN = EvaluationPlan(folds=3, inner_folds=2, trees=4, resamples=60)
FEW = Scale(
    partial(condition_trials, {name: {**DIGITS, **own} for name, own in CONDITIONS.items()}, ASKED, 3),
    6,
    titles={"narrow": "narrow networks"},
    options=ComparisonOptions(ASKED, PLAN),
)


def carried_out(folder: Path) -> Results:
    kinds = ("size", "type", "activation", "performance")
    made = (*map(of_kind, kinds), sections.against_weights)
    experiment = replace(load_paper("ijcai2024"), scales={"few": FEW}, sections=made)
    with ThreadPoolExecutor(1) as executor:
        return run(experiment, "few", folder=folder, executor=executor)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiment")


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    return carried_out(folder)


@pytest.fixture(scope="module")
def answers(results: Results) -> dict[str, Answer]:
    return {one.name: Answer(one, results.measurements) for one in ASKED}


# ------------------------------------------------------------------------------------------------- what is found


def test_everything_is_trained_and_asked(results: Results, folder: Path) -> None:
    assert results.trained == 5 * 6 + 18
    assert len(list((folder / "networks").glob("*/run.json"))) == 48
    rows = results.conditions.set_index("condition")
    assert rows["networks"].to_dict() == {**dict.fromkeys(CONDITIONS, 6), "performance": 18}
    named = rows["performance"].to_dict()
    assert named == {**dict.fromkeys(named, "accuracy"), "copying": "variance_explained"}
    assert rows.loc["narrow", "parameters"] == 64 * 6 + 6 + 6 * 6 + 6 + 60 + 10
    assert "SHA-256" not in markdown(results)  # no text was learned


def test_every_set_is_scored_before_and_after(answers: dict[str, Answer]) -> None:
    for answer in answers.values():
        sets = SETS if answer.comparison.name != "accuracy" else (*SETS, CHOICES)
        assert list(answer.scores) == [(measure, when) for measure in sets for when in ("after", "before")]
        for score in answer.scores.values():
            assert 0 <= score.auc.value <= 1
            assert score.auc.low <= score.auc.high
    known = [answers["accuracy"].scores[CHOICES, when].auc for when in ("before", "after")]
    assert known[0] == known[1]
    assert [(a.n, a.scores[TOGETHER, "after"].classes) for a in answers.values()][:2] == [(12, 2), (18, 3)]
    assert 8 <= answers["accuracy"].n < 18  # the middle is left out


def test_differences_are_those_of_the_scores(results: Results, answers: dict[str, Answer]) -> None:
    (table,) = results.section("size").tables
    baseline = answers["width"].scores[BASELINE, "after"].auc
    for name, gained, after, before, against in table.rows:
        assert gained.value == pytest.approx(after.value - before.value)
        if name != BASELINE:
            assert against.value == pytest.approx(after.value - baseline.value)


def test_the_same_initial_weights_are_not_told_apart(answers: dict[str, Answer]) -> None:
    # ReLU and tanh start from the same weights: what does not depend on data can say nothing.
    for measure in ("link_weights", "node_strength", "layer_fluctuation", CONTROL, BASELINE):
        assert answers["activation"].scores[measure, "before"].auc.value == 0.5
    assert answers["activation"].scores["neuron_activation", "before"].auc.value > 0.9  # tanh has negative values


def test_what_is_plain_is_told_apart(answers: dict[str, Answer]) -> None:
    assert answers["kind"].scores[TOGETHER, "after"].auc.value > 0.8
    assert answers["kind"].scores[BASELINE, "after"].auc.value > 0.8


def test_a_second_call_trains_and_measures_nothing(results: Results, folder: Path) -> None:
    tables = {path: path.stat().st_mtime_ns for path in (folder / "tables").iterdir()}
    again = carried_out(folder)
    assert again.trained == 0
    assert repr(plain(again)["sections"]) == repr(plain(results)["sections"])
    assert {path: path.stat().st_mtime_ns for path in (folder / "tables").iterdir()} == tables


def test_thirds_are_cut_by_performance(answers: dict[str, Answer]) -> None:
    networks = answers["accuracy"].networks
    worst, best = (networks.loc[networks["label"] == label, "performance"] for label in (LOW, HIGH))
    assert worst.max() < best.min()


# ------------------------------------------------------------------------------------------------- what is read


@pytest.fixture(scope="module")
def dense() -> nn.Module:
    torch.manual_seed(0)
    return Architecture("fully-connected", units=5, layers=3).network((1, 4, 4), 3)


SAMPLES = torch.rand(7, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def test_features_by_hand(dense: nn.Module) -> None:
    graph = capture(dense, SAMPLES[:1])
    found = features(graph, measured_values(graph, SAMPLES))
    w = [p.detach().double() for p in dense.parameters() if p.dim() == 2]
    b = [p.detach().double() for p in dense.parameters() if p.dim() == 1]
    strengths = [w[k].sum(1) + w[k + 1].sum(0) for k in range(3)]
    assert found["link_weights.(first).mean"] == pytest.approx(float(w[0].mean()))
    assert found["link_weights.(last).std"] == pytest.approx(float(w[2].std(correction=0)))
    assert found["link_weights.(all).mean"] == pytest.approx(float(torch.cat([x.flatten() for x in w[:3]]).mean()))
    assert found["node_strength.(last).mean"] == pytest.approx(float(strengths[2].mean()), rel=1e-4)
    spreads = [float(s.std(correction=0)) for s in strengths]
    assert found["layer_fluctuation.(all).mean"] == pytest.approx(np.mean(spreads), rel=1e-4)
    assert found["layer_fluctuation.(first).mean"] == pytest.approx(spreads[0], rel=1e-4)
    z = SAMPLES.flatten(1).double() @ w[0].T + b[0]
    assert found["neuron_activation.(first).mean"] == pytest.approx(float(z.relu().mean()), rel=1e-4)
    strength = z + z.relu() * w[1].sum(0)
    assert found["neuron_strength.(first).std"] == pytest.approx(float(strength.std(correction=0)), rel=1e-4)
    squares = w[1].square().sum(1) + w[2].square().sum(0)
    scaled = strengths[1] / squares.sqrt()
    torch.testing.assert_close(scaled_strength(graph)["fc2"].double(), scaled, rtol=1e-5, atol=1e-5)
    everything = torch.cat([p.detach().flatten() for p in dense.parameters()]).double()
    assert found["weights.(all).mean"] == pytest.approx(float(everything.mean()), rel=1e-4, abs=1e-7)
    assert found["weights.(all).q0.05"] == pytest.approx(float(everything.quantile(0.05)), rel=1e-4)


def test_no_number_tells_a_size_or_an_end(dense: nn.Module) -> None:
    graph = capture(dense, SAMPLES[:1])
    names = set(features(graph, measured_values(graph, SAMPLES)))
    assert {name.split(".")[0] for name in names} == {*MEASURES, CONTROL, BASELINE}
    assert not [name for name in names if "count" in name or "minimum" in name or "maximum" in name]
    assert [name for name in names if name.startswith("layer_fluctuation")] != []
    assert not [name for name in names if name.startswith("layer_fluctuation") and not name.endswith("mean")]
    # Other outputs and other inputs are never looked at by what depends on data.
    measured = measured_values(graph, SAMPLES)
    assert all("input" not in of and "fc4" not in of for of in measured.values())


@pytest.mark.parametrize("family", ["fully-connected", "convolutional", "recurrent"])
def test_neuron_strength_is_the_librarys(family: str) -> None:
    network = Architecture(family, units=4, layers=1).network((1, 5, 5), 3).eval()
    graph = capture(network, torch.zeros(1, 1, 5, 5))
    samples = torch.rand(6, 1, 5, 5)
    ours, theirs = live_values(graph, samples)["neuron_strength"], neuron_strength(graph, samples)
    for group in graph.groups:
        if group.role == "hidden":
            torch.testing.assert_close(ours[group.name].double().mean(0), theirs.mean[group.name], rtol=1e-5, atol=1e-5)


def test_scaled_strength_does_not_know_scale_or_width() -> None:
    def scaled(units: int, scale: float) -> torch.Tensor:
        network = nn.Sequential(nn.Linear(50, units), nn.ReLU(), nn.Linear(units, units))
        generator = torch.Generator().manual_seed(0)
        for parameter in network.parameters():
            parameter.data.normal_(0, scale, generator=generator)
        return scaled_strength(capture(network, torch.zeros(1, 50)))["0"]

    torch.testing.assert_close(scaled(300, 1.0), scaled(300, 5.0), rtol=1e-4, atol=1e-4)
    assert float(scaled(300, 1.0).std()) == pytest.approx(1, abs=0.15)
    assert float(scaled(1500, 1.0).std()) == pytest.approx(1, abs=0.07)


def test_a_neuron_without_links_has_no_scaled_strength() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    for parameter in network.parameters():
        parameter.data.zero_()
    values = scaled_strength(capture(network, torch.zeros(1, 2)))
    assert all(bool((v == 0).all()) for v in values.values())


# ------------------------------------------------------------------------------------------------- scales


def test_the_small_scale() -> None:
    conditions: dict[str, list[Any]] = {}
    for trial in SCALES["small"].trials(30):
        conditions.setdefault(trial.condition, []).append(trial.configuration)
        assert trial.sections[-1] == "against-weights"
        assert set(trial.sections[:-1]) <= set(KINDS)
    assert {len(some) for name, some in conditions.items() if name != "performance"} == {30}
    assert len(conditions["performance"]) >= 60  # thirty and more in each third
    assert all(name in conditions for comparison in COMPARISONS for name in comparison.conditions)
    assert {comparison.kind for comparison in COMPARISONS} == set(KINDS)
    for name, some in conditions.items():
        if name != "performance":
            drawn = [[getattr(c, key) for key in (*DRAWN, "seed")] for c in some]
            assert drawn == [[getattr(c, key) for key in (*DRAWN, "seed")] for c in conditions["dense"]]
    identities = [c.identity for some in conditions.values() for c in some]
    assert len(set(identities)) == len(identities) == 720
    assert len(SCALES["full"].trials(200)) == 19 * 200 + 1000


def test_the_tiny_scale_has_every_kind() -> None:
    conditions = {trial.condition for trial in SCALES["tiny"].trials(2)}
    comparisons = SCALES["tiny"].options.comparisons
    assert {comparison.kind for comparison in comparisons} == set(KINDS)
    assert conditions == {name for comparison in comparisons for name in comparison.conditions}
    assert SCALES["small"].options.comparisons == COMPARISONS


def test_comparisons_among_some_conditions() -> None:
    (depth,) = among({"depth-1", "depth-4", "gru"})
    assert depth.conditions == {"depth-1": "1 layer", "depth-4": "4 layers"}
    assert among({"gru"}) == ()
    assert [one.name for one in among({"performance"})] == ["performance"]


# ------------------------------------------------------------------------------------------------- what is said


def scored(low: float, high: float, when: str, others: float | None, measure: str) -> Discrimination:
    """A score with an interval of our own; that of node strength apart."""
    ends = (others, max(high, others)) if others is not None and measure == "node_strength" else (low, high)
    draws = np.repeat(ends, 500)  # quantiles at 2.5% and 97.5% are the ends
    return Discrimination(np.concatenate([[np.mean(ends)], draws]), 12, 2)


@pytest.mark.parametrize(
    ("low", "high", "others", "words"),
    [
        (0.51, 0.7, None, "holds"),
        (0.49, 0.7, 0.55, "in part"),
        (0.49, 0.59, None, "contradicted"),
        (0.49, 0.61, None, "undecided"),
        (0.5, 0.61, None, "undecided"),
    ],
)
def test_verdicts(
    results: Results, monkeypatch: pytest.MonkeyPatch, low: float, high: float, others: float | None, words: str
) -> None:
    monkeypatch.setattr(Answer, "score", lambda _, measure, when: scored(low, high, when, others, measure))
    _, after, before = of_kind("size")(results.measurements).claims
    assert after.words == "All five measures tell networks apart that differ in number of parameters"
    assert (after.verdict, before.verdict) == (words, words)


def test_the_initial_weights_say_nothing_for_a_verdict(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    def score(_: Answer, measure: str, when: str) -> Discrimination:
        return scored(0.4, 0.55, when, None, measure) if when == "after" else scored(0.9, 0.95, when, None, measure)

    monkeypatch.setattr(Answer, "score", score)
    _, after, before = of_kind("size")(results.measurements).claims
    assert (after.verdict, before.verdict) == ("contradicted", "holds")
    assert "training surely adds for none" in after.numbers


def test_the_page_says_all(results: Results, answers: dict[str, Answer]) -> None:
    text = markdown(results, command="axonometry paper ijcai2024 --scale small")
    assert "trained 48 of 48 networks" in text
    assert "nan" not in text.replace("explanation", "")
    kind = answers["kind"]
    assert f"| link weights | {kind.gain('link_weights')} | {kind.scores['link_weights', 'after'].auc} |" in text
    assert "## Networks that differ in performance" in text
    assert "*Narrow or wide?* n = 12: `narrow` (narrow networks); `wide` (wide). Confounded: The width." in text
    assert len(results.claims) == 4 * 3 + 1


def test_the_html_page_has_a_tab_a_kind(results: Results, answers: dict[str, Answer]) -> None:
    made = results_page(results)
    kinds = ["Size", "Type", "Activation", "Performance"]
    assert [tab.name for tab in made.tabs] == ["Summary", *kinds, "Against weights", "Definitions"]
    figures = [block for block in made.tabs[1].blocks if isinstance(block, Figure)]
    assert [len(figure.panels) for figure in figures] == [1, *[2] * (len(MEASURES) + 1)]  # before and after training
    drawn = np.concatenate([trace.x for trace in figures[0].panels[0].figure.data])
    values = [score.auc.value for score in answers["width"].scores.values()]
    np.testing.assert_allclose(np.sort(drawn), np.sort(values), rtol=1e-6)
    (last,) = [tab for tab in made.tabs if tab.name == "Performance"]
    legend = next(b for b in last.blocks if isinstance(b, Figure) and len(b.panels) > 1).legend
    assert [key.name for key in legend] == [LOW, HIGH]
    assert "do these measures tell networks apart?" in made.html()


def test_densities_are_densities(answers: dict[str, Answer]) -> None:
    curves = density_curves(sections.pooled_values(answers["kind"]))
    assert set(curves["name"]) == {"dense", "autoencoder", "GRU"}  # what narrow, copying and gru are called
    assert list(dict.fromkeys(curves["group"])) == ["before training", "after training"]
    for place, rows in curves.groupby(["name", "group", "metric"], sort=False):
        assert np.trapezoid(rows["density"], rows["x"]) == pytest.approx(1, abs=0.02), place
    assert set(curves["metric"]) == {*MEASURES, CONTROL}
    assert reading.VALUES == 200


def test_the_medium_scale_asks_the_harder_questions() -> None:
    trials, comparisons = SCALES["medium"].trials(5), SCALES["medium"].options.comparisons
    assert [one.name for one in comparisons] == ["smooth-activation", "near-width", "noisy-labels", "seed-alone"]
    conditions: dict[str, list[Any]] = {}
    for trial in trials:
        conditions.setdefault(trial.condition, []).append(trial.configuration)
        assert trial.configuration.dataset == "mnist-14"
    assert {name for one in comparisons for name in one.conditions} == set(conditions)
    assert {name: len(some) for name, some in conditions.items() if len(some) != 5} == {"seeds-14": 10}
    alike = conditions["seeds-14"]
    assert len({replace(one, seed=0).identity for one in alike}) == 1  # they differ by their seed alone
    for name, some in conditions.items():
        if name != "seeds-14":
            assert [c.seed for c in some] == [c.seed for c in conditions["relu-14"]]


@pytest.mark.usefixtures("in_this_process")
def test_networks_of_one_draw_share_a_group_and_seeds_alone_do_not(tmp_path: Path) -> None:
    common: dict[str, Any] = {"epochs": 1, "train_fraction": 0.1, "layers": 1, "units": 3}
    context = Context(Scale(lambda _: (), 1), 1, tmp_path)

    def grouped(**own: Any) -> list[str]:
        population = train_population(grid(**{**common, **own}), tmp_path / str(len(own)), workers=1)
        return sorted(measure_conditions(population, context)["group"])

    rates = {"choices": {"learning_rate": (0.001, 0.01)}}
    clean, noisy = grouped(**rates), grouped(**rates, label_noise=0.1)
    assert clean == noisy == ["0.001"] * 2 + ["0.01"] * 2  # before and after training
    assert len(set(grouped(choices={"seed": (0, 1, 2)}, units=4, layers=1))) == 3


def test_a_kind_that_a_scale_has_no_networks_of_is_not_claimed_about(tmp_path: Path) -> None:
    plan = EvaluationPlan()
    scale = Scale(lambda _: (), 1, options=ComparisonOptions((), plan))
    section = of_kind("type")(Measurements((), {}, {}, Context(scale, 1, tmp_path)))
    assert (section.claims, section.tables, section.figures) == ((), (), ())
    assert section.setup == "This scale has no such networks."
