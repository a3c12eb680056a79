"""The page on what predicts the accuracy of a zoo's networks: measured or learned.

    axonometry zoo make --preset lenet14 --n 2000 FOLDER     # or as many as there is time for
    python docs/make_zoo.py FOLDER

writes docs/results/zoo.md. Predictions are kept in FOLDER/tables: the same command resumes.
"""

from __future__ import annotations

import argparse
import math
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from axonometry.experiments.markdown import markdown_table
from axonometry.files import atomic_write, write_text
from axonometry.zoo import Zoo, ZooEvaluation, ZooPlan, describe_zoo, open_zoo
from axonometry.zoo.converting import MEASURES
from axonometry.zoo.evaluation import LAST, drawn, predictions_at, score_zoo
from axonometry.zoo.features import ACCURACY, BOTH, CHOICES, GRAPH, LEARNED, WEIGHTS

PAGE = Path(__file__).parent / "results/zoo.md"
SIZES = (125, 250, 500, 800)
LARGEST_MIDDLE = 500
"""Networks of which all epochs are evaluated, at most."""
EPOCHS = (1, 3, LAST)
WORDS = {1: "epoch 1", 3: "epoch 3", LAST: "the last epoch"}
ORDER = (WEIGHTS, GRAPH, BOTH, LEARNED, ACCURACY, CHOICES)


@dataclass(frozen=True)
class Piece:
    """One evaluation: so many networks, after one epoch, in folds or by the published split."""

    networks: int
    epoch: int
    published: bool = False

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.networks}-{'last' if self.epoch == LAST else self.epoch}{'-published' * self.published}"


def pieces(n: int) -> list[Piece]:
    """What the page is made of, the most telling first: a killed command leaves a page of what is there."""
    sizes = [size for size in SIZES if size < n]
    middle = [size for size in sizes if size <= LARGEST_MIDDLE][-1:]
    split = [Piece(n, epoch, published=True) for epoch in EPOCHS]
    first = [Piece(size, 1) for size in sizes if size not in middle]
    last = [Piece(size, LAST) for size in reversed(sizes) if size not in middle]
    return [*(Piece(size, epoch) for size in middle for epoch in EPOCHS), *first, *split, *last]


def main() -> None:
    """Evaluate what is not there yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the zoo")
    parser.add_argument("--page-only", action="store_true", help="write the page of what is there")
    parser.add_argument("--only", nargs="*", help="pieces to evaluate, such as 500-1 and 500-last; all by default")
    given = parser.parse_args()
    torch.set_num_threads(1)
    zoo = open_zoo(given.folder)
    if not given.page_only:
        zoo = Zoo(zoo.population.measured(MEASURES), zoo.source, zoo.splits)
    found: dict[Piece, ZooEvaluation] = {}
    for piece in pieces(len(zoo)):
        wanted = not given.page_only and (given.only is None or piece.name in given.only)
        if (one := evaluated(zoo, piece, given.folder / "tables", compute=wanted)) is not None:
            found[piece] = one
    write_text(PAGE, "\n".join(page(zoo, given.folder, found)) + "\n")


def evaluated(zoo: Zoo, piece: Piece, folder: Path, *, compute: bool) -> ZooEvaluation | None:
    """Its scores; predictions are computed unless they are kept, None where they are not and shall not be."""
    plan, names = ZooPlan(published=piece.published), drawn(zoo, piece.networks, 0)
    files = [folder / f"{piece.name}-{what}.parquet" for what in ("predictions", "seconds")]
    if not all(file.exists() for file in files):
        if not compute:
            return None
        for file, table in zip(files, predictions_at(zoo, names, piece.epoch, plan), strict=True):
            with atomic_write(file, parents=True) as partial:
                table.to_parquet(partial)
    return score_zoo(zoo, names, *(pd.read_parquet(file) for file in files), plan)


def page(zoo: Zoo, folder: Path, found: dict[Piece, ZooEvaluation]) -> Iterator[str]:
    """The page, line by line."""
    about, machine = describe_zoo(folder), f"{platform.machine()}, one thread, torch {torch.__version__}"
    quartiles = ", ".join(f"{value:.2f}" for value in about.accuracy)
    yield "# Zoo: measured or learned?\n"
    yield (
        "Written by `python docs/make_zoo.py FOLDER`; do not edit. The zoo: `axonometry zoo make --preset lenet14`, "
        f"{len(zoo)} LeNets on 14 x 14 Fashion-MNIST, 5 epochs, hyper-parameters drawn at random; final accuracy "
        f"(least, quartiles, greatest) {quartiles}. Machine: {machine}.\n"
    )
    yield (
        "Final accuracy is predicted from the weights after some epochs. *Weight statistics* are the seven numbers of "
        "each parameter of Unterthiner et al. 2020; *graph measures* are strengths, fluctuation, disparity, degrees, "
        "centralities and spectral norms; both go to forests and kernels. *Graph network*: two rounds of messages on "
        "the export, 12 passes, untuned. τ is Kendall's, in five folds (the same for all), one repeat; intervals are "
        "percentiles of resamples of the networks that are predicted: what was learned from is not drawn anew.\n"
    )
    yield "## Verdict\n"
    yield from (f"- {line}" for line in verdicts(found))
    yield "\n## Kendall's τ and R²\n"
    largest = sorted({one.networks for one in found if not one.published})[-2:]
    for piece in (one for size in largest[::-1] for one in found if one.networks == size and not one.published):
        yield from _table(piece, found[piece])
    yield "## From how many networks on?\n"
    yield "τ of the graph network less that of both measured sets, in the same folds. Empty cells were not evaluated.\n"
    yield from _by_size(found)
    published = [piece for piece in found if piece.published]
    if published:
        yield "\n## The published split\n"
        yield "Learned from the networks to learn from and to choose by, predicted once: those to be tested.\n"
        for piece in published:
            yield from _table(piece, found[piece])
    yield "\n## What it takes\n"
    yield from _seconds(found)
    yield "\n## Beside the literature\n"
    yield (
        "Others report Kendall's τ on their test splits [recalled]: statistics with trees .915 (Small CNN Zoo, "
        "CIFAR-10-GS), .843 (SVHN-GS), .719 (Wild Park); NFN .934 and .931; NG-T .935, .872, .817; DNG-Encoder "
        ".936, .867 and .874. These learn from 6,000 to 12,000 networks and predict the accuracy of the same "
        "checkpoint; what is learned is within .02 of statistics on CIFAR-10-GS. Here networks are few, and their data "
        "and labels vary too. The readers of those zoos are tested on files in their formats; the data were not here."
    )


def verdicts(found: dict[Piece, ZooEvaluation]) -> Iterator[str]:
    """Whether what is learned beats what is measured, and what the graph adds to weights, epoch by epoch."""
    for epoch in EPOCHS:
        sizes = sorted((p for p in found if p.epoch == epoch and not p.published), key=lambda p: p.networks)
        if not sizes:
            continue
        gains = {piece.networks: _row(found[piece].differences, LEARNED, "tau") for piece in sizes}
        better = [n for n, gain in gains.items() if gain["low"] > 0]
        worse = [n for n, gain in gains.items() if gain["high"] < 0]
        largest = max(gains)
        words = _text(gains[largest])
        said = (
            f"from {min(better)} networks on"
            if better and not [n for n in worse if n > min(better)]
            else "at no number"
        )
        yield (
            f"After {WORDS[epoch]}, tried with {', '.join(map(str, gains))} networks: learning beats measuring {said} "
            f"(surely worse at {', '.join(map(str, worse)) or 'none'}); at {largest}: τ by {words}."
        )
        gain = _row(found[sizes[-1]].differences, WEIGHTS, "tau")
        yield (
            f"After {WORDS[epoch]}, weight statistics alone less both with graph measures, {largest} networks: "
            f"τ by {_text(gain)}: graph measures {_adds(gain)}."
        )


def _adds(gain: dict[str, float]) -> str:
    if gain["high"] < 0:
        return "add something"
    return "take something away" if gain["low"] > 0 else "add nothing that is seen"


def _row(frame: pd.DataFrame, features: str, score: str) -> dict[str, float]:
    part = frame[(frame["features"] == features) & (frame["score"] == score)]
    if part.empty:
        return dict.fromkeys(("value", "low", "high"), math.nan)
    return {name: float(part[name].iloc[0]) for name in ("value", "low", "high")}


def _text(row: dict[str, float]) -> str:
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _table(piece: Piece, one: ZooEvaluation) -> Iterator[str]:
    n = one.predictions["run"].nunique()
    rows = []
    for features in ORDER:
        scores = [_row(one.scores, features, score) for score in ("tau", "r2")]
        if not math.isnan(scores[0]["value"]):
            gain = "" if features == BOTH else _text(_row(one.differences, features, "tau"))
            rows.append((features, *map(_text, scores), gain))
    yield f"After {WORDS[piece.epoch]}, {piece.networks} networks, {n} of them predicted.\n"
    yield markdown_table(("from", "τ", "R²", "τ more than both"), rows) + "\n"


def _by_size(found: dict[Piece, ZooEvaluation]) -> Iterator[str]:
    sizes = sorted({piece.networks for piece in found if not piece.published})
    rows = []
    for size in sizes:
        cells = [found.get(Piece(size, epoch)) for epoch in EPOCHS]
        rows.append((size, *("" if one is None else _text(_row(one.differences, LEARNED, "tau")) for one in cells)))
    yield markdown_table(("networks", *(WORDS[epoch] for epoch in EPOCHS)), rows)


def _seconds(found: dict[Piece, ZooEvaluation]) -> Iterator[str]:
    largest = max((piece for piece in found if not piece.published), key=lambda piece: piece.networks)
    part = found[largest].seconds.pivot_table(index="features", columns="stage", values="seconds")
    stages, rows = ("measure", "learn and apply"), []
    for name in (name for name in ORDER if name in part.index):
        cells = [part.loc[name, stage] if stage in part else math.nan for stage in stages]
        rows.append((name, *("" if math.isnan(cell) else f"{1000 * cell:.1f}" for cell in cells)))
    where = f"{largest.networks} networks, after {WORDS[largest.epoch]}"
    yield f"Milliseconds of processor time a network and fold, {where}.\n"
    yield markdown_table(("from", "read or measure", "learn and apply"), rows)
    yield (
        "\nThree measured sets are read together; the time is of all three, and for graph measures that of reading "
        "what was recorded (recording them takes about 40 ms a network and epoch)."
    )


if __name__ == "__main__":
    main()
