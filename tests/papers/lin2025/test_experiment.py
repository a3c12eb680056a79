"""Paper 4's networks: the scales, what is measured of a run, and a section from training to page."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import axonometry as ax
from axonometry.errors import ConfigurationError, RunError
from axonometry.experiments import (
    Context,
    Experiment,
    Results,
    Scale,
    Trial,
    markdown,
    results_page,
    run,
)
from axonometry.papers.lin2025 import EXPERIMENT, measuring
from axonometry.papers.lin2025.measuring import MEASURES, MeasuredSnapshot, Sizes, measure_networks
from axonometry.papers.lin2025.scales import SCALES, spread
from axonometry.populations import RunConfiguration, train_population
from axonometry.populations.datasets import load_dataset, projected
from axonometry.program import capture
from axonometry.trajectory.verify import verify
from tests.inline import training_here

SIZES = Sizes(noised=15, ranked=40)
KEPT = {
    "lmap": ("tanh, 600 images", "linear, 600 images"),
    "phases": ("SGD 0.03", "SGD 0.2"),
    "third-phase": ("batch of 500",),
    "running-statistics": (
        "8 layers, momentum 0.01",
        "8 layers, momentum 0.1",
        "8 layers, momentum 1",
        "2 layers, momentum 0.1",
    ),
    "depth": ("2 layers of 16, batch norm", "8 layers of 16, batch norm and skips"),
    "flat-minima": ("batch of 16, rate 0.003", "batch of 1000, rate 0.003"),
    "grokking": ("addition modulo 23",),
    "double-descent": tuple(f"{loss}, width {n}" for loss in ("squared error", "cross entropy") for n in (2, 32, 256)),
}
"""Conditions of the tiny scale whose networks are trained here, shorter and smaller still."""


def short(trial: Trial) -> Trial:
    """The same question of a network that trains in a blink."""
    old = trial.configuration
    steps = 40 if "flat-minima" in trial.sections else 8
    widths = tuple(2 + width // 16 for width in old.widths or ())
    # Lengths that the sections tell conditions by stay apart: networks of eight layers get six.
    widths = widths[:6] if len(widths) > 6 else widths
    n = {"n_train": 30, "n_test": 19, "modulus": 7} if old.modulus else {"n_train": 60, "n_test": 60}
    records = (2, 4) if old.record_steps else ()
    new = replace(old, **n, widths=widths, max_steps=steps, record_steps=records, batch_size=min(20, old.batch_size))
    if "flat-minima" in trial.sections:
        new = replace(new, stop_at_train_loss=2.25)
    return replace(trial, configuration=new)


def few(seeds: int) -> list[Trial]:
    trials = SCALES["tiny"].trials(seeds)
    return [short(trial) for trial in trials if trial.condition in KEPT[trial.sections[0]]]


def experiment(trials: partial[list[Trial]] | None = None) -> Experiment:
    return replace(EXPERIMENT, scales={"short": Scale(trials or few, 2, options=SIZES)})


@pytest.fixture(scope="module", autouse=True)
def _few_draws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "PRECISION", 0.7)
        patch.setattr(measuring, "SAMPLE_DRAWS", 2)
        patch.setattr(measuring, "WEIGHT_DRAWS", 2)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lin2025")


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    with training_here():
        return run(experiment(), "short", folder=folder, workers=1)


# ------------------------------------------------------------------------------------------------ scales


@pytest.mark.parametrize("scale", SCALES)
def test_the_scales_are_whole(scale: str) -> None:
    trials = SCALES[scale].trials(2)
    assert len({trial.configuration for trial in trials}) == len(trials)
    assert {name for trial in trials for name in trial.sections} == set(EXPERIMENT.section_names) == set(MEASURES)
    assert {trial.configuration.seed for trial in trials} == {0, 1}
    for trial in trials:
        assert max((0, *(trial.configuration.record_steps or ()))) <= (trial.configuration.max_steps or 0)
        assert trial.configuration.n_train_evaluated in {1000, 2000}
    # Conditions are the same with every seed, and a name is one condition's.
    assert len({trial.condition for trial in trials}) == len(trials) / 2
    alike = {(trial.condition, replace(trial.configuration, seed=0)) for trial in trials}
    assert len(alike) == len(trials) / 2


def test_the_sizes_of_the_scales() -> None:
    medium = SCALES["medium"].trials(1)
    depths = {len(t.configuration.widths or ()) for t in medium if t.sections == ("depth",)}
    assert {2, 32, 100} <= depths
    assert len(medium) == 8 + 5 + 1 + 4 + 24 + 9 + 3 + 15
    assert [SCALES[name].seeds for name in ("tiny", "small", "medium", "full")] == [2, 3, 10, 10]
    # What takes long has a part of the seeds, and never one alone.
    seeds = {n: [t.configuration.seed for t in SCALES["medium"].trials(n) if "grokking" in t.sections] for n in (2, 10)}
    assert {n: sorted(set(found)) for n, found in seeds.items()} == {2: [0, 1], 10: [0, 1, 2]}
    assert spread(6000, 3, 10) == (10, 245, 6000)
    assert all(t.configuration.dataset in {"digits", "modular-addition"} for t in SCALES["tiny"].trials(1))


# ------------------------------------------------------------------------------------------------ measuring


@pytest.mark.usefixtures("in_this_process")
def test_what_is_measured_agrees_with_ranks_that_are_counted_one_by_one(tmp_path: Path) -> None:
    """Gradient as 12 (mean u - 1/2), of the network that the run recorded last."""
    configuration = RunConfiguration(
        family="mlp", widths=(6,), activation="tanh", n_train=200, n_test=60, max_steps=12, record_steps=(5,),
        n_train_evaluated=2000, batch_size=50, learning_rate=0.01,
    )  # fmt: skip
    population = train_population([configuration], tmp_path, workers=1)
    scale = Scale(lambda _: [Trial(configuration, "tiny", sections=("lmap",))], 1, options=SIZES)
    table = measure_networks(population, Context(scale, 1, tmp_path / "tables"))
    assert table["step"].tolist() == [0, 5, 12]
    last, state = table.iloc[-1], population.runs[configuration.identity].snapshots[12]
    data = load_dataset("digits")
    inputs, labels = data.test_inputs[:40].flatten(1), data.test_labels[:40]
    fields = (inputs @ state["fc1.weight"].T + state["fc1.bias"]).double()
    signs, slopes = state["fc2.weight"].sign(), []
    for k in labels.unique().tolist():
        for i in range(6):
            p = fields[:, i] * signs[k, i]
            ranks = torch.tensor([(p < x).sum() + ((p == x).sum() + 1) / 2 for x in p])
            slopes.append(12 * (float(((ranks - 0.5) / 40)[labels == k].mean()) - 0.5))
    assert last["gradient_1"] == pytest.approx(sum(slopes) / len(slopes), abs=1e-6)
    # The last group's truncation is the network itself.
    outputs = torch.tanh(fields.float()) @ state["fc2.weight"].T + state["fc2.bias"]
    assert last["ranked_accuracy"] == pytest.approx(float((outputs.argmax(1) == labels).double().mean()))
    assert (last["ranked"], last["noised"], last["layers"], last["width"], last["data"]) == (40, 15, 1, 6, "the digits")


def test_random_features_are_least_squares_of_least_norm() -> None:
    """Against numpy's own solver, on features that are made one by one."""
    data = projected(load_dataset("digits"), 5)
    data = replace(data, train_inputs=data.train_inputs[:40], train_labels=data.train_labels[:40])
    model = torch.nn.Linear(5, 120)  # 720 parameters, 72 a class: more than samples
    some = (data.test_inputs, data.test_labels)
    snapshot = MeasuredSnapshot(lambda: capture(model, data.test_inputs[:1]), model, some, some, some, data)
    source = torch.Generator().manual_seed(72)
    a, b = (torch.randn(*shape, generator=source, dtype=torch.float64).numpy() for shape in ((5, 72), (72,)))

    def features(inputs: torch.Tensor) -> np.ndarray:
        rows = inputs.double().numpy()
        return np.array([[max(0.0, float(row @ a[:, k]) / 5**0.5 + b[k]) for k in range(72)] for row in rows])

    solved = np.linalg.lstsq(features(data.train_inputs), np.eye(10)[data.train_labels.numpy()], rcond=None)[0]
    wrong = (features(data.test_inputs) @ solved).argmax(1) != data.test_labels.numpy()
    assert measuring.random_features_error(snapshot) == {"features_error": pytest.approx(wrong.mean())}


@pytest.mark.usefixtures("in_this_process")
def test_accuracy_behind_a_cut_is_that_of_the_matrix_behind_it(tmp_path: Path) -> None:
    """The layers behind the cut multiplied out by hand, folded batch norm with them."""
    configuration = RunConfiguration(
        family="mlp", widths=(7, 6, 5), normalisation="batch", n_train=200, n_test=60, max_steps=30, record_steps=(),
        n_train_evaluated=100, batch_size=50, learning_rate=0.03,
    )  # fmt: skip
    population = train_population([configuration], tmp_path, workers=1)
    scale = Scale(lambda _: [Trial(configuration, "tiny", sections=("late-layers",))], 1, options=SIZES)
    last = measure_networks(population, Context(scale, 1, tmp_path / "tables")).iloc[-1]
    s, data = population.runs[configuration.identity].snapshots[30], load_dataset("digits")
    x, labels = data.test_inputs[:40].flatten(1).double(), data.test_labels[:40]

    def layer(h: torch.Tensor, k: int) -> torch.Tensor:
        h = h @ s[f"fc{k}.weight"].double().T + s[f"fc{k}.bias"]
        norm = {name: s[f"fc{k}_norm.{name}"].double() for name in ("running_mean", "running_var", "weight", "bias")}
        h = (h - norm["running_mean"]) / (norm["running_var"] + 1e-5).sqrt()
        return h * norm["weight"] + norm["bias"]

    for cut in range(4):
        h = x
        for k in (1, 2, 3):
            h = layer(h, k)
            h = h.relu() if k <= cut else h
        outputs = h @ s["fc4.weight"].double().T + s["fc4.bias"]
        assert last[f"cut_{cut}"] == pytest.approx(float((outputs.argmax(1) == labels).double().mean()))


def test_every_measure_is_taken_at_its_moments(results: Results) -> None:
    table = results.measurements.table
    for trial in results.measurements.trials:
        rows = table[table["run"] == trial.configuration.identity].set_index("step")
        section, steps = trial.sections[0], set(rows.index)
        assert rows[["test_accuracy", "train_accuracy", "train_loss"]].notna().all(axis=None)
        column = "sample_basin" if section in {"depth", "flat-minima"} else "gradient_1"
        column = "batch_test_accuracy" if section == "running-statistics" else column
        wanted = {"depth": {8}, "double-descent": {8}, "flat-minima": {max(steps)}}
        assert set(rows.index[rows[column].notna()]) == wanted.get(section, steps)
    one = table[table["condition"] == "addition modulo 23"].iloc[-1]
    for column in ("rate_1", "dead_1", "weight_basin", "train_sample_basin", "sample_basin_mean"):
        assert 0 <= one[column] <= measuring.LARGEST
    classes = table.filter(regex="^sample_basin_class_").loc[table["data"] == "the digits"]
    assert classes.notna().any().sum() == len(load_dataset("digits").test_labels[:15].unique())
    assert table["sharpness"].notna().sum() == table["train_weight_basin"].notna().sum() == 4
    cut = table[table["cut_6"].notna()]
    assert (cut["step"].tolist(), len(cut.filter(regex="^cut_").dropna(axis=1).columns)) == ([8] * 4, 7)
    assert table["features_error"].notna().sum() == 12


def test_networks_are_ordinary_runs(results: Results, folder: Path) -> None:
    name = results.measurements.trials[0].configuration.identity
    loaded = ax.load(folder / "networks" / name)
    assert loaded.complete
    assert loaded.steps == (0, 2, 4, 8)
    assert loaded.configuration["family"] == "mlp"
    assert {"accuracy", "train_accuracy", "train_eval_loss"} <= set(loaded.scalars())
    assert verify(folder / "networks" / name) == ()


# ------------------------------------------------------------------------------------------------ from end to end


def test_all_sections_are_read_and_written(results: Results, tmp_path: Path) -> None:
    assert tuple(results.sections) == EXPERIMENT.section_names
    assert (results.networks, results.trained, results.not_run) == (40, 40, ())
    text = markdown(results, command="axonometry paper lin2025 --scale short")
    page = results_page(results).write(tmp_path / "page.html").read_text(encoding="utf-8")
    for section in results.sections.values():
        assert section.claims
        assert section.figures
        assert all(len(table.columns) == len(row) for table in section.tables for row in table.rows)
        for claim in section.claims:
            assert claim.numbers
            assert claim.words in text
            assert claim.words in html.unescape(page)
    assert "nan" not in text.split()


def test_a_second_call_trains_nothing_and_finds_the_same(results: Results, folder: Path) -> None:
    again = run(experiment(), "short", folder=folder, workers=1)
    assert again.trained == 0
    # As text: an interval of two seeds may have no end, and NaN differs from itself.
    assert [repr(one.claims) for one in again.sections.values()] == [
        repr(one.claims) for one in results.sections.values()
    ]


@pytest.mark.usefixtures("in_this_process")
def test_networks_that_diverge_are_named_and_left_out(results: Results, folder: Path) -> None:
    # ``results`` comes first: it counts what it trained into the same folder.
    assert results.trained

    def wild(seeds: int) -> list[Trial]:
        trials = [trial for trial in few(1) if "phases" in trial.sections]
        broken = replace(trials[1].configuration, learning_rate=1e30)
        return [*trials, Trial(broken, "wild", sections=("phases",))]

    found = run(experiment(wild), "short", folder=folder, only=["phases"], workers=1)
    section = found.sections["phases"]
    assert section.setup.endswith("diverged, to which nothing here applies: wild, seed 0.")
    assert "wild" not in str(section.tables)
    assert {claim.verdict for claim in section.claims} == {"undecided"}
    with pytest.raises(RunError, match="some network of phases learns without diverging"):
        run(experiment(lambda seeds: wild(seeds)[2:]), "short", folder=folder, only=["phases"], workers=1)


def test_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such section: lmaps"):
        run(EXPERIMENT, "tiny", only=["lmaps"], folder=tmp_path)
    with pytest.raises(ConfigurationError, match="no such scale: large"):
        run(EXPERIMENT, "large", folder=tmp_path)
    with pytest.raises(ConfigurationError, match="at least 1"):
        run(EXPERIMENT, "tiny", seeds=0, folder=tmp_path)
