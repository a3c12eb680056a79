"""Networks of one architecture share one export; what makes another architecture is never taken for the same."""

from __future__ import annotations

import functools
import gc
import math
import random
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from axonometry.errors import CaptureError
from axonometry.populations.resnet import ResNet
from axonometry.program import NeuralGraph, capture
from axonometry.program.sharing import store as sharing
from axonometry.program.sharing.code_names import Opaque
from axonometry.program.sharing.fingerprint import fingerprint
from axonometry.testing import check_adjoint

from .test_untouched import observe, train_one_step

IMAGE = torch.zeros(1, 1, 28, 28)
FACTOR = 2.0
SWITCH = {"relu": True}


@pytest.fixture(autouse=True)
def _nothing_captured_before() -> None:
    sharing.forget()


def lenet(**convolution: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, **(convolution or {"padding": 2})), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.LazyLinear(120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def made(**convolution: int) -> nn.Sequential:
    network = lenet(**convolution)
    network(IMAGE)
    return network


def is_as_if_alone(graph: NeuralGraph, module: nn.Module, *inputs: Any, **options: Any) -> None:
    """That a graph is what a process would find that has captured nothing before."""
    sharing.forget()
    alone = capture(module, *inputs, **options)
    assert (graph.groups, graph.synapses, graph.wires) == (alone.groups, alone.synapses, alone.wires)
    assert graph.coverage == alone.coverage
    assert graph.state.keys() == alone.state.keys()
    ones = graph.ones()
    for one, other in ((graph, alone), (graph.abs(), alone.abs()), (graph.T, alone.T)):
        assert torch.equal((one @ ones).flatten(), (other @ ones).flatten())
    assert torch.equal(graph.biases().flatten(), alone.biases().flatten())


# ------------------------------------------------------------------------------------------------- the same again


def test_the_second_network_of_an_architecture_is_not_exported() -> None:
    first, second = made(), made()
    one, other = capture(first, IMAGE), capture(second, IMAGE)
    assert one.program is other.program
    assert other.state["0.weight"].data_ptr() == second[0].weight.data_ptr()
    assert one.state["0.weight"].data_ptr() == first[0].weight.data_ptr()
    is_as_if_alone(other, second, IMAGE)


def test_a_second_capture_takes_at_most_ten_milliseconds() -> None:
    """Of processor time; measured: 0.5 ms for a LeNet, without the checks of types that tests make."""
    capture(made(), IMAGE)
    times = []
    for network in [made() for _ in range(5)]:
        start = time.process_time()
        capture(network, IMAGE)
        times.append(time.process_time() - start)
    assert min(times) <= 0.01


def test_a_residual_network_is_shared() -> None:
    first, second = ResNet(18), ResNet(18)
    image = torch.zeros(1, 3, 64, 64)
    graph = capture(first, image)
    assert capture(second, image).program is graph.program
    second.layer1[0].bn1.eps = 1e-3
    assert capture(second, image).program is not graph.program


@pytest.mark.parametrize("batch", [1, 3])
def test_neither_mode_nor_batch_nor_values_of_pictures_matter(batch: int) -> None:
    first, second = made().train(), made().eval()
    assert capture(first, IMAGE).program is capture(second, torch.rand(batch, 1, 28, 28)).program


def test_the_graph_follows_the_module_that_it_is_of() -> None:
    capture(made(), IMAGE)
    network = made()
    graph = capture(network, IMAGE)
    before = graph @ graph.ones()
    with torch.no_grad():
        network[0].weight.mul_(2)
    assert torch.allclose((graph @ graph.ones())["0"], 2 * before["0"])


def test_recurrent_layers_and_transformers_are_shared() -> None:
    for make, shape in (
        (lambda: nn.LSTM(3, 4, batch_first=True), (1, 5, 3)),
        (lambda: nn.TransformerEncoderLayer(8, 2, batch_first=True), (1, 5, 8)),
    ):
        second = make()
        one, other = capture(make(), torch.zeros(shape)), capture(second, torch.zeros(shape))
        assert other.synapses == one.synapses
        check_adjoint(other, draws=1)
        is_as_if_alone(other, second, torch.zeros(shape))


def test_a_shared_capture_leaves_the_module_as_it_was() -> None:
    capture(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2)), torch.zeros(1, 3))
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2))
    x = torch.randn(4, 3)
    train_one_step(network, x)
    before = observe(network, (x,))
    graph = capture(network, x)
    graph.products(graph.ones(), graph.ones())
    assert observe(network, (x,)) == before
    is_as_if_alone(graph, network, x)


def test_networks_are_captured_side_by_side() -> None:
    capture(made(), IMAGE)
    networks = [made() for _ in range(8)]
    with ThreadPoolExecutor(4) as threads:
        graphs = list(threads.map(lambda network: capture(network, IMAGE), networks))
    for network, graph in zip(networks, graphs, strict=True):
        assert graph.program is graphs[0].program
        assert graph.state["7.weight"].data_ptr() == network[7].weight.data_ptr()


# ----------------------------------------------------------------------------------------- what makes another one


class Small(nn.Module):
    """A network with one of everything that its forward pass may look at."""

    scale = 1.5

    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 4)
        self.norm, self.drop = nn.BatchNorm1d(4), nn.Dropout(0.5)
        self.factor, self.steps = 0.5, [1, 2]
        self.plain = torch.tensor([1.0, 2.0, 3.0, 4.0])
        self.act: Any = F.relu
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        h = self.drop(self.act(self.norm(self.first(x))))
        for step in self.steps:
            h = h + self.factor * step * self.second(h * self.plain)
        return self.head(h)

    def head(self, h: Tensor) -> Tensor:
        return h * self.scale


X = torch.zeros(1, 3)


def tied() -> nn.Module:
    network = Small()
    network.first = nn.Linear(4, 4)
    network.first.weight = network.second.weight
    return network


def renamed() -> nn.Module:
    network = Small()
    network.third = network.second
    return network


def patched() -> nn.Module:
    network = Small()
    network.forward = lambda x: F.relu(network.first(x))
    return network


def with_forward(forward: Callable[..., Any]) -> type[nn.Module]:
    return type("Small", (Small,), {"forward": forward})


def by_a_number(number: float) -> nn.Module:
    def forward(self: Any, x: Tensor) -> Tensor:
        return self.second(self.first(x) * number)

    return with_forward(forward)()


class Twin(Small):
    """A subclass with another head."""

    def head(self, h: Tensor) -> Tensor:
        return h * 3.0


class Same(Small):
    """A subclass that changes nothing."""


OTHERS: dict[str, Callable[[], nn.Module]] = {
    "a number in the forward pass": lambda: Small(factor=0.25),
    "an integer for a float": lambda: Small(factor=1, scale=1),
    "a list": lambda: Small(steps=[1, 2, 3]),
    "eps": lambda: Small(norm=nn.BatchNorm1d(4, eps=1e-3)),
    "p": lambda: Small(drop=nn.Dropout(0.25)),
    "no bias": lambda: Small(second=nn.Linear(4, 4, bias=False)),
    "a shape": lambda: Small(first=nn.Linear(3, 4), second=nn.Linear(4, 4), plain=torch.ones(1)),
    "a plain tensor": lambda: Small(plain=torch.tensor([1.0, 2.0, 3.0, 5.0])),
    "a function": lambda: Small(act=torch.tanh),
    "a layer for a function": lambda: Small(act=nn.ReLU()),
    "a partial function": lambda: Small(act=functools.partial(F.leaky_relu, negative_slope=0.5)),
    "another partial function": lambda: Small(act=functools.partial(F.leaky_relu, negative_slope=0.1)),
    "a lambda": lambda: Small(act=lambda h: h.relu()),
    "another lambda": lambda: Small(act=lambda h: h.tanh()),
    "frozen weights": lambda: Small().requires_grad_(False),
    "another type": lambda: Small().bfloat16(),
    "a second name": renamed,
    "a forward of its own": patched,
    "a subclass": Twin,
    "a subclass that changes nothing": Same,
    "a class of the same name": with_forward(lambda self, x: self.second(self.first(x))),
    "a closure": lambda: by_a_number(2.0),
    "another closure": lambda: by_a_number(3.0),
    "a class attribute on the instance": lambda: Small(scale=2.5),
}


@pytest.mark.parametrize("change", OTHERS)
def test_another_architecture_is_exported_anew(change: str) -> None:
    first, other = Small(), OTHERS[change]()
    x = X.to(next(other.parameters()).dtype)
    graph = capture(first, X)
    assert capture(Small(), X).program is graph.program
    second = capture(other, x)
    assert second.program is not graph.program
    is_as_if_alone(second, other, x)


def test_no_two_of_them_are_taken_for_one() -> None:
    networks = {change: make() for change, make in OTHERS.items()}
    graphs = {change: capture(network, X.to(next(network.parameters()).dtype)) for change, network in networks.items()}
    assert len({id(graph.program) for graph in graphs.values()}) == len(graphs)


def test_a_tie_between_tensors() -> None:
    def network(tie: bool) -> nn.Module:
        two = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        if tie:
            two[2].weight = two[0].weight
        return two

    loose, tied_ = network(tie=False), network(tie=True)
    one, other = capture(loose, torch.zeros(1, 4)), capture(tied_, torch.zeros(1, 4))
    assert one.program is not other.program
    assert [s.parameter for s in other.synapses] == ["0.weight", "0.weight"]
    is_as_if_alone(other, tied_, torch.zeros(1, 4))


def test_the_same_layer_twice_is_not_two_layers() -> None:
    layer = nn.Linear(4, 4)
    one = capture(nn.Sequential(layer, nn.ReLU(), layer), torch.zeros(1, 4))
    other = capture(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)), torch.zeros(1, 4))
    assert one.program is not other.program
    assert len(other.coverage) == 4


@pytest.mark.parametrize(
    "other",
    [
        {"stride": 2, "padding": 2},
        {"padding": 1},
        {"padding": 2, "dilation": 2},
        {"padding": 2, "groups": 1, "bias": False},
    ],
)
def test_geometry(other: dict[str, int]) -> None:
    first, second = nn.Conv2d(1, 2, 3, padding=2), nn.Conv2d(1, 2, 3, **other)
    one, graph = capture(nn.Sequential(first), IMAGE), capture(nn.Sequential(second), IMAGE)
    assert one.program is not graph.program
    is_as_if_alone(graph, nn.Sequential(second), IMAGE)


def test_the_example_and_the_options() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2))
    programs = [
        capture(network, torch.zeros(1, 1, 8, 8)).program,
        capture(network, torch.zeros(1, 1, 8, 10)).program,
        capture(network, torch.zeros(1, 1, 8, 8), pooling="nodes").program,
        capture(network, torch.zeros(1, 1, 8, 8), batch_axis=(None,)).program,
    ]
    assert len(set(map(id, programs))) == 4


def test_a_plain_tensor_that_is_written_to() -> None:
    network = Small()
    one = capture(network, X)
    network.plain[3] = 9.0
    other = capture(network, X)
    assert one.program is not other.program
    is_as_if_alone(other, network, X)


def test_the_constants_of_a_shared_program_are_the_modules_own() -> None:
    capture(Small(), X)
    network = Small()
    graph = capture(network, X)
    network.plain.mul_(2)
    is_as_if_alone(graph, network, X)


def test_a_class_whose_method_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    one = capture(Small(), X)
    monkeypatch.setattr(Small, "head", lambda self, h: h * 7.0)
    network = Small()
    other = capture(network, X)
    assert one.program is not other.program
    is_as_if_alone(other, network, X)


def test_a_layer_of_torch_whose_forward_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    capture(Small(), X)
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: F.linear(x, 2 * self.weight))
    with pytest.raises(Opaque, match=r"a forward of torch that is not torch's"):
        fingerprint(Small(), (X,), ())


class Global(nn.Module):
    """Looks at the module's globals."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(x) * FACTOR
        return F.relu(h) if SWITCH["relu"] else helped(h)


def helped(h: Tensor) -> Tensor:
    return h.tanh() * FACTOR


@pytest.mark.parametrize(("name", "value"), [("FACTOR", 3.0), ("SWITCH", {"relu": False}), ("helped", torch.tanh)])
def test_globals(name: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    one = capture(Global(), X)
    assert capture(Global(), X).program is one.program
    monkeypatch.setitem(globals(), name, value)
    network = Global()
    other = capture(network, X)
    assert other.program is not one.program
    is_as_if_alone(other, network, X)


@dataclass
class Choices:
    """What a network is told."""

    factor: float = 1.0

    @property
    def doubled(self) -> float:
        return self.factor * FACTOR


class Configured(nn.Module):
    """Looks at an object of choices, by name and without."""

    def __init__(self, factor: float, name: str = "first") -> None:
        super().__init__()
        self.choices, self.name = Choices(factor), name
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return getattr(self, self.name)(x) * self.choices.doubled


def test_choices_in_a_dataclass(monkeypatch: pytest.MonkeyPatch) -> None:
    one = capture(Configured(1.0), X)
    assert capture(Configured(1.0), X).program is one.program
    assert capture(Configured(2.0), X).program is not one.program
    assert capture(Configured(1.0, "second"), X).program is not one.program
    monkeypatch.setitem(globals(), "FACTOR", 5.0)
    assert capture(Configured(1.0), X).program is not one.program


def test_a_rule_that_is_registered_later(monkeypatch: pytest.MonkeyPatch) -> None:
    from axonometry.program import registry

    one = capture(Small(), X)
    monkeypatch.setattr(registry, "_changes", [*registry._changes, None])
    assert capture(Small(), X).program is not one.program


def test_the_default_dtype() -> None:
    class Made(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3, dtype=torch.float64)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) + torch.ones(3)

    one = capture(Made(), X.double())
    torch.set_default_dtype(torch.float64)
    try:
        assert capture(Made(), X.double()).program is not one.program
    finally:
        torch.set_default_dtype(torch.float32)


# ------------------------------------------------------------------------------------------- what is never shared


class Branch(nn.Module):
    """Which layer is read depends on the example and on the weights."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 2), nn.Linear(3, 2)
        self.bias = nn.Parameter(torch.tensor(bias))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() + self.bias > 0, self.left.forward, self.right.forward, (x,))


def test_a_branch_that_weights_decide() -> None:
    for bias, taken in ((1.0, "left"), (-1.0, "right"), (1.0, "left")):
        assert [s.name for s in capture(Branch(bias), X).synapses] == [taken]


class Random(nn.Module):
    """Draws from a generator that is not torch's."""

    def __init__(self, draw: Callable[[], float]) -> None:
        super().__init__()
        self.layer, self.draw = nn.Linear(3, 3), draw

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * (2.0 if self.draw() > 0.5 else 1.0)


class Wrapped:
    """An object that nothing is known of."""

    factor = 1.0


UNKNOWN: dict[str, Callable[[], nn.Module]] = {
    "a generator": lambda: Random(random.random),
    "a generator behind a function": lambda: Random(lambda: random.random() / 2),
    "an object": lambda: Small(settings=Wrapped()),
    "a method": lambda: Small(act=Twin().head),
    "layers in a list": lambda: Small(layers=[nn.Linear(3, 3)]),
    "a large tensor": lambda: Small(table=torch.zeros(2**16 + 1)),
    "a method of a tensor": lambda: Small(act=torch.ones(4).add),
    "an iterator": lambda: Small(numbers=iter([1, 2])),
    "pruned weights": lambda: prune.l1_unstructured(nn.Linear(3, 3), "weight", 0.5),
    "a subclass of a number": lambda: Small(factor=type("Number", (float,), {})(0.5)),
    "a list in itself": lambda: Small(steps=nested()),
}


def nested() -> list[Any]:
    inside: list[Any] = [1]
    inside.append(inside)
    return inside


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_is_not_known_to_the_end_has_no_fingerprint(what: str) -> None:
    from axonometry.program.untouched import computes_weights

    with pytest.raises(Opaque, match=r"^(a|the|an|weights) "):
        fingerprint(UNKNOWN[what](), (X,), (), computes=computes_weights)


def test_pruned_networks_are_captured_each_with_its_own_mask() -> None:
    for amount in (1, 3):
        network = nn.Sequential(prune.l1_unstructured(nn.Linear(3, 3), "weight", amount))
        graph = capture(network, X)
        assert int((graph.binary() @ graph.ones()).sum()) == 9 - amount


def test_parametrised_networks_are_captured_each_with_its_own_weights() -> None:
    for _ in range(2):
        network = nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 4)))
        graph = capture(network, X)
        assert torch.allclose(graph.kernel("0").effective, network[0].weight.detach())


class Masked(nn.Module):
    """Attention behind a mask that is a buffer."""

    def __init__(self, allowed: int, *, causal: bool = False) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(4, 4) for _ in range(3))
        self.register_buffer("mask", torch.arange(6) < allowed)
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:
        scores = self.q(x) @ self.k(x).transpose(-1, -2) / math.sqrt(4)
        return torch.softmax(scores.masked_fill(~self.mask, -math.inf), -1) @ self.v(x)


class Chosen(nn.Module):
    """A mask in a buffer that lets some neurons through."""

    def __init__(self, *through: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.register_buffer("mask", torch.tensor(through))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.where(self.mask, x, 0.0))


def test_links_behind_a_mask_in_a_buffer_are_counted_anew() -> None:
    for allowed in (6, 2, 5):
        network = Masked(allowed)
        is_as_if_alone(capture(network, torch.zeros(1, 6, 4)), network, torch.zeros(1, 6, 4))
        sharing.forget()
        capture(Masked(4), torch.zeros(1, 6, 4))
        is_as_if_alone(capture(network, torch.zeros(1, 6, 4)), network, torch.zeros(1, 6, 4))
    assert capture(Chosen(True, True, True), X).n_links == 9
    assert capture(Chosen(True, False, False), X).n_links == 3


def test_masks_among_the_inputs_decide_by_their_values() -> None:
    class Choosing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return self.layer(torch.where(mask, x, 0.0))

    for n in (3, 1, 2):
        assert capture(Choosing(), X, (torch.arange(3) < n)[None]).n_links == 3 * n


def test_floating_point_masks_are_of_one_example() -> None:
    class Biased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor, bias: Tensor) -> Tensor:
            return self.head(F.scaled_dot_product_attention(x, x, self.layer(x), bias))

    for n in (6, 2, 6):
        bias = torch.zeros(1, 6, 6).masked_fill(torch.arange(6) >= n, -math.inf)
        graph = capture(Biased(), torch.zeros(1, 6, 4), bias)
        assert {s.name: s.n_links for s in graph.synapses}["head"] == n * 6 * 4 * 2
        assert not sharing._KEPT


def test_several_inputs_are_looked_at_in_every_capture() -> None:
    class Masked(nn.Module):
        """Its mask is shared by all samples, and as long as the batch."""

        def __init__(self, factor: float) -> None:
            super().__init__()
            self.layer, self.factor = nn.Linear(3, 3), nn.Parameter(torch.tensor(factor))

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return self.layer(x) + self.factor * F.scaled_dot_product_attention(x, x, x, mask)

    x, mask = torch.randn(4, 4, 3), torch.ones(4, 4, dtype=torch.bool)
    capture(Masked(5.0), x, mask)
    for factor in (5.0, 0.0):  # a factor of zero has another value while it is looked for
        with pytest.raises(CaptureError, match=r"of which the first sample alone has another result.*name the axis"):
            capture(Masked(factor), x, mask.tril())


# ------------------------------------------------------------------------------------------------------- the store


def test_no_weights_are_kept() -> None:
    network = made()
    network.register_buffer("unused", torch.zeros(3), persistent=False)
    dead = [weakref.ref(tensor) for tensor in [*network.parameters(), *network.buffers()]]
    memory = weakref.ref(network[0].weight.untyped_storage())
    graph = capture(network, IMAGE)
    assert len(sharing._KEPT) == 1
    del network, graph
    gc.collect()
    assert [ref() for ref in dead] == [None] * len(dead)
    assert memory() is None
    assert len(sharing._KEPT) == 1


def test_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "MOST", 2)
    networks = [nn.Sequential(nn.Linear(3, n)) for n in (1, 2, 3)]
    first, second = (capture(network, X).program for network in networks[:2])
    assert capture(networks[0], X).program is first
    capture(networks[2], X)
    assert len(sharing._KEPT) == 2
    assert capture(networks[0], X).program is first
    assert capture(networks[1], X).program is not second


def test_a_class_that_is_gone_is_no_other_class() -> None:
    def network() -> nn.Module:
        class Local(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(3, 3)

            def forward(self, x: Tensor) -> Tensor:
                return self.layer(x)

        return Local()

    one = capture(network(), X)
    gc.collect()
    assert capture(network(), X).program is not one.program


def test_a_capture_that_fails_is_not_kept() -> None:
    network = nn.Sequential(nn.ReLU())
    for _ in range(2):
        with pytest.raises(CaptureError, match="a network has at least one linear map"):
            capture(network, X)
    assert not sharing._KEPT
