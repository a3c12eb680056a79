"""The page on prediction where most networks learn, from the populations of paper 3's scale medium.

    axonometry paper cikm2022 --scale medium --folder FOLDER     # trains them, or some of them
    python docs/make_predictions.py FOLDER

writes docs/results/cikm2022-learning.md and the data that it is made of. What is computed is kept in FOLDER/tables.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from axonometry.cli.terminal import json_value
from axonometry.experiments import (
    Claim,
    Experiment,
    Measurements,
    Scale,
    Section,
    cross_table,
    estimate_of_row,
    plain,
    write_markdown,
)
from axonometry.experiments.cache import cached
from axonometry.experiments.claims import corrected
from axonometry.experiments.experiment import Context
from axonometry.experiments.running import QUANTILES, Results
from axonometry.files import write_text
from axonometry.integrations.pruning import Design, compare_settings, pruner_summary
from axonometry.populations import Population, load_population
from axonometry.predict import EvaluationPlan, RunTable, evaluate, read_runs, transfer
from axonometry.report.page import Table
from axonometry.statistics import REALS, Estimate

PAGE = Path(__file__).parent / "results/cikm2022-learning.md"
DATA = PAGE.parent / "data/cikm2022-learning.json"
COMMAND = "python docs/make_predictions.py FOLDER"
POPULATIONS = {
    "lenet": "LeNet, Fashion-MNIST 14 x 14 (`changes` were chosen here)",
    "mlp": "MLP 64-32, Fashion-MNIST 14 x 14",
    "resnet-8": "ResNet-8, Fashion-MNIST 14 x 14",
    "signal-mlp": "MLP 64-32, MNIST-1D",
    "signal-convolutional": "convolutional, MNIST-1D",
    "signal-recurrent": "GRU, MNIST-1D",
    "vgg": "VGG-like, Fashion-MNIST 14 x 14",
    "alexnet": "AlexNet-like, Fashion-MNIST 14 x 14",
    "lenet-half": "LeNet of half the width, Fashion-MNIST 14 x 14",
    "lenet-double": "LeNet of twice the width, Fashion-MNIST 14 x 14",
    "cifar": "LeNet, CIFAR-10 16 x 16",
}
OTHERS = {
    "lenet-quadruple": "LeNet of four times the width, Fashion-MNIST 14 x 14",
    "resnet-14": "ResNet-14, Fashion-MNIST 14 x 14",
}
"""Populations of 20 and 30 runs: too few to learn from, enough to be predicted from others."""
UNSEEN = (
    ("lenet", "mlp", "resnet-8", "vgg", "alexnet"),
    ("signal-mlp", "signal-convolutional", "signal-recurrent"),
)
"""Architectures on the same data: each is predicted from the others."""
TRANSFERS = (
    ("lenet-half", "lenet"),
    ("lenet-half", "lenet-double"),
    ("lenet-half", "lenet-quadruple"),
    ("lenet", "lenet-double"),
    ("lenet", "lenet-quadruple"),
    ("resnet-8", "resnet-14"),
    ("lenet", "cifar"),
    ("cifar", "lenet"),
)
"""What is learned from, what is predicted: wider, deeper, other data."""
CHANCE, LEARNED, PAPERS_ACCURACY = 0.1, 0.2, 0.93
"""Accuracy of a guess among ten classes; from which on a network has learned something; the paper's share right."""
CURVE, CHANGES, BOTH, BESIDE = "curve", "changes", "changes+curve", "hyperparameters+curve"
SHARE = (0.0, 1.0)
DEGREE = "degree"
TRANSFERRED = (DEGREE, CHANGES, CURVE, BOTH)
KNOWN, FEW = 5, (30, 60)
"""Epochs that are read; numbers of runs to learn from."""
PLAN = {"folds": 5, "repeats": 10}
DESIGN = Design(features=BOTH, epochs=KNOWN, trials=20, splits=3, studies=6, trees=20)
PAPER, OURS = "2111.05410", "no paper: what stands beside the graph"
MORE = "the paper's grids on all images, 2,000 runs an architecture, at scale full: for GPUs"
HOW = """\
- Hyper-parameters are drawn at random; final accuracies are those after ten epochs. A run is one sample.
- `changes` are 63 numbers: how far the layers have come since the start, by relative depth; they were chosen on the
  first population alone. `curve` is validation accuracy and loss and training loss so far.
- R², AUC (above or below the median) and Kendall's τ: 5 folds, 10 repeats, each fitted anew; intervals are corrected
  for the runs that folds share (Nadeau and Bengio 2003). Of unseen architectures: bootstrap of configurations.
- An earlier page judged the paper's own grid on CIFAR-10 by networks of which most never learned; its verdicts are
  withdrawn ([why](cikm2022.md)).
"""


@dataclass(frozen=True)
class Known:
    """The populations that are there, and where tables are kept."""

    folder: Path
    populations: Mapping[str, Population]
    tables: Mapping[str, RunTable]

    @property
    def learned_from(self) -> dict[str, RunTable]:
        """Without those that are too small to be learned from."""
        return {name: table for name, table in self.tables.items() if name in POPULATIONS}

    def frame(self, name: str) -> pd.DataFrame:
        """Features, final accuracy and group of a population's runs."""
        return _joined(self.tables[name])

    def scores(self, name: str, sets: tuple[str, ...], epochs: int, runs: int | None = None) -> pd.DataFrame:
        """Scores and differences to the first set, and the coverage of the intervals, of some runs."""
        frame = self.frame(name)
        if runs is not None:
            frame = frame.iloc[np.sort(np.random.default_rng(0).permutation(len(frame))[:runs])]
        return cached(self.folder, score_table, frame, sets, epochs)


def _joined(table: RunTable) -> pd.DataFrame:
    return table.features.assign(final=table.final_accuracy, group=table.groups.astype(str))


def score_table(frame: pd.DataFrame, sets: tuple[str, ...], epochs: int) -> pd.DataFrame:
    """What :func:`axonometry.predict.evaluate` found, in one table with a column ``kind``."""
    table = RunTable(frame.drop(columns=["final", "group"]), frame["final"], frame["group"])
    plan = EvaluationPlan(**PLAN, reference=sets[0])
    found = evaluate(table, sets, [epochs], plan=plan)
    parts = {"score": found.scores, "gain": found.differences, "coverage": found.coverage}
    return pd.concat([part.assign(kind=kind) for kind, part in parts.items()], ignore_index=True)


def learned_table(frame: pd.DataFrame) -> pd.DataFrame:
    """How well degree and curve tell what has learned, in one cut into folds."""
    table = RunTable(frame.drop(columns=["final", "group"]), frame["final"], frame["group"])
    plan = EvaluationPlan(folds=5, reference=CURVE, threshold=LEARNED)
    return evaluate(table, (CURVE, DEGREE), [KNOWN], plan=plan).scores.assign(kind="score")


def transfer_table(known: pd.DataFrame, other: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """How well one population is predicted from others."""
    from_, to = (RunTable(one.drop(columns=["final", "group"]), one["final"], one["group"]) for one in (known, other))
    return transfer(from_, to, TRANSFERRED, (1, 3), plan=EvaluationPlan(threshold=threshold)).scores


def main() -> None:
    """Evaluate, and write the page and its data."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder of populations")
    folder, start = parser.parse_args().folder, time.monotonic()
    populations = {name: load_population(folder / name) for name in POPULATIONS | OTHERS if (folder / name).is_dir()}
    tables = {name: _table(one, folder / "tables") for name, one in populations.items()}
    known = Known(folder / "tables", populations, tables)
    made = {make.__name__.replace("_", "-"): make(known) for make in SECTIONS}
    results = _results(known, made, time.monotonic() - start)
    write_markdown(results, PAGE, command=COMMAND)
    write_text(DATA, json.dumps(json_value(plain(results, command=COMMAND)), ensure_ascii=False) + "\n")


def _table(population: Population, folder: Path) -> RunTable:
    frame = cached(folder, feature_frame, population)
    return RunTable(frame.drop(columns=["final", "group"]), frame["final"], frame["group"])


def feature_frame(population: Population) -> pd.DataFrame:
    """The features of all runs, with the final accuracy and what is never split."""
    table = read_runs(
        list(population.runs.values()), epochs=KNOWN, features=f"{DEGREE}+{CHANGES}+{BESIDE}", per_group=False
    )
    return _joined(table)


def _results(known: Known, made: Mapping[str, Section], seconds: float) -> Results:
    claims = corrected({name: section.claims for name, section in made.items()})
    sections = {
        name: Section(one.title, one.setup, claims[name], one.tables, one.figures) for name, one in made.items()
    }
    scale = Scale(lambda seeds: (), about="Populations of `axonometry paper cikm2022 --scale medium`.")
    about = "The final accuracy of networks, predicted after an epoch or a few, beside what is simpler."
    experiment = Experiment(
        "cikm2022-learning", "Prediction where most networks learn", {"medium": scale}, ("link_weights",),
        SECTIONS, about=about, how=HOW,
    )  # fmt: skip
    networks = sum(map(len, known.populations.values()))
    words = f"{networks} networks of {len(known.populations)} populations"
    kept = {"networks": networks, "read_from": dict.fromkeys(sections, words)}
    measurements = Measurements((), known.populations, {}, Context(scale, 0, known.folder))
    return Results(experiment, "medium", sections, _conditions(known), measurements, 0, seconds, kept)


def _conditions(known: Known) -> pd.DataFrame:
    rows = []
    for name, table in known.tables.items():
        first = next(iter(known.populations[name].runs.values()))
        size = sum(tensor.numel() for tensor in first.snapshots[first.steps[0]].values())
        about = {
            "condition": name,
            "title": (POPULATIONS | OTHERS)[name],
            "networks": len(table.groups),
            "parameters": size,
        }
        spread = dict(zip(QUANTILES, table.final_accuracy.quantile(list(QUANTILES.values())), strict=True))
        rows.append(about | {"seeds": len(table.groups), "performance": "accuracy"} | spread)
    return pd.DataFrame(rows)


def _estimate(found: pd.DataFrame, n: int, kind: str, features: str, score: str = "r2") -> Estimate:
    rows = found[(found["kind"] == kind) & (found["features"] == features) & (found["score"] == score)]
    within = SHARE if score in ("accuracy", "auc") and kind == "score" else REALS
    return estimate_of_row(rows[["value", "low", "high"]].iloc[0].to_dict(), n, "runs", within=within)


def _gains(known: Known, reference: str, runs: int | None = None) -> dict[str, Estimate]:
    """By population, R² of the curve with changes less that of something else after one epoch."""
    return {
        name: _estimate(known.scores(name, (reference, BOTH), 1, runs), runs or len(table.groups), "gain", BOTH)
        for name, table in known.learned_from.items()
    }


def _verdict(gains: Mapping[str, Estimate]) -> str:
    better, worse = (sum(test) for test in ([g.low > 0 for g in gains.values()], [g.high < 0 for g in gains.values()]))
    open_ = len(gains) - better - worse
    return f"surely better in {better} of {len(gains)} populations, surely worse in {worse}, undecided in {open_}"


def _one_by_one(words: str, gains: Mapping[str, Estimate]) -> tuple[Claim, ...]:
    return tuple(
        Claim.above(f"{words}: {POPULATIONS[name]}", gain, numbers=f"R² more by {gain.text()}, n = {gain.n}").stated(
            OURS, settled_by=MORE
        )
        for name, gain in gains.items()
    )


def after_one_epoch(known: Known) -> Section:
    """What changes of the weights add to the curve of one epoch."""
    gains, cells = _gains(known, CURVE), {}
    for name, table in known.learned_from.items():
        found = known.scores(name, (CURVE, BOTH), 1)
        cells[POPULATIONS[name], f"reach {LEARNED:.0%}"] = f"{(table.final_accuracy >= LEARNED).mean():.0%}"
        for score, shown in {"r2": "R²", "auc": "AUC", "tau": "τ"}.items():
            for who, words in {CURVE: "curve", BOTH: "curve and changes"}.items():
                cells[POPULATIONS[name], f"{shown}: {words}"] = _estimate(found, len(table.groups), "score", who, score)
        cells[POPULATIONS[name], "R² more than the curve"] = gains[name]
    setup = f"In short: beside the curve alone, the curve with `changes` is {_verdict(gains)}."
    claims = _one_by_one("After one epoch the curve with `changes` predicts more than the curve", gains)
    table = cross_table("After one epoch", "population", cells)
    return Section("Do changes of the weights say more than the curve after one epoch?", setup, claims, (table,))


def beside_choices(known: Known) -> Section:
    """The same beside hyper-parameters."""
    gains, cells = _gains(known, BESIDE), {}
    for name, gain in gains.items():
        found, n = known.scores(name, (BESIDE, BOTH), 1), gain.n
        cells[POPULATIONS[name], "hyper-parameters and curve"] = _estimate(found, n, "score", BESIDE)
        cells[POPULATIONS[name], "curve and changes"] = _estimate(found, n, "score", BOTH)
        cells[POPULATIONS[name], "difference"] = gain
    setup = f"In short: beside the curve with hyper-parameters, the curve with `changes` is {_verdict(gains)}."
    words = "After one epoch the curve with `changes` predicts more than the curve with hyper-parameters"
    table = cross_table("R² after one epoch", "population", cells)
    return Section("Do they say more than hyper-parameters?", setup, _one_by_one(words, gains), (table,))


def by_runs(known: Known) -> Section:
    """The same of fewer runs."""
    by = {runs: _gains(known, CURVE, runs) for runs in FEW} | {None: _gains(known, CURVE)}
    cells = {
        (POPULATIONS[name], f"{runs} runs" if runs else "all runs"): gain
        for runs, gains in by.items()
        for name, gain in gains.items()
    }
    worse = sum(gain.high < 0 for gains in by.values() for gain in gains.values())
    setup = (
        "Some runs of each population, drawn with one seed, R² after one epoch of the curve with `changes` less the "
        f"curve's. Surely worse in {worse} of {len(cells)} cases."
    )
    table = cross_table("R² more than the curve, by the number of runs", "population", cells)
    return Section("From how many runs on?", setup, (), (table,))


def weighted_degree(known: Known) -> Section:
    """The paper's classifier."""
    claims, cells = [], {}
    for name, table in known.learned_from.items():
        found, n = cached(known.folder, learned_table, known.frame(name)), len(table.groups)
        good = float((table.final_accuracy >= LEARNED).mean())
        degree, curve = (_estimate(found, n, "score", who, "accuracy") for who in (DEGREE, CURVE))
        title = POPULATIONS[name].split(" (")[0]
        numbers = (
            f"{degree.text()}, n = {n}; always saying the larger class {max(good, 1 - good):.2f}; curve {curve.text()}"
        )
        words = (
            f"The weighted degree of {KNOWN} epochs puts more than {PAPERS_ACCURACY:.0%} of the runs on the right "
            f"side of *learned* ({LEARNED:.0%}): {title}"
        )
        claims.append(
            Claim.above(words, degree, PAPERS_ACCURACY, numbers=numbers).stated(PAPER, still=True, settled_by=MORE)
        )
        cells |= {
            (title, "degree"): degree,
            (title, "curve"): curve,
            (title, "larger class"): f"{max(good, 1 - good):.2f}",
        }
    setup = "The paper's classifier, on its claim of LeNet; the classes, the learners and the folds are ours."
    table = cross_table(f"Share right, {KNOWN} epochs known", "population", cells)
    return Section("Does the weighted degree tell what will have learned?", setup, tuple(claims), (table,))


def intervals(known: Known) -> Section:
    """Whether predictions lie where intervals say."""
    rows = []
    for name in known.learned_from:
        found = known.scores(name, (CURVE, BOTH), 1)
        part = found[(found["kind"] == "coverage") & (found["features"] == BOTH)]
        cells = (
            f"{r['covered']:.2f} [{r['low']:.2f}, {r['high']:.2f}], width {r['width']:.2f}" for _, r in part.iterrows()
        )
        rows.append((POPULATIONS[name], *cells))
    setup = "Share of final accuracies inside, by predicted third, with exact intervals, and the mean width."
    heads = ("population", "low third", "middle third", "high third")
    return Section("Do 90 % intervals hold?", setup, (), (Table(heads, tuple(rows), "Coverage after one epoch"),))


def unseen(known: Known) -> Section:
    """Architectures that were not learned from."""
    pairs = list(_pairs(known.tables))
    rows, by_set = _transferred(known, pairs)
    setup = f"{_AUC}; learned from the other architectures on the same data."
    degree = "The weighted degree tells which networks of an unseen architecture come out well"
    changes = "Changes of the weights alone tell which networks of an unseen architecture come out well"
    claims = (
        _told(degree, by_set[DEGREE], 0.5).stated(PAPER, still=True, settled_by=MORE),
        _told(changes, by_set[CHANGES], 0.5).stated(OURS, settled_by=MORE),
        _told("With the curve, their AUC is above 0.9", by_set[BOTH], 0.9).stated(OURS, settled_by=MORE),
    )
    return Section("Unseen architectures", setup, claims, (Table(_HEADS, rows, "AUC"),))


def wider_and_others(known: Known) -> Section:
    """Wider and deeper networks, and other data."""
    pairs = [(to, [from_]) for from_, to in TRANSFERS if {from_, to} <= known.populations.keys()]
    rows, by_set = _transferred(known, pairs)
    names = [name for name in by_set[DEGREE] if name.startswith("lenet") and "from cifar" not in name]
    degree, changes = ({name: by_set[which][name] for name in names} for which in (DEGREE, CHANGES))
    setup = f"{_AUC}; learned from narrower networks, shallower ones, other data."
    claims = (
        _told("The weighted degree of narrow LeNets tells which wider ones come out well", degree, 0.5).stated(
            PAPER, still=True, settled_by=MORE
        ),
        _told("Changes of the weights of narrow LeNets tell which wider ones come out well", changes, 0.5).stated(
            OURS, settled_by=MORE
        ),
    )
    return Section("Wider and deeper networks, other data", setup, claims, (Table(_HEADS, rows, "AUC"),))


_AUC = "AUC for half of the way from a guess to the best network of the population"
_HEADS = ("predicted", "runs", "come out well", "learned from", "epochs known", *TRANSFERRED)
Rows = tuple[tuple[str | Estimate, ...], ...]


def _transferred(
    known: Known, pairs: Sequence[tuple[str, Sequence[str]]]
) -> tuple[Rows, dict[str, dict[str, Estimate]]]:
    """Rows of a table of AUCs, and by set of features the AUC of each pair and number of epochs."""
    rows: list[tuple[str | Estimate, ...]] = []
    by_set: dict[str, dict[str, Estimate]] = {which: {} for which in TRANSFERRED}
    for unseen, others in pairs:
        own = known.frame(unseen)
        n, threshold = len(own), (CHANCE + float(own["final"].max())) / 2
        good = int((own["final"] > threshold).sum())
        frames = pd.concat([known.frame(name) for name in others], join="inner")
        found = cached(known.folder, transfer_table, frames, own, threshold)
        for epochs, part in found[found["score"] == "auc"].groupby("epochs"):
            of = part.to_dict("records")
            aucs = {row["features"]: estimate_of_row(row, n, "runs", within=SHARE) for row in of}
            rows.append(
                (unseen, str(n), str(good), ", ".join(others), str(epochs), *(aucs[which] for which in TRANSFERRED))
            )
            for which in TRANSFERRED:
                by_set[which][f"{unseen} from {', '.join(others)} after {epochs}"] = aucs[which]
    return tuple(rows), by_set


def _told(words: str, found: Mapping[str, Estimate], above: float) -> Claim:
    numbers = "AUC " + "; ".join(f"{name} {one.text()}" for name, one in found.items())
    return Claim.above(words, list(found.values()), above, numbers=numbers)


def _pairs(tables: Mapping[str, RunTable]) -> Iterator[tuple[str, Sequence[str]]]:
    for alike in UNSEEN:
        for unseen in (name for name in alike if name in tables):
            yield unseen, [name for name in alike if name in tables and name != unseen]


def pruning(known: Known) -> Section:
    """What stopping early costs in good runs."""
    found = []
    for name in known.learned_from:
        studies = cached(known.folder, study_table, known.populations[name], known.frame(name), DESIGN)
        found.append(studies.assign(split=name + "." + studies["split"].astype(str)))
    rows = pruner_summary(pd.concat(found, ignore_index=True)).to_dict("records")
    heads = {
        "good_stopped": "good runs stopped",
        "saved": "epochs saved",
        "kept": "best found",
        "lost": "accuracy lost",
    }
    cells = {
        (row["pruner"], heads[row["quantity"]]): estimate_of_row(row, row["studies"], "studies")
        for row in sorted(rows, key=lambda row: list(heads).index(row["quantity"]) if row["quantity"] in heads else 9)
        if row["quantity"] in heads
    }
    setup = (
        f"{DESIGN.splits * DESIGN.studies} Optuna studies of {DESIGN.trials} trials a population, replayed over the "
        "recorded runs, the same for every setting; predictors were fitted to the other half of the runs. A run is "
        "good where its final accuracy is in the upper quarter of its study. *Predicted*: stopped where the upper end "
        f"of the interval (`{BOTH}`) lies below the best so far, as `StopBelow` does by a threshold; *curve families*: "
        "the same of the mean of four fitted curves plus a margin; ASHA is Optuna's successive halving. Intervals: "
        "bootstrap of splits, then studies."
    )
    table = cross_table("What stopping early costs, by setting", "setting", cells)
    return Section("How many good runs does a pruner stop?", setup, (), (table,))


def study_table(population: Population, frame: pd.DataFrame, design: Design) -> pd.DataFrame:
    """The studies of a population, replayed at each setting."""
    table = RunTable(frame.drop(columns=["final", "group"]), frame["final"], frame["group"])
    return compare_settings(population, design, table=table)


SECTIONS = (
    after_one_epoch,
    beside_choices,
    intervals,
    unseen,
    wider_and_others,
    weighted_degree,
    by_runs,
    pruning,
)


if __name__ == "__main__":
    main()
