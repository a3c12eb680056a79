"""Attention in torch's own modules: captured, claimed, and the same values as the modules; masks and what they cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import UnknownOperationError
from axonometry.program.live import live_batches
from axonometry.testing import check_adjoint, randomise

from .toys_attention import CAUSAL, WINDOW

T, WIDTH = 4, 4
CUT = torch.triu(torch.ones(T, T, dtype=torch.bool), 1)


class Encoder(nn.Module):
    """Two encoder layers and a head, which makes a group of what they return."""

    def __init__(self, *, causal: bool = False, norm_first: bool = False) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 6, batch_first=True, norm_first=norm_first, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head, self.causal = nn.Linear(WIDTH, 3), causal

    def forward(self, x: Tensor, padded: Tensor) -> Tensor:
        mask = CUT if self.causal else None
        return self.head(self.encoder(x, mask, padded, is_causal=self.causal))


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
    fields = torch.cat([batch.fields["head"] for batch in live_batches(graph, (x, padded), batch_size=4)])
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


def test_a_float_mask_as_input_is_open_without_data() -> None:
    class Given(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.value, self.out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return self.out(F.scaled_dot_product_attention(x, x, self.value(x), attn_mask=mask))

    example = torch.zeros(1, T, WIDTH, dtype=torch.float64), torch.zeros(1, T, T, dtype=torch.float64)
    graph = ax.capture(randomise(Given()), *example)
    assert bool(attended(graph, "value", "out").all())


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
