"""What sections read: of made-up tables whose answer is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from axonometry.experiments import Context, Measurements, Section, Trial
from axonometry.papers.lin2025 import EXPERIMENT, double_descent, grokking, lmap, measuring, phases
from axonometry.papers.lin2025.depth import depth
from axonometry.papers.lin2025.double_descent import turns
from axonometry.papers.lin2025.flat_minima import flat_minima
from axonometry.papers.lin2025.grokking import Jump, around_jump
from axonometry.papers.lin2025.measuring import described
from axonometry.papers.lin2025.reading import (
    chart,
    correlated,
    correlation,
    groups,
    label,
    means,
    paired,
    rises,
)
from axonometry.papers.lin2025.scales import SCALES
from axonometry.populations import RunConfiguration

Rows = Callable[[RunConfiguration], Iterable[dict[str, Any]]]
"""What is measured of a network: a row a step; test accuracy 0.9, training accuracy 1 and loss 0.01 unless it says."""


def measurements(section: str, rows: Rows, seeds: int = 3) -> Measurements:
    """The table of a section's networks at the scale small, with measures that are made up."""
    trials = [trial for trial in SCALES["small"].trials(seeds) if trial.sections == (section,)]
    conditions: dict[str, list[Trial]] = {}
    for trial in trials:
        conditions.setdefault(trial.condition, []).append(trial)
    frames = {("networks", name): pd.concat(_frames(mine, rows)) for name, mine in conditions.items()}
    return Measurements(tuple(trials), {}, frames, Context(SCALES["small"], seeds, Path("tables")))


def _frames(trials: Iterable[Trial], rows: Rows) -> Iterator[pd.DataFrame]:
    usual = {"test_accuracy": 0.9, "train_accuracy": 1.0, "train_loss": 0.01, "data": "MNIST", "ranked": 9, "noised": 9}
    for trial in trials:
        about = usual | described(trial.configuration) | {"run": trial.configuration.identity}
        yield pd.DataFrame([about | row for row in rows(trial.configuration)])


def verdicts(section: Section) -> dict[str, str]:
    return {claim.words: claim.verdict for claim in section.claims}


def wiggled(seed: int) -> float:
    """A little that differs between seeds, so that intervals are not empty."""
    return 0.001 * (seed - 1)


# ------------------------------------------------------------------------------------------------ reading


def test_differences_are_taken_seed_by_seed() -> None:
    first = pd.DataFrame({"seed": [0, 1, 2], "x": [0.2, 0.3, 0.4]})
    second = pd.DataFrame({"seed": [2, 1], "x": [0.3, 0.2]})
    gap = paired(first, second, "x")
    assert (gap.value, gap.n) == (pytest.approx(0.1), 2)
    assert gap.high - gap.low == pytest.approx(0, abs=1e-9)


def test_correlations_without_spread_say_nothing() -> None:
    assert correlation([1.0, 2.0, 3.0], [10.0, 20.0, 15.0]) == pytest.approx(0.5)
    assert math.isnan(correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))
    assert math.isnan(correlation([1.0, 2.0], [1.0, 2.0]))
    both = pd.DataFrame({"seed": [0, 0, 0, 1, 1, 1], "x": [1, 2, 3, 1, 2, 3], "y": [1, 2, 3, 1, 3, 2]})
    assert (correlated(both, "x", "y").value, correlated(both, "x", "y").n) == (pytest.approx(0.75), 2)


def test_rise_and_fall_are_from_the_start_to_the_maximum_and_from_there_to_the_end() -> None:
    steps = pd.DataFrame({"seed": [0, 0, 0], "step": [5, 0, 9], "gradient_1": [0.9, 0.2, 0.6]})
    assert [one.value for one in rises(steps)] == [pytest.approx(0.7), pytest.approx(0.3)]


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


def lmap_section(gap: Callable[[int], float], steep: Callable[[int, str], list[float]]) -> Section:
    """The tanh network's L-Map and the linear network are both less accurate by the gap."""

    def rows(c: RunConfiguration) -> Iterator[dict[str, Any]]:
        n = c.n_train or 0
        own = 0.9 + wiggled(c.seed) - (gap(n) if c.activation == "identity" else 0)
        ends = {"ranked_accuracy": own, "mapped_accuracy": own - (gap(n) if c.activation == "tanh" else 0)}
        for place, slope in enumerate(steep(n, c.activation)):
            yield {"step": 10 * place, "gradient_1": slope + wiggled(c.seed), "mapped_error": 0.3, **ends}

    return lmap(measurements("lmap", rows))


def test_lmap_finds_where_they_part() -> None:
    found = lmap_section(
        lambda n: 0.1 if n >= 6000 else 0.0,
        lambda n, kind: [0.0, 2.0, 1.5 if kind == "tanh" and n == 60_000 else 1.9],
    )
    assert list(verdicts(found).values()) == ["holds"] * 5
    (parting,) = [one.numbers for one in found.claims if "critical" in one.words]
    assert parting.endswith("L-Map: 6,000, 6,000, 6,000; linear network: 6,000, 6,000, 6,000")


def test_a_gap_that_closes_again_is_no_parting() -> None:
    found = lmap_section(lambda n: 0.1 if n == 2000 or n >= 20_000 else 0.0, lambda n, kind: [0.0, 1.0])
    assert any("L-Map: 20,000, 20,000, 20,000;" in one.numbers for one in found.claims)


def test_lmap_refutes_too() -> None:
    said = verdicts(lmap_section(lambda n: 0.1, lambda n, kind: [3.0, 2.0, 1.0 if kind == "identity" else 2.0]))
    assert said["For small training sets all three are equally accurate"] == "contradicted"
    assert said["With 600 images the rank distributions of tanh and linear network coincide"] == "contradicted"
    steeper = "With 60,000 images the linear network's rank distribution is steeper"
    assert said[steeper] == "contradicted"
    assert said["The gradient rises while the network begins to learn, then falls"] == "undecided"


def test_lmap_networks_that_never_part() -> None:
    found = lmap_section(lambda n: 0.0, lambda n, kind: [0.0, 1.0])
    assert verdicts(found)["They part at the same critical number of images"] == "contradicted"
    assert any("never, never, never" in one.numbers for one in found.claims)


def phases_section(slow: tuple[float, float], fast: tuple[float, float], way: list[list[float]]) -> Section:
    """(accuracy, first gradient) of the slow and the fast SGD; other layers' gradients over time are the way's."""

    def rows(c: RunConfiguration) -> Iterator[dict[str, Any]]:
        accuracy, first = slow if c.learning_rate == 0.03 else fast
        for step, gradients in enumerate([*way, [first, *way[-1][1:]]]):
            # Ten layers: those in the middle are in no claim.
            slopes = [*gradients[:3], 0.0, 0.0, 0.0, 0.0, *gradients[3:]]
            named = {f"gradient_{k}": slope + wiggled(c.seed) for k, slope in enumerate(slopes, 1)}
            modes = {f"{name}_{k}": 0.5 for name in ("rate", "dead") for k in (1, 10)}
            yield {"step": step, "test_accuracy": accuracy + wiggled(c.seed), **named, **modes}

    return phases(measurements("phases", rows))


def test_phases_compare_the_learning_rates() -> None:
    steep_first, flat = [3.0, 3, 3, 1, 1, 1], [0.0] * 6
    late = [1.0, 1, 1, 3, 3, 3]
    holds = phases_section((0.90, 1.2), (0.95, 1.0), [flat, steep_first, late])
    assert list(verdicts(holds).values()) == ["holds"] * 4
    # The faster one is more accurate with the higher gradient; early layers are never the steeper ones.
    fails = phases_section((0.90, 0.2), (0.95, 0.4), [[0.0, 0, 0, 1, 1, 1], [0.1, 0, 0, 2, 2, 2]])
    assert list(verdicts(fails).values())[:3] == ["contradicted"] * 3
    equal = phases_section((0.90, 0.2), (0.90, 0.4), [flat, late])
    assert next(iter(verdicts(equal).values())) == "undecided"


def test_what_phases_measure_to_the_digit() -> None:
    steep_first, flat, late = [3.0, 3, 3, 1, 1, 1], [0.0] * 6, [1.0, 1, 1, 3, 3, 3]
    rates, _, reversal, _ = phases_section((0.90, 1.2), (0.92, 1.0), [flat, steep_first, late]).claims
    assert rates.verdict == "holds"  # a difference is a difference, however small
    assert "accuracy 0.020 [0.020, 0.020], first layer's gradient −0.200 [" in rates.numbers  # the greater rate's less
    assert "at most 2.000 [2.000, 2.000], at the end −" in reversal.numbers  # three layers at either end
    # What is steep at the beginning, before any update, is no phase.
    *_, reversal, _ = phases_section((0.90, 1.5), (0.95, 1.7), [steep_first, late]).claims
    assert reversal.verdict == "contradicted"
    only_up = phases_section((0.90, 2.0), (0.95, 2.2), [flat, late]).claims[-1]
    assert only_up.verdict == "undecided"  # it rises, and never falls


def test_the_best_depth_may_be_8() -> None:
    eight = depth_section(lambda width: 8, lambda d: 0.5 + d / 100, lambda d: 2 - d / 100)
    assert verdicts(eight)["The most accurate networks have 6 to 8 layers"] == "holds"


def test_a_gap_below_0_is_no_parting() -> None:
    found = lmap_section(lambda n: 0.1 if n >= 6000 else -0.1, lambda n, kind: [0.0, 1.0])
    assert any("L-Map: 6,000, 6,000, 6,000;" in one.numbers for one in found.claims)


def test_samples_are_known_at_the_bound_and_late_begins_at_twice_the_updates() -> None:
    table = pd.DataFrame({"step": [10, 20, 40], "train_accuracy": [0.5, 0.99, 1.0], "test_accuracy": [0.1, 0.2, 0.9]})
    assert (Jump.of(table).memorised, Jump.of(table).step) == (20, 40)
    assert Jump(20.0, 40.0, 0.7).late
    assert not Jump(20.0, 39.0, 0.7).late
    # Half of the gain from 0.2 to 0.9 is 0.55: reached before the end.
    way = pd.DataFrame({"step": [1, 2, 3, 4], "train_accuracy": 1.0, "test_accuracy": [0.2, 0.5, 0.6, 0.9]})
    assert Jump.of(way).step == 3


def depth_section(
    best: Callable[[int], int], sample: Callable[[int], float], weight: Callable[[int], float], seeds: int = 3
) -> Section:
    def rows(c: RunConfiguration) -> Iterator[dict[str, Any]]:
        layers, width = len(c.widths or ()), (c.widths or (0,))[0]
        classes = {f"sample_basin_class_{k}": 1.0 + 0.1 * k for k in range(10)}
        classes |= {"sample_basin_class_0": 5.0, "sample_basin_class_2": 10.0, "sample_basin_class_9": 0.1}
        yield {
            "step": 9,
            "test_accuracy": 0.5 if layers == 100 else 0.95 - 0.01 * abs(math.log2(layers / best(width))),
            "sample_basin": sample(layers) + wiggled(c.seed),
            "weight_basin": weight(layers) + wiggled(c.seed),
            **classes,
        }

    return depth(measurements("depth", rows, seeds))


def test_depth_finds_the_optimum_and_the_trends() -> None:
    found = depth_section(lambda width: 6, lambda d: 0.5 + d / 100, lambda d: 2 - d / 100)
    assert list(verdicts(found).values()) == ["holds"] * 5 + ["undecided"]
    (optimum,) = [one.numbers for one in found.claims if "6 to 8" in one.words]
    assert "width 32, he: 6, 6, 6" in optimum
    assert "width 128, torch: 6, 6, 6" in optimum


def test_depth_refutes_too_and_leaves_untrained_networks_out() -> None:
    # Networks of 100 layers, which have not learned, would turn the sample basin's trend round.
    found = depth_section(
        lambda width: 1 if width == 32 else 30, lambda d: 2 - d / 100 if d < 100 else 9, lambda d: d / 100
    )
    assert list(verdicts(found).values())[:4] == ["contradicted"] * 4


def test_flat_minima_compare_the_batches() -> None:
    def found(sign: float) -> dict[str, str]:
        def rows(c: RunConfiguration) -> Iterator[dict[str, Any]]:
            flat = sign * -math.log(c.batch_size) / 100 + wiggled(c.seed) / 100
            basins = dict.fromkeys(("sample_basin", "weight_basin", "train_weight_basin"), 1 + flat)
            steep = {"sharpness": 1 - flat, "scaled_sharpness": 0.5 - flat}
            yield {"step": 9, "test_accuracy": 0.9 + flat, **basins, **steep}

        return verdicts(flat_minima(measurements("flat-minima", rows)))

    assert set(found(1.0).values()) == {"holds"}
    assert list(found(-1.0).values()) == ["contradicted"] * 4 + ["holds"] * 2


STEPS = (0, 10, 100, 300, 1000, 3000)


def grokking_measurements(
    late: float, known_at: int = 100, steps: tuple[int, ...] = STEPS, seeds: int = 3
) -> Measurements:
    """Training samples known at a step, test accuracy 0.2 before step 1000, and a late one from then on."""

    def rows(c: RunConfiguration) -> Iterator[dict[str, Any]]:
        for step in steps:
            own = {"train_accuracy": 1.0 if step >= known_at else 0.3, "test_accuracy": late if step >= 1000 else 0.2}
            basin = 0.01 + wiggled(c.seed) + (0.3 if step >= 1000 else 0)
            measured = {
                "sample_basin_mean": basin,
                "train_sample_basin_mean": basin + 0.1 + wiggled(c.seed),
                "weight_basin": 1.0,
                "gradient_1": 0.2 + basin,
                "rate_1": 0.7,
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
    assert (jump.memorised, jump.step, jump.gained) == (100, 1000, pytest.approx(0.7))
    assert around(found) == [100, 1000, 3000]
    section = grokking(found)
    assert list(verdicts(section).values()) == ["holds"] * 6 + ["undecided"]
    assert "left to the full scale" in section.setup


def test_a_network_that_does_not_grok_has_no_jump() -> None:
    found = grokking_measurements(0.25)
    assert math.isinf(Jump.of(first_network(found)).step)
    said = verdicts(grokking(found))
    assert [v for words, v in said.items() if "jumps long after" in words] == ["contradicted"] * (len(said) - 4)
    never = grokking_measurements(0.25, known_at=10_000)
    jump = Jump.of(first_network(never))
    assert math.isinf(jump.memorised)
    assert math.isnan(jump.gained)
    assert str(jump) == "known at never, jump at never"
    assert around(never) == [3000, 3000, 3000]


def test_a_jump_that_comes_at_once_is_not_late() -> None:
    # Looked at, and not measured, at step 1001; the samples are known at 1000 only.
    found = grokking_measurements(0.9, known_at=300, steps=(0, 10, 100, 300, 400, 1000, 3000))
    table = first_network(found)
    table = table.assign(test_accuracy=[0.2, 0.2, 0.2, 0.2, 0.9, 0.9, 0.9])
    assert Jump.of(table).step == 400
    assert not Jump.of(table).late
    assert [int(some["step"].iloc[0]) for some in around_jump(table)] == [300, 300, 3000]
    assert next(iter(verdicts(grokking(grokking_measurements(0.9, known_at=1000))).values())) == "contradicted"


def descent(errors: Callable[[int], float], train: Callable[[int], float], seeds: int = 3) -> dict[str, str]:
    return verdicts(descent_section(errors, train, seeds))


def descent_section(errors: Callable[[int], float], train: Callable[[int], float], seeds: int = 3) -> Section:
    def rows(c: RunConfiguration) -> Iterator[dict[str, Any]]:
        width = (c.widths or (0,))[0]
        basins = ("sample_basin", "train_sample_basin", "weight_basin")
        yield {
            "step": 9,
            "test_accuracy": 1 - errors(width) - wiggled(c.seed),
            "train_accuracy": train(width),
            **dict.fromkeys(basins, math.log(width) + wiggled(c.seed)),
            **{"gradient_1": 2 - math.log(width) / 10 + wiggled(c.seed), "rate_1": 0.9, "dead_1": 0.0},
        }

    return double_descent(measurements("double-descent", rows, seeds))


def test_the_threshold_is_the_first_width_that_interpolates_and_the_peak_lies_behind_the_minimum() -> None:
    errors = {2: 0.9, 4: 0.3, 6: 0.35, 8: 0.45, 12: 0.4}  # the greatest error of all, at width 2, is no peak
    found = descent_section(lambda width: errors.get(width, 0.2), lambda width: 0.99 if width >= 8 else 0.9, seeds=2)
    first, *others = (claim.numbers for claim in found.claims)
    assert first.startswith("threshold at width 8; a first minimum at width 4, a peak at 8; rises by 0.150 [0.150, ")
    assert "falls by 0.250 [0.250, 0.250] to " in first
    assert all(numbers.startswith("from width 8 to ") for numbers in others)


def test_double_descent_needs_a_peak_between_two_descents() -> None:
    def twice(width: int) -> float:
        return {2: 0.5, 4: 0.3, 6: 0.35, 8: 0.45, 12: 0.4}.get(width, 0.2)

    claim = "The test error descends, rises to a peak, and descends again"
    said = descent(twice, lambda width: 1.0 if width >= 8 else 0.9)
    assert list(said.values()) == ["holds"] * 4
    assert descent(lambda width: 1 / width, lambda width: 1.0 if width >= 8 else 0.9)[claim] == "contradicted"
    overfit = descent(lambda width: abs(math.log(width / 8)) / 10, lambda width: 1.0 if width >= 8 else 0.9)
    assert overfit[claim] == "undecided"
    assert descent(twice, lambda width: 0.5) == {"The test error descends twice": "undecided"}
    assert turns({2: 0.5, 4: 0.3, 6: 0.35, 8: 0.45, 12: 0.2}) == (4, 8)


def test_one_seed_decides_nothing() -> None:
    undecided = {"undecided"}
    assert {claim.verdict for claim in grokking(grokking_measurements(0.9, seeds=1)).claims} == undecided
    assert {claim.verdict for claim in depth_section(lambda w: 6, float, float, seeds=1).claims} == undecided
    assert set(descent(lambda width: 1 / width, lambda width: 1.0, seeds=1).values()) == undecided


def test_groups_are_in_order() -> None:
    rows = pd.DataFrame({"batch": [16, 4, 64], "condition": ["b", "c", "a"]})
    assert list(groups(rows, "batch")) == [4, 16, 64]
    assert list(groups(rows, "condition")) == ["b", "c", "a"]


def test_how_to_read_it_says_the_sizes_that_are_measured() -> None:
    draws = f"{measuring.SAMPLE_DRAWS} draws a sample,\n  {measuring.WEIGHT_DRAWS} networks, bisected"
    for words in (f"{draws} to {measuring.PRECISION:.0%};", f"no noise up to {measuring.LARGEST:g} brings it down"):
        assert words in str(EXPERIMENT.how)
