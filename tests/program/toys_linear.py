"""Toys of linear layers: modules, functions, bare parameters, shared, parametrised and pruned weights."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from axonometry.testing import Toy, randomise

from .oracles import Net, linear, register, sequential, toy, zeros

CHAIN = {"input": (3,), "first": (4,), "out": (2,)}


def chain(
    name: str, net: nn.Module, *, first: Tensor | None = None, out: Tensor | None = None, named: bool = True
) -> Toy:
    """input -> first -> out, with given effective weights of shape (outputs, inputs)."""
    w = net.first.weight.detach() if first is None else first
    v = net.out.weight.detach() if out is None else out
    blocks = {("first", "input"): lambda x, f: x @ f(w).T, ("out", "first"): lambda x, f: x @ f(v).T}
    return Toy(name, net, zeros(3), CHAIN, blocks, named=named)


@toy
def deep() -> Toy:
    net = sequential(
        nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2), nn.GELU(), nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 1)
    )
    names = ["input", "0", "2", "4", "6"]
    sizes = [2, 3, 2, 3, 1]
    blocks = {(t, s): linear(net[int(t)]) for s, t in itertools.pairwise(names)}
    return Toy("deep", net, zeros(2), dict(zip(names, [(n,) for n in sizes], strict=True)), blocks)


@toy
def linear_on_last_axis() -> Toy:
    net = sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    groups = {"input": (4, 3), "0": (4, 2), "2": (4, 2)}
    return Toy(
        "linear_on_last_axis", net, zeros(4, 3), groups, {("0", "input"): linear(net[0]), ("2", "0"): linear(net[2])}
    )


@toy
def nested_modules() -> Toy:
    net = sequential(
        nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 4))),
        nn.ModuleDict({"a": nn.Linear(4, 2)})["a"],
    )
    groups = {"input": (3,), "0.0": (4,), "0.1.1": (4,), "1": (2,)}
    blocks = {
        ("0.0", "input"): linear(net[0][0]),
        ("0.1.1", "0.0"): linear(net[0][1][1]),
        ("1", "0.1.1"): linear(net[1]),
    }
    return Toy("nested_modules", net, zeros(3), groups, blocks)


@toy
def functional_linear() -> Toy:
    net = Net(
        lambda n, x: F.linear(F.relu(F.linear(x, n.w, n.b)), n.v),
        w=nn.Parameter(torch.zeros(4, 3)),
        b=nn.Parameter(torch.zeros(4)),
        v=nn.Parameter(torch.zeros(2, 4)),
    )
    return chain("functional_linear", net, first=net.w.detach(), out=net.v.detach(), named=False)


@toy
def matmul() -> Toy:
    net = Net(
        lambda n, x: torch.relu(x @ n.w + n.b).matmul(n.v),
        w=nn.Parameter(torch.zeros(3, 4)),
        b=nn.Parameter(torch.zeros(4)),
        v=nn.Parameter(torch.zeros(4, 2)),
    )
    return chain("matmul", net, first=net.w.detach().T, out=net.v.detach().T, named=False)


@toy
def addmm() -> Toy:
    net = Net(
        lambda n, x: torch.mm(torch.addmm(n.b, x, n.w).tanh(), n.v.t()),
        w=nn.Parameter(torch.zeros(3, 4)),
        b=nn.Parameter(torch.zeros(4)),
        v=nn.Parameter(torch.zeros(2, 4)),
    )
    return chain("addmm", net, first=net.w.detach().T, out=net.v.detach(), named=False)


@toy
def einsum() -> Toy:
    net = Net(
        lambda n, x: torch.einsum("bo,ok->bk", torch.einsum("bi,oi->bo", x, n.w).relu(), n.v),
        w=nn.Parameter(torch.zeros(4, 3)),
        v=nn.Parameter(torch.zeros(4, 2)),
    )
    return chain("einsum", net, first=net.w.detach(), out=net.v.detach().T, named=False)


@toy
def einsum_over_channels() -> Toy:
    net = Net(lambda n, x: torch.einsum("bchw,oc->bohw", x, n.w), w=nn.Parameter(torch.zeros(3, 2)))
    blocks = {("out", "input"): lambda x, f: torch.tensordot(x, f(net.w), dims=([1], [1])).movedim(-1, 1)}
    return Toy("einsum_over_channels", net, zeros(2, 2, 3), {"input": (2, 2, 3), "out": (3, 2, 3)}, blocks, named=False)


@toy
def weight_on_the_left() -> Toy:
    """Token mixing: W @ x for x of shape (tokens, channels)."""
    net = Net(lambda n, x: n.w @ x, w=nn.Parameter(torch.zeros(2, 3)))
    blocks = {("out", "input"): lambda x, f: torch.tensordot(x, f(net.w), dims=([1], [1])).movedim(-1, 1)}
    return Toy("weight_on_the_left", net, zeros(3, 2), {"input": (3, 2), "out": (2, 2)}, blocks, named=False)


@toy
def mixer() -> Toy:
    """Token mixing as in an MLP-Mixer: transpose, linear, transpose; then a linear layer over channels."""
    net = Net(
        lambda n, x: n.channels(n.tokens(x.transpose(1, 2)).transpose(1, 2)),
        tokens=nn.Linear(3, 3),
        channels=nn.Linear(2, 2),
    )
    groups = {"input": (3, 2), "tokens": (2, 3), "channels": (3, 2)}
    blocks = {
        ("tokens", "input"): lambda x, f: x.transpose(1, 2) @ f(net.tokens.weight).T,
        ("channels", "tokens"): lambda x, f: x.transpose(1, 2) @ f(net.channels.weight).T,
    }
    return Toy("mixer", net, zeros(3, 2), groups, blocks)


@toy
def called_twice() -> Toy:
    """One module, two synapses: the second is named @2."""
    net = Net(
        lambda n, x: n.out(torch.relu(n.shared(torch.relu(n.shared(x))))), shared=nn.Linear(3, 3), out=nn.Linear(3, 2)
    )
    groups = {"input": (3,), "shared": (3,), "shared@2": (3,), "out": (2,)}
    blocks = {
        ("shared", "input"): linear(net.shared),
        ("shared@2", "shared"): linear(net.shared),
        ("out", "shared@2"): linear(net.out),
    }
    return Toy("called_twice", net, zeros(3), groups, blocks)


@toy
def siamese() -> Toy:
    """One encoder on two halves of the input."""
    net = Net(
        lambda n, x: n.out(torch.cat([n.encoder(half).relu() for half in x.chunk(2, 1)], 1)),
        encoder=nn.Linear(2, 2),
        out=nn.Linear(4, 2),
    )
    groups = {"input": (4,), "encoder": (2,), "encoder@2": (2,), "out": (2,)}
    blocks = {
        ("encoder", "input"): lambda x, f: x[:, :2] @ f(net.encoder.weight).T,
        ("encoder@2", "input"): lambda x, f: x[:, 2:] @ f(net.encoder.weight).T,
        ("out", "encoder"): lambda x, f: x @ f(net.out.weight[:, :2]).T,
        ("out", "encoder@2"): lambda x, f: x @ f(net.out.weight[:, 2:]).T,
    }
    return Toy("siamese", net, zeros(4), groups, blocks)


@toy
def tied_modules() -> Toy:
    """Two modules that hold one parameter."""
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    net = randomise(nn.Sequential(first, nn.ReLU(), second))
    blocks = {("0", "input"): linear(first), ("2", "0"): linear(first)}
    return Toy("tied_modules", net, zeros(3), {"input": (3,), "0": (3,), "2": (3,)}, blocks)


@toy
def tied_autoencoder() -> Toy:
    """The decoder is the encoder's transpose."""
    net = Net(
        lambda n, x: F.linear(torch.relu(n.first(x)), n.first.weight.t(), n.bias),
        first=nn.Linear(3, 4),
        bias=nn.Parameter(torch.zeros(3)),
    )
    w = net.first.weight.detach()
    blocks = {("first", "input"): lambda x, f: x @ f(w).T, ("out", "first"): lambda x, f: x @ f(w)}
    return Toy("tied_autoencoder", net, zeros(3), {"input": (3,), "first": (4,), "out": (3,)}, blocks, named=False)


def computed(name: str, wrap: object, effective: object) -> None:
    """A first layer whose weight is computed from parameters: the links are the computed weight's entries."""

    def build() -> Toy:
        net = Net(lambda n, x: n.out(torch.relu(n.first(x))), first=wrap(nn.Linear(3, 4)), out=nn.Linear(4, 2))
        return chain(name, net, first=effective(net.first))

    register(name, build)


def unit_rows(v: Tensor) -> Tensor:
    return v / v.norm(dim=1, keepdim=True)


computed(
    "weight_norm",
    parametrizations.weight_norm,
    lambda m: m.parametrizations.weight.original0.detach() * unit_rows(m.parametrizations.weight.original1.detach()),
)
computed("spectral_norm", parametrizations.spectral_norm, lambda m: m.weight.detach())


def pruned(layer: nn.Linear) -> nn.Linear:
    prune.custom_from_mask(layer, "weight", torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [1, 0, 0]]))
    return layer


@toy
def pruned_by_mask() -> Toy:
    """Pruned links have weight zero; they are there structurally."""
    net = Net(lambda n, x: n.out(torch.relu(n.first(x))), first=nn.Linear(3, 4), out=nn.Linear(4, 2))
    pruned(net.first)
    mask = torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [1, 0, 0]]).double()
    return chain("pruned_by_mask", net, first=net.first.weight_orig.detach() * mask)


@toy
def pruned_for_good() -> Toy:
    """Exact zeros in an ordinary weight."""
    net = Net(lambda n, x: n.out(torch.relu(n.first(x))), first=nn.Linear(3, 4), out=nn.Linear(4, 2))
    prune.remove(pruned(net.first), "weight")
    return chain("pruned_for_good", net)


@toy
def low_rank() -> Toy:
    """A weight that is a product of two parameters; |A| is the absolute value of the product."""
    net = Net(
        lambda n, x: n.out(torch.relu(F.linear(x, n.u @ n.v))),
        u=nn.Parameter(torch.zeros(4, 2)),
        v=nn.Parameter(torch.zeros(2, 3)),
        out=nn.Linear(4, 2),
    )
    return chain("low_rank", net, first=(net.u @ net.v).detach(), named=False)


@toy
def standardised_weight() -> Toy:
    """Weight standardisation written by hand."""
    net = Net(
        lambda n, x: n.out(F.linear(x, (n.w - n.w.mean(1, keepdim=True)) / n.w.std(1, keepdim=True))),
        w=nn.Parameter(torch.zeros(4, 3)),
        out=nn.Linear(4, 2),
    )
    w = net.w.detach()
    return chain("standardised_weight", net, first=(w - w.mean(1, keepdim=True)) / w.std(1, keepdim=True), named=False)


@toy
def no_activation_between() -> Toy:
    """Two linear layers in a row are two groups."""
    net = sequential(nn.Linear(3, 4), nn.Identity(), nn.Linear(4, 2))
    return Toy(
        "no_activation_between",
        net,
        zeros(3),
        {"input": (3,), "0": (4,), "2": (2,)},
        {("0", "input"): linear(net[0]), ("2", "0"): linear(net[2])},
    )


@toy
def frozen_and_buffer_weight() -> Toy:
    """A weight that is a buffer (random features) and one without gradient."""

    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("projection", torch.zeros(3, 4))
            self.out = nn.Linear(4, 2)
            self.out.weight.requires_grad_(False)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(torch.cos(x @ self.projection))

    net = randomise(Features())
    return chain("frozen_and_buffer_weight", net, first=net.projection.T, named=False)
