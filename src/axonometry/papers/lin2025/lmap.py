"""Where a tanh network, its linear map and a linear network part, over the number of training images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axonometry.papers.lin2025.finding import (
    Chart,
    Estimate,
    Finding,
    Sheet,
    Statement,
    Verdict,
    estimate,
    finding,
    lines,
    of,
    paired,
)
from axonometry.papers.lin2025.items import Outcome

TITLE = "Where do a tanh network, its L-Map and a linear network part?"
MARGIN = 0.02
"""Accuracies that differ by less are called equal [our choice]."""
STEEPNESS = 0.1
"""Gradients that differ by less, relative to the tanh network's, are called equal [our choice]."""

WANTED = (600, 60_000)
"""Numbers of images at which the paper shows rank distributions."""

Cells = dict[int, list[Outcome]]


def read(outcomes: Sequence[Outcome]) -> Finding:
    """What the networks say of the paper's statements."""
    curved, straight = _by_size(outcomes, "tanh"), _by_size(outcomes, "identity")
    first = outcomes[0].item
    setup = (
        f"One hidden layer of {first.network.widths[0]} neurons, tanh or none (the paper: 2048), on "
        f"{first.task.title}, {first.training.steps:,} updates of {first.training.batch} images by Adam "
        f"({first.training.learning_rate:g}), whatever the number of images. The L-Map is the trained tanh network "
        "with every tanh replaced by the identity, its biases kept. Accuracies and ranks on "
        f"{min(first.plan.ranked, first.task.n_test):,} test images."
    )
    statements = (_small(curved, straight), _parting(curved, straight), *_gradients(curved, straight), _rise(curved))
    return finding("lmap", (TITLE, setup), outcomes, statements, [_sheet(curved, straight)], _charts(curved, straight))


def _by_size(outcomes: Sequence[Outcome], activation: str) -> Cells:
    cells: Cells = {}
    for outcome in sorted(outcomes, key=lambda one: one.item.task.n_train):
        if outcome.item.network.activation == activation:
            cells.setdefault(outcome.item.task.n_train, []).append(outcome)
    return cells


def _nearest(cells: Cells, wanted: int) -> int:
    return min(cells, key=lambda n: abs(n - wanted))


def own(moment: Mapping[str, Any]) -> float:
    """The network's accuracy."""
    return float(list(moment["truncation"].values())[-1]["accuracy"])


def mapped(moment: Mapping[str, Any]) -> float:
    """The accuracy of its linear map."""
    return float(next(iter(moment["truncation"].values()))["accuracy"])


def steepness(moment: Mapping[str, Any]) -> float:
    """The gradient of the hidden layer's rank distribution."""
    return float(next(iter(moment["ranks"].values())))


def _gaps(curved: Cells, straight: Cells, n: int) -> tuple[Estimate, Estimate]:
    """The tanh network's accuracy less its L-Map's, and less the linear network's."""
    return of(curved[n], lambda o: own(o.end) - mapped(o.end)), paired(curved[n], straight[n], lambda o: own(o.end))


def _small(curved: Cells, straight: Cells) -> Statement:
    n = min(curved)
    gaps = _gaps(curved, straight, n)
    verdicts = {gap.within(MARGIN) for gap in gaps}
    verdict = verdicts.pop() if len(verdicts) == 1 else "undecided"
    if "does not hold here" in verdicts:
        verdict = "does not hold here"
    evidence = (
        f"with {n} images the tanh network's accuracy less its L-Map's is {gaps[0].text('.3f')}, less the linear "
        f"network's {gaps[1].text('.3f')}; called equal below {MARGIN}"
    )
    return Statement("For small training sets all three are equally accurate", verdict, evidence)


def _parting(curved: Cells, straight: Cells) -> Statement:
    """The least size from which on the gap stays above the margin, seed by seed."""
    found: dict[str, list[int | None]] = {"L-Map": [], "linear network": []}
    for seed in sorted({one.item.seed for some in curved.values() for one in some}):
        mine = {n: [o for o in some if o.item.seed == seed] for n, some in curved.items()}
        theirs = {n: [o for o in some if o.item.seed == seed] for n, some in straight.items()}
        gaps = {n: _gaps(mine, theirs, n) for n in mine if mine[n] and theirs.get(n)}
        for place, name in enumerate(found):
            found[name].append(_critical({n: gap[place].value for n, gap in gaps.items()}))
    pairs = list(zip(*found.values(), strict=True))
    same = [a == b and a is not None for a, b in pairs]
    verdict: Verdict = "holds here" if all(same) else "undecided" if any(same) else "does not hold here"
    words = "; ".join(
        f"{name}: {', '.join('never' if n is None else f'{n:,}' for n in ns)}" for name, ns in found.items()
    )
    evidence = f"images from which on the tanh network is better by more than {MARGIN}, seed by seed: {words}"
    return Statement("They part at the same critical number of images", verdict, evidence)


def _critical(gaps: Mapping[int, float]) -> int | None:
    above = [n for n in sorted(gaps) if all(gaps[m] > MARGIN for m in gaps if m >= n)]
    return above[0] if above else None


def _gradients(curved: Cells, straight: Cells) -> list[Statement]:
    """At the paper's two numbers of images, or those that come nearest."""
    few, many = (_nearest(curved, wanted) for wanted in WANTED)

    def gap(n: int) -> Estimate:
        return paired(straight[n], curved[n], lambda o: steepness(o.end))

    def both(n: int) -> str:
        mine, theirs = (of(cells[n], lambda o: steepness(o.end)) for cells in (curved, straight))
        return f"gradient {mine.text()} (tanh) and {theirs.text()} (linear), difference {gap(n).text()}"

    margin = STEEPNESS * abs(of(curved[few], lambda o: steepness(o.end)).value)
    return [
        Statement(
            f"With {few:,} images the rank distributions of tanh and linear network coincide",
            gap(few).within(margin),
            f"{both(few)}; called equal below {margin:.2f}, a tenth of the tanh network's",
        ),
        Statement(
            f"With {many:,} images the linear network's rank distribution is steeper",
            gap(many).verdict(),
            both(many),
        ),
    ]


def _rise(curved: Cells) -> Statement:
    """Whether the gradient has its maximum between the first and the last moment."""
    many = max(curved)

    def top(outcome: Outcome) -> float:
        return max(steepness(moment) for moment in outcome.moments)

    rise = of(curved[many], lambda o: top(o) - steepness(o.moments[0]))
    fall = of(curved[many], lambda o: top(o) - steepness(o.end))
    peaks = [max(o.moments, key=steepness)["step"] for o in curved[many]]
    evidence = (
        f"tanh, {many:,} images: from the start to its maximum the gradient rises by {rise.text()}, from there to the "
        f"end it falls by {fall.text()}; maximum at updates {', '.join(f'{step:,}' for step in peaks)}"
    )
    verdict = rise.verdict() if rise.verdict() != "holds here" else fall.verdict()
    return Statement("The gradient rises while the network begins to learn, then falls", verdict, evidence)


def _sheet(curved: Cells, straight: Cells) -> Sheet:
    rows = []
    for n in curved:
        accuracy = [
            of(curved[n], lambda o: own(o.end)),
            of(curved[n], lambda o: mapped(o.end)),
            of(straight[n], lambda o: own(o.end)),
        ]
        error = of(curved[n], lambda o: float(next(iter(o.end["truncation"].values()))["error"]))
        steep = [of(cells[n], lambda o: steepness(o.end)) for cells in (curved, straight)]
        rows.append((f"{n:,}", *(a.text(".3f") for a in accuracy), error.text(), *(s.text() for s in steep)))
    columns = ("images", "tanh network", "its L-Map", "linear network", "error of the L-Map")
    caption = (
        "Accuracies; the L-Map's error is the distance of its outputs from the network's, relative to their length."
    )
    return Sheet("At the end of training", (*columns, "gradient, tanh", "gradient, linear"), tuple(rows), caption)


def _charts(curved: Cells, straight: Cells) -> list[Chart]:
    rows = []
    for name, cells, value in (
        ("tanh network", curved, own),
        ("its L-Map", curved, mapped),
        ("linear network", straight, own),
    ):
        rows += [(name, float(n), estimate(value(o.end) for o in some)) for n, some in cells.items()]
    accuracy = Chart(
        "Accuracy over the number of training images", lines(rows), "training images", "accuracy on test data"
    )
    rows = []
    for name, cells in (("tanh", curved), ("linear", straight)):
        for n in sorted({_nearest(cells, wanted) for wanted in WANTED}):
            for place, moment in enumerate(cells[n][0].moments):
                values = [steepness(o.moments[place]) for o in cells[n]]
                rows.append((f"{name}, {n:,} images", max(1.0, float(moment["step"])), estimate(values)))
    caption = "Mean over neurons and classes; step 0 is drawn at 1."
    steep = Chart("Gradient of the rank distribution over training", lines(rows), "update", "gradient", caption=caption)
    return [accuracy, steep]
