"""The page on what is known before training: zero-cost proxies and the initial network's measures.

    axonometry paper cikm2022 --scale medium --folder FOLDER     # trains the populations, or some of them
    python docs/make_proxies.py FOLDER --data DATA

writes docs/results/proxies.md. Proxies are kept in FOLDER/tables: the same command resumes.
"""

from __future__ import annotations

import argparse
import math
import platform
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import axonometry as ax
from axonometry.experiments.cache import cached
from axonometry.experiments.markdown import markdown_table
from axonometry.files import write_text
from axonometry.metrics.zero_cost import PROXIES
from axonometry.populations import Population, load_population
from axonometry.populations.training import dataset_of
from axonometry.predict import EvaluationPlan, RunTable, evaluate, read_runs
from axonometry.predict.coverage import opened_ends
from axonometry.predict.scores import resamples, scores

PAGE = Path(__file__).parent / "results/proxies.md"
POPULATIONS = ("lenet", "lenet-half", "lenet-double", "lenet-quadruple", "mlp", "resnet-8", "alexnet", "vgg")
"""All on 14 x 14 Fashion-MNIST; the first that is there of each is read."""
TOGETHER = "together"
SAMPLES, FEWEST = 32, 20
SETS = ("parameters", "proxies", "initial", "hyperparameters", "proxies+hyperparameters")
Cells = dict[str, tuple[float, float, float] | None]
PLAN = EvaluationPlan(folds=5, repeats=3, reference="parameters")


def proxy_table(population: Population, data: str | None) -> pd.DataFrame:
    """The proxies of every initial network on the same training images, a row a run."""
    rows = {}
    for name, configuration in population.configurations.items():
        dataset = dataset_of(configuration, data)
        batch = dataset.train_inputs[:SAMPLES], dataset.train_labels[:SAMPLES]
        rows[name] = ax.proxies(population.graph(name, 0), batch)
    return pd.DataFrame.from_dict(rows, orient="index")


def main() -> None:
    """Compute what is not there yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder of populations")
    parser.add_argument("--data", help="folder of the image data; $AXONOMETRY_DATA where it is left out")
    given = parser.parse_args()
    torch.set_num_threads(1)
    tables = {}
    for name in POPULATIONS:
        if (given.folder / name).is_dir():
            population = load_population(given.folder / name)
            proxies = cached(given.folder / "tables", proxy_table, population, unkeyed=(given.data,))
            tables[name] = _joined(population, proxies)
    tables[TOGETHER] = _together(tables)
    judged = {name: cached(given.folder / "tables", judged_table, _frame(table)) for name, table in tables.items()}
    write_text(PAGE, "\n".join(_page(tables, judged)) + "\n")


def _frame(table: RunTable) -> pd.DataFrame:
    return table.features.assign(final=table.final_accuracy, group=table.groups.astype(str))


def _joined(population: Population, proxies: pd.DataFrame) -> RunTable:
    found = read_runs(
        list(population.runs.values()), epochs=0, features="initial+hyperparameters+parameters", per_group=False
    )
    named = proxies.add_prefix("proxies.").add_suffix("@0").reindex(found.features.index)
    return RunTable(found.features.join(named), found.final_accuracy, found.groups)


def _together(tables: dict[str, RunTable]) -> RunTable:
    frames = [table.features for table in tables.values()]
    features = pd.concat(frames, keys=list(tables)).reset_index(drop=True)
    features.index = features.index.map(str)
    accuracy, groups = (
        pd.Series(np.concatenate([getattr(table, part).to_numpy() for table in tables.values()]), index=features.index)
        for part in ("final_accuracy", "groups")
    )
    choices = [name for name in map(str, features) if "=" in name]
    shared = [name for name in map(str, features) if not name.startswith("configuration") or name in choices]
    numbers = [name for name in map(str, features) if name not in shared and features[name].notna().all()]
    kept = features[[*shared, *numbers]]
    return RunTable(kept.fillna(dict.fromkeys(choices, 0.0)), accuracy.astype(float), groups)


def judged_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Scores and differences of a population's sets, in one table with a column ``kind``."""
    table = RunTable(frame.drop(columns=["final", "group"]), frame["final"], frame["group"])
    found = evaluate(table, SETS, (0,), plan=PLAN)
    return pd.concat([found.scores.assign(kind="scores"), found.differences.assign(kind="differences")])


def _page(tables: dict[str, RunTable], judged: dict[str, pd.DataFrame]) -> Iterator[str]:
    machine = f"{platform.machine()}, one thread, torch {torch.__version__}"
    counts = ", ".join(f"{name} {len(table.groups)}" for name, table in tables.items())
    yield "# Before training\n"
    yield (
        "Written by `python docs/make_proxies.py FOLDER`; do not edit. What the network at initialisation says of its "
        f"final accuracy (10 epochs, 14 x 14 Fashion-MNIST, hyper-parameters drawn at random). Networks: {counts}. "
        f"Proxies (`axonometry.proxies`) of {SAMPLES} training images. Machine: {machine}.\n"
    )
    single = _single(tables)
    yield "## Verdict\n"
    yield from (f"- {line}" for line in _verdicts(single, judged))
    yield "\n## Each proxy alone\n"
    yield (
        "Size of Kendall's τ with final accuracy (its sign is free), with 95 % intervals of resampled networks; the "
        "number of parameters differs between architectures alone.\n"
    )
    yield markdown_table(
        ("proxy", *tables),
        [(proxy, *("" if cell is None else _text(cell) for cell in row.values())) for proxy, row in single.items()],
    )
    yield "\n## Learned from all of them (0 epochs known)\n"
    yield (
        "R² of five folds, three repeats, each fitted anew; intervals are corrected for what folds share (Nadeau and "
        "Bengio 2003). *initial*: all that was measured on the graph; *hyperparameters*: the configuration.\n"
    )
    heads = ("features", *tables)
    yield markdown_table(heads, [(part, *(_score(judged[name], "scores", part) for name in tables)) for part in SETS])
    yield "\nThe same less the number of parameters.\n"
    yield markdown_table(heads, [(p, *(_score(judged[name], "differences", p) for name in tables)) for p in SETS[1:]])


def _single(tables: dict[str, RunTable]) -> dict[str, Cells]:
    """By proxy and population: the size of tau and its interval; None where the proxy does not vary."""
    found: dict[str, Cells] = {}
    for name, table in tables.items():
        truth = table.final_accuracy.to_numpy(dtype=float)
        counts = resamples(list(table.groups), 1000, 0)
        for proxy in PROXIES:
            values = table.features[f"proxies.{proxy}@0"].to_numpy(dtype=float)
            values = np.nan_to_num(values, nan=0.0, posinf=1e300, neginf=-1e300)
            cell = None
            if len(np.unique(values)) > 1:
                taus = scores(truth, values, counts, 0.5)["tau"]
                sign = math.copysign(1.0, taus[0])
                low, high = np.nanquantile(sign * taus[1:], [0.025, 0.975])
                ends = opened_ends(sign * taus[0], float(low), float(high), len(truth), level=0.95)
                cell = (float(sign * taus[0]), *map(float, ends))
            found.setdefault(proxy, {})[name] = cell
    return found


def _verdicts(single: dict[str, Cells], judged: dict[str, pd.DataFrame]) -> Iterator[str]:
    parameters = single["parameters"][TOGETHER]
    others = {proxy: row[TOGETHER] for proxy, row in single.items() if proxy != "parameters" and row[TOGETHER]}
    better = [proxy for proxy, cell in others.items() if parameters and cell and cell[1] > parameters[2]]
    best = max(others, key=lambda proxy: (others[proxy] or (0, 0, 0))[0])
    yield (
        f"Over all architectures together the number of parameters has |τ| {_text(parameters)}; the best proxy, "
        f"{best}, {_text(others[best])}. Proxies whose interval lies above that of the number of parameters: "
        f"{', '.join(better) or 'none'}."
    )
    for features in ("proxies", "initial"):
        gains = {name: _row(one, "differences", features) for name, one in judged.items()}
        said = _told(gains)
        yield f"Learned together, *{features}* predict more than the number of parameters: {said}."
    for name, one in judged.items():
        if name == TOGETHER:
            choices, both = (_row(one, "scores", part) for part in ("hyperparameters", "proxies+hyperparameters"))
            yield f"Together, hyper-parameters alone have R² {_text(choices)}, with proxies {_text(both)}."
    yield (
        "The scale of the initial weights is one of the hyper-parameters that were drawn, and all flows and gradients "
        "see it: who knows it is told nothing more by them. Of several proxies the best is partly luck."
    )


def _told(gains: dict[str, tuple[float, float, float]]) -> str:
    better = [name for name, gain in gains.items() if gain[1] > 0]
    worse = [name for name, gain in gains.items() if gain[2] < 0]
    return (
        f"surely in {len(better)} of {len(gains)} ({', '.join(better) or 'none'}), surely less in {len(worse)}, "
        f"undecided in {len(gains) - len(better) - len(worse)}"
    )


def _row(frame: pd.DataFrame, kind: str, features: str) -> tuple[float, float, float]:
    part = frame[(frame["kind"] == kind) & (frame["features"] == features) & (frame["score"] == "r2")].iloc[0]
    return float(part["value"]), float(part["low"]), float(part["high"])


def _score(frame: pd.DataFrame, kind: str, features: str) -> str:
    return _text(_row(frame, kind, features))


def _text(cell: tuple[float, float, float] | None) -> str:
    return "" if cell is None else f"{cell[0]:.2f} [{cell[1]:.2f}, {cell[2]:.2f}]"


if __name__ == "__main__":
    main()
