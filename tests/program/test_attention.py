"""Attention in torch's own modules: captured, claimed, and the same values as the modules; masks and what they cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import UnknownOperationError
from axonometry.program.readings.live import live_batches
from axonometry.testing import check_adjoint, randomise

from .toys_attention import CAUSAL, WINDOW

T, WIDTH = 4, 4
CUT = torch.triu(torch.ones(T, T, dtype=torch.bool), 1)


class Encoder(nn.Module):
    """Two encoder layers and a head, which makes a group of what they return."""

    def __init__(self, *, causal: bool = False, norm_first: bool = False, hint: bool = True) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 6, batch_first=True, norm_first=norm_first, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head, self.causal, self.hint = nn.Linear(WIDTH, 3), causal, hint

    def forward(self, x: Tensor, padded: Tensor) -> Tensor:
        mask = CUT if self.causal else None
        return self.head(self.encoder(x, mask, padded, is_causal=self.causal if self.hint else None))


class Translator(nn.Module):
    """Torch's encoder and decoder, with a causal decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Transformer(WIDTH, 2, 1, 1, 6, batch_first=True)
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor, padded: Tensor) -> Tensor:
        return self.head(self.both(x, x.flip(1), tgt_mask=CUT, src_key_padding_mask=padded, tgt_is_causal=True))


MODULES: dict[str, Callable[[], nn.Module]] = {
    "encoder": Encoder,
    "causal": lambda: Encoder(causal=True),
    "norm first": lambda: Encoder(norm_first=True),
    "mask without a hint": lambda: Encoder(causal=True, hint=False),
    "translator": Translator,
}
every_module = pytest.mark.parametrize("name", MODULES)
quiet = pytest.mark.filterwarnings("ignore:enable_nested_tensor", "ignore:The PyTorch API of nested tensors")


@quiet
@every_module
def test_torch_s_transformers(name: str) -> None:
    module = randomise(MODULES[name]())
    x = torch.randn(6, T, WIDTH, dtype=torch.float64)
    padded = torch.arange(T) >= torch.tensor([4, 3, 2, 4, 1, 3])[:, None]
    graph = ax.capture(module, x[:1], padded[:1])
    assert not [c.parameter for c in graph.coverage if c.role == "unclaimed"]
    assert [group.name for group in graph.groups if group.role == "input"] == ["input"], "a mask is no neuron"
    check_adjoint(graph, draws=1)
    fields = torch.cat([batch.pre_activations["head"] for batch in live_batches(graph, (x, padded), batch_size=4)])
    torch.testing.assert_close(fields, module(x, padded).detach())


def attended(graph: ax.NeuralGraph, source: str, target: str) -> Tensor:
    """Which token's links reach which token: (targets, sources)."""
    groups = {group.name: group for group in graph.groups}
    rows = []
    for token in range(T):
        values = dict(graph.zeros())
        values[source] = values[source].clone()
        values[source][token] = torch.rand(groups[source].shape[1:], dtype=graph.dtype) + 0.5
        rows.append((graph.abs() @ values)[target].flatten(1).sum(1) > 0)
    return torch.stack(rows, 1)


class Masked(nn.Module):
    """One head whose mask is made in another way each time."""

    def __init__(self, scores: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.value, self.out, self.scores = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH), scores
        self.query = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        query = self.query(x)
        return self.out(self.scores(query @ query.transpose(1, 2)).softmax(-1) @ self.value(x))


LOW = torch.finfo(torch.float64).min
CUT_BY: dict[str, Callable[[Tensor], Tensor]] = {
    "where": lambda s: torch.where(WINDOW.bool(), s, LOW),
    "addition": lambda s: s + WINDOW.log(),
    "masked_fill of a sum": lambda s: (s / 2 + 1).masked_fill(WINDOW == 0, float("-inf")),
    "a product": lambda s: s * 0.5 - (1 - WINDOW) * 1e9,
    "a function in front": lambda s: torch.tanh(s) + WINDOW.log(),
    "a broadcast row": lambda s: s + torch.tensor([0.0, 0.0, LOW, LOW], dtype=torch.float64),
}


@pytest.mark.parametrize("how", CUT_BY)
def test_masks_cut_links_however_they_are_written(how: str) -> None:
    graph = ax.capture(randomise(Masked(CUT_BY[how])), torch.zeros(1, T, WIDTH, dtype=torch.float64))
    expected = torch.tensor([True, True, False, False]).expand(T, T) if how == "a broadcast row" else WINDOW.bool()
    assert torch.equal(attended(graph, "value", "out"), expected)
    n_attention = graph.n_links - 2 * T * WIDTH * WIDTH
    assert n_attention == int(expected.sum()) * WIDTH * WIDTH, "what is masked is no link"


def test_uniform_over_what_is_permitted() -> None:
    network = Masked(lambda s: s.masked_fill(CUT, float("-inf")))
    graph = ax.capture(randomise(network), torch.zeros(1, T, WIDTH, dtype=torch.float64))
    weight = network.out.weight.detach()
    x = torch.randn(T, WIDTH, dtype=torch.float64)
    received = graph @ {**graph.zeros(), "value": x}
    torch.testing.assert_close(received["out"], CAUSAL @ x @ weight.T)


class Given(nn.Module):
    """One head whose mask is an input."""

    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self.value, self.out, self.fused = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2), fused

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if self.fused:
            return self.out(F.scaled_dot_product_attention(x, x, self.value(x), attn_mask=mask))
        return self.out((x @ x.transpose(1, 2) / 2 + mask).softmax(-1) @ self.value(x))


@pytest.mark.parametrize("fused", [True, False])
def test_a_mask_as_input_is_no_neuron(fused: bool) -> None:
    """Of floating point too; without data it is the example's, live each sample has the one that is given."""
    module = randomise(Given(fused=fused))
    mask = CAUSAL.log()
    x = torch.randn(3, T, WIDTH, dtype=torch.float64)
    graph = ax.capture(module, x, mask, batch_axis=(0, None))
    assert [group.name for group in graph.groups] == ["input", "value", "out"]
    cut = mask.isneginf()
    assert torch.equal(attended(graph, "value", "out"), ~cut)
    (batch,) = live_batches(graph, (x, torch.zeros_like(mask)), batch_size=3)
    torch.testing.assert_close(batch.pre_activations["out"], module(x, torch.zeros_like(mask)).detach())


@pytest.mark.parametrize("low", [-1e4, -1e9, torch.finfo(torch.float64).min, float("-inf")])
def test_whatever_is_taken_off(low: float) -> None:
    mask = torch.zeros(T, T, dtype=torch.float64).masked_fill(CUT, low)
    links = {
        ax.capture(randomise(Given(fused=fused)), torch.zeros(1, T, WIDTH).double(), mask, batch_axis=(0, None)).n_links
        for fused in (True, False)
    }
    assert links == {T * WIDTH * WIDTH + (T * (T + 1) // 2) * WIDTH * 2}


FORMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "elementwise": lambda w, h: (w * h).sum(1),
    "elementwise, turned": lambda w, h: (h * w).sum(1),
    "transposed": lambda w, h: torch.bmm(w.transpose(1, 2), h)[:, 0],
    "on the right": lambda w, h: torch.bmm(h.transpose(1, 2), w)[..., 0],
    "squeezed": lambda w, h: torch.einsum("bt,bth->bh", w[..., 0], h),
}


@pytest.mark.parametrize("form", FORMS)
def test_pooling_by_attention_however_it_is_written(form: str) -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.score = nn.RNN(3, 4, batch_first=True), nn.Linear(4, 1)
            self.out = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            states = self.rnn(x)[0]
            return self.out(FORMS[form](torch.softmax(self.score(states), 1), states))

    module = randomise(Pooled())
    x = torch.randn(6, T, 3, dtype=torch.float64)
    graph = ax.capture(module, x)
    weights = module.out.weight.detach()
    torch.testing.assert_close((graph @ graph.ones())["out"], weights.sum(1))
    states = module.rnn(x)[0]
    attention = torch.softmax(module.score(states), 1).detach()
    found = ax.attention_strength(graph, x)
    torch.testing.assert_close(next(iter(found.sent.values())), attention[..., 0].mean(0)[None])
    (batch,) = live_batches(graph, x, batch_size=6)
    sent = ax.neuron_strength(graph, x, "out").mean["rnn"]
    scores = batch.activations["rnn"] * module.score.weight.detach()
    before = torch.zeros_like(scores)
    before[:, :-1] = batch.activations["rnn"][:, :-1] * module.rnn.weight_hh_l0.detach().sum(0)
    read = batch.activations["rnn"] * attention * weights.sum(0)
    torch.testing.assert_close(sent, (scores + before + read).mean(0))


@pytest.mark.parametrize("average", [True, False])
def test_returned_probabilities_make_no_outputs(average: bool) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.MultiheadAttention(WIDTH, 2, batch_first=True)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.mix(x, x, x, average_attn_weights=average)

    graph = ax.capture(randomise(Both()), torch.zeros(1, T, WIDTH, dtype=torch.float64))
    roles = {group.name: group.role for group in graph.groups}
    assert [name for name, role in roles.items() if role == "output"] == ["mix.out_proj"]


def test_products_of_two_signals_without_a_softmax_link_both() -> None:
    """Linear attention: (q k') v, term by term."""

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v = (nn.Linear(3, 2) for _ in range(3))
            self.out = nn.Linear(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(torch.einsum("bij,bjd->bid", self.q(x) @ self.k(x).transpose(1, 2), self.v(x)))

    module = randomise(Linear())
    graph = ax.capture(module, torch.zeros(1, T, 3, dtype=torch.float64))
    q, k, v = (torch.randn(T, 2, dtype=torch.float64) for _ in range(3))
    received = graph @ {**graph.zeros(), "q": q, "k": k, "v": v}
    scores = q.sum(1)[:, None] + k.sum(1)[None]
    mixed = scores.sum(1, keepdim=True) + v.sum(0)
    torch.testing.assert_close(received["out"], mixed @ module.out.weight.detach().T)
    check_adjoint(graph)


def test_attention_to_constants_has_no_reading() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.v = nn.Linear(3, 3), nn.Parameter(torch.randn(1, T, 3))

        def forward(self, x: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(self.q(x), x, self.v)

    with pytest.raises(UnknownOperationError, match="its values do not depend on the input"):
        ax.capture(Fixed(), torch.zeros(1, T, 3))
