"""Paper 4's networks: the scales, what is measured of a run, and a section from training to page."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

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
from axonometry.papers.lin2025.measuring import MEASURES, Sizes, measure_networks
from axonometry.papers.lin2025.scales import SCALES, spread
from axonometry.populations import RunConfiguration, train_population
from axonometry.populations.datasets import load_dataset
from axonometry.trajectory.verify import verify

SIZES = Sizes(noised=15, ranked=40)
KEPT = {
    "lmap": ("tanh, 600 images", "linear, 600 images"),
    "phases": ("SGD 0.03", "SGD 0.2"),
    "depth": ("1 layer of 16, he", "4 layers of 16, he"),
    "flat-minima": ("batch of 16", "batch of 1000"),
    "grokking": ("addition modulo 23",),
    "double-descent": ("width 2", "width 64"),
}
"""Conditions of the tiny scale whose networks are trained here, shorter and smaller still."""


def short(trial: Trial) -> Trial:
    """The same question of a network that trains in a blink."""
    old = trial.configuration
    steps = 40 if "flat-minima" in trial.sections else 8
    widths = tuple(2 + width // 16 for width in old.widths or ())
    n = {"n_train": 30, "n_test": 19, "modulus": 7} if old.modulus else {"n_train": 60, "n_test": 60}
    records = (2, 4) if old.record_steps else ()
    new = replace(old, **n, widths=widths, max_steps=steps, record_steps=records, batch_size=min(20, old.batch_size))
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
    return run(experiment(), "short", folder=folder, workers=1)


# ------------------------------------------------------------------------------------------------ scales


@pytest.mark.parametrize("scale", SCALES)
def test_the_scales_are_whole(scale: str) -> None:
    trials = SCALES[scale].trials(2)
    assert len({trial.configuration for trial in trials}) == len(trials)
    assert {trial.sections[0] for trial in trials} == set(EXPERIMENT.section_names) == set(MEASURES)
    assert {trial.configuration.seed for trial in trials} == {0, 1}
    for trial in trials:
        assert max((0, *(trial.configuration.record_steps or ()))) <= (trial.configuration.max_steps or 0)
        assert trial.configuration.n_train_evaluated == 2000
    # Conditions are the same with every seed, and a name is one condition's.
    assert len({trial.condition for trial in trials}) == len(trials) / 2
    alike = {(trial.condition, replace(trial.configuration, seed=0)) for trial in trials}
    assert len(alike) == len(trials) / 2


def test_the_sizes_of_the_scales() -> None:
    small = SCALES["small"].trials(1)
    depths = {len(t.configuration.widths or ()) for t in small if t.sections == ("depth",)}
    assert {1, 30, 100} <= depths
    assert len(small) == 14 + 4 + 27 + 5 + 3 + 11
    assert [SCALES[name].seeds for name in ("tiny", "small", "full")] == [2, 3, 5]
    assert spread(6000, 3, 10) == (10, 245, 6000)
    assert all(t.configuration.dataset in {"digits", "modular-addition"} for t in SCALES["tiny"].trials(1))


# ------------------------------------------------------------------------------------------------ measuring


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


def test_every_measure_is_taken_at_its_moments(results: Results) -> None:
    table = results.measurements.table
    for trial in results.measurements.trials:
        rows = table[table["run"] == trial.configuration.identity].set_index("step")
        section, steps = trial.sections[0], set(rows.index)
        assert rows[["test_accuracy", "train_accuracy", "train_loss"]].notna().all(axis=None)
        column = "sample_basin" if section in {"depth", "flat-minima"} else "gradient_1"
        wanted = {"depth": {8}, "double-descent": {8}, "flat-minima": {max(steps)}, "grokking": {0, 8}}
        assert set(rows.index[rows[column].notna()]) == wanted.get(section, steps)
    one = table[table["condition"] == "addition modulo 23"].iloc[-1]
    for column in ("rate_1", "dead_1", "weight_basin", "train_sample_basin", "sample_basin_mean"):
        assert 0 <= one[column] <= measuring.LARGEST
    classes = table.filter(regex="^sample_basin_class_").loc[table["data"] == "the digits"]
    assert classes.notna().any().sum() == len(load_dataset("digits").test_labels[:15].unique())
    assert table["sharpness"].notna().sum() == table["train_weight_basin"].notna().sum() == 4


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
    assert (results.networks, results.trained, results.not_run) == (22, 22, ())
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
    assert [one.claims for one in again.sections.values()] == [one.claims for one in results.sections.values()]


def test_networks_that_diverge_are_named_and_left_out(results: Results, folder: Path) -> None:
    # ``results`` comes first: it counts what it trained into the same folder.
    assert results.trained

    def wild(seeds: int) -> list[Trial]:
        trials = [trial for trial in few(1) if trial.sections == ("phases",)]
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
