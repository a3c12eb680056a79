"""Toys of sums: skips of every kind, sums that are one group and sums that are wiring."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.testing import Toy

from .oracles import Net, linear, number, register, skip, taps, toy, zeros

SAME = [taps(3, 3, 1, 1)] * 2
VECTOR = {"input": (3,)}


def three(**layers: nn.Module) -> dict[str, nn.Module]:
    return {name: nn.Linear(3, 3) for name in layers}


def added(name: str, forward: object, incoming: object, *, layers: str = "first second", group: str = "second") -> None:
    """A sum of layers of width three, read by ``out``: the blocks into its one group come from ``incoming(net)``."""

    def build() -> Toy:
        net = Net(forward, **{layer: nn.Linear(3, 3) for layer in layers.split()}, out=nn.Linear(3, 2))
        blocks = {**incoming(net), ("out", group): linear(net.out)}
        names = list(dict.fromkeys(["input", *[target for target, _ in blocks]]))
        return Toy(name, net, zeros(3), {n: (2,) if n == "out" else (3,) for n in names}, blocks)

    register(name, build)


def body(net: nn.Module) -> dict[tuple[str, str], object]:
    """input -> first -> second, and the skip input -> second."""
    return {("first", "input"): linear(net.first), ("second", "first"): linear(net.second), ("second", "input"): skip()}


added("skip", lambda n, x: n.out(F.relu(n.second(F.relu(n.first(x))) + x)), body)
added("skip_other_order", lambda n, x: n.out(F.relu(x + n.second(F.relu(n.first(x))))), body)
added("skip_without_activation", lambda n, x: n.out(n.second(n.first(x).tanh()) + x), body)
added("skip_torch_add", lambda n, x: n.out(torch.add(n.second(F.relu(n.first(x))), x).relu()), body)


def in_place(n: nn.Module, x: Tensor) -> Tensor:
    h = F.relu(n.first(x), inplace=True)
    h = n.second(h)
    h += x
    return n.out(h.relu_())


def in_place_method(n: nn.Module, x: Tensor) -> Tensor:
    return n.out(n.second(n.first(x).relu_()).add_(x).relu_())


added("skip_in_place", in_place, body)
added("skip_add_method", in_place_method, body)
added(
    "skip_weighted",
    lambda n, x: n.out(torch.add(n.second(F.relu(n.first(x))), x, alpha=0.25)),
    lambda n: {**body(n), ("second", "input"): skip(0.25)},
)
added(
    "skip_scaled",
    lambda n, x: n.out(n.second(F.relu(n.first(x))) + 0.5 * x),
    lambda n: {**body(n), ("second", "input"): skip(0.5)},
)
added(
    "skip_subtracted",
    lambda n, x: n.out(torch.tanh(n.second(F.relu(n.first(x))) - x)),
    lambda n: {**body(n), ("second", "input"): skip(-1.0)},
)
added(
    "skip_twice",
    lambda n, x: n.out(n.second(F.relu(n.first(x))) + x + x),
    lambda n: {**body(n), ("second", "input"): lambda x, f: 2 * x},
)
added(
    "skip_from_hidden",
    lambda n, x: n.out((h := F.relu(n.first(x))) + n.second(h)),
    lambda n: {("first", "input"): linear(n.first), ("second", "first"): lambda x, f: linear(n.second)(x, f) + x},
)
added(
    "skip_reversed",
    lambda n, x: n.out(n.second(F.relu(n.first(x))) + x.flip(1)),
    lambda n: {**body(n), ("second", "input"): lambda x, f: x.flip(1)},
)
added(
    "two_blocks",
    lambda n, x: n.out(F.relu(n.fourth(F.relu(n.third(h := F.relu(n.second(F.relu(n.first(x))) + x)))) + h)),
    lambda n: {
        **body(n),
        ("third", "second"): linear(n.third),
        ("fourth", "third"): linear(n.fourth),
        ("fourth", "second"): skip(),
    },
    layers="first second third fourth",
    group="fourth",
)
added(
    "two_blocks_without_activation_between",
    lambda n, x: n.out((h := n.second(F.relu(n.first(x))) + x) + n.fourth(F.relu(n.third(F.relu(h))))),
    lambda n: {
        **body(n),
        ("third", "second"): linear(n.third),
        ("fourth", "third"): linear(n.fourth),
        ("fourth", "second"): skip(),
    },
    layers="first second third fourth",
    group="fourth",
)
added(
    "two_synapses_one_group",
    lambda n, x: n.out(torch.tanh(n.first(x) + n.second(x))),
    lambda n: {("first", "input"): lambda x, f: linear(n.first)(x, f) + linear(n.second)(x, f)},
    group="first",
)
added(
    "leftmost_synapse_names_the_group",
    lambda n, x: n.out(torch.tanh(n.second(x) + n.first(x))),
    lambda n: {("second", "input"): lambda x, f: linear(n.first)(x, f) + linear(n.second)(x, f)},
)
added(
    "difference_of_synapses",
    lambda n, x: n.out(torch.tanh(n.first(x) - n.second(x))),
    lambda n: {("first", "input"): lambda x, f: linear(n.first)(x, f) + linear(n.second)(x, f) * f(number(-1.0))},
    group="first",
)
added(
    "three_synapses_and_a_skip",
    lambda n, x: n.out((x + n.first(x)) + (n.second(x) + n.third(F.relu(x)))),
    lambda n: {
        ("first", "input"): lambda x, f: linear(n.first)(x, f) + linear(n.second)(x, f) + linear(n.third)(x, f) + x
    },
    layers="first second third",
    group="first",
)
added(
    "activation_plus_synapse",
    lambda n, x: n.out(F.relu(n.first(x)) + n.second(x)),
    lambda n: {("first", "input"): linear(n.first), ("second", "input"): linear(n.second), ("second", "first"): skip()},
)
added(
    "dropout_in_the_branch",
    lambda n, x: n.out(x + F.dropout(n.second(F.relu(n.first(x))), 0.5, training=n.training)),
    body,
)


@toy
def activations_added() -> Toy:
    """relu(a) + relu(b): both are groups already, their sum is wiring to the reader."""
    net = Net(
        lambda n, x: n.out(F.relu(n.first(x)) + F.relu(n.second(x))),
        first=nn.Linear(3, 3),
        second=nn.Linear(3, 3),
        out=nn.Linear(3, 2),
    )
    blocks = {
        ("first", "input"): linear(net.first),
        ("second", "input"): linear(net.second),
        ("out", "first"): linear(net.out),
        ("out", "second"): linear(net.out),
    }
    return Toy("activations_added", net, zeros(3), {"input": (3,), "first": (3,), "second": (3,), "out": (2,)}, blocks)


@toy
def sum_of_a_shared_output() -> Toy:
    """The synapse's output has a second reader, so it is its own group and the sum is wiring."""
    net = Net(
        lambda n, x: n.out(torch.cat([(h := n.first(x)) + x, h.relu()], 1)), first=nn.Linear(3, 3), out=nn.Linear(6, 2)
    )
    left, right = net.out.weight[:, :3], net.out.weight[:, 3:]
    blocks = {
        ("first", "input"): linear(net.first),
        ("out", "first"): lambda x, f: x @ f(left).T + x @ f(right).T,
        ("out", "input"): lambda x, f: x @ f(left).T,
    }
    return Toy("sum_of_a_shared_output", net, zeros(3), {"input": (3,), "first": (3,), "out": (2,)}, blocks)


@toy
def sum_at_the_output() -> Toy:
    net = Net(lambda n, x: x + n.second(F.relu(n.first(x))), first=nn.Linear(3, 2), second=nn.Linear(2, 3))
    blocks = {
        ("first", "input"): linear(net.first),
        ("second", "first"): linear(net.second),
        ("second", "input"): skip(),
    }
    return Toy("sum_at_the_output", net, zeros(3), {"input": (3,), "first": (2,), "second": (3,)}, blocks)
