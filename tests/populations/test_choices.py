"""What a configuration can choose beside paper 1's protocol: what it does, and that interruptions change nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from axonometry.errors import ConfigurationError
from axonometry.populations import (
    Dataset,
    RunConfiguration,
    load_population,
    train,
    train_population,
    train_stacked,
)
from axonometry.populations.datasets import projected
from axonometry.populations.families import build
from axonometry.populations.loop import TRAIN_EVAL_LOSS, has_ended
from axonometry.populations.modular_addition import modular_addition
from axonometry.populations.sampling import used_images
from axonometry.populations.schedule import optimiser_of, segments
from axonometry.populations.stacked import alone_in_words, why_alone
from axonometry.populations.training import initial_network
from axonometry.trajectory import Trajectory

MEASURES = ("link_weights",)


def spots(n: int = 90) -> Dataset:
    """Images of ten classes that a network can learn: a bright spot whose place is the class."""
    source = torch.Generator().manual_seed(5)
    labels = torch.randint(10, (n,), generator=source)
    inputs = 0.3 * torch.rand(n, 1, 5, 4, generator=source)
    inputs[torch.arange(n), :, labels // 4, labels % 4] += 0.7
    return Dataset("spots", inputs, labels, inputs[:25].clone(), labels[:25].clone(), 10)


def asked(**values: object) -> RunConfiguration:
    return RunConfiguration.from_dict({"dataset": "spots", "family": "mlp", "batch_size": 16, "epochs": 2, **values})


def trained(folder: Path, data: Dataset | None = None, **values: object) -> Trajectory:
    return train(asked(**values), folder, data=spots() if data is None else data, measures=MEASURES)


# ------------------------------------------------------------------------------------------------- networks


def test_any_list_of_widths() -> None:
    network = build("mlp", (1, 5, 4), 10, widths=(7, 3))
    assert [tuple(p.shape) for p in network.parameters()] == [(7, 20), (7,), (3, 7), (3,), (10, 3), (10,)]
    assert [name for name, _ in network.named_children()] == ["flatten", "fc1", "fc1_relu", "fc2", "fc2_relu", "fc3"]
    linear = build("mlp", (20,), 10, widths=())
    assert [tuple(p.shape) for p in linear.parameters()] == [(10, 20), (10,)]
    x = torch.rand(6, 20)
    assert network(x).equal(network(x.view(6, 1, 5, 4)))  # flat inputs are taken as they are


def test_normalisation_stands_in_front_of_each_activation() -> None:
    network = build("mlp", (20,), 4, widths=(7, 3), activation="tanh", normalisation="batch", norm_momentum=0.25)
    names = [name for name, _ in network.named_children()]
    assert names[1:] == ["fc1", "fc1_norm", "fc1_tanh", "fc2", "fc2_norm", "fc2_tanh", "fc3"]
    norm = network.get_submodule("fc1_norm")
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.momentum == 0.25
    x = torch.rand(8, 20)
    network.train()(x)
    mean = (x @ network.fc1.weight.T + network.fc1.bias).mean(0)
    torch.testing.assert_close(norm.running_mean, 0.25 * mean.detach(), rtol=1e-4, atol=1e-6)
    layer = build("mlp", (20,), 4, widths=(7,), normalisation="layer").get_submodule("fc1_norm")
    assert isinstance(layer, nn.LayerNorm)


def test_all_initial_parameters_are_multiplied() -> None:
    one = initial_network(asked(normalisation="layer"), spots()).state_dict()
    eight = initial_network(asked(normalisation="layer", initial_factor=8.0), spots()).state_dict()
    assert one.keys() == eight.keys()
    assert all(eight[name].equal(8 * value) for name, value in one.items())
    assert float(one["fc1_norm.weight"].min()) == 1.0


def test_hes_initial_weights_keep_the_scale_of_signals() -> None:
    wide = Dataset("spots", *(torch.rand(50, 1, 20, 20), torch.zeros(50).long()) * 2, 10)  # type: ignore[arg-type]
    for initialiser, least, most in (("he", 0.3, 3.0), ("torch", 0.0, 0.2)):
        network = initial_network(asked(widths=[400] * 6, initialiser=initialiser), wide)
        with torch.no_grad():
            signals = nn.Sequential(*list(network.children())[:12])(wide.train_inputs)
        assert least < float(signals.std() / wide.train_inputs.std()) < most


def test_batch_norm_refuses_a_last_batch_of_one(tmp_path: Path) -> None:
    words = "at least 2 images; got a last batch of 1: 33 images in batches of 16"
    with pytest.raises(ConfigurationError, match=words):
        trained(tmp_path, normalisation="batch", n_train=33)


# ------------------------------------------------------------------------------------------------- samples


def test_a_subset_is_drawn_by_the_seed() -> None:
    data = spots()
    one, again, other = (used_images(asked(n_train=40, n_test=9, seed=seed), data) for seed in (0, 0, 1))
    assert (len(one.train_labels), len(one.test_labels)) == (40, 9)
    assert one.train_inputs.equal(again.train_inputs)
    assert not one.train_inputs.equal(other.train_inputs)
    rows = {tuple(row): int(label) for row, label in zip(data.train_inputs.flatten(1).tolist(), data.train_labels)}
    drawn = [tuple(row) for row in one.train_inputs.flatten(1).tolist()]
    assert len(set(drawn)) == 40  # no sample twice
    assert [rows[row] for row in drawn] == one.train_labels.tolist()  # with their own labels
    assert one.test_inputs.equal(data.test_inputs[:9])
    nested = used_images(asked(n_train=20), data)
    assert nested.train_inputs.equal(one.train_inputs[:20])  # fewer of the same draw


def test_all_samples_are_no_draw() -> None:
    data = spots()
    assert used_images(asked(n_train=90), data).train_inputs.equal(data.train_inputs)


def test_more_samples_than_there_are() -> None:
    with pytest.raises(ConfigurationError, match="`n_train` is at most the data set's 90; got 91"):
        used_images(asked(n_train=91), spots())
    with pytest.raises(ConfigurationError, match="`n_test` is at most the data set's 25; got 26"):
        used_images(asked(n_test=26), spots())


def test_labels_of_a_subset_are_made_wrong_too() -> None:
    clean, noisy = (used_images(asked(n_train=40, label_noise=share), spots()) for share in (0.0, 0.25))
    assert clean.train_inputs.equal(noisy.train_inputs)
    assert int((clean.train_labels != noisy.train_labels).sum()) == 10


def test_modular_addition_by_hand() -> None:
    (inputs, labels), (test_inputs, test_labels), n_classes = modular_addition(5, n_train=15, seed=3)
    assert (tuple(inputs.shape), tuple(test_inputs.shape), n_classes) == ((15, 10), (10, 10), 5)
    both = torch.cat([inputs, test_inputs])
    first, second = both[:, :5].argmax(1), both[:, 5:].argmax(1)
    assert both.sum(1).eq(2).all()
    assert len(set(zip(first.tolist(), second.tolist()))) == 25  # every sum once, in one of the halves
    assert ((first + second) % 5).equal(torch.cat([labels, test_labels]))
    assert not modular_addition(5, n_train=15, seed=4)[0][0].equal(inputs)
    assert len(modular_addition(7)[0][1]) == 29  # 60% of 49
    for n in (0, 25):
        words = f"some of the sums are trained on and some are not; got {n} of 25"
        with pytest.raises(ConfigurationError, match=words):
            modular_addition(5, n_train=n)


@pytest.mark.usefixtures("in_this_process")
def test_modular_addition_is_learned_from_its_name_alone(tmp_path: Path) -> None:
    configuration = asked(
        dataset="modular-addition", modulus=7, n_train=40, widths=[32], batch_size=49, epochs=400, optimiser="adamw",
        learning_rate=0.01, record_steps=[10], n_train_evaluated=2000,
    )  # fmt: skip
    population = train_population([configuration], tmp_path, workers=1, measures=MEASURES)
    run = population.runs[configuration.identity]
    assert (run.steps, run.groups[0].shape) == ((0, 10, 400), (14,))
    assert run.scalars()["train_accuracy"].iloc[-1] == 1.0
    # Measured later, from the weights, on the run's own test sums: those that its seed left over.
    later = load_population(tmp_path).measured(["neuron_activation"])
    assert "neuron_activation" in set(later.runs[configuration.identity].metrics["metric"])


# ------------------------------------------------------------------------------------------------- learning


def test_squared_error_to_one_hot_vectors_by_hand(tmp_path: Path) -> None:
    configuration, data = asked(objective="squared-error", optimiser="sgd", learning_rate=0.5, max_steps=1), spots(16)
    run = train(configuration, tmp_path, data=data, measures=MEASURES)
    network = initial_network(configuration, data).double()
    outputs = network(data.train_inputs.double())
    wanted = torch.zeros(16, 10, dtype=torch.float64)
    wanted[range(16), data.train_labels] = 1
    loss = ((outputs - wanted) ** 2).sum() / 160
    loss.backward()
    assert run.scalars()["train_loss"].iloc[-1] == pytest.approx(float(loss.detach()), rel=1e-5)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        expected = (parameter - 0.5 * parameter.grad).detach()
        torch.testing.assert_close(run.snapshots[1][name].double(), expected, rtol=1e-4, atol=1e-6)
    network.float().load_state_dict(run.snapshots[1])
    with torch.no_grad():
        logits = network(data.test_inputs)
    assert run.scalars()["accuracy"].iloc[-1] == float((logits.argmax(1) == data.test_labels).double().mean())
    expected_loss = float(F.mse_loss(logits, F.one_hot(data.test_labels, 10).float()))
    assert run.scalars()["loss"].iloc[-1] == pytest.approx(expected_loss, rel=1e-5)


def test_adamw_decays_beside_the_gradient() -> None:
    holder = nn.Linear(3, 1, bias=False)
    before = holder.weight.detach().clone()
    optimiser = optimiser_of(asked(optimiser="adamw", learning_rate=0.1, weight_decay=0.5), holder)
    holder.weight.grad = torch.tensor([[1.0, -2.0, 0.001]])
    optimiser.step()
    # The first step of Adam is the learning rate towards minus the gradient's sign; then 5% of the weight are gone.
    expected = before * (1 - 0.1 * 0.5) - 0.1 * torch.tensor([[1.0, -1.0, 1.0]])
    torch.testing.assert_close(holder.weight.detach(), expected, rtol=1e-4, atol=2e-6)


def test_records_at_chosen_updates(tmp_path: Path) -> None:
    chosen = trained(tmp_path / "chosen", record_steps=[1, 5, 99])
    every = trained(tmp_path / "every", record_every=1)
    assert chosen.steps == (0, 1, 5, 12)
    assert list(chosen.scalars()["epoch"]) == [0, 1 / 6, 5 / 6, 2]
    for step in chosen.steps:
        assert all(every.snapshots[step][name].equal(value) for name, value in chosen.snapshots[step].items())
    assert [s.stop for s in segments(asked(record_steps=[]), 90)] == [12]
    assert segments(asked(record_steps=[3], max_steps=0), 90) == ()


def test_training_samples_are_evaluated_as_they_are_trained_on(tmp_path: Path) -> None:
    configuration = asked(n_train=40, label_noise=0.5, n_train_evaluated=30)
    run = trained(tmp_path, n_train=40, label_noise=0.5, n_train_evaluated=30)
    used = used_images(configuration, spots())
    for step in run.steps:
        network = initial_network(configuration, used)
        network.load_state_dict(run.snapshots[step])
        with torch.no_grad():
            logits = network(used.train_inputs[:30])
        found = run.scalars().loc[step]
        assert found["train_accuracy"] == float((logits.argmax(1) == used.train_labels[:30]).double().mean())
        assert found[TRAIN_EVAL_LOSS] == pytest.approx(float(F.cross_entropy(logits, used.train_labels[:30])), rel=1e-5)
    few = trained(tmp_path / "few", n_train=40, n_train_evaluated=10**6)
    assert 0 <= few.scalars()["train_accuracy"].iloc[-1] <= 1  # all 40


LOW = {"optimiser": "adam", "learning_rate": 0.01, "epochs": 60, "stop_at_train_loss": 0.1}


def test_a_run_ends_at_a_training_loss(tmp_path: Path) -> None:
    by_epoch = trained(tmp_path / "epoch", **LOW)
    losses = by_epoch.scalars()[TRAIN_EVAL_LOSS]
    assert by_epoch.complete
    assert losses.iloc[-1] <= 0.1 < losses.iloc[:-1].min()
    assert by_epoch.steps[-1] < 60
    # Looked at after every second update, between records too, it ends within two updates.
    looked = trained(tmp_path / "looked", **LOW, record_steps=[4], stop_check_every=2)
    every = trained(tmp_path / "every", **LOW, record_every=2)
    assert looked.steps == (0, 4, every.steps[-1])
    assert all(every.snapshots[every.steps[-1]][n].equal(w) for n, w in looked.snapshots[looked.steps[-1]].items())
    # Within an epoch it is recorded under that epoch's number.
    inside = trained(tmp_path / "inside", **LOW, stop_check_every=2)
    assert inside.scalars()["epoch"].iloc[-1] == every.steps[-1] / 6
    assert inside.steps[-1] == -(-every.steps[-1] // 6)


def test_the_loss_that_ends_a_run_may_be_reached_exactly() -> None:
    stops, never = asked(stop_at_train_loss=0.1), asked(n_train_evaluated=5)
    assert [has_ended(stops, {TRAIN_EVAL_LOSS: loss}) for loss in (0.11, 0.1, 0.09)] == [False, True, True]
    assert [has_ended(never, {TRAIN_EVAL_LOSS: loss}) for loss in (1e-9, float("inf"))] == [False, True]
    assert not has_ended(asked(), {})


def test_looks_fall_on_the_same_updates_wherever_the_records_are(tmp_path: Path) -> None:
    one = trained(tmp_path / "one", **LOW, record_steps=[], stop_check_every=3)
    other = trained(tmp_path / "other", **LOW, record_steps=[1, 5, 11], stop_check_every=3)
    assert one.steps[-1] == other.steps[-1]
    assert one.steps[-1] % 3 == 0


def test_a_run_that_begins_low_enough_is_not_trained(tmp_path: Path) -> None:
    assert trained(tmp_path, stop_at_train_loss=100.0).steps == (0,)


@pytest.mark.usefixtures("in_this_process")
def test_a_run_that_diverges_ends_there_and_is_named(tmp_path: Path) -> None:
    bad = asked(optimiser="sgd", learning_rate=1e30, n_train_evaluated=50, record_steps=[2, 4, 6])
    good = replace(bad, learning_rate=0.1)
    heard: list[str] = []
    population = train_population([bad, good], tmp_path, data=spots(), workers=1, measures=MEASURES)
    assert population.runs[bad.identity].steps == (0, 2)
    assert population.runs[bad.identity].complete
    assert population.runs[good.identity].steps == (0, 2, 4, 6, 12)
    assert load_population(tmp_path).diverged == (bad.identity,)
    train(bad, tmp_path / "alone", data=spots(), measures=MEASURES, progress=lambda d, t, words: heard.append(words))
    assert heard[-1].endswith(", diverged")


# ------------------------------------------------------------------------------------------------- interruptions


class _StopError(Exception):
    pass


def stop_after(records: int) -> Callable[[int, int, str], None]:
    calls = iter(range(records))

    def progress(done: int, total: int, words: str) -> None:
        if words and next(calls, None) is None:
            raise _StopError("stopped")

    return progress


EVERYTHING: dict[str, object] = {
    "widths": [12, 8],
    "normalisation": "batch",
    "norm_momentum": 0.3,
    "initialiser": "he",
    "initial_factor": 1.5,
    "objective": "squared-error",
    "optimiser": "adamw",
    "learning_rate": 0.02,
    "weight_decay": 0.1,
    "dropout": 0.1,
    "n_train": 70,
    "n_test": 20,
    "label_noise": 0.1,
    "epochs": 40,
    "record_steps": [1, 7, 20, 33],
    "stop_at_train_loss": 0.075,
    "stop_check_every": 3,
    "schedule": "cosine",
    "components": 15,
}


@pytest.mark.parametrize("after", [0, 1, 3])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path: Path, after: int) -> None:
    whole = trained(tmp_path / "whole", **EVERYTHING)
    assert whole.steps[:5] == (0, 1, 7, 20, 33)
    assert 33 < whole.steps[-1] < 40 * 5
    with pytest.raises(_StopError, match="stopped"):
        train(asked(**EVERYTHING), tmp_path / "cut", data=spots(), measures=MEASURES, progress=stop_after(after))
    resumed = trained(tmp_path / "cut", **EVERYTHING)
    assert resumed.steps == whole.steps
    assert resumed.metrics.equals(whole.metrics)
    for step in whole.steps:
        assert all(resumed.snapshots[step][name].equal(value) for name, value in whole.snapshots[step].items())


def test_the_learning_rate_falls_as_a_cosine(tmp_path: Path) -> None:
    """Plain SGD, update by update from the recorded weights: each moves by its own rate times the gradient."""
    # 40 samples in one batch, and two updates: the rates are 0.5 (1 + cos 0) / 2 and 0.5 (1 + cos π/2) / 2.
    chosen = {"optimiser": "sgd", "learning_rate": 0.5, "batch_size": 40, "n_train": 40, "record_steps": [1]}
    run = trained(tmp_path, **chosen, widths=[4], schedule="cosine")
    configuration = asked(**chosen, widths=[4])
    data, network = used_images(configuration, spots()), initial_network(configuration, spots())
    for step, rate in ((0, 0.5), (1, 0.25)):
        network.load_state_dict(run.snapshots[step])
        network.zero_grad()
        F.cross_entropy(network(data.train_inputs), data.train_labels).backward()
        for name, parameter in network.named_parameters():
            moved = parameter.detach() - rate * parameter.grad
            torch.testing.assert_close(run.snapshots[step + 1][name], moved, atol=1e-6, rtol=1e-5)
    assert why_alone(asked(schedule="cosine")) == "its learning rate changes"


def test_a_run_on_principal_components(tmp_path: Path) -> None:
    run = trained(tmp_path, widths=[4], components=3)
    assert run.snapshots[0]["fc1.weight"].shape == (4, 3)
    # The same network on the same numbers, which are given to it as a data set.
    data = projected(spots(), 3)
    other = trained(tmp_path / "other", data, widths=[4])
    assert all(run.snapshots[2][name].equal(value) for name, value in other.snapshots[2].items())


def test_a_run_that_was_cut_off_behind_its_last_record_is_not_trained_further(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", **LOW)
    last = len(whole.steps) - 2
    with pytest.raises(_StopError, match="stopped"):
        train(asked(**LOW), tmp_path / "cut", data=spots(), measures=MEASURES, progress=stop_after(last))
    resumed = trained(tmp_path / "cut", **LOW)
    assert resumed.steps == whole.steps
    assert resumed.complete


# ------------------------------------------------------------------------------------------------- stacks


@pytest.mark.parametrize(
    "values",
    [
        {"widths": [9, 5], "normalisation": "layer", "activation": "tanh", "optimiser": "sgd", "n_test": 20},
        {"widths": [9], "normalisation": "batch", "norm_momentum": 0.3, "optimiser": "sgd", "record_steps": [2, 5]},
    ],
    ids=["layer norm", "batch norm"],
)
def test_what_is_chosen_stacks(tmp_path: Path, values: dict[str, object]) -> None:
    runs = [asked(**values, seed=seed, initial_factor=factor) for seed, factor in ((0, 1.0), (1, 2.0))]
    assert [why_alone(run) for run in runs] == [None, None]
    many = train_stacked(runs, tmp_path / "many", data=spots(), device="cpu", measures=MEASURES)
    for configuration in runs:
        alone = train(configuration, tmp_path / configuration.identity, data=spots(), measures=MEASURES)
        assert many[configuration.identity].steps == alone.steps
        for name, value in alone.snapshots[alone.steps[-1]].items():
            torch.testing.assert_close(
                many[configuration.identity].snapshots[alone.steps[-1]][name], value, rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"n_train": 40}, "its training samples are drawn by its seed"),
        ({"objective": "squared-error"}, "the objective is squared-error"),
        ({"stop_at_train_loss": 0.1}, "it may end where its training loss says so"),
        ({"dataset": "modular-addition"}, "its training samples are drawn by its seed"),
    ],
)
def test_what_does_not_stack_is_trained_alone_in_the_open(
    tmp_path: Path, values: dict[str, object], reason: str
) -> None:
    configuration = asked(**values, max_steps=1)
    assert why_alone(configuration) == reason
    heard: list[str] = []
    data = None if "dataset" in values else spots()
    runs = train_stacked(
        [configuration], tmp_path, data=data, device="cpu", measures=MEASURES, progress=lambda d, t, w: heard.append(w)
    )
    assert runs[configuration.identity].complete
    assert f"1 trained alone: {reason}" in heard
    assert alone_in_words([]) == ""
