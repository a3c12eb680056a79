"""Operations by what they do: constants that give a result its shape, spreads, quantiles, sparse products, bags."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import axonometry.program.rules  # noqa: F401
from axonometry.errors import UnknownOperationError
from axonometry.metrics import neuron_strength
from axonometry.program import capture, registry
from axonometry.program.readings.live import live_batches

from .linear_oracle import Forward, check_reading, network, paths, weight

X = torch.randn(2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TOKENS = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def spread_out(f: Any) -> Forward:
    return lambda s, x: s.o(f(s.a(x)[:, None], s.p).sum(-1))


def of_shape(s: Any, x: Tensor) -> Tensor:
    return s.o(s.a(x)[:, None].expand(len(x), 5, 4).sum(-1))


@pytest.mark.parametrize("f", [lambda h, p: (h - p) ** 2, torch.fmax, lambda h, p: h.exp() ** p, torch.copysign])
def test_a_constant_that_is_larger_gives_the_result_its_shape(f: Any) -> None:
    net = network(spread_out(f), p=weight(5, 4))
    net.o = nn.Linear(5, 2).double()
    check_reading(net, X, of_shape)


def same(s: Any, x: Tensor) -> Tensor:
    return s.o(s.a(x).mean(1))


MEDIANS: dict[str, tuple[Forward, Forward]] = {
    "along an axis": (lambda s, x: s.o(s.a(x).median(1)[0]), same),
    "a third": (lambda s, x: s.o(torch.quantile(s.a(x), 0.3, 1)), same),
    "the largest, as a quantile": (lambda s, x: s.o(torch.quantile(s.a(x), 1.0, dim=1)), same),
    "the mean of numbers": (lambda s, x: s.o(torch.nanmean(s.a(x), 1)), same),
}


@pytest.mark.parametrize("name", MEDIANS)
def test_what_lies_in_the_middle_has_equal_shares_and_with_data_the_real_one(name: str) -> None:
    forward, expected = MEDIANS[name]
    check_reading(network(forward), TOKENS, expected, ["a"])


def test_the_median_of_all_is_any_of_them() -> None:
    net = network(lambda s, x: s.o(s.a(x) * 0 + s.b(x).median()))
    graph = capture(net, X[:1], batch_axis=(None,))
    wanted = torch.func.jacrev(lambda v: net.o(net.a(v) * 0 + net.b(v).mean()))(X[:1]).reshape(2, 3)
    torch.testing.assert_close(paths(graph, "input", "o"), wanted)


def by_variance(s: Any, x: Tensor) -> Tensor:
    variance, mean = torch.var_mean(s.a(x), -1, keepdim=True)
    return s.o((s.a(x) - mean) / (variance + 1e-5).sqrt())


def by_spread(s: Any, x: Tensor) -> Tensor:
    spread, mean = torch.std_mean(s.a(x), -1, correction=0, keepdim=True)
    return s.o((s.a(x) - mean) / spread)


NORMED: dict[str, Forward] = {
    "variance": by_variance,
    "spread": by_spread,
    "cosine": lambda s, x: s.o(s.a(x) * F.cosine_similarity(s.a(x), s.b(x), dim=-1)[:, None]),
}


@pytest.mark.parametrize("name", NORMED)
def test_what_torch_writes_out_in_place_or_by_two_results_is_what_the_module_computes(name: str) -> None:
    net = network(NORMED[name])
    (batch,) = live_batches(capture(net, X), X)
    torch.testing.assert_close(batch.pre_activations["o"], net(X))


CENTRED: dict[str, Forward] = {
    "spread": lambda s, x: s.o(((h := s.a(x)) - h.mean(-1, keepdim=True)) / (h.std(-1, keepdim=True) + 1e-6)),
    "variance": lambda s, x: s.o(
        ((h := s.a(x)) - h.mean(-1, keepdim=True)) * torch.rsqrt(h.var(-1, keepdim=True, unbiased=False) + 1e-5)
    ),
    "of each sample": lambda s, x: s.o(
        ((h := s.a(x)) - h.mean((1, 2), keepdim=True)) / h.std((1, 2), keepdim=True).clamp(min=1e-5)
    ),
}


@pytest.mark.parametrize("name", CENTRED)
def test_a_spread_of_what_has_not_been_centred_is_a_statistic_too(name: str) -> None:
    check_reading(network(CENTRED[name]), TOKENS, lambda s, x: s.o(s.a(x)))


QUANTISED: dict[str, Forward] = {
    "between zero and one": lambda s, x: s.o((s.a(x).clamp(0, 1) * 15).round() / 15),
    "straight through": lambda s, x: s.o((h := s.a(x)) + ((h * 8).round() / 8 - h).detach()),
    "copied": lambda s, x: s.o((h := s.a(x)) + ((h * 8).round() / 8 - h).clone()),
}


@pytest.mark.parametrize("name", QUANTISED)
def test_what_is_rounded_on_a_grid_is_the_signal_itself(name: str) -> None:
    check_reading(network(QUANTISED[name]), X, lambda s, x: s.o(s.a(x)))


def test_numbers_between_two_nonlinearities_are_factors() -> None:
    check_reading(network(lambda s, x: s.o((3 * s.a(x).relu()).tanh())), X, lambda s, x: s.o(3 * s.a(x)))


def test_writing_takes_of_a_larger_source_what_there_are_indices_for() -> None:
    def written(s: Any, x: Tensor) -> Tensor:
        return s.o(s.a(x).scatter(1, torch.tensor([[1, 3]]).expand(len(x), 2), s.b(x)))

    def expected(s: Any, x: Tensor) -> Tensor:
        return s.o(torch.stack([s.a(x)[:, 0], s.b(x)[:, 0], s.a(x)[:, 2], s.b(x)[:, 1]], 1))

    check_reading(network(written), X, expected)


@pytest.mark.parametrize("product", [torch.sparse.mm, torch.mm, lambda a, h: a @ h])
def test_a_sparse_matrix_has_a_link_for_each_entry(product: Any) -> None:
    dense = torch.tensor([[0.0, -2.0, 0.0], [0.5, 0.0, 3.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    net = network(lambda s, x: s.o(product(s.adj, s.a(x))), adj=dense.to_sparse())
    x = torch.randn(3, 3, dtype=torch.float64)
    graph = capture(net, x, batch_axis=(None,))
    wanted = torch.func.jacrev(lambda v: net.o(dense @ net.a(v)))(x).reshape(6, 9)
    torch.testing.assert_close(paths(graph, "input", "o"), wanted)
    assert next(s for s in graph.synapses if s.name == "o").n_links == 3 * 4 * 2


@pytest.mark.parametrize("kind", ["learned", "in a batch", "on the right"])
def test_other_sparse_matrices_are_refused(kind: str) -> None:
    sparse = torch.eye(3, dtype=torch.float64).to_sparse()
    net = network(lambda s, x: s.o(s.adj @ s.a(x)), adj=nn.Parameter(sparse))
    if kind == "in a batch":
        net = network(lambda s, x: s.o(torch.bmm(s.adj, s.a(x)[None])[0]), adj=torch.eye(3).double()[None].to_sparse())
    if kind == "on the right":
        net = network(lambda s, x: s.a(x) @ s.adj, adj=torch.eye(4).double().to_sparse())
    with pytest.raises(UnknownOperationError, match="only a fixed sparse matrix on the left of a signal has a reading"):
        capture(net, torch.randn(3, 3, dtype=torch.float64), batch_axis=(None,))


def test_a_complex_kernel_that_is_real_in_the_end_is_no_complex_weight() -> None:
    def forward(s: Any, x: Tensor) -> Tensor:
        rates = torch.exp(torch.complex(-s.u.exp(), s.v)[..., None] * torch.arange(4))
        kernel = torch.einsum("hn,hnl->hl", torch.view_as_complex(s.c), rates).real.sum(0)
        return s.o(s.a(x) * kernel)

    check_reading(network(forward, u=weight(4, 2), v=weight(4, 2), c=weight(4, 2, 2)), X, forward)


def test_a_draw_without_a_mean_is_not_taken_for_samples_that_meet() -> None:
    net = network(lambda s, x: s.o(s.a(x) * torch.randint_like(s.a(x), 1, 5)))
    assert capture(net, X, randomness="fix").n_links == 12 + 8


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_padding_is_in_no_bag(mode: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.EmbeddingBag(7, 4, mode=mode, padding_idx=0), nn.Linear(4, 2)).eval()
    with torch.no_grad():
        net[0].weight[0] = 9.0
    numbers = torch.tensor([[1, 2, 0, 0, 3], [4, 5, 6, 1, 0]])
    graph = capture(net, numbers)
    (batch,) = live_batches(graph, numbers)
    torch.testing.assert_close(batch.pre_activations["1"], net(numbers))
    sent = neuron_strength(graph, numbers, "out").mean["0"]
    torch.testing.assert_close(sent.sum(), (net(numbers).mean(0) - net[1].bias).sum().double(), check_dtype=False)


class Weighed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag, self.out = nn.EmbeddingBag(7, 4, mode="sum"), nn.Linear(4, 2)

    def forward(self, numbers: Tensor, weights: Tensor) -> Tensor:
        return self.out(self.bag(numbers, per_sample_weights=weights))


def test_rows_of_a_bag_are_multiplied_with_the_weights_of_a_sample() -> None:
    module, numbers, weights = Weighed().eval(), torch.tensor([[1, 2, 4], [3, 5, 6]]), torch.rand(2, 3)
    (batch,) = live_batches(capture(module, numbers, weights), (numbers, weights))
    torch.testing.assert_close(batch.pre_activations["out"], module(numbers, weights))


def test_no_operation_has_two_rules_of_ours() -> None:
    ours = [one for one in registry._changes if str(one).startswith(("aten.", "<built-in"))]
    twice = {str(one) for one, times in Counter(ours).items() if times > 1}
    assert not {
        one for one in twice if registry._RULES[next(o for o in ours if str(o) == one)].__module__.startswith("axo")
    }
