"""Randomness in the forward pass: dropout is read at its mean, other draws are named, and no graph hangs on them."""

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
from axonometry.errors import CaptureError
from axonometry.program.draws import same_draws
from axonometry.program.readings.live import live_batches
from axonometry.program.sharing import store as sharing

from .oracles import Net

X = torch.zeros(1, 4)
Noise = Callable[[Tensor], Tensor]


def network(noise: Noise) -> Net:
    return Net(lambda n, x: n.o(noise(torch.relu(n.a(x)))), a=nn.Linear(4, 3), o=nn.Linear(3, 2)).float()


def live(graph: ax.NeuralGraph, x: Tensor) -> Tensor:
    return torch.cat([batch.pre_activations["o"] for batch in live_batches(graph, x)])


def by_hand(h: Tensor) -> Tensor:
    return h * (torch.rand_like(h) > 0.2).to(h.dtype) / 0.8


def drop_path(h: Tensor) -> Tensor:
    keep = torch.rand(h.shape[0], 1) + 0.75
    return h.div(0.75) * keep.floor()


def bernoulli(h: Tensor) -> Tensor:
    return h * h.new_empty((1, 3)).bernoulli_(0.6).div_(0.6)


def of_probabilities(h: Tensor) -> Tensor:
    return h * torch.bernoulli(torch.full_like(h, 0.5)) * 2


MASKS: dict[str, Noise] = {
    "dropout": lambda h: F.dropout(h, 0.3),
    "in_place": lambda h: F.dropout(h.clone(), 0.3, inplace=True),
    "channels": lambda h: F.dropout1d(h[..., None], 0.3)[..., 0],
    "planes": lambda h: F.dropout2d(h[..., None, None], 0.3).flatten(1),
    "compared": by_hand,
    "below": lambda h: h * (torch.rand(1, 3) < 0.8) / 0.8,
    "drop_path": drop_path,
    "bernoulli": bernoulli,
    "probabilities": of_probabilities,
}


@pytest.mark.parametrize("name", MASKS)
def test_dropout_that_is_always_on_is_the_signal(name: str) -> None:
    module, x = network(MASKS[name]), torch.randn(5, 4)
    graph, without = ax.capture(module, X), ax.capture(network(lambda h: h), X)
    without = without.at(module.state_dict())
    assert [group.name for group in graph.groups] == ["input", "a", "o"]
    for one, other in ((graph, without), (graph.abs(), without.abs())):
        torch.testing.assert_close((one @ one.ones()).flatten(), (other @ other.ones()).flatten())
    torch.testing.assert_close(live(graph, x), live(without, x))
    assert torch.equal(live(graph, x), live(graph, x))


def test_alpha_dropout_shrinks_the_signal() -> None:
    """Its mean is a(1 - p) times the signal, with a = ((1 - p)(1 + p alpha^2))^(-1/2) and alpha = 1.7581."""
    p, alpha = 0.3, 1.0507009873554805 * 1.6732632423543772
    module = network(lambda h: F.alpha_dropout(h, p, training=True))
    graph = ax.capture(module, X)
    factor = (1 - p) * ((1 - p) * (1 + p * alpha**2)) ** -0.5
    torch.testing.assert_close((graph @ graph.ones())["o"], factor * module.o.weight.detach().sum(1))


def test_a_slope_that_is_drawn_is_its_mean() -> None:
    module, x = network(lambda h: F.rrelu(h - 1, 0.1, 0.3, training=True)), torch.randn(5, 4)
    h = F.leaky_relu(torch.relu(module.a(x)) - 1, 0.2)
    torch.testing.assert_close(live(ax.capture(module, X), x), module.o(h).detach())


def test_attention_with_dropout() -> None:
    def attends(n: Any, x: Tensor) -> Tensor:
        return n.o(F.scaled_dot_product_attention(x, x, n.a(x), dropout_p=0.5))

    module, x = Net(attends, a=nn.Linear(4, 4), o=nn.Linear(4, 2)).float(), torch.randn(2, 6, 4)
    graph = ax.capture(module, x)
    expected = module.o(F.scaled_dot_product_attention(x, x, module.a(x))).detach()
    torch.testing.assert_close(live(graph, x), expected)


DRAWS: dict[str, tuple[Noise, str]] = {
    "noise": (lambda h: h + torch.randn_like(h), "aten.randn"),
    "of_a_size": (lambda h: h + 0.1 * torch.randn(1, 3), "aten.randn"),
    "in_place": (lambda h: h + torch.empty_like(h).normal_(0.0, 2.0), "aten.normal"),
    "multiplied": (lambda h: h * (1 + 0.1 * torch.randn_like(h)), "aten.randn"),
    "uniform": (lambda h: h + torch.rand_like(h), "aten.rand"),
    "between": (lambda h: h * torch.empty(3).uniform_(-1, 1), "aten.uniform"),
    "gumbel": (lambda h: h * F.gumbel_softmax(h), "aten.exponential"),
    "stochastic": (lambda h: torch.bernoulli(h.sigmoid()), "aten.bernoulli"),
    "shuffled": (lambda h: h[:, torch.randperm(3)], "aten.randperm"),
    "chosen": (lambda h: h * torch.randint(0, 9, (3,)), "aten.randint"),
    "masked": (lambda h: h.masked_fill(torch.rand(1, 3) < 0.5, 1.0), "aten.rand"),
    "generator": (lambda h: h + torch.randn(3, generator=torch.Generator()), "aten.randn"),
}


@pytest.mark.parametrize("name", sorted(DRAWS.keys() - {"generator"}))
def test_other_draws_are_named(name: str) -> None:
    noise, operation = DRAWS[name]
    with pytest.raises(CaptureError, match=rf"the same each time; got {operation}.*\.py, line") as caught:
        ax.capture(network(noise), X)
    assert 'randomness="fix"' in caught.value.remedy


@pytest.mark.parametrize("name", sorted(DRAWS))
def test_and_fixed_where_the_user_says_so(name: str) -> None:
    x = torch.randn(5, 4)
    module = network(DRAWS[name][0])
    graph = ax.capture(module, X, randomness="fix")
    state = torch.get_rng_state()
    first = live(graph, x)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(7)
    assert torch.equal(live(graph, x), first)
    if name in ("noise", "of_a_size", "in_place", "multiplied"):
        torch.testing.assert_close(first, module.o(torch.relu(module.a(x))).detach())
    if name == "between":  # its mean is zero
        torch.testing.assert_close(first, module.o.bias.detach().expand(5, 2))
    again = ax.capture(module, X, randomness="fix")
    torch.testing.assert_close((again @ again.ones()).flatten(), (graph @ graph.ones()).flatten())


class VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mean, self.size, self.decoder = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        mean, size = self.mean(x), torch.exp(0.5 * self.size(x))
        return self.decoder(mean + torch.randn_like(size) * size)


def test_an_autoencoder_with_noise() -> None:
    module, x = VAE(), torch.randn(5, 4)
    with pytest.raises(CaptureError, match=r"aten\.randn.* at the module's own forward \(test_chance.py"):
        ax.capture(module, X)
    graph = ax.capture(module, X, randomness="fix")
    found = torch.cat([batch.pre_activations["decoder"] for batch in live_batches(graph, x)])
    torch.testing.assert_close(found, module.decoder(module.mean(x)).detach())


class Noisy(nn.Module):
    """A layer whose noise has a size of its own."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self.a, self.size = nn.Linear(4, 2), nn.Parameter(torch.tensor(size))

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + self.size * torch.randn(1, 2)


def test_noise_of_no_size_is_none_of_this_network_alone() -> None:
    sharing.forget()
    assert ax.capture(Noisy(0.0), X).n_links == 8
    assert not sharing._KEPT
    with pytest.raises(CaptureError, match=r"aten\.randn"):
        ax.capture(Noisy(0.1), X)


def test_draws_that_nobody_reads() -> None:
    """As the layer drop of models of the Transformers library, which draws in evaluation too."""

    def forward(n: Any, x: Tensor) -> Tensor:
        p = torch.rand([])
        h = n.a(x)
        return n.o(h if not n.training else h * p)

    graph = ax.capture(Net(forward, a=nn.Linear(4, 3), o=nn.Linear(3, 2)).float(), X)
    state = torch.get_rng_state()
    assert (graph @ graph.ones()).flatten().isfinite().all()
    assert torch.equal(torch.get_rng_state(), state)


def left_out_now_and_then(n: Any, x: Tensor) -> Tensor:
    h = torch.relu(n.a(x))
    return n.o(h if random.random() < 0.4 else h + n.b(h))


def of_numpy(n: Any, x: Tensor) -> Tensor:
    return n.o(n.a(x) * float(np.random.rand()))


@pytest.mark.parametrize("forward", [left_out_now_and_then, of_numpy])
def test_draws_that_are_not_torch_s(forward: Any) -> None:
    module = Net(forward, a=nn.Linear(4, 3), b=nn.Linear(3, 3), o=nn.Linear(3, 2)).float()
    state = np.random.get_state()[1].copy()
    with pytest.raises(CaptureError, match=r"the same each time; got .*test_chance\.py, line .*that is not torch's"):
        ax.capture(module, X)
    graph = ax.capture(module, X, randomness="fix")
    assert (np.random.get_state()[1] == state).all()
    again = ax.capture(module, X, randomness="fix")
    torch.testing.assert_close((again @ again.ones()).flatten(), (graph @ graph.ones()).flatten())


def test_the_choice_is_one_of_two() -> None:
    with pytest.raises(Exception, match=r"randomness"):
        ax.capture(network(lambda h: h), X, randomness="mean")  # type: ignore[arg-type]


def test_the_generators_are_left_as_they_were() -> None:
    state, of_numpy = random.getstate(), np.random.get_state()[1].copy()
    with same_draws(3) as drawn:
        first = random.random(), float(np.random.rand())
        assert drawn
    assert random.getstate() == state
    assert (np.random.get_state()[1] == of_numpy).all()
    with same_draws(3):
        assert first == (random.random(), float(np.random.rand()))


class Shuffled(nn.Module):
    """Three features of six, drawn with weights that are numbers, or the network's own."""

    def __init__(self, *, weighted: bool) -> None:
        super().__init__()
        self.a, self.o = nn.Linear(4, 6, bias=False), nn.Linear(3, 2)
        self.odds = nn.Parameter(torch.ones(6)) if weighted else None

    def forward(self, x: Tensor) -> Tensor:
        odds = torch.ones(6) if self.odds is None else self.odds.exp()
        return self.o(self.a(x)[:, torch.multinomial(odds, 3)])


def test_a_draw_from_numbers_of_the_program_is_one_draw() -> None:
    network = Shuffled(weighted=False)
    graph = ax.capture(network, X, randomness="fix")
    torch.manual_seed(0)
    chosen = torch.multinomial(torch.ones(6), 3)
    expected = torch.zeros(6).index_add(0, chosen, network.o.weight.detach().sum(0))
    torch.testing.assert_close((graph.T @ graph.ones())["a"], expected)


def test_a_draw_from_weights_is_none() -> None:
    with pytest.raises(CaptureError, match="a draw from values of the network, which has no mean"):
        ax.capture(Shuffled(weighted=True), X, randomness="fix")


class Autoencoder(nn.Module):
    """Its draws go through torch.distributions, which checks mean and deviation by default."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.o = nn.Linear(X.shape[1], 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(torch.distributions.Normal(self.a(x), 1.0).rsample())


def test_distributions_do_not_check_what_they_are_given() -> None:
    network, before = Autoencoder(), torch.distributions.Distribution._validate_args
    with pytest.raises(CaptureError, match=r"aten\.normal.*whose draws change the result"):
        ax.capture(network, X)
    graph = ax.capture(network, X, randomness="fix")
    torch.testing.assert_close((graph.T @ graph.ones())["a"], network.o.weight.detach().sum(0))
    assert torch.distributions.Distribution._validate_args is before
