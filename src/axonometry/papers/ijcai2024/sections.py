"""What is told apart by what: a section for each kind of difference, and one against statistics of the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product

import numpy as np
import pandas as pd

from axonometry.experiments import (
    Claim,
    Estimate,
    IntervalChart,
    Measurements,
    Section,
    in_words,
    listed,
)
from axonometry.experiments.section import Drawn
from axonometry.papers.ijcai2024.comparisons import KINDS, Comparison, Kind
from axonometry.papers.ijcai2024.features import BASELINE, CHOICES, CONTROL, MEASURES
from axonometry.predict.classification import Discrimination, discriminate
from axonometry.report.density_figures import figures_by_measure
from axonometry.report.page import Figure, Table
from axonometry.report.samples import Samples

TOGETHER = "all five"
"""The paper's measures together."""
SETS = (*MEASURES, TOGETHER, CONTROL, BASELINE)
"""What networks are told apart by."""
PAPERS, OURS = "2209.05488 and 2404.11172", "no paper: asked beside it"
MORE = "the papers' sizes, 4,800 networks on all images, at scale full: for a cluster"
"""What would change the verdicts."""
LOW, HIGH = "lowest third", "highest third"
WHEN = {"after": "after training", "before": "before training"}
CHANCE, NEARLY = 0.5, 0.6
"""AUC of saying nothing; and what an interval must stay below for a claim to be refuted, not only undecided
[our choice]."""
DRAWN = (*MEASURES, CONTROL)
"""Whose densities are drawn."""
TOLD = (
    "How well networks that were not learned from are told apart. Dotted: nothing is told apart. Scaled strength is a "
    "control that sizes of layers do not change by themselves; weights are statistics of all parameters."
)


@dataclass(frozen=True)
class Answer:
    """What came of a comparison.

    Attributes:
        comparison: What is compared.
        found: The measurements.
    """

    comparison: Comparison
    found: Measurements

    @cached_property
    def networks(self) -> pd.DataFrame:
        """The rows of the networks that are compared, before and after training, with their class as ``label``."""
        names = self.comparison.conditions
        rows = [self.found.of("networks", name).assign(label=name) for name in names]
        return pd.concat(rows, ignore_index=True) if len(names) > 1 else _thirds(rows[0])

    @property
    def sets(self) -> tuple[str, ...]:
        """What the networks are told apart by."""
        return SETS if len(self.comparison.conditions) > 1 else (*SETS, CHOICES)

    @cached_property
    def scores(self) -> dict[tuple[str, str], Discrimination]:
        """By set of features and time."""
        found: dict[tuple[str, str], Discrimination] = {}
        for place in product(self.sets, WHEN):
            words = f"{self.comparison.name}: {in_words(place[0])}"
            self.found.context.progress(len(found), 2 * len(self.sets), words)
            found[place] = self.score(*place)
        return found

    def score(self, measure: str, when: str) -> Discrimination:
        """How well a set of features tells the networks apart."""
        part = self.networks[self.networks["when"] == when]
        wanted = MEASURES if measure == TOGETHER else (measure,)
        columns = [str(name) for name in part if str(name).split(".")[0] in wanted]
        return discriminate(part, columns, self.found.options.plan, cached=self.found.context.cached)

    def gain(self, measure: str) -> Estimate:
        """AUC after less AUC before training, on the same resamples."""
        return self.scores[measure, "after"].minus(self.scores[measure, "before"])

    @property
    def n(self) -> int:
        """Networks."""
        return self.networks["run"].nunique()

    @property
    def labels(self) -> dict[str, str]:
        """The classes, and what they are called."""
        conditions = self.comparison.conditions
        return dict(conditions) if len(conditions) > 1 else {LOW: LOW, HIGH: HIGH}


def _thirds(rows: pd.DataFrame) -> pd.DataFrame:
    """The networks of the lowest and the highest third in performance, labelled so."""
    performance = rows["performance"]
    low, high = np.quantile(performance, [1 / 3, 2 / 3])
    labelled = rows.assign(label=np.where(performance <= low, LOW, HIGH))
    return labelled[(performance <= low) | (performance >= high)]


def of_kind(kind: Kind) -> Callable[[Measurements], Section]:
    """The section of one kind of difference."""

    def section(found: Measurements) -> Section:
        answers = _answers(found, kind)
        title, axis = f"Networks that differ in {KINDS[kind]}", "AUC, one class against the rest"
        if not answers:
            return Section(title, "This scale has no such networks.", ())
        tables = tuple(map(_table, answers))
        figures: list[IntervalChart | Drawn] = []
        for table, answer in zip(tables, answers, strict=True):
            figures.append(IntervalChart(table, table.columns[2:4], axis, CHANCE, (-0.03, 1.03), TOLD))
            figures.append(partial(_figures, answer))
        return Section(title, _setup(found, answers), tuple(_claims(kind, answers)), tables, tuple(figures))

    section.__name__ = kind
    return section


def _answers(found: Measurements, kind: str = "") -> list[Answer]:
    return [Answer(one, found) for one in found.options.comparisons if kind in ("", one.kind)]


def _setup(found: Measurements, answers: Iterable[Answer]) -> str:
    texts = {digest for trial in found.trials if (digest := trial.configuration.data_sha256)}
    made = "The text is made of the documentation strings of this Python's standard library; its SHA-256 is"
    return "\n\n".join([*map(_words, answers), *(f"{made} `{digest}`." for digest in sorted(texts))])


def _words(answer: Answer) -> str:
    comparison = answer.comparison
    names = "; ".join(f"`{name}` ({answer.found.context.title(name)})" for name in comparison.conditions)
    return f"*{comparison.title}* n = {answer.n}: {names}. Confounded: {comparison.confounded}"


def _claims(kind: Kind, answers: Iterable[Answer]) -> Iterator[Claim]:
    """What training adds, the paper's claim, and whether the initial weights say as much."""
    answers = list(answers)
    gains = [answer.gain(measure) for answer in answers for measure in MEASURES]
    numbers = ". ".join(map(_gained, answers))
    yield Claim.above(f"Training tells them apart better ({KINDS[kind]})", gains, numbers=numbers).stated(
        OURS, settled_by=MORE
    )
    words = {
        "after": f"All five measures tell networks apart that differ in {KINDS[kind]}",
        "before": f"The initial weights tell them apart already ({KINDS[kind]})",
    }
    for when, claimed in words.items():
        aucs = [answer.scores[measure, when].auc for answer in answers for measure in MEASURES]
        numbers = ". ".join(_spread(answer, when) for answer in answers)
        made = Claim.above(claimed, aucs, CHANCE, refuted_below=NEARLY, numbers=numbers)
        versions, still = (PAPERS, True) if when == "after" else (OURS, None)
        yield made.stated(versions, still=still, settled_by=MORE)


def _gained(answer: Answer) -> str:
    """From the least to the greatest gain, and which are above 0."""
    gains = {measure: answer.gain(measure) for measure in MEASURES}
    low, high = min(gains, key=lambda name: gains[name].value), max(gains, key=lambda name: gains[name].value)
    told = _which([name for name in MEASURES if gains[name].low > 0])
    span = f"{gains[low].text()} ({in_words(low)}) to {gains[high].text()} ({in_words(high)})"
    return f"{answer.comparison.title} (n = {answer.n}) Surely by {told}; AUC after less before {span}"


def _spread(answer: Answer, when: str) -> str:
    """From the least to the greatest AUC of the five measures, and which are above chance."""
    aucs = {measure: answer.scores[measure, when].auc for measure in MEASURES}
    low, high = min(aucs, key=lambda name: aucs[name].value), max(aucs, key=lambda name: aucs[name].value)
    told = _which([name for name in MEASURES if aucs[name].low > CHANCE])
    span = f"AUC {aucs[low].text()} ({in_words(low)}) to {aucs[high].text()} ({in_words(high)})"
    words = f"{answer.comparison.title} (n = {answer.n}) By {told}, {span}"
    if when == "before":
        return words
    gained = [name for name in MEASURES if answer.gain(name).low > 0]
    known = f"; hyper-parameters alone {answer.scores[CHOICES, 'before'].auc.text()}" if CHOICES in answer.sets else ""
    return f"{words}; training surely adds for {_which(gained)}{known}"


def _table(answer: Answer) -> Table:
    header = ("told apart by", "after − before", "AUC after training", "before training", "after − weights' after")
    baseline, rows = answer.scores[BASELINE, "after"], []
    for measure in answer.sets:
        after, before = answer.scores[measure, "after"], answer.scores[measure, "before"]
        against = "–" if measure == BASELINE else after.minus(baseline)
        rows.append((in_words(measure), after.minus(before), after.auc, before.auc, against))
    caption = f"n = {answer.n}. Differences are taken on the same resamples. Confounded: {answer.comparison.confounded}"
    return Table(header, tuple(rows), answer.comparison.title, caption)


def _figures(answer: Answer) -> Iterator[Figure]:
    title, names = f": {answer.comparison.name}", list(answer.labels.values())
    caption = "The values of a measure in all hidden layers, pooled over the networks of each condition."
    return figures_by_measure(pooled_values(answer), names, title=title, caption=caption, apart=False)


def pooled_values(answer: Answer) -> Samples:
    """The values of each measure, before and after training, of the networks of each class together."""
    return {
        (measure, WHEN[str(when)]): {
            answer.labels[str(label)]: np.concatenate(list(part[f"values.{measure}"])).astype(np.float32)
            for label, part in rows.groupby("label", sort=False)
        }
        for measure in DRAWN
        for when, rows in answer.networks.groupby("when", sort=False)
    }


def against_weights(found: Measurements) -> Section:
    """In how many comparisons the five measures see more, or less, than statistics of the weights."""
    gains = {a.comparison.name: a.score(TOGETHER, "after").minus(a.score(BASELINE, "after")) for a in _answers(found)}
    more = [name for name, gain in gains.items() if gain.low > 0]
    less = [name for name, gain in gains.items() if gain.high < 0]
    numbers = (
        f"surely more in {len(more)} of {len(gains)} comparisons ({listed(more)}), surely less in {len(less)} "
        f"({listed(less)})"
    )
    words = "The five measures together tell more, after training, than statistics of all parameters"
    table = Table(("comparison", "all five − weights"), tuple(gains.items()), "After training")
    title = "Do the measures tell more than statistics of all parameters?"
    setup = "AUC of the five measures together minus that of the weights, after training, on the same resamples."
    claims = (Claim.above(words, list(gains.values()), numbers=numbers).stated(OURS, settled_by=MORE),)
    chart = IntervalChart(table, table.columns[1:], "difference of AUC", 0.0)
    return Section(title, setup, claims, (table,), (chart,))


def _which(measures: list[str]) -> str:
    """Some of the five measures, in words."""
    return "all five" if len(measures) == len(MEASURES) else listed(map(in_words, measures))
