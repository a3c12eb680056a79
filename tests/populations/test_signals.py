"""MNIST-1D is the package's own, from its seed, and leaves the caller's random states alone."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest
import torch

from axonometry.errors import ConfigurationError, MissingExtraError
from axonometry.populations import RunConfiguration
from axonometry.populations.datasets import load_dataset
from axonometry.populations.families import Architecture
from axonometry.populations.sequence_networks import Attention, Frames, Recurrent
from axonometry.populations.signal_networks import SignalConvolutional
from axonometry.populations.signals import mnist_1d
from axonometry.populations.training import initial_network

pytestmark = pytest.mark.slow


def test_the_signals_are_those_of_the_package() -> None:
    from mnist1d.data import get_dataset_args, make_dataset

    made = make_dataset(get_dataset_args())
    data = load_dataset("mnist-1d")
    assert (data.shape, data.n_classes, len(data.train_labels), len(data.test_labels)) == ((1, 40), 10, 4000, 1000)
    np.testing.assert_array_equal(data.train_inputs[:, 0].numpy(), made["x"].astype(np.float32))
    np.testing.assert_array_equal(data.test_labels.numpy(), made["y_test"])
    every = torch.cat([data.train_inputs, data.test_inputs])
    assert float(every.mean()) == pytest.approx(0, abs=1e-5)
    assert float(every.std()) == pytest.approx(1, abs=1e-3)


def test_the_global_random_states_come_back() -> None:
    random.seed(3)
    np.random.seed(3)
    expected = random.Random(3).random(), np.random.RandomState(3).rand()
    mnist_1d()
    assert (random.random(), np.random.rand()) == expected


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mnist1d.data", None)
    with pytest.raises(MissingExtraError, match=r"missing package: mnist1d. .*axonometry\[mnist1d\]"):
        mnist_1d()


def test_frames_are_moments_in_order() -> None:
    signals = torch.arange(2 * 3 * 8.0).reshape(2, 3, 8)
    frames = Frames()(signals)
    assert frames.shape == (2, 2, 12)
    torch.testing.assert_close(frames[1, 1], torch.cat([signals[1, channel, 4:] for channel in range(3)]))


def test_who_reads_signals() -> None:
    signals = torch.zeros(3, 1, 40)
    assert Recurrent((1, 40), 5, 7)(signals).shape == (3, 7)
    attention = Attention((1, 40), 8, 7)
    assert attention.places.shape == (10, 8)
    assert attention(signals).shape == (3, 7)
    with pytest.raises(ConfigurationError, match="or from signals in frames of 4; got inputs of shape"):
        Recurrent((1, 42), 5)


@pytest.mark.parametrize(("width", "channels"), [(1.0, 25), (0.4, 10)])
def test_the_convolutional_network_for_signals(width: float, channels: int) -> None:
    network = SignalConvolutional((2, 40), 7, width=width, activation="tanh")
    shapes = [tuple(p.shape) for name, p in network.named_parameters() if name.endswith("weight")]
    lengths = [19, 10, 5]  # (40 + 2 - 5) // 2 + 1, (19 + 2 - 3) // 2 + 1, (10 + 2 - 3) // 2 + 1
    assert shapes == [(channels, 2, 5), (channels, channels, 3), (channels, channels, 3), (7, channels * lengths[2])]
    assert network(torch.zeros(3, 2, 40)).shape == (3, 7)


@pytest.mark.parametrize("shape", [(1, 4, 10), (1, 7)])
def test_no_signal(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match=r"signals of shape \(C, T\), of 8 moments or more"):
        Architecture("signal-convolutional").network(shape, 10)


@pytest.mark.parametrize("family", ["mlp", "signal-convolutional", "recurrent"])
def test_networks_of_the_data_set(family: str) -> None:
    data = load_dataset("mnist-1d")
    network = initial_network(RunConfiguration(dataset="mnist-1d", family=family), data)
    assert network(data.test_inputs[:2]).shape == (2, 10)
