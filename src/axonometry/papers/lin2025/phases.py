"""The gradient of the rank distribution from layer to layer while deep ReLU networks learn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from axonometry.papers.lin2025.finding import (
    Chart,
    Estimate,
    Finding,
    Sheet,
    Statement,
    Verdict,
    by_cell,
    correlation,
    estimate,
    finding,
    lines,
    of,
    paired,
)
from axonometry.papers.lin2025.items import Outcome

TITLE = "Which layers keep the order of samples, and does that go with accuracy?"
_OUTER = 3
"""Layers at either end that are compared."""


def read(outcomes: Sequence[Outcome]) -> Finding:
    """What the networks say of the paper's statements."""
    cells, first = by_cell(outcomes), outcomes[0].item
    layers, wide = len(first.network.widths), first.network.widths[0]
    setup = (
        f"{layers} hidden layers of {wide} ReLU neurons on {first.task.n_train:,} images of {first.task.title}, "
        f"{first.training.steps:,} updates of {first.training.batch} images. Weights begin as N(0, 2/fan_in), not from "
        "the paper's U(±1/√fan_in), from which SGD did not leave chance in trials of as many. Ranks of "
        f"{min(first.plan.ranked, first.task.n_test):,} test images."
    )
    statements = (_rates(cells), _all(outcomes), _reversal(cells), _first_rises(cells))
    return finding("phases", (TITLE, setup), outcomes, statements, [_sheet(cells), _profiles(cells)], _charts(cells))


def accuracy(outcome: Outcome) -> float:
    """On the test data, at the end."""
    return outcome.last["test_accuracy"]


def gradients(moment: Mapping[str, Any]) -> list[float]:
    """Of all hidden layers, from the first to the last."""
    return [float(value) for value in moment["ranks"].values()]


def tilt(moment: Mapping[str, Any]) -> float:
    """Mean gradient of the first layers less that of the last ones."""
    found = gradients(moment)
    some = min(_OUTER, len(found) // 2)
    return sum(found[:some]) / some - sum(found[-some:]) / some


def _at(layer: int) -> Callable[[Outcome], float]:
    """The gradient of one layer at the end."""
    return lambda outcome: gradients(outcome.end)[layer]


def _mode(layer: int, name: str) -> Callable[[Outcome], float]:
    return lambda outcome: float(list(outcome.end["modes"].values())[layer][name])


_first = _at(0)


def _rates(cells: Mapping[str, list[Outcome]]) -> Statement:
    """The paper's pair: two learning rates of SGD."""
    names = sorted(
        (name for name, some in cells.items() if some[0].item.training.optimiser == "sgd"),
        key=lambda name: cells[name][0].item.training.learning_rate,
    )
    low, high = cells[names[0]], cells[names[-1]]
    better, steeper = paired(high, low, accuracy), paired(high, low, _first)
    verdict: Verdict = "undecided"
    if "undecided" not in (better.verdict(), steeper.verdict()):
        verdict = "holds here" if better.verdict() != steeper.verdict() else "does not hold here"
    evidence = (
        f"{names[-1]} against {names[0]}: accuracy {of(high, accuracy).text('.3f')} and "
        f"{of(low, accuracy).text('.3f')}, difference {better.text('.3f')}; first layer's gradient "
        f"{of(high, _first).text()} and {of(low, _first).text()}, difference {steeper.text()}"
    )
    return Statement(
        "Of two learning rates of SGD, that with the lower first gradient is more accurate", verdict, evidence
    )


def _all(outcomes: Sequence[Outcome]) -> Statement:
    """Over settings, seed by seed; and, since settings differ in both, among networks that were trained alike."""
    rhos = []
    for seed in sorted({o.item.seed for o in outcomes}):
        mine = [o for o in outcomes if o.item.seed == seed]
        rhos.append(correlation([_first(o) for o in mine], [accuracy(o) for o in mine]))
    rho = estimate(rhos)
    inside = []
    for some in by_cell(outcomes).values():
        mean = [sum(value(o) for o in some) / len(some) for value in (_first, accuracy)]
        inside += [(_first(o) - mean[0], accuracy(o) - mean[1]) for o in some]
    alike = Estimate(correlation([x for x, _ in inside], [y for _, y in inside]), math.nan, math.nan, len(inside))
    evidence = (
        f"Spearman's ρ of first gradient and accuracy over {len(by_cell(outcomes))} settings, mean over seeds: "
        f"{rho.text()}; of deviations from the mean of the networks trained alike, n = {len(outcomes)}, without an "
        f"interval: {alike.text()}"
    )
    verdict = Estimate(-rho.value, -rho.high, -rho.low, rho.n).verdict()
    return Statement("A lower first gradient goes with a higher accuracy, in general", verdict, evidence)


def _reversal(cells: Mapping[str, list[Outcome]]) -> Statement:
    """Phase I: early layers steep; phase II: reversed."""
    words, verdicts = [], []
    for name, some in cells.items():
        early = estimate(max(tilt(moment) for moment in o.moments[1:]) for o in some)
        late = estimate(tilt(o.end) for o in some)
        verdicts.append((early.low > 0 and late.high < 0, early.high < 0 or late.low > 0))
        words.append(f"{name}: at most {early.text()}, at the end {late.text()}")
    verdict: Verdict = "holds here" if all(shown for shown, _ in verdicts) else "undecided"
    if all(refuted for _, refuted in verdicts):
        verdict = "does not hold here"
    evidence = (
        f"gradient of the first {_OUTER} layers less that of the last {_OUTER}, over training. {'; '.join(words)}"
    )
    return Statement(
        "At first the early layers are steeper (phase I), later the late ones (phase II)", verdict, evidence
    )


def _first_rises(cells: Mapping[str, list[Outcome]]) -> Statement:
    words, verdicts = [], []
    for name, some in cells.items():
        rise = of(some, lambda o: max(gradients(m)[0] for m in o.moments) - gradients(o.moments[0])[0])
        fall = of(some, lambda o: max(gradients(m)[0] for m in o.moments) - _first(o))
        verdicts.append(rise.low > 0 and fall.low > 0)
        words.append(f"{name}: rises by {rise.text()}, then falls by {fall.text()}")
    verdict: Verdict = "holds here" if all(verdicts) else "undecided"
    return Statement("The first layer's gradient rises, then falls", verdict, "; ".join(words))


def _sheet(cells: Mapping[str, list[Outcome]]) -> Sheet:
    rows = []
    for name, some in cells.items():
        ends = [of(some, _at(at)) for at in (0, -1)]
        modes = [of(some, _mode(at, key)) for key in ("rate", "dead") for at in (0, -1)]
        rows.append(
            (
                name,
                of(some, accuracy).text(".3f"),
                *(e.text() for e in (*ends, of(some, lambda o: tilt(o.end)), *modes)),
            )
        )
    columns = ("setting", "accuracy", "gradient, first layer", "last layer", "first 3 − last 3")
    more = ("order kept, first layer", "last layer", "dead, first layer", "last layer")
    return Sheet("At the end of training", (*columns, *more), tuple(rows))


def _profiles(cells: Mapping[str, list[Outcome]]) -> Sheet:
    layers = max(len(gradients(some[0].end)) for some in cells.values())
    rows = [(name, *(of(some, _at(at)).text() for at in range(layers))) for name, some in cells.items()]
    return Sheet("Gradient by layer, at the end", ("setting", *(str(at + 1) for at in range(layers))), tuple(rows))


def _charts(cells: Mapping[str, list[Outcome]]) -> list[Chart]:
    profile, time = [], []
    for name, some in cells.items():
        profile += [(name, float(at + 1), of(some, _at(at))) for at in range(len(gradients(some[0].end)))]
        for place, moment in enumerate(some[0].moments):
            values = estimate(gradients(o.moments[place])[0] for o in some)
            time.append((name, max(1.0, float(moment["step"])), values))
    return [
        Chart("Gradient from layer to layer, at the end", lines(profile), "hidden layer", "gradient", log=False),
        Chart(
            "The first layer's gradient over training",
            lines(time),
            "update",
            "gradient",
            caption="Step 0 is drawn at 1.",
        ),
    ]
