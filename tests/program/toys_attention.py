"""Toys of attention, whose probabilities without data are written down: uniform over what may be attended to."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.testing import Block, Toy, WeightMap

from .oracles import Net, linear, number, register, toy, zeros

T, WIDTH, HEADS = 4, 4, 2
ALL = torch.full((T, T), 1 / T, dtype=torch.float64)
CAUSAL = torch.tril(torch.ones(T, T, dtype=torch.float64)) / torch.arange(1, T + 1, dtype=torch.float64)[:, None]
WINDOW = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]], dtype=torch.float64)


def mixed(shares: Tensor, weight: Tensor, pick: slice = slice(None)) -> Block:
    """Values of every token, mixed by the shares and read by a linear map."""
    return lambda x, f: torch.einsum("ij,bjd,od->bio", f(shares), x[..., pick], f(weight))


def heads(x: Tensor) -> Tensor:
    """(batch, tokens, width) to (batch, heads, tokens, width of a head)."""
    return x.unflatten(-1, (-1, WIDTH // HEADS)).transpose(1, 2)


def merged(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


def attention(name: str, forward: object, shares: Tensor) -> None:
    """Queries, keys and values by linear maps, and ``out``, which reads the mixed values."""

    def build() -> Toy:
        net = Net(forward, **{part: nn.Linear(3, WIDTH) for part in "qkv"}, out=nn.Linear(WIDTH, 2))
        blocks = {(part, "input"): linear(getattr(net, part)) for part in "qkv"}
        blocks["out", "v"] = mixed(shares, net.out.weight)
        groups = {"input": (T, 3), **dict.fromkeys("qkv", (T, WIDTH)), "out": (T, 2)}
        # what is masked is no link, but a coefficient of 0 in the oracle, which counts every coefficient
        return Toy(name, net, zeros(T, 3), groups, blocks, outputs=("out",), counted=bool((shares > 0).all()))

    register(name, build)


def scores(n: Net, x: Tensor) -> Tensor:
    return heads(n.q(x)) @ heads(n.k(x)).transpose(-1, -2) / math.sqrt(WIDTH // HEADS)


def by_hand(n: Net, x: Tensor, mask: Tensor | None) -> Tensor:
    s = scores(n, x)
    s = s if mask is None else s.masked_fill(mask == 0, float("-inf"))
    return n.out(merged(F.dropout(s.softmax(-1), 0.1, n.training) @ heads(n.v(x))))


def fused(n: Net, x: Tensor, **how: object) -> Tensor:
    return n.out(merged(F.scaled_dot_product_attention(heads(n.q(x)), heads(n.k(x)), heads(n.v(x)), **how)))


attention("sdpa", fused, ALL)
attention("sdpa_causal", lambda n, x: fused(n, x, is_causal=True), CAUSAL)
attention("sdpa_window", lambda n, x: fused(n, x, attn_mask=WINDOW.bool()), WINDOW / WINDOW.sum(1, keepdim=True))
attention(
    "sdpa_additive_mask",
    lambda n, x: fused(n, x, attn_mask=(0.25 * WINDOW).masked_fill(WINDOW == 0, torch.finfo(x.dtype).min)),
    WINDOW / WINDOW.sum(1, keepdim=True),
)
attention("attention_by_hand", lambda n, x: by_hand(n, x, None), ALL)
attention("attention_by_hand_causal", lambda n, x: by_hand(n, x, CAUSAL), CAUSAL)
attention(
    "attention_with_a_bias",
    lambda n, x: n.out(merged((scores(n, x) + (1 - WINDOW) * torch.finfo(x.dtype).min).softmax(-1) @ heads(n.v(x)))),
    WINDOW / WINDOW.sum(1, keepdim=True),
)
attention(
    "attention_by_einsum",
    lambda n, x: n.out(
        merged(
            torch.einsum(
                "bhij,bhjd->bhid",
                torch.einsum("bhid,bhjd->bhij", heads(n.q(x)), heads(n.k(x))).softmax(-1),
                heads(n.v(x)),
            )
        )
    ),
    ALL,
)
attention(
    "attention_in_single_precision",
    lambda n, x: n.out(merged(scores(n, x).float().softmax(-1).to(x.dtype) @ heads(n.v(x)))),
    ALL,
)


@toy
def grouped_queries() -> Toy:
    def forward(n: Net, x: Tensor) -> Tensor:
        mix = F.scaled_dot_product_attention(heads(n.q(x)), heads(n.k(x)), heads(n.v(x)), enable_gqa=True)
        return n.out(merged(mix))

    half = WIDTH // HEADS
    net = Net(forward, q=nn.Linear(3, WIDTH), k=nn.Linear(3, half), v=nn.Linear(3, half), out=nn.Linear(WIDTH, 2))
    blocks = {(part, "input"): linear(getattr(net, part)) for part in "qkv"}
    blocks["out", "v"] = lambda x, f: mixed(ALL, net.out.weight)(torch.cat([x, x], -1), f)
    groups = {"input": (T, 3), "q": (T, WIDTH), "k": (T, half), "v": (T, half), "out": (T, 2)}
    return Toy("grouped_queries", net, zeros(T, 3), groups, blocks, outputs=("out",))


@toy
def rotary_swiglu_block() -> Toy:
    """RMS norm, rotary positions, causal attention, residual and a gated feed-forward layer, as in Llama."""
    angle = torch.arange(T, dtype=torch.float64)[:, None] * torch.tensor([1.0, 0.1], dtype=torch.float64)
    cosine, sine = (torch.cat([f(angle), f(angle)], -1)[None] for f in (torch.cos, torch.sin))

    def turned(x: Tensor) -> Tensor:
        left, right = x.chunk(2, -1)
        return x * cosine + torch.cat([-right, left], -1) * sine

    def forward(n: Net, x: Tensor) -> Tensor:
        normed = n.norm * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))
        mix = F.scaled_dot_product_attention(turned(n.q(normed)), turned(n.k(normed)), n.v(normed), is_causal=True)
        x = x + n.o(mix)
        return n.down(F.silu(n.gate(x)) * n.up(x))

    parts = {part: nn.Linear(WIDTH, WIDTH, bias=False) for part in ("q", "k", "v", "o", "gate", "up", "down")}
    net = Net(forward, norm=nn.Parameter(torch.ones(WIDTH)), **parts)
    scaled = {part: (lambda x, f, p=part: x * f(net.norm) @ f(getattr(net, p).weight).T) for part in ("q", "k", "v")}
    blocks: dict[tuple[str, str], Block] = {(part, "input"): block for part, block in scaled.items()}
    blocks["o", "v"] = mixed(CAUSAL, net.o.weight)
    blocks["o", "input"] = lambda x, f: x * f(number(1.0))
    blocks |= {(part, "o"): linear(getattr(net, part)) for part in ("gate", "up")}
    blocks |= {("down", part): linear(net.down) for part in ("gate", "up")}
    groups = {"input": (T, WIDTH), **dict.fromkeys(parts, (T, WIDTH))}
    return Toy("rotary_swiglu_block", net, zeros(T, WIDTH), groups, blocks, outputs=("down",), counted=False)


class Language(nn.Module):
    """Token ids, embeddings of tokens and places, and a head with the tokens' own weights."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(5, 3), nn.Embedding(T, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        return self.head(torch.relu(x))


@toy
def tied_embedding() -> Toy:
    from axonometry.testing import randomise

    net = randomise(Language())
    table = net.tokens.weight

    def looked_up(x: Tensor, f: WeightMap) -> Tensor:
        return x @ f(table)

    blocks = {("tokens", "input"): looked_up, ("head", "tokens"): lambda x, f: x @ f(table).T}
    groups = {"input": (T, 5), "tokens": (T, 3), "head": (T, 5)}
    ids = torch.tensor([[1, 4, 0, 2]])
    return Toy("tied_embedding", net, (ids,), groups, blocks)


class Bags(nn.Module):
    """Bags of token ids; of four in a row, or from three on in a second one."""

    def __init__(self, mode: str, starts: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.table, self.out, self.starts = nn.EmbeddingBag(5, 3, mode=mode), nn.Linear(3, 2), starts

    def forward(self, ids: Tensor) -> Tensor:
        bags = self.table(ids.flatten(), torch.tensor(self.starts)) if self.starts else self.table(ids)
        return self.out(bags)


def bags(name: str, mode: str, starts: tuple[int, ...] = ()) -> None:
    """Sums of the rows of each bag; of a mean, and of the largest, each has an equal share."""

    def build() -> Toy:
        from axonometry.testing import randomise

        net = randomise(Bags(mode, starts))
        ends = [*starts[1:], T] if starts else [T]

        def read(x: Tensor, f: WeightMap) -> Tensor:
            x = x.reshape(len(x), T, 3)
            parts = zip(starts or [0], ends, strict=True)
            shares = [(x[:, a:b].sum(1), f(number(1.0 if mode == "sum" else 1 / (b - a)))) for a, b in parts]
            whole = linear(net.out)(torch.stack([total * share for total, share in shares], 1), f)
            return whole if starts else whole[:, 0]

        shape = (T, 3)
        blocks: dict[tuple[str, str], Block] = {
            ("table", "input"): lambda x, f: (x.reshape(len(x), T, 5) @ f(net.table.weight)).reshape(-1, *shape),
            ("out", "table"): read,
        }
        groups = {"input": (T, 5), "table": shape, "out": (len(ends), 2) if starts else (2,)}
        return Toy(name, net, (torch.tensor([[1, 4, 0, 2]]),), groups, blocks, named=False)

    register(name, build)


bags("bag_summed", "sum")
bags("bag_averaged", "mean")
bags("bag_of_the_largest", "max")
