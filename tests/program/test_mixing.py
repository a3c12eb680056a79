"""Networks that mix the samples of a batch are refused with the operation at which they meet; others are not."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import CaptureError, SamplesError
from axonometry.program.readings.live import live_batches

from .oracles import Net

X = torch.zeros(1, 3)
IMAGE = torch.zeros(1, 2, 4, 4)


def net(forward: Callable[[Any, Tensor], Any], **parts: Any) -> Net:
    """A small network in single precision."""
    return Net(forward, **({"a": nn.Linear(3, 3), "o": nn.Linear(3, 2)} | parts)).float()


def with_deviation(n: Any, x: Tensor) -> Tensor:
    """The minibatch standard deviation of a discriminator."""
    h = torch.relu(n.a(x))
    spread = h.std(0, unbiased=False).mean().expand(len(h), 1)
    return n.o(torch.cat([h, spread], 1))


def attends_to_the_batch(n: Any, x: Tensor) -> Tensor:
    h = n.a(x)
    return n.o((h @ h.T).softmax(-1) @ h)


def starts_as_the_identity(n: Any, x: Tensor) -> Tensor:
    h = n.a(x)
    return n.o(h + n.gamma * ((h @ h.T).softmax(-1) @ h))


def cumulates(n: Any, x: Tensor) -> Tensor:
    return n.o(n.a(x).cumsum(0))


MIXING: dict[str, tuple[nn.Module, str]] = {
    "centred": (net(lambda n, x: n.o(n.a(x - x.mean(0)))), r"got mean at .*test_mixing\.py, line \d+: .*x\.mean\(0\)"),
    "of_everything": (net(lambda n, x: n.o(n.a(x) / n.a(x).norm())), "got linalg_vector_norm at"),
    "standardised": (net(lambda n, x: n.o(n.a(x) / (1 + n.a(x).std(0, unbiased=False)))), "got std at"),
    "deviation": (net(with_deviation, o=nn.Linear(4, 2)), "got std at"),
    "attention": (net(attends_to_the_batch), "got mm at"),
    "gram": (net(lambda n, x: n.a(x) @ n.a(x).T), "got mm at"),
    "off": (net(starts_as_the_identity, gamma=nn.Parameter(torch.zeros(1))), "got mm at"),
    "cumulated": (net(cumulates), "got cumsum at"),
    "covariance": (net(lambda n, x: n.o(n.a(x) @ torch.cov(n.a(x).T))), "where the samples of a batch meet"),
    "distances": (net(lambda n, x: n.o(torch.cdist(n.a(x), n.a(x)) @ n.a(x))), "got _cdist_forward at"),
    "rolled": (net(lambda n, x: n.o(n.a(x) - n.a(x).roll(1, 0))), "got roll at"),
    "inside": (nn.Sequential(nn.Linear(3, 3), net(lambda n, x: n.o(n.a(x).softmax(0)))), "got _softmax at module '1'"),
}


@pytest.mark.parametrize("name", MIXING)
def test_the_operation_is_named(name: str) -> None:
    network, words = MIXING[name]
    with pytest.raises(CaptureError, match=words) as caught:
        ax.capture(network, X)
    assert "each sample of a batch goes through the network by itself" in str(caught.value)
    assert "batch_axis=(None,)" in caught.value.remedy


def cut_and_pasted(n: Any, x: Tensor) -> Tensor:
    y = x.clone()
    y[:, :1] = x[torch.randperm(len(x))][:, :1]
    return n.o(n.a(y))


def shuffled_by_python(n: Any, x: Tensor) -> Tensor:
    h, order = n.a(x), list(range(len(x)))
    random.shuffle(order)
    return n.o((h + h[order]) / 2)


def now_and_then(n: Any, x: Tensor, chance: float = 0.2) -> Tensor:
    h = n.a(x)
    return n.o(h + (torch.rand(len(x), 1) < chance) * h[torch.randperm(len(x))])


def mostly(n: Any, x: Tensor) -> Tensor:
    h = n.a(x)
    return n.o(h + (torch.rand(len(x), 1) > 0.8) * h[torch.randperm(len(x))])


def one_half(h: Tensor, order: Any) -> Tensor:
    return (h + h[order]) / 2


MIXUPS: dict[str, tuple[Callable[[Any, Tensor], Tensor], str]] = {
    "hidden": (lambda n, x: n.o(one_half(n.a(x), torch.randperm(len(x)))), "index"),
    "input": (lambda n, x: n.o(n.a(one_half(x, torch.randperm(len(x))))), "index"),
    "exchanged": (lambda n, x: n.o(n.a(x)[torch.randperm(len(x))]), "index"),
    "selected": (lambda n, x: n.o(n.a(x) + n.a(x).index_select(0, torch.randperm(len(x)))), "index_select"),
    "sorted draws": (lambda n, x: n.o(one_half(n.a(x), torch.rand(len(x)).argsort())), "index"),
    "largest draws": (lambda n, x: n.o(one_half(n.a(x), torch.randn(len(x)).topk(len(x))[1])), "index"),
    "drawn one by one": (lambda n, x: n.o(one_half(n.a(x), torch.randint(len(x), (len(x),)))), "index"),
    "by NumPy": (lambda n, x: n.o(one_half(n.a(x), np.random.permutation(len(x)))), "index"),
    "by Python": (shuffled_by_python, "index"),
    "features pasted": (cut_and_pasted, "index"),
    "turned": (lambda n, x: n.o(n.a(x) + n.a(x).flip(0)), "flip"),
    "where a draw is small": (now_and_then, "index"),
    "where a draw is large": (mostly, "index"),
}


@pytest.mark.parametrize("randomness", ["refuse", "fix"])
@pytest.mark.parametrize("name", MIXUPS)
def test_samples_that_are_mixed_up_meet(name: str, randomness: Any) -> None:
    """One sample has no other to be mixed with: what is drawn from two may leave both in their places."""
    forward, operation = MIXUPS[name]
    for example in (X, torch.randn(4, 3)):
        with pytest.raises(CaptureError, match=rf"got {operation} at .* where the samples of a batch meet"):
            ax.capture(net(forward), example, randomness=randomness)


@pytest.mark.parametrize("example", [torch.zeros(1, 3), torch.ones(1, 3), torch.randn(4, 3)])
def test_whatever_the_example_is(example: Tensor) -> None:
    with pytest.raises(CaptureError, match="got mean at"):
        ax.capture(MIXING["centred"][0], example)


def test_a_batch_norm_without_running_statistics_is_said_by_name() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, track_running_stats=False), nn.ReLU())
    with pytest.raises(CaptureError, match="a batch norm without running statistics at module '1'") as caught:
        ax.capture(network, IMAGE)
    assert "Give it running statistics" in caught.value.remedy


def test_so_is_one_that_one_sample_is_too_few_for() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False))
    with pytest.raises(CaptureError, match="a batch norm without running statistics") as caught:
        ax.capture(network, torch.randn(8, 3))
    assert "Give it running statistics" in caught.value.remedy


def test_a_batch_norm_in_training_is_another() -> None:
    class Training(nn.BatchNorm2d):
        def forward(self, x: Tensor) -> Tensor:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, training=True)

    network = nn.Sequential(nn.Conv2d(2, 3, 3), Training(3))
    with pytest.raises(CaptureError, match="a batch norm on the batch's own statistics at module '1'"):
        ax.capture(network, IMAGE)
    assert not network[1].running_mean.any()


class Follows(nn.Module):
    """Keeps the mean of what it has seen, also in evaluation."""

    def __init__(self, axis: int | None) -> None:
        super().__init__()
        self.a, self.axis = nn.Linear(3, 2), axis
        self.register_buffer("seen", torch.zeros(2))
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        if self.axis is None:
            self.passes += 1
        else:
            self.seen.mul_(0.9).add_(h.mean(self.axis), alpha=0.1)
        return h


def test_statistics_of_the_batch_in_a_buffer() -> None:
    network = Follows(0)
    with pytest.raises(CaptureError, match="the buffer 'seen', to which statistics of the batch are written"):
        ax.capture(network, X)
    assert not network.seen.any()


def test_tokens_that_meet() -> None:
    network = Net(lambda n, ids: n.o(n.a(ids) - n.a(ids).mean(0)), a=nn.Embedding(5, 3), o=nn.Linear(3, 2)).float()
    for ids in (torch.tensor([[1, 2, 3]]), torch.zeros(1, 3, dtype=torch.long)):
        with pytest.raises(CaptureError, match="got mean at"):
            ax.capture(network, ids)


def test_time_first() -> None:
    network = net(lambda n, x: n.o(n.a(x) - n.a(x).mean(1, keepdim=True)))
    with pytest.raises(CaptureError, match="got mean at"):
        ax.capture(network, torch.zeros(5, 1, 3), batch_axis=1)
    assert ax.capture(network, torch.zeros(1, 5, 3)).n_neurons == 15 + 15 + 15 + 10


def test_attention_along_the_samples() -> None:
    """``nn.TransformerEncoderLayer`` takes time first unless it is told otherwise."""
    sizes = {"d_model": 4, "nhead": 2, "dim_feedforward": 8}
    with pytest.raises(CaptureError, match=r"where the samples of a batch meet\. .*batch_axis"):
        ax.capture(nn.TransformerEncoderLayer(**sizes), torch.zeros(1, 5, 4))
    assert ax.capture(nn.TransformerEncoderLayer(**sizes, batch_first=True), torch.zeros(1, 5, 4)).n_neurons
    assert ax.capture(nn.TransformerEncoderLayer(**sizes), torch.zeros(5, 1, 4), batch_axis=1).n_neurons


@pytest.mark.parametrize("n", [1, 4])
def test_several_inputs_of_which_one_is_mixed(n: int) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 2), nn.Linear(5, 2)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.a(x) + self.b(y - y.mean(0))

    with pytest.raises(CaptureError, match=r"got mean at.*batch_axis=\(None, None\)"):
        ax.capture(Two(), torch.randn(n, 3), torch.randn(n, 5))


def test_the_whole_batch_as_one_sample() -> None:
    """What the error advises: then every row is a neuron of its own, and the links of the mean are there."""
    a = nn.Linear(3, 2, bias=False)
    graph = ax.capture(Net(lambda n, x: n.a(x - x.mean(0)), a=a).float(), torch.zeros(4, 3), batch_axis=(None,))
    assert [group.shape for group in graph.groups] == [(4, 3), (4, 2)]
    graph = ax.capture(Net(lambda n, x: n.a(x.sum(0)), a=a).float(), torch.zeros(4, 3), batch_axis=(None,))
    torch.testing.assert_close((graph @ graph.ones())["a"], 4 * a.weight.detach().sum(1))


# ------------------------------------------------------------------------------------------------ what does not mix


def windows(n: Any, x: Tensor) -> Tensor:
    """Windows of all samples in one axis, as in Swin."""
    parts = x.unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 1, 4, 5).reshape(-1, 8)
    h = n.a(parts)
    return n.o((h - h.mean(-1, keepdim=True)).reshape(len(x), -1))


def steps_of_all(n: Any, x: Tensor) -> Tensor:
    """Steps of all samples in one axis, the samples in turn."""
    return n.o(n.a(x.transpose(0, 1).reshape(-1, 3)))


def there_and_back(n: Any, x: Tensor) -> Tensor:
    """Samples in an order that is drawn, and in their own again, as in momentum contrast."""
    order = torch.randperm(len(x))
    return n.o(n.a(x[order])[order.argsort()])


def with_loss(n: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    h = n.o(n.a(x))
    return h, h.square().mean()


SEPARATE: dict[str, tuple[nn.Module, Tensor, dict[str, Any]]] = {
    "windows": (net(windows, a=nn.Linear(8, 4), o=nn.Linear(16, 2)), IMAGE, {}),
    "steps": (net(steps_of_all), torch.zeros(1, 5, 3), {}),
    "shuffled": (net(there_and_back), X, {}),
    "loss": (net(with_loss), X, {}),
    "dropout": (net(lambda n, x: n.o(F.dropout(n.a(x), 0.5))), X, {}),
    "norms": (
        nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.InstanceNorm2d(4), nn.GroupNorm(2, 4), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1)
        ),
        IMAGE,
        {},
    ),
    "lstm": (nn.LSTM(3, 4, batch_first=True), torch.zeros(1, 5, 3), {}),
    "gru": (nn.GRU(3, 4, bidirectional=True), torch.zeros(5, 1, 3), {"batch_axis": 1}),
    "counts": (Follows(None), X, {}),
    "logarithm": (net(lambda n, x: n.o(n.a(x.log()))), torch.ones(1, 3), {}),
    "one_sample_only": (net(lambda n, x: n.o(n.a(x.view(3)))), X, {}),
}


@pytest.mark.parametrize("name", SEPARATE)
def test_networks_whose_samples_stay_apart(name: str) -> None:
    network, example, choices = SEPARATE[name]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    random = torch.get_rng_state()
    assert ax.capture(network, example, **choices).n_links
    assert torch.equal(torch.get_rng_state(), random)
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key


# ------------------------------------------------------------------------------------------------ the live reading


def centres_what_is_large(n: Any, x: Tensor) -> Tensor:
    h = n.a(x)
    return n.o(torch.where(x.abs().amax(1, keepdim=True) > 50, h - h.mean(0), h))


def turns_large_batches(n: Any, x: Tensor) -> Tensor:
    return torch.cond(x.abs().sum() > 100, lambda v: v - v.mean(0), lambda v: v * 1.0, (n.o(n.a(x)),))


HIDDEN = {
    "where": (net(centres_what_is_large), "mean at .*test_mixing"),
    "cond": (net(turns_large_batches), "sum at .*test_mixing"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_samples_that_meet_in_a_branch_that_the_example_did_not_reach(name: str) -> None:
    network, words = HIDDEN[name]
    graph = ax.capture(network, torch.zeros(1, 3))
    small, large = torch.rand(4, 3), 100 * torch.rand(4, 3) + 60
    (batch,) = live_batches(graph, small)
    torch.testing.assert_close(batch.pre_activations["o"], network.o(network.a(small)).detach())
    with pytest.raises(CaptureError, match=f"got {words}.*where the samples of a batch meet"):
        next(live_batches(graph, large))
    with pytest.raises(CaptureError, match="where the samples of a batch meet"):
        ax.neuron_strength(graph, [(large[:2],), (large[2:],)])
    if name == "cond":
        with pytest.raises(SamplesError, match="sample 0, which takes another one"):
            next(live_batches(graph, large[:1]))
    else:
        assert len(list(live_batches(graph, large[:1]))) == 1  # one alone meets no other


def test_a_batch_norm_without_running_statistics_that_the_example_did_not_reach() -> None:
    def normed(n: Any, x: Tensor) -> Tensor:
        h = n.conv(x)
        large = x.abs().amax((1, 2, 3), keepdim=True) > 50
        return n.o(torch.where(large, n.norm(h), h))

    norm = nn.BatchNorm2d(3, track_running_stats=False)
    network = net(normed, conv=nn.Conv2d(2, 3, 3), norm=norm, o=nn.Conv2d(3, 1, 1))
    graph = ax.capture(network, IMAGE)
    (batch,) = live_batches(graph, torch.rand(3, 2, 4, 4))
    assert batch.size == 3
    with pytest.raises(CaptureError, match="a batch norm without running statistics at module 'norm'"):
        next(live_batches(graph, 100 * torch.rand(3, 2, 4, 4) + 60))


CLEAN = {
    "plain": (nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), torch.randn(5, 3)),
    "dropout": (nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2)), torch.randn(5, 3)),
    "batch norm": (nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU()), torch.randn(5, 2, 4, 4)),
    "tokens": (nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2)), torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 0]])),
    "recurrent": (nn.Sequential(nn.LSTM(3, 4, batch_first=True)), torch.randn(5, 6, 3)),
}


@pytest.mark.parametrize("name", CLEAN)
def test_what_does_not_mix_is_read_and_left_as_it_was(name: str) -> None:
    network, samples = CLEAN[name]
    network.train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    graph = ax.capture(network, samples)
    assert sum(batch.size for batch in live_batches(graph, samples, batch_size=2)) == len(samples)
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_samples_along_another_axis_and_inputs_that_all_share() -> None:
    class Added(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.o = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.o(self.a(x) + y)

    network = Added()
    x, y = torch.randn(7, 4, 3), torch.randn(7, 1, 3)  # time, samples, features; one for all
    graph = ax.capture(network, x, y, batch_axis=(1, None))
    (batch,) = live_batches(graph, (x, y))
    torch.testing.assert_close(batch.pre_activations["o"], network(x, y).transpose(0, 1).detach())


def ghosts(n: Any, x: Tensor) -> Tensor:
    """Batch norm on halves of batches of four and more, as ghost batch norm is."""
    h = n.a(x)
    return n.o(torch.cat([c - c.mean(0) for c in h.chunk(2)]) if len(h) >= 4 else h)


@pytest.mark.parametrize("example", [torch.zeros(4, 3), torch.randn(5, 3)])
def test_samples_that_meet_in_large_batches_only(example: Tensor) -> None:
    with pytest.raises(CaptureError, match=rf"a batch of {len(example)} samples, of which the first alone has another"):
        ax.capture(net(ghosts), example)


def test_a_batch_that_happens_to_be_sorted() -> None:
    """Two samples of which the first is smaller everywhere are left in their places."""
    ordered = net(lambda n, x: n.o(n.a(x).sort(0)[0]))
    with torch.no_grad():
        ordered.a.weight.copy_(torch.tensor([1.0, 0, 0]).expand(3, 3))
    for sign in (1, -1):
        with torch.no_grad():
            ordered.a.weight.mul_(sign)
        with pytest.raises(CaptureError, match="got sort at"):
            ax.capture(ordered, X)
