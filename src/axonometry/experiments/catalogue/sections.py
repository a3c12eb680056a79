"""Sections on accuracy and on the generalisation gap: what goes with them, beyond what is plain to see."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from axonometry.experiments.catalogue.measuring import FINAL, GAP
from axonometry.experiments.catalogue.reading import FEWEST, Numbers, correlations, populations_of, target_correlation
from axonometry.experiments.claims import Claim
from axonometry.experiments.experiment import Measurements
from axonometry.experiments.section import Section, cross_table
from axonometry.report.page import Table

SHOWN = 15
"""Numbers that a table shows."""
HEADLINES = (
    *("link_weights.std", "node_strength.std", "layer_fluctuation", "channel_degree.std", "channel_centrality.std"),
    *("eigenvector_centrality.std", "spectral_norm", "linear_map.effective_rank", "neuron_strength.std"),
    *("neuron_activation.std", "neuron_modes.rate", "rank_gradient.mean", "linear_truncation.error"),
    *("sample_basin.amplitude", "weight_basin.amplitude", "sharpness", "neural_persistence.normalised"),
    *("deep_graph_persistence.normalised", "channel_network.modularity", "representations.effective_dimension"),
    *("class_structure.within", "class_structure.modularity"),
)
"""The papers' own numbers, of which every population is shown where it has them."""
HALVES = 0
"""Seed of the halves."""


def accuracy(found: Measurements) -> Section:
    """What the numbers say of the final score after the first epoch, and what at the end."""
    several = list(populations_of(found))
    claims = tuple(one for numbers in several for one in _early(numbers))
    setup = (
        "Of networks that learned. Half of a population's networks, drawn once, choose the number that goes with the "
        "final score most; the claim is of the other half, which did not choose. *Beyond* is partial: ranks of "
        "updates so far and of the weights' norm are regressed out, and where it says so, those of the score so far."
    )
    tables = [
        _table(several, FINAL, "first", "After the first epoch: ρ with the final score", beside=False),
        _table(several, FINAL, "first", "After the first epoch, beyond updates and norm", beside=True),
        _table(several, FINAL, "last", "At the end, beyond updates and norm", beside=True),
        _by_epoch(several),
    ]
    return Section("What goes with the final score?", setup, claims, tuple(filter(None, tables)))


def gap(found: Measurements) -> Section:
    """What the numbers say of the generalisation gap at the end."""
    several = [numbers for numbers in populations_of(found) if numbers.at(numbers.last)[GAP].notna().sum() >= FEWEST]
    if not several:
        return Section(
            "What goes with the generalisation gap?",
            "No population has one of enough networks: it takes training scores.",
        )
    claims = tuple(one for numbers in several for one in _at_the_end(numbers))
    setup = (
        "The gap is the score on all training data less that on test data, at the end. As above, half of the networks "
        "choose a number and the other half judges it."
    )
    tables = (
        _table(several, GAP, "last", "At the end: ρ with the gap", beside=False),
        _table(several, GAP, "last", "At the end, beyond updates and norm", beside=True),
        _table(several, GAP, "last", "At the end, beyond updates, norm and test score", beside=True, score=True),
    )
    return Section("What goes with the generalisation gap?", setup, claims, tuple(filter(None, tables)))


def _early(numbers: Numbers) -> Iterator[Claim]:
    table = numbers.at(numbers.first)
    words = f"{numbers.title}: after {_epochs(numbers.first)} a number goes with the final score beyond"
    yield _judged(table, FINAL, f"{words} updates and weight norm")
    yield _judged(table, FINAL, f"{words} these and the score so far", score=True)


def _at_the_end(numbers: Numbers) -> Iterator[Claim]:
    table = numbers.at(numbers.last)
    words = f"{numbers.title}: at the end a number goes with the generalisation gap beyond"
    yield _judged(table, GAP, f"{words} updates and weight norm")
    yield _judged(table, GAP, f"{words} these and the test score", score=True)


def _judged(table: pd.DataFrame, target: str, words: str, *, score: bool = False) -> Claim:
    """One half of the networks chooses the number and its sign, the other half says what it is worth."""
    chance = np.random.default_rng(HALVES).permutation(len(table))
    choosing, judging = (table.iloc[np.sort(part)] for part in np.array_split(chance, 2))
    # numbers that half of the networks lack, as basins, would be judged by a handful
    whole = choosing[[name for name in choosing if table[name].notna().mean() > 0.9]]
    known = correlations(whole, target, beside=True, score=score).dropna()
    if known.empty:
        return Claim(words, "undecided", numbers="no number that varies")
    best = str(known.abs().idxmax())
    one = target_correlation(judging, best, target, beside=True, score=score)
    one = one if known[best] > 0 else -one
    sign = "ρ" if known[best] > 0 else "−ρ"
    claim = Claim.above(words, one, numbers=f"{sign} = {one.text(sample=True)}, of {best}")
    return claim.stated("no paper: ours", settled_by="more networks of the population")


def _table(
    several: list[Numbers], target: str, when: str, title: str, *, beside: bool, score: bool = False
) -> Table | None:
    """The numbers with the largest mean |ρ| over populations, and the papers' own."""
    columns = {}
    for numbers in several:
        table = numbers.at(getattr(numbers, when))
        columns[numbers.title] = table, correlations(table, target, beside=beside, score=score)
    frame = pd.DataFrame({title: values for title, (_, values) in columns.items()})
    often = frame[frame.notna().sum(axis=1) >= max(1, len(several) / 2)]
    if often.empty:
        return None
    size = often.abs().mean(axis=1).sort_values(ascending=False, kind="stable")
    names = [
        *size.index[:SHOWN],
        *(name for name in HEADLINES if name in frame.index and name not in size.index[:SHOWN]),
    ]
    cells: dict[tuple[str, str], object] = {}
    for name in names:
        cells[name, "mean |ρ|"] = round(float(frame.loc[name].abs().mean()), 2)
        for population, (table, _) in columns.items():
            if name in table:
                cells[name, population] = target_correlation(table, name, target, beside=beside, score=score, draws=500)
    caption = f"The {min(SHOWN, len(size))} numbers of the largest mean |ρ| first, then the papers' own; 95% intervals."
    return cross_table(title, "number", cells, caption)


def _by_epoch(several: list[Numbers]) -> Table | None:
    cells: dict[tuple[str, str], object] = {}
    for numbers in several:
        for epoch in numbers.epochs:
            if epoch in (0, numbers.last) or epoch in numbers.options.epochs:
                known = correlations(numbers.at(epoch), FINAL, beside=True).abs().dropna()
                if len(known):
                    cells[numbers.title, f"epoch {epoch}"] = f"{known.median():.2f}, {known.max():.2f}"
    caption = "Median and largest |ρ| over all numbers, beyond updates and norm; the largest of so many is chosen."
    return cross_table("By epoch", "population", cells, caption) if cells else None


def _epochs(n: int) -> str:
    return "one epoch" if n == 1 else f"{n} epochs"
