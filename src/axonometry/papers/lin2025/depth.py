"""Accuracy and attraction basins over the number of layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from axonometry.papers.lin2025.finding import (
    LARGEST,
    Chart,
    Estimate,
    Finding,
    Sheet,
    Statement,
    Verdict,
    amplitude,
    correlation,
    estimate,
    finding,
    lines,
    of,
)
from axonometry.papers.lin2025.items import Outcome

TITLE = "How deep is best, and what do the basins do?"
BEST = range(6, 9)
"""Layers that the paper finds best."""
LEARNED = 0.8
"""Test accuracy from which on a network counts as trained, where basins are compared [our choice]."""

Series = dict[tuple[int, str], list[Outcome]]


def read(outcomes: Sequence[Outcome]) -> Finding:
    """What the networks say of the paper's statements."""
    series, first = _series(outcomes), outcomes[0].item
    setup = (
        f"ReLU networks on {first.task.n_train:,} images of {first.task.title}, {first.training.steps:,} updates of "
        f"{first.training.batch} images by Adam ({first.training.learning_rate:g}) at every depth: how fast a depth "
        "learns is part of its accuracy here. *he*: weights begin as N(0, 2/fan_in); *torch*: as U(±1/√fan_in), the "
        f"paper's. Basins on {min(first.plan.samples, first.task.n_test)} test images. Among networks of at least "
        f"{LEARNED:.0%} accuracy basins are compared: an untrained network has none."
    )
    statements = (
        _optimum(series),
        _moves(series),
        _trend(series, "test_samples", "The sample basin grows with depth", grows=True),
        _trend(series, "test_weights", "The weight basin shrinks with depth", grows=False),
        _classes(outcomes),
        _deepest(series),
    )
    return finding("depth", (TITLE, setup), outcomes, statements, [_sheet(series)], _charts(series))


def _series(outcomes: Iterable[Outcome]) -> Series:
    """By width and way to begin, ascending in depth."""
    series: Series = {}
    for outcome in sorted(outcomes, key=layers):
        network = outcome.item.network
        series.setdefault((network.widths[0], network.initial), []).append(outcome)
    return series


def layers(outcome: Outcome) -> int:
    """Number of hidden layers."""
    return len(outcome.item.network.widths)


def accuracy(outcome: Outcome) -> float:
    """On the test data, at the end."""
    return outcome.last["test_accuracy"]


def _name(key: tuple[int, str]) -> str:
    return f"width {key[0]}, {key[1]}"


def _by_seed(some: Iterable[Outcome]) -> dict[int, list[Outcome]]:
    seeds: dict[int, list[Outcome]] = {}
    for outcome in some:
        seeds.setdefault(outcome.item.seed, []).append(outcome)
    return seeds


def _by_depth(some: Iterable[Outcome]) -> dict[int, list[Outcome]]:
    depths: dict[int, list[Outcome]] = {}
    for outcome in some:
        depths.setdefault(layers(outcome), []).append(outcome)
    return depths


def _best(some: Iterable[Outcome]) -> list[int]:
    """The most accurate depth, seed by seed."""
    return [layers(max(mine, key=accuracy)) for _, mine in sorted(_by_seed(some).items())]


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(str(number) for number in numbers)


def _optimum(series: Series) -> Statement:
    best = {key: _best(some) for key, some in series.items()}
    every = [depth in BEST for found in best.values() for depth in found]
    verdict: Verdict = "holds here" if all(every) else "undecided" if any(every) else "does not hold here"
    words = "; ".join(f"{_name(key)}: {_listed(found)}" for key, found in best.items())
    return Statement("The most accurate networks have 6 to 8 layers", verdict, f"best depth, seed by seed. {words}")


def _moves(series: Series) -> Statement:
    """Among the widths that began alike."""
    best = {
        width: estimate(map(math.log2, _best(some))) for (width, initial), some in series.items() if initial == "he"
    }
    narrow, wide = min(best), max(best)
    pairs = zip(_best(series[wide, "he"]), _best(series[narrow, "he"]), strict=False)
    octaves = estimate(math.log2(a) - math.log2(b) for a, b in pairs)
    verdict = octaves.within(1.0) if narrow != wide else "undecided"
    means = ", ".join(f"{2**one.value:.1f} (width {width})" for width, one in best.items())
    evidence = (
        f"geometric mean of the best depths over seeds: {means}; from width {narrow} to {wide} it moves by "
        f"{octaves.text()} octaves; called independent below one"
    )
    return Statement("The best depth hardly depends on the width", verdict, evidence)


def _trend(series: Series, basin: str, words: str, *, grows: bool) -> Statement:
    """Spearman's ρ of depth and basin, seed by seed, among the networks that have learned."""
    found, verdicts = [], []
    for key, some in series.items():
        rhos = []
        for mine in _by_seed(some).values():
            trained = [o for o in mine if accuracy(o) >= LEARNED]
            rhos.append(correlation([float(layers(o)) for o in trained], [amplitude(o.end, basin) for o in trained]))
        one = estimate(rhos)
        signed = one if grows else Estimate(-one.value, -one.high, -one.low, one.n)
        verdicts.append(signed.verdict())
        deep = max((layers(o) for o in some if accuracy(o) >= LEARNED), default=0)
        found.append(f"{_name(key)}: {one.text()} (up to {deep} layers)")
    verdict: Verdict = verdicts[0] if len(set(verdicts)) == 1 else "undecided"
    counted = f"it surely does in {verdicts.count('holds here')} of {len(verdicts)} series, surely the opposite in "
    counted += f"{verdicts.count('does not hold here')}"
    evidence = f"Spearman's ρ of depth and amplitude, mean over seeds: {counted}. {'; '.join(found)}"
    return Statement(words, verdict, evidence)


def _classes(outcomes: Sequence[Outcome]) -> Statement:
    """Where the classes 0, 2 and 9 stand among the classes of each network."""
    wanted = ("0", "2", "9")
    seeds: dict[int, list[dict[str, float]]] = {}
    for outcome in outcomes:
        own = outcome.end["test_samples"]["classes"]
        if accuracy(outcome) >= LEARNED and set(wanted) <= set(own):
            places = _places({label: min(float(value), LARGEST) for label, value in own.items()})
            seeds.setdefault(outcome.item.seed, []).append(places)
    words = "Classes 0 and 2 have large basins, class 9 a small one"
    if not seeds:
        return Statement(words, "undecided", "no network learned enough")
    ranks = {label: estimate(_mean(p[label] for p in some) for some in seeds.values()) for label in wanted}
    verdicts = [ranks["0"].low > 0.5, ranks["2"].low > 0.5, ranks["9"].high < 0.5]
    against = [ranks["0"].high < 0.5, ranks["2"].high < 0.5, ranks["9"].low > 0.5]
    verdict: Verdict = "holds here" if all(verdicts) else "does not hold here" if any(against) else "undecided"
    evidence = "place among the classes' sample basins, 0 the smallest and 1 the largest, mean over the networks: "
    evidence += ", ".join(f"class {label} {one.text()}" for label, one in ranks.items())
    return Statement(words, verdict, f"{evidence} (n = {sum(map(len, seeds.values()))} networks)")


def _places(values: Mapping[str, float]) -> dict[str, float]:
    from scipy import stats

    ranks = stats.rankdata(list(values.values()))
    return {label: (float(rank) - 1) / (len(values) - 1) for label, rank in zip(values, ranks, strict=True)}


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known)


def _deepest(series: Series) -> Statement:
    words, deep = [], max(layers(some[-1]) for some in series.values())
    for key, some in series.items():
        mine = _by_depth(some)[max(map(layers, some))]
        words.append(
            f"{_name(key)}: accuracy {of(mine, accuracy).text()}, sample basin "
            f"{of(mine, lambda o: amplitude(o.end, 'test_samples')).text()}, weight basin "
            f"{of(mine, lambda o: amplitude(o.end, 'test_weights')).text()}"
        )
    evidence = (
        f"the paper's set-up is not known to us. {'; '.join(words)}; a basin of 0: accuracy is not above one half"
    )
    return Statement(
        f"{deep} layers behave as the paper's (its versions 1 and 2 name 100 in their abstracts)", "undecided", evidence
    )


def _sheet(series: Series) -> Sheet:
    rows = [
        (
            _name(key),
            depth,
            of(mine, accuracy).text(".3f"),
            of(mine, lambda o: o.last["train_accuracy"]).text(".3f"),
            of(mine, lambda o: amplitude(o.end, "test_samples")).text(),
            of(mine, lambda o: amplitude(o.end, "test_weights")).text(),
        )
        for key, some in series.items()
        for depth, mine in _by_depth(some).items()
    ]
    columns = ("networks", "layers", "test accuracy", "training accuracy", "sample basin", "weight basin")
    return Sheet("At the end of training", columns, tuple(rows))


def _charts(series: Series) -> list[Chart]:
    values: dict[str, Callable[[Outcome], float]] = {
        "accuracy on test data": accuracy,
        "sample basin (unit of the pixels)": lambda o: amplitude(o.end, "test_samples"),
        "weight basin (standard deviations of the weights)": lambda o: amplitude(o.end, "test_weights"),
    }
    return [
        Chart(
            f"{y.split(' (', maxsplit=1)[0].capitalize()} over depth",
            lines(
                (_name(key), float(depth), of(mine, value))
                for key, some in series.items()
                for depth, mine in _by_depth(some).items()
            ),
            "hidden layers",
            y,
        )
        for y, value in values.items()
    ]
