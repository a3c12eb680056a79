"""What sections read: of made-up tables whose answer is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from axonometry.experiments import Context, Measurements, Section, Trial
from axonometry.papers.lin2025 import EXPERIMENT, measuring
from axonometry.papers.lin2025.depth import best_depth, depth, steepness
from axonometry.papers.lin2025.double_descent import double_descent, turns
from axonometry.papers.lin2025.flat_minima import best_rates, flat_minima
from axonometry.papers.lin2025.grokking import Jump, around_jump, grokking
from axonometry.papers.lin2025.late_layers import late_layers, linear_from
from axonometry.papers.lin2025.lmap import lmap
from axonometry.papers.lin2025.measuring import described
from axonometry.papers.lin2025.phases import phases, third_phase
from axonometry.papers.lin2025.reading import (
    OURS,
    chart,
    chosen_by_others,
    correlated,
    correlation,
    groups,
    label,
    means,
    over_seeds,
    paired,
    partly_correlated,
    range_of,
    turning,
)
from axonometry.papers.lin2025.running_statistics import crossing, delay, running_statistics
from axonometry.papers.lin2025.scales import SCALES
from axonometry.populations import RunConfiguration

Rows = Callable[[RunConfiguration], Iterable[dict[str, Any]]]
"""What is measured of a network: a row a step; test accuracy 0.9, training accuracy 1 and loss 0.01 unless it says."""


def measurements(section: str, rows: Rows, seeds: int = 20) -> Measurements:
    """The table of a section's networks at the scale medium, with measures that are made up."""
    trials = [trial for trial in SCALES["medium"].trials(seeds) if section in trial.sections]
    conditions: dict[str, list[Trial]] = {}
    for trial in trials:
        conditions.setdefault(trial.condition, []).append(trial)
    frames = {("networks", name): pd.concat(_frames(mine, rows)) for name, mine in conditions.items()}
    return Measurements(tuple(trials), {}, frames, Context(SCALES["medium"], seeds, Path("tables")))


def _frames(trials: Iterable[Trial], rows: Rows) -> Iterator[pd.DataFrame]:
    usual = {"test_accuracy": 0.9, "train_accuracy": 1.0, "train_loss": 0.01, "data": "MNIST", "ranked": 9, "noised": 9}
    for trial in trials:
        about = usual | described(trial.configuration) | {"run": trial.configuration.identity}
        yield pd.DataFrame([about | row for row in rows(trial.configuration)])


def verdicts(section: Section) -> dict[str, str]:
    return {claim.words: claim.verdict for claim in section.claims}


def of(section: Section, words: str) -> str:
    """The verdict of the one claim that has some words."""
    (found,) = [verdict for claim, verdict in verdicts(section).items() if words in claim]
    return found


def wiggled(c: RunConfiguration) -> float:
    """A little that differs from network to network, so that no interval is empty."""
    return 0.002 * (int(c.identity[:6], 16) / 16**6 - 0.5)


# ------------------------------------------------------------------------------------------------ reading


def test_differences_are_taken_seed_by_seed() -> None:
    first = pd.DataFrame({"seed": [0, 1, 2], "x": [0.2, 0.3, 0.4]})
    second = pd.DataFrame({"seed": [2, 1], "x": [0.3, 0.1]})
    gap = paired(first, second, "x")
    assert (gap.value, gap.n) == (pytest.approx(0.15), 2)


def test_correlations_without_spread_say_nothing() -> None:
    assert correlation([1.0, 2.0, 3.0], [10.0, 20.0, 15.0]) == pytest.approx(0.5)
    assert math.isnan(correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))
    assert math.isnan(correlation([1.0, 2.0], [1.0, 2.0]))
    both = pd.DataFrame({"seed": [0, 0, 0, 1, 1, 1], "x": [1, 2, 3, 1, 2, 3], "y": [1, 2, 3, 1, 3, 2]})
    assert (correlated(both, "x", "y").value, correlated(both, "x", "y").n) == (pytest.approx(0.75), 2)


def test_what_two_columns_share_with_a_third_is_taken_out() -> None:
    """Against the correlation of the residuals of ranks, which are regressed on the third's."""
    source = np.random.default_rng(0)
    z = source.permutation(40) + 1.0
    some = pd.DataFrame({"seed": 0, "z": z, "x": z + source.normal(0, 9, 40), "y": z + source.normal(0, 9, 40)})
    ranks = some.rank()
    left = [ranks[c] - np.polyval(np.polyfit(ranks["z"], ranks[c], 1), ranks["z"]) for c in ("x", "y")]
    assert partly_correlated(some, "x", "y", "z").value == pytest.approx(np.corrcoef(*left)[0, 1])
    assert math.isnan(partly_correlated(some.assign(y=some["z"]), "x", "y", "z").value)


def test_a_turn_is_where_the_other_seeds_have_it() -> None:
    rows = [(s, step, x) for s in (0, 1, 2) for step, x in ((5, 0.9), (0, 0.2), (9, 0.6))]
    assert [one.value for one in turning(pd.DataFrame(rows, columns=["seed", "step", "gradient_1"]), "gradient_1")] == [
        pytest.approx(0.7), pytest.approx(0.3)
    ]  # fmt: skip
    # Pure noise around 0: a seed's own maximum is always above its start, what the others choose is not on average.
    noise = np.random.default_rng(1).normal(0, 1, (200, 30))
    table = pd.DataFrame(
        [(s, t, x) for s, row in enumerate(noise) for t, x in enumerate(row)], columns=["seed", "step", "x"]
    )
    rise, fall = turning(table, "x")
    assert max(abs(rise.value), abs(fall.value)) < 0.4
    assert (noise.max(1) - noise[:, 0]).mean() > 1.5
    wide = over_seeds(table, "step", "x")
    assert set(chosen_by_others(wide)) == set(range(200))


@pytest.mark.parametrize(
    ("column", "ends"),
    [
        ("test_accuracy", (0, 1)), ("rate_2", (0, 1)), ("cut_10", (0, 1)), ("features_error", (0, 1)),
        ("gradient_11", (-6, 6)), ("tilt", (-12, 12)), ("weight_basin", (0, math.inf)),
        ("sample_basin_mean", (0, math.inf)), ("basin_gap", (-math.inf, math.inf)),
        ("mapped_error", (-math.inf, math.inf)),
    ],
)  # fmt: skip
def test_numbers_have_ranges(column: str, ends: tuple[float, float]) -> None:
    assert range_of(column) == ends


def test_charts_and_tables_keep_the_order_of_their_lines() -> None:
    rows = pd.DataFrame({"seed": [0, 1, 0], "step": [0, 0, 3], "x": [1.0, 2.0, math.nan]})
    drawn = chart("t", ("step", "x"), "step", {"b": (rows, "x"), "a": (rows[:1], "x")}, "what to see").frame
    assert drawn["name"].tolist() == ["b", "a"]
    assert drawn["x"].tolist() == [1.0, 1.0]  # step 0 has no place on a logarithmic axis
    assert drawn["value"].tolist() == [1.5, 1.0]
    assert math.isnan(drawn["low"][1])
    table = means("t", {("first", 2): rows[:2]}, ("name", "n"), ("x", "step"))
    assert table.columns == ("name", "n", "x", "step")
    assert [str(cell) for cell in table.rows[0]][:3] == ["first", "2", "1.500 [−4.853, 7.853]"]
    assert label("mapped_error") == "error of its L-Map"


# ------------------------------------------------------------------------------------------------ sections


def test_claims_say_where_they_stand() -> None:
    claims = phases_section((0.90, 1.2), (0.95, 1.0), [[0.0] * 6, [3.0, 3, 3, 1, 1, 1], [1.0, 1, 1, 3, 3, 3]]).claims
    assert {(claim.versions, claim.still_made) for claim in claims} == {("version 5", True)}
    assert all(claim.settled_by for claim in claims)
    found = {claim.words.startswith(OURS): claim for claim in descent(TWICE, 8).claims}
    assert (found[False].versions, found[False].still_made) == ("versions 1 and 2", False)
    assert (found[True].versions, found[True].still_made) == ("", None)


def lmap_section(gap: Callable[[int], float], steep: Callable[[int, str], list[float]]) -> Section:
    """The tanh network's L-Map and the linear network are both less accurate by the gap."""

    def rows(c: RunConfiguration) -> Iterator[dict[str, Any]]:
        n = c.n_train or 0
        own = 0.9 + wiggled(c) - (gap(n) if c.activation == "identity" else 0)
        ends = {"ranked_accuracy": own, "mapped_accuracy": own - (gap(n) if c.activation == "tanh" else wiggled(c))}
        for place, slope in enumerate(steep(n, c.activation)):
            yield {"step": 10 * place, "gradient_1": slope + wiggled(c) * (place + 1), "mapped_error": 0.3, **ends}

    return lmap(measurements("lmap", rows))


def test_lmap_finds_where_they_part() -> None:
    found = lmap_section(
        lambda n: 0.1 if n >= 6000 else 0.0,
        lambda n, kind: [0.0, 2.0, 1.5 if kind == "tanh" and n == 60_000 else 1.9],
    )
    # All six seeds say 0.0 for the L-Map of few images: a gap that never varies has the widest interval.
    assert list(verdicts(found).values())[1:] == ["holds"] * 4
    (parting,) = [one.numbers for one in found.claims if "critical" in one.words]
    assert parting.endswith(f"L-Map: {', '.join(['6,000'] * 6)}; linear network: {', '.join(['6,000'] * 6)}")


def test_a_gap_that_closes_again_is_no_parting() -> None:
    found = lmap_section(lambda n: 0.1 if n in (600, 60_000) else 0.0, lambda n, kind: [0.0, 1.0])
    assert any("L-Map: 60,000, 60,000, " in one.numbers for one in found.claims)
    below = lmap_section(lambda n: 0.1 if n >= 6000 else -0.1, lambda n, kind: [0.0, 1.0])
    assert any("L-Map: 6,000, 6,000, " in one.numbers for one in below.claims)


def test_lmap_refutes_too() -> None:
    found = lmap_section(lambda n: 0.1, lambda n, kind: [3.0, 2.0, 1.0 if kind == "identity" else 2.0])
    assert of(found, "all three are equally accurate") == "contradicted"
    assert of(found, "With 600 images the rank distributions of tanh and linear network coincide") == "contradicted"
    assert of(found, "With 60,000 images the linear network's rank distribution is steeper") == "contradicted"
    never = lmap_section(lambda n: 0.0, lambda n, kind: [0.0, 1.0])
    assert of(never, "same critical number") == "contradicted"
    assert any("never, never, never" in one.numbers for one in never.claims)


def phases_section(slow: tuple[float, float], fast: tuple[float, float], way: list[list[float]]) -> Section:
    """(accuracy, first gradient) of the slow and the fast SGD; other layers' gradients over time are the way's."""

    def rows(c: RunConfiguration) -> Iterator[dict[str, Any]]:
        accuracy, first = slow if c.learning_rate == 0.03 else fast
        if c.optimiser == "adam":  # further on the way from the slow one to the fast one
            first += 100 * c.learning_rate * math.copysign(1, fast[1] - slow[1])
            accuracy += 10 * c.learning_rate
        for step, gradients in enumerate([*way, [first, *way[-1][1:]]]):
            # Ten layers: those in the middle are in no claim.
            slopes = [*gradients[:3], 0.0, 0.0, 0.0, 0.0, *gradients[3:]]
            named = {f"gradient_{k}": slope + wiggled(c) * (k + step) for k, slope in enumerate(slopes, 1)}
            yield {"step": step, "test_accuracy": accuracy + wiggled(c), **named}

    return phases(measurements("phases", rows))


def test_phases_compare_layers_over_time_and_learning_rates() -> None:
    steep_first, flat, late = [3.0, 3, 3, 1, 1, 1], [0.0] * 6, [1.0, 1, 1, 3, 3, 3]
    holds = phases_section((0.90, 1.2), (0.95, 1.0), [flat, steep_first, late])
    assert list(verdicts(holds).values()) == ["holds"] * 4
    reversal, rates, _, _ = holds.claims
    assert "SGD 0.03: 2.00" in reversal.numbers
    assert "at update 1, −1.9" in reversal.numbers
    assert rates.numbers.startswith("SGD 0.37 less SGD 0.03: first layer's gradient −0.2")
    # The faster one is more accurate with the higher gradient; early layers are never the steeper ones.
    fails = phases_section((0.90, 0.2), (0.95, 0.4), [[0.0, 0, 0, 1, 1, 1], [0.1, 0, 0, 2, 2, 2]])
    assert list(verdicts(fails).values())[:3] == ["contradicted"] * 3
    # Equally accurate: nothing is known of it.
    equal = phases_section((0.90, 1.2), (0.90, 1.0), [flat, late])
    assert of(equal, "Of two learning rates") == "undecided"
    only_up = phases_section((0.90, 2.0), (0.95, 2.2), [flat, [0.5] * 6, [0.6, 1, 1, 3, 3, 3]])
    assert of(only_up, "rises, then falls") == "in part"  # it rises, and never falls


@pytest.mark.parametrize(("end", "verdict", "peak"), [(0.2, "holds", 4), (1.5, "contradicted", 9)])
def test_gradients_of_the_middle_layers_converge(end: float, verdict: str, peak: int) -> None:
    def rows(c: RunConfiguration) -> Iterator[dict[str, Any]]:
        for step, spread in ((0, 0.0), (4, 1.0), (9, end)):
            # Evenly spread over the layers: half of the range lies between the quartiles. The first and the last stay
            # far off, and are not meant.
            slopes = [2 * spread * k / 22 + wiggled(c) * (step + k) for k in range(23)]
            slopes[0], slopes[-1] = -3.0, 5.0
            yield {"step": step, **{f"gradient_{k}": slope for k, slope in enumerate(slopes, 1)}}

    found = third_phase(measurements("third-phase", rows))
    assert of(found, "converge") == verdict
    assert f"(update {peak}), {end:.1f}" in found.claims[0].numbers


@pytest.mark.parametrize(
    ("accuracies", "linear"),
    [([0.7, 0.905, 0.85, 0.905, 0.91], 1), ([0.9, 0.9], 1), ([0.1, 0.2, 0.9], 0), ([0.91, 0.9, 0.91], 2)],
)
def test_layers_that_could_be_linear(accuracies: list[float], linear: int) -> None:
    """Against cutting from the top, a layer at a time, while the accuracy stays."""
    assert linear_from(accuracies) == linear
    n = len(accuracies) - 1
    down = 0
    while down < n and accuracies[n - down - 1] >= accuracies[-1] - 0.01:
        down += 1
    assert linear == down


@pytest.mark.parametrize(("way", "said"), [("rises", ["holds", "holds"]), ("falls", ["contradicted", "undecided"])])
def test_late_layers_are_cut(way: str, said: list[str]) -> None:
    def rows(c: RunConfiguration) -> Iterator[dict[str, Any]]:
        up = [0.5, 0.6, 0.7, 0.8, 0.85, 0.88, 0.90, 0.905 + (0.01 if wiggled(c) > 0 else 0), 0.911, 0.912, 0.913]
        down = [0.93, 0.92, 0.91, 0.9, 0.89, 0.88, 0.87, 0.86, 0.85, 0.7, 0.912]
        yield {"step": 9, **{f"cut_{k}": x for k, x in enumerate(up if way == "rises" else down)}}

    assert list(verdicts(late_layers(measurements("late-layers", rows))).values()) == said


def test_a_crossing_is_interpolated() -> None:
    steps = pd.Series([0, 10, 20])
    assert crossing(steps, pd.Series([0.1, 0.2, 0.8])) == pytest.approx(15)
    assert crossing(steps, pd.Series([0.6, 0.2, 0.8])) == 0
    assert crossing(steps, pd.Series([0.1, 0.2, 0.3])) == 20
    network = pd.DataFrame(
        {"step": [20, 0, 10], "test_accuracy": [0.8, 0.0, 0.2], "batch_test_accuracy": [0.9, 0.0, 0.5]}
    )
    assert delay(network) == pytest.approx(5)


def running_section(delays: dict[float, float], shallow: float, train: float) -> Section:
    """Accuracy rises by 0.1 an update of ten, by batch statistics from the start, by running ones after a delay."""

    def rows(c: RunConfiguration) -> Iterator[dict[str, Any]]:
        late = delays[c.norm_momentum] if len(c.widths or ()) > 2 else shallow
        for step in range(0, 400, 4):
            running, batch = (min(1.0, max(0.0, (step - behind) / 100)) for behind in (late + 100 * wiggled(c), 0))
            known = {"train_accuracy": train + wiggled(c), "batch_train_accuracy": batch}
            yield {"step": step, "test_accuracy": running, "batch_test_accuracy": batch, **known}

    return running_statistics(measurements("running-statistics", rows))


def test_running_statistics_lag() -> None:
    holds = running_section({0.01: 200, 0.1: 20, 1.0: 0.5}, 3, train=0.95)
    assert list(verdicts(holds).values()) == ["holds"] * 5
    assert "momentum 0.1: 20.0" in holds.claims[1].numbers
    fails = running_section({0.01: 1, 0.1: 2, 1.0: 20}, 10, train=0.1)
    assert list(verdicts(fails).values()) == ["contradicted"] * 5


def depth_section(
    best: Callable[[int], float], sample: Callable[[int], float], weight: Callable[[int], float], seeds: int = 20
) -> Section:
    def rows(c: RunConfiguration) -> Iterator[dict[str, Any]]:
        layers, width = len(c.widths or ()), (c.widths or (0,))[0]
        classes = {f"sample_basin_class_{k}": 1.0 + 0.1 * k + wiggled(c) for k in range(10)}
        top = {"0": 5.0, "2": 10.0, "9": 0.1}
        if wiggled(c) > 0.0009:  # a few networks have it the other way round, so that places vary
            top = {"0": 10.0, "2": 1.25, "9": 1.35}
        classes |= {f"sample_basin_class_{k}": x for k, x in top.items()}
        yield {
            "step": 9,
            "test_accuracy": 0.5 if layers == 100 else 0.95 - 0.01 * math.log2(layers / best(width)) ** 2 + wiggled(c),
            "sample_basin": sample(layers) * (1 + wiggled(c)),
            "weight_basin": weight(layers) * (1 + wiggled(c)),
            **classes,
        }

    return depth(measurements("depth", rows, seeds))


def test_depth_finds_the_optimum_and_the_trends() -> None:
    found = depth_section(lambda width: 7, lambda d: 0.5 + d / 100, lambda d: 2 - d / 100)
    assert list(verdicts(found).values()) == ["holds"] * 5 + ["contradicted"]
    (optimum,) = [one.numbers for one in found.claims if "6 to 8" in one.words]
    assert "width 64, batch norm: 7.0 [" in optimum


def test_depth_refutes_too_and_leaves_untrained_networks_out() -> None:
    # Networks of 100 layers, which have not learned, would turn the sample basin's trend round.
    found = depth_section(
        lambda width: 2.2 if width == 64 else 20, lambda d: 2 - d / 100 if d < 100 else 9, lambda d: d / 100
    )
    assert list(verdicts(found).values())[:4] == ["contradicted"] * 4


def test_the_best_depth_is_the_curves_and_not_the_grids() -> None:
    """Against a dense search on the curve that was planted."""
    x = np.log2([2, 4, 8, 16, 32, 100])
    planted = np.array([[0.9 - 0.02 * (x - 2.7) ** 2 + 0.001 * (x - 2.7) ** 3], [0.9 - 0.03 * (x - 4.1) ** 2]])[:, 0]
    assert best_depth([2, 4, 8, 16, 32, 100], planted) == pytest.approx([2.7, 4.1], abs=0.02)
    both = pd.DataFrame({"layers": [2, 4, 8, 16], "b": [3.0, 3 * 2**0.5, 6.0, 0.0]})
    assert steepness(both, "b") == pytest.approx(0.5)  # a basin of 0 is no amplitude
    assert math.isnan(steepness(both[1:], "b"))


def flat_section(sign: float) -> Section:
    """Flatness follows the batch; the number of updates says nothing of it, and a rate of 0.003 is the best."""

    def rows(c: RunConfiguration) -> Iterator[dict[str, Any]]:
        flat = sign * -math.log(c.batch_size) / 100 + wiggled(c)
        basins = dict.fromkeys(("sample_basin", "weight_basin", "train_weight_basin"), 1 + flat)
        steep = {"sharpness": 1 - flat, "scaled_sharpness": 0.5 - flat}
        better = 0.01 * (c.learning_rate == 0.003)
        step = 100 + int(c.identity[6:9], 16)
        yield {"step": step, "test_accuracy": 0.9 + flat + better, **basins, **steep}

    return flat_minima(measurements("flat-minima", rows))


def test_flat_minima_compare_the_batches_at_their_best_rates() -> None:
    assert set(verdicts(flat_section(1.0)).values()) == {"holds"}
    assert flat_section(1.0).title == "Do small batches find flatter minima, and are these larger weight basins?"
    assert list(verdicts(flat_section(-1.0)).values()) == ["contradicted"] * 4 + ["holds"] * 2
    rows = [(8, s, rate, accuracy) for s in range(3) for rate, accuracy in ((0.1, 0.8), (0.2, 0.9))]
    rows[0] = (8, 0, 0.1, 1.0)  # seed 0 itself likes the other rate: it is not asked
    end = pd.DataFrame(rows, columns=["batch_size", "seed", "learning_rate", "test_accuracy"])
    assert best_rates(end)["learning_rate"].tolist()[0] == 0.2


def test_flat_minima_that_no_network_reaches_are_not_compared() -> None:
    section = flat_minima(measurements("flat-minima", lambda c: [{"step": 9, "train_loss": 1.0}], seeds=2))
    assert [(claim.verdict, claim.numbers) for claim in section.claims] == [
        ("undecided", "too few batch sizes reach the loss")
    ]


STEPS = (0, 10, 100, 300, 1000, 3000)


def grokking_measurements(
    late: float, known_at: int = 100, steps: tuple[int, ...] = STEPS, seeds: int = 20, modes: float = 1.0
) -> Measurements:
    """Training samples known at a step, test accuracy 0.2 before step 1000, and a late one from then on."""

    def rows(c: RunConfiguration) -> Iterator[dict[str, Any]]:
        for step in steps:
            own = {"train_accuracy": 1.0 if step >= known_at else 0.3, "test_accuracy": 0.2}
            own["test_accuracy"] = late + wiggled(c) if step >= 1000 else 0.2
            basin = 0.01 + wiggled(c) * (1 + step / 1000) + (0.3 if step >= 1000 else 0)
            # Modes are strongest at the jump; the first layer's gradient is negative, and its amount is asked.
            strong = modes * {1000: 1.0, 3000: 0.7}.get(step, 0.2) + wiggled(c) * (2 + step / 1000)
            measured = {
                "sample_basin_mean": basin,
                "train_sample_basin_mean": basin + 0.1 + wiggled(c),
                "weight_basin": 1.0,
            }
            measured |= {
                "gradient_1": -strong,
                "gradient_2": strong,
                "rate_1": 0.5 + strong / 5,
                "rate_2": 0.6 + strong / 5,
            }
            yield {"step": step, **own, **(measured if step in STEPS else {})}

    return measurements("grokking", rows, seeds)


def first_network(found: Measurements) -> pd.DataFrame:
    table = found.table
    return table[(table["condition"] == table["condition"][0]) & (table["seed"] == 0)]


def around(found: Measurements) -> list[int]:
    return [int(some["step"].iloc[0]) for some in around_jump(first_network(found))]


def test_grokking_finds_the_jump() -> None:
    found = grokking_measurements(0.9)
    jump = Jump.of(first_network(found))
    assert (jump.memorised, jump.step, jump.gained) == (100, 1000, pytest.approx(0.7, abs=0.01))
    assert around(found) == [100, 1000, 3000]
    section = grokking(found)
    said = {words: verdict for words, verdict in verdicts(section).items() if "long after" not in words}
    assert list(said.values()) == ["holds"] * 9  # a jump in three settings, and six more
    # Ten times as many updates in every seed: what never varies is not told from a ratio below two.
    assert all("10.00" in one.numbers for one in section.claims if "long after" in one.words)
    # The other way round: order is preserved more before the jump.
    other = grokking(grokking_measurements(0.9, modes=-1.0))
    assert of(other, "the rate of pairs") == "contradicted"


def test_a_network_that_does_not_grok_has_no_jump() -> None:
    found = grokking_measurements(0.25)
    assert math.isinf(Jump.of(first_network(found)).step)
    assert of(grokking(found), "1,000 images, weights times 8, decay 0.3: the test accuracy jumps") == "contradicted"
    never = grokking_measurements(0.25, known_at=10_000)
    jump = Jump.of(first_network(never))
    assert math.isinf(jump.memorised)
    assert math.isnan(jump.gained)
    assert str(jump) == "known at never, jump at never"
    assert around(never) == [3000, 3000, 3000]


def test_samples_are_known_at_the_bound_and_a_jump_is_half_of_the_gain() -> None:
    table = pd.DataFrame({"step": [10, 20, 40], "train_accuracy": [0.5, 0.99, 1.0], "test_accuracy": [0.1, 0.2, 0.9]})
    assert (Jump.of(table).memorised, Jump.of(table).step) == (20, 40)
    # Half of the gain from 0.2 to 0.9 is 0.55: reached before the end.
    way = pd.DataFrame({"step": [1, 2, 3, 4], "train_accuracy": 1.0, "test_accuracy": [0.2, 0.5, 0.6, 0.9]})
    assert Jump.of(way).step == 3


TWICE = {4: 0.5, 8: 0.3, 16: 0.25, 32: 0.35, 64: 0.45, 96: 0.5, 128: 0.4, 192: 0.3, 256: 0.25, 512: 0.2}


def descent(errors: dict[int, float], threshold: int, entropy: float = 0.0, seeds: int = 20) -> Section:
    """By cross entropy the error falls from width to width, but for what is added at width 64."""

    def rows(c: RunConfiguration) -> Iterator[dict[str, Any]]:
        width = (c.widths or (0,))[0]
        plain = 0.5 - 0.03 * math.log2(width) + entropy * (width == 64)
        error = (errors[width] if c.objective == "squared-error" else plain) + wiggled(c)
        basins = ("sample_basin", "train_sample_basin", "weight_basin")
        yield {
            "step": 9,
            "test_accuracy": 1 - error,
            "features_error": error + 0.1,
            "train_accuracy": 1.0 if width >= threshold else 0.9,
            **{name: math.log(width) + wiggled(c) for name in basins},
            **{"gradient_1": 2 - math.log(width) / 10 + wiggled(c), "rate_1": 0.9, "dead_1": 0.0},
        }

    return double_descent(measurements("double-descent", rows, seeds))


def test_double_descent_needs_a_peak_between_two_descents() -> None:
    section = descent(TWICE, 64)
    assert list(verdicts(section).values()) == ["holds"] * 7
    first, place, *_, question = (claim.numbers for claim in section.claims)
    assert first.startswith("rises from its minimum to width 96 by 0.25")
    assert "falls by 0.30" in first or "falls by 0.29" in first
    assert "96 and 64, 96 and 64" in place
    assert question.startswith("from width 64 to 512 by ")
    falling = descent({width: 1 / width for width in TWICE}, 64)
    assert of(falling, "rises to a peak, and descends again") == "contradicted"
    overfit = descent({width: 0.2 + 0.05 * k for k, width in enumerate(TWICE)}, 64)
    assert of(overfit, "rises to a peak, and descends again") == "contradicted"  # it never falls again
    assert of(descent(TWICE, 9999), "first learned by heart") == "undecided"
    assert of(descent(TWICE, 64, entropy=0.5), "by cross entropy") == "contradicted"
    assert turns({2: 0.5, 4: 0.3, 6: 0.35, 8: 0.45, 12: 0.2}) == (4, 8)
    assert turns({2: 0.5, 4: 0.3, 8: 0.25, 16: 0.4}) == (4, 8)  # the last width is none
    assert turns({2: 0.3, 4: 0.31, 8: 0.2, 16: 0.6, 32: 0.1}) == (8, 16)  # the small bump before is no peak


def test_one_seed_decides_nothing() -> None:
    undecided = {"undecided"}
    assert {claim.verdict for claim in grokking(grokking_measurements(0.9, seeds=1)).claims} == undecided
    assert {claim.verdict for claim in depth_section(lambda w: 7, float, float, seeds=1).claims} == undecided
    assert set(verdicts(descent(TWICE, 64, seeds=1)).values()) == undecided


def test_groups_are_in_order() -> None:
    rows = pd.DataFrame({"batch": [16, 4, 64], "condition": ["b", "c", "a"]})
    assert list(groups(rows, "batch")) == [4, 16, 64]
    assert list(groups(rows, "condition")) == ["b", "c", "a"]


def test_how_to_read_it_says_the_sizes_that_are_measured() -> None:
    draws = f"{measuring.SAMPLE_DRAWS} draws a sample,\n  {measuring.WEIGHT_DRAWS} networks, bisected"
    for words in (f"{draws} to {measuring.PRECISION:.0%};", f"no noise up to {measuring.LARGEST:g} brings it down"):
        assert words in str(EXPERIMENT.how)
