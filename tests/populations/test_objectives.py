"""Losses and performances of both tasks, against sums written out; training and stacking of reconstruction."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from axonometry.errors import ConfigurationError
from axonometry.populations import RunConfiguration, load_population, objectives, train, train_population, train_stacked
from axonometry.populations.datasets import Dataset, load_dataset
from axonometry.populations.objectives import (
    accuracy_and_loss,
    batch_statistics_accuracy,
    evaluate_network,
    loss_of,
    n_outputs,
    reconstruction,
)
from axonometry.populations.stacked import stacks

QUICK = {"epochs": 1, "train_fraction": 0.1, "test_fraction": 0.2, "batch_size": 16}


class Constant(nn.Module):
    """Puts out the same for every input."""

    def __init__(self, outputs: torch.Tensor) -> None:
        super().__init__()
        self.outputs = nn.Parameter(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.outputs.expand(len(x), -1)


def images(n: int = 40) -> torch.Tensor:
    return torch.rand(n, 1, 3, 2, generator=torch.Generator().manual_seed(0))


def test_losses_by_hand() -> None:
    x, outputs = images(5), torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    p, wanted = outputs.sigmoid(), x.flatten(1)
    bce = -(wanted * p.log() + (1 - wanted) * (1 - p).log())
    labels = torch.tensor([0, 5, 1, 2, 2])
    torch.testing.assert_close(loss_of("bce", outputs, x, labels), bce.mean())
    torch.testing.assert_close(loss_of("bce", outputs, x, labels, "sum"), bce.sum())
    torch.testing.assert_close(loss_of("mse", outputs, x, labels), (outputs - wanted).square().mean())
    entropy = -(outputs.exp() / outputs.exp().sum(1, keepdim=True)).log()[range(5), labels]
    torch.testing.assert_close(loss_of("cross-entropy", outputs, x, labels), entropy.mean())


def test_the_mean_image_explains_nothing_and_a_copy_everything() -> None:
    x = images()
    mean = x.flatten(1).mean(0)
    assert reconstruction(Constant(mean), x, "mse")[0] == pytest.approx(0.0, abs=1e-6)
    assert reconstruction(Constant(mean.logit()), x, "bce")[0] == pytest.approx(0.0, abs=1e-6)
    explained, loss = reconstruction(nn.Flatten(), x, "mse")
    assert (explained, loss) == (1.0, 0.0)
    assert reconstruction(Constant(mean + 1), x, "mse")[0] < 0  # worse than the mean


def test_one_image_has_no_variance_to_explain() -> None:
    one = images(1).expand(3, -1, -1, -1)
    assert torch.tensor(reconstruction(Constant(torch.zeros(6)), one, "mse")[0]).isnan()


def test_batches_change_nothing_and_the_mode_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, 6), nn.Dropout(0.5)).train()
    whole = reconstruction(network, images())
    monkeypatch.setattr(objectives, "_TEST_BATCH", 7)
    assert reconstruction(network, images()) == pytest.approx(whole, rel=1e-6)
    assert network.training
    with pytest.raises(RuntimeError, match="shape"):
        reconstruction(network, torch.rand(3, 5))
    assert network.training


def test_accuracy_by_the_statistics_of_each_batch() -> None:
    """Against mean and variance taken by hand; the network and its running statistics stay as they are."""
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.9), nn.Linear(6, 4)).eval()
    network[1].weight.data.uniform_(-2, 2)
    network[1].running_mean.uniform_(-3, 3)
    inputs, labels = torch.randn(45, 3), torch.randint(4, (45,))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    right = 0
    for some in (slice(0, 20), slice(20, 40)):  # the last five are no whole batch
        h = network[0](inputs[some])
        h = (h - h.mean(0)) / (h.var(0, unbiased=False) + 1e-5).sqrt() * network[1].weight
        right += int((network[4](h.relu()).argmax(1) == labels[some]).sum())
    assert batch_statistics_accuracy(network, inputs, labels, 20) == right / 40
    assert not network.training
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())
    assert right / 40 != accuracy_and_loss(network, inputs[:40], labels[:40])[0]


def test_performance_is_called_by_its_name() -> None:
    x, labels = images(), torch.zeros(40, dtype=torch.int64)
    assert list(evaluate_network("cross-entropy", Constant(torch.tensor([2.0, 1.0])), x, labels)) == [
        "accuracy",
        "loss",
    ]
    assert evaluate_network("cross-entropy", Constant(torch.tensor([2.0, 1.0])), x, labels)["accuracy"] == 1.0
    assert list(evaluate_network("bce", Constant(torch.zeros(6)), x, labels)) == ["variance_explained", "loss"]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


@pytest.mark.parametrize("family", ["fully-connected", "autoencoder", "convolutional-autoencoder"])
def test_reconstruction_is_learned(family: str, digits: Dataset, tmp_path: Path) -> None:
    more = {"units": 16} if family == "fully-connected" else {}
    configuration = RunConfiguration(
        family=family, objective="bce", learning_rate=0.01, epochs=15, activation="tanh", record_every=10**6, **more
    )
    assert n_outputs(configuration.objective, digits) == 64
    run = train(configuration, tmp_path / "run", data=digits)
    found = run.scalars()
    assert "accuracy" not in found
    assert found["variance_explained"].iloc[0] < 0.05 < 0.2 < found["variance_explained"].iloc[-1]
    assert found["loss"].iloc[-1] < found["loss"].iloc[0]


@pytest.mark.usefixtures("in_this_process")
def test_a_population_of_both_tasks(digits: Dataset, tmp_path: Path) -> None:
    configurations = [RunConfiguration(**QUICK), RunConfiguration(objective="mse", units=8, **QUICK)]
    train_population(configurations, tmp_path, data=digits, workers=1)
    frame = load_population(tmp_path).frame
    assert (
        frame.loc[configurations[0].identity, "variance_explained"]
        != frame.loc[configurations[0].identity, "variance_explained"]
    )
    assert frame.loc[configurations[0].identity, "accuracy"] > 0
    assert frame.loc[configurations[1].identity, "accuracy"] != frame.loc[configurations[1].identity, "accuracy"]
    assert frame.loc[configurations[1].identity, "variance_explained"] < 1
    assert len(set(frame.columns)) == len(frame.columns)


def test_what_cannot_be_stacked_is_trained_alone(digits: Dataset, tmp_path: Path) -> None:
    configurations = [
        RunConfiguration(**QUICK),
        RunConfiguration(family="autoencoder", objective="bce", units=8, layers=1, **QUICK),
        RunConfiguration(family="recurrent", units=4, **QUICK),
    ]
    assert [stacks(one) for one in configurations] == [True, False, False]
    runs = train_stacked(configurations, tmp_path / "stacked", data=digits, device="cpu")
    for configuration in configurations[1:]:
        alone = train(configuration, tmp_path / "alone" / configuration.identity, data=digits)
        assert runs[configuration.identity].scalars().equals(alone.scalars())


def test_what_makes_no_sense_is_refused() -> None:
    known = "cross-entropy, bce, mse, squared-error"
    with pytest.raises(ConfigurationError, match=f"`objective` is one of {known}; got 'l1'"):
        RunConfiguration(objective="l1")
    with pytest.raises(ConfigurationError, match='`objective` of autoencoder is "bce" or "mse"'):
        RunConfiguration(family="autoencoder")
    with pytest.raises(ConfigurationError, match="`label_noise` belongs to classes"):
        RunConfiguration(objective="mse", label_noise=0.1)
    with pytest.raises(ConfigurationError, match="`data_sha256` belongs to the text"):
        RunConfiguration(data_sha256="0" * 64)
