"""The experiments' networks: samples, beginnings, training, measures, and outcomes that survive being killed."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from axonometry.errors import ConfigurationError, DataError, RunError
from axonometry.papers.lin2025 import carrying_out, learning
from axonometry.papers.lin2025.carrying_out import outcomes
from axonometry.papers.lin2025.items import ADDITION, Item, Network, Outcome, Plan, Task, Training, spread
from axonometry.papers.lin2025.learning import carry_out, looked_at, network_of, path_of, samples_of, trained
from axonometry.papers.lin2025.measuring import MEASURES
from axonometry.papers.lin2025.plans import EXPERIMENTS, SEEDS, items, operations
from axonometry.populations.datasets import load

DIGITS = Task("digits", 200, 60)
TINY = Item(
    "lmap",
    "tiny",
    0,
    DIGITS,
    Network((6,), "tanh"),
    Training("adam", 0.01, 50, 12),
    Plan((2,), (5,), ("ranks",), 20, 40),
)


def test_all_measures_are_taken_before_at_the_moments_and_at_the_end() -> None:
    item = replace(TINY, network=Network((6, 5)), plan=Plan((2,), (5,), tuple(MEASURES), 20, 60))
    found = carry_out(item)
    assert [row["step"] for row in found.curve] == [0, 2, 5, 12]
    assert [moment["step"] for moment in found.moments] == [0, 5, 12]
    assert found.end is found.moments[-1]
    assert found.last is found.curve[-1]
    for moment in found.moments:
        assert set(moment) == {"step", *MEASURES}
        assert list(moment["ranks"]) == list(moment["modes"]) == list(moment["densities"]) == ["0", "2"]
        assert list(moment["truncation"]) == ["input", "0", "2", "4"]
        assert all(-6 <= gradient <= 6 for gradient in moment["ranks"].values())
        assert all(sum(bins) / len(bins) == pytest.approx(1) for bins in moment["densities"].values())
    # The last group's truncation is the network itself, on the same 60 test images as the curve.
    for row, moment in zip((found.curve[0], *found.curve[2:]), found.moments, strict=True):
        assert moment["truncation"]["4"]["accuracy"] == pytest.approx(row["test_accuracy"])
    assert Outcome.of(item, json.loads(found.to_json())) == found


def test_what_is_measured_agrees_with_a_network_that_is_trained_beside_it() -> None:
    """Gradient as 12 (mean u - 1/2), ranks counted one by one, of the network that the same updates give."""
    found = carry_out(TINY)
    samples = samples_of(DIGITS, 0)
    model = network_of(TINY.network, 64, 10, 0)
    for _ in trained(model, samples, TINY.training, 0):
        pass
    assert looked_at(model, samples, TINY.training, 12) == found.last
    inputs, labels = samples.test[:40], samples.test_labels[:40]
    with torch.no_grad():
        fields = model[0](inputs).double()
    signs = model[2].weight.detach().sign()
    slopes = []
    for k in labels.unique().tolist():
        for i in range(6):
            p = fields[:, i] * signs[k, i]
            ranks = torch.tensor([(p < x).sum() + ((p == x).sum() + 1) / 2 for x in p])
            u = (ranks - 0.5) / 40
            slopes.append(12 * (float(u[labels == k].mean()) - 0.5))
    assert found.end["ranks"]["0"] == pytest.approx(sum(slopes) / len(slopes), abs=1e-6)


def test_training_ends_when_the_loss_is_low_enough_where_it_is_looked_at() -> None:
    plan = replace(TINY.plan, looked=tuple(range(5, 400, 5)))
    item = replace(TINY, training=Training("adam", 0.02, 50, 400, enough=0.3), plan=plan)
    found = carry_out(item)
    *before, last = [row["train_loss"] for row in found.curve]
    assert last <= 0.3 < min(before)
    assert found.last["step"] == found.end["step"] < 400


def test_an_outcome_depends_on_the_seed_and_on_nothing_else() -> None:
    first, again, other = carry_out(TINY), carry_out(TINY), carry_out(replace(TINY, seed=1))
    assert (first.curve, first.moments) == (again.curve, again.moments)
    assert first.curve != other.curve
    state = torch.get_rng_state()
    network_of(TINY.network, 4, 3, 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_identities_tell_items_apart_and_survive_a_round_trip() -> None:
    others = [
        replace(TINY, seed=1),
        replace(TINY, task=replace(DIGITS, label_noise=0.1)),
        replace(TINY, network=Network((6,), "relu")),
        replace(TINY, training=replace(TINY.training, weight_decay=0.1)),
        replace(TINY, plan=replace(TINY.plan, samples=21)),
    ]
    assert len({item.identity for item in (TINY, *others)}) == 6
    assert TINY.identity == replace(TINY).identity
    assert TINY.identity.startswith("lmap-")


def test_samples_are_drawn_by_the_seed_and_noise_changes_labels_to_others() -> None:
    whole = load("digits")
    clean, noisy = samples_of(DIGITS, 3), samples_of(replace(DIGITS, label_noise=0.15), 3)
    assert torch.equal(clean.train, noisy.train)
    assert int((clean.train_labels != noisy.train_labels).sum()) == 30
    assert torch.equal(clean.test_labels, whole.test_labels[:60])
    assert not torch.equal(clean.train, samples_of(DIGITS, 4).train)
    # Smaller sets are the beginnings of larger ones, so that sizes are compared on nested samples.
    assert torch.equal(samples_of(replace(DIGITS, n_train=50), 3).train, clean.train[:50])
    held = {tuple(row) for row in whole.train_inputs.flatten(1).tolist()}
    assert all(tuple(row) in held for row in clean.train[:20].tolist())


def test_additions_are_all_different_and_right() -> None:
    task = Task(ADDITION, 30, 100, modulus=7)
    samples = samples_of(task, 0)
    both = torch.cat([samples.train, samples.test])
    assert len(both) == 49
    assert len(torch.unique(both, dim=0)) == 49
    first, second = both[:, :7].argmax(1), both[:, 7:].argmax(1)
    assert torch.equal(both.sum(1), torch.full((49,), 2.0))
    assert torch.equal((first + second) % 7, torch.cat([samples.train_labels, samples.test_labels]))


def test_beginnings() -> None:
    torch_like = network_of(Network((50, 50), factor=1.0), 64, 10, 0)
    scaled = network_of(Network((50, 50), factor=8.0), 64, 10, 0)
    for one, eight in zip(torch_like.parameters(), scaled.parameters(), strict=True):
        assert torch.equal(8 * one, eight)
    assert max(float(p.detach().abs().max()) for p in torch_like[0].parameters()) <= 1 / 8
    he = network_of(Network((400,) * 2, initial="he"), 64, 10, 0)
    assert float(he[2].weight.detach().std()) == pytest.approx(math.sqrt(2 / 400), rel=0.01)
    assert not he[2].bias.any()
    assert [type(layer) for layer in network_of(Network((3,), "identity"), 4, 2, 0)] == [
        nn.Linear,
        nn.Identity,
        nn.Linear,
    ]


def test_items_refuse_numbers_that_make_no_sense() -> None:
    for wrong in (
        {"task": replace(DIGITS, n_train=0)},
        {"training": replace(TINY.training, batch=0)},
        {"training": replace(TINY.training, learning_rate=-0.1)},
    ):
        with pytest.raises(ConfigurationError, match="is above 0"):
            replace(TINY, **wrong)
    with pytest.raises(ConfigurationError, match="some of the additions are trained on"):
        replace(TINY, task=Task(ADDITION, 49, 10, modulus=7))


def test_what_is_there_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = [replace(TINY, seed=seed) for seed in range(2)]
    seen: list[tuple[int, int]] = []
    first = outcomes(plan, tmp_path, workers=1, progress=lambda done, total, words: seen.append((done, total)))
    assert seen[0] == (0, 2)
    assert seen[-1] == (2, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{item.identity}.json" for item in plan)
    path_of(plan[1], tmp_path).unlink()
    done: list[int] = []
    monkeypatch.setattr(learning, "carry_out", lambda item, data: done.append(item.seed) or first[item.seed])
    assert outcomes(plan, tmp_path, workers=1) == first
    assert done == [1]


def test_a_call_that_is_cut_off_leaves_whole_outcomes_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = [replace(TINY, seed=seed) for seed in range(2)]
    real = learning.carry_out

    def killed(item: Item, data: str | Path | None) -> Outcome:
        if item.seed == 1:
            raise KeyboardInterrupt
        return real(item, data)

    monkeypatch.setattr(learning, "carry_out", killed)
    with pytest.raises(KeyboardInterrupt):
        outcomes(plan, tmp_path, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == [f"{plan[0].identity}.json"]


def test_several_processes_find_the_same_and_name_what_fails(tmp_path: Path) -> None:
    plan = [TINY, replace(TINY, seed=1)]
    broken = replace(TINY, cell="broken", plan=replace(TINY.plan, measures=("nothing",)))
    with pytest.raises(RunError, match=r"1 of 3 that were not: lmap-\w+ \(KeyError: 'nothing'\)"):
        outcomes([broken, *plan], tmp_path, workers=2)
    together = outcomes(plan, tmp_path, workers=1)
    assert [(o.curve, o.moments) for o in together] == [(o.curve, o.moments) for o in map(carry_out, plan)]


def test_missing_data_are_said_before_anything_is_trained(tmp_path: Path) -> None:
    item = replace(TINY, task=Task("mnist", 10, 10))
    with pytest.raises(DataError, match="MNIST"):
        outcomes([item], tmp_path / "runs", data=tmp_path, workers=1)
    assert not list((tmp_path / "runs").iterdir())


def test_the_plans_are_whole() -> None:
    for name in EXPERIMENTS:
        for scale in ("small", "full"):
            plan = items(name, scale, SEEDS[scale])
            assert len({item.identity for item in plan}) == len(plan)
            assert {item.experiment for item in plan} == {name}
            assert {item.seed for item in plan} == set(range(SEEDS[scale]))
            assert all(set(item.plan.measures) <= set(MEASURES) for item in plan)
            assert all(max((0, *item.plan.looked, *item.plan.moments)) <= item.training.steps for item in plan)
    depths = {len(item.network.widths) for item in items("depth", "small", 1)}
    assert {1, 30, 100} <= depths
    assert spread(6000, 3, 10) == (10, 245, 6000)


def test_operations_are_three_for_each_weight_and_sample() -> None:
    assert operations(TINY, 12.0) == 3 * (64 * 6 + 6 * 10) * 50 * 12
    sums = replace(TINY, task=Task(ADDITION, 30, 100, modulus=7), network=Network((5,)))
    assert operations(sums, 2.0) == 3 * (14 * 5 + 5 * 7) * 30 * 2


def test_progress_says_what_is_under_way(tmp_path: Path) -> None:
    words: list[str] = []
    carrying_out.outcomes([TINY], tmp_path, workers=1, progress=lambda done, total, said: words.append(said))
    assert words == ["", "tiny", TINY.identity]
