"""Attention strength: closed forms, and probabilities that torch computes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import NonfiniteError, ValuesError
from axonometry.metrics.attention import attention_rows, attention_strength
from axonometry.testing import randomise


class Attention(nn.Module):
    """One torch layer that also returns its probabilities, for one head each."""

    def __init__(self, *, weights: bool) -> None:
        super().__init__()
        self.mix = nn.MultiheadAttention(4, 2, batch_first=True)
        self.weights = weights

    def forward(self, x: Tensor, padded: Tensor) -> Tensor:
        mixed, weights = self.mix(x, x, x, padded, need_weights=self.weights, average_attn_weights=False)
        return weights if self.weights and not torch.compiler.is_exporting() else mixed


def samples(n: int = 7) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return x, torch.arange(5)[None] >= torch.tensor([5, 4, 3, 5, 2, 1, 5])[:n, None]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_against_the_probabilities_that_torch_returns(fused: bool, batch_size: int) -> None:
    module = randomise(Attention(weights=not fused))
    x, padded = samples()
    example = torch.zeros(1, 5, dtype=torch.bool)
    found = attention_strength(ax.capture(module, x[:1], example), (x, padded), batch_size=batch_size)
    module.weights = True
    probabilities = module(x, padded).detach()
    assert list(found.sent) == ["mix"]
    torch.testing.assert_close(found.sent["mix"], probabilities.sum(-2).mean(0))
    torch.testing.assert_close(found.received["mix"], torch.ones(2, 5, dtype=torch.float64))
    entropy = -(probabilities * probabilities.clamp(min=1e-300).log()).sum(-1).mean(0)
    torch.testing.assert_close(found.entropy["mix"], entropy)
    assert found.sent["mix"][:, 4].max() < found.sent["mix"][:, 0].min(), "padded tokens get less"


class Zero(nn.Module):
    """Scores of zero: attention is uniform over what the mask lets through."""

    def __init__(self, mask: Tensor | None, *, causal: bool = False) -> None:
        super().__init__()
        self.value, self.causal = nn.Linear(3, 3), causal
        self.mask = mask

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.scaled_dot_product_attention(
            0 * x, x, self.value(x), attn_mask=self.mask, is_causal=self.causal
        )


def test_causal_attention_in_closed_form() -> None:
    found = attention_strength(ax.capture(Zero(None, causal=True), torch.zeros(1, 4, 3)), torch.randn(3, 4, 3))
    name = next(iter(found.sent))
    expected = torch.tensor([[sum(1 / (i + 1) for i in range(j, 4)) for j in range(4)]], dtype=torch.float64)
    torch.testing.assert_close(found.sent[name], expected, rtol=1e-6, atol=1e-6)
    entropy = torch.tensor([[math.log(i + 1) for i in range(4)]], dtype=torch.float64)
    torch.testing.assert_close(found.entropy[name], entropy, rtol=1e-6, atol=1e-6)


def test_a_token_that_may_attend_to_nothing_receives_nothing() -> None:
    mask = torch.tensor([[True, True], [False, False]])
    found = attention_strength(ax.capture(Zero(mask), torch.zeros(1, 2, 3)), torch.randn(3, 2, 3))
    name = next(iter(found.sent))
    assert found.received[name].tolist() == [[1.0, 0.0]]
    assert found.sent[name].sum() == 1
    assert found.entropy[name][0, 1] == 0


def test_without_data_the_links_are_the_uniform_ones() -> None:
    """What the graph's own links say where scores are zero: the live strength is that of the graph."""
    graph = ax.capture(Zero(None, causal=True).double(), torch.zeros(1, 4, 3, dtype=torch.float64))
    received = graph @ graph.ones()
    assert not received["value"].isnan().any()
    assert graph.n_links == 4 * 3 * 3


def test_in_the_catalogue() -> None:
    samples = torch.randn(3, 4, 3)
    graph = ax.capture(Zero(None, causal=True), torch.zeros(1, 4, 3))
    table = ax.measure(graph, ["attention_strength"], samples=samples).set_index("statistic")["value"]
    sent = next(iter(attention_strength(graph, samples).sent.values()))
    assert table["mean"] == pytest.approx(1)
    assert table["std"] == pytest.approx(float(sent.std(correction=0)))
    assert table["entropy"] == pytest.approx(sum(math.log(i + 1) for i in range(4)) / 4, rel=1e-5)
    plain = ax.capture(nn.Linear(3, 3), torch.zeros(1, 3))
    assert ax.measure(plain, ["attention_strength"], samples=samples[:, 0]).empty


def test_a_network_without_attention() -> None:
    with pytest.raises(ValuesError, match="has attention"):
        attention_strength(ax.capture(nn.Linear(2, 2), torch.zeros(1, 2)), torch.zeros(3, 2))


class Written(nn.Module):
    """Two attentions, written out."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        for value in (self.first, self.second):
            x = (x @ x.transpose(1, 2)).softmax(-1) @ value(x)
        return x


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("batch_size", [1, 4, None])
def test_a_sample_that_is_not_finite_is_named(bad: float, batch_size: int | None) -> None:
    x = torch.randn(7, 4, 3)
    graph = ax.capture(Written(), x[:1])
    x[5, 2, 1] = x[6, 0, 0] = bad
    first = next(iter(attention_strength(graph, x[:5], batch_size=batch_size).sent))
    with pytest.raises(NonfiniteError, match=rf"sample 5, .* first in layer '{first}'"):
        attention_strength(graph, x, batch_size=batch_size)


def test_a_sample_that_is_not_finite_is_named_where_attention_is_one_call() -> None:
    x = torch.randn(3, 4, 3)
    x[1, 3, 0] = math.nan
    with pytest.raises(NonfiniteError, match="sample 1, "):
        attention_strength(ax.capture(Zero(None, causal=True), x[:1]), x)


def test_a_table_has_nan_where_a_sample_is_not_finite() -> None:
    x = torch.randn(7, 4, 3)
    graph = ax.capture(Written(), x[:1])
    good = list(attention_rows(graph, x))
    x[5] = math.nan
    rows = list(attention_rows(graph, x))
    assert [row[:2] for row in rows] == [row[:2] for row in good]
    assert all(math.isfinite(row[2]) for row in good)
    assert all(math.isnan(row[2]) for row in rows)
