"""A held graph reads the weights that its module has now, however they came there; a module that changed is refused."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, vector_to_parameters

import axonometry as ax
from axonometry.errors import AxonometryError, WeightsError
from axonometry.program import NeuralGraph
from axonometry.program.readings.adjacency import run_program, statics_of
from axonometry.program.readings.live import live_batches
from axonometry.program.sharing import store as sharing

IMAGE = torch.zeros(1, 2, 4, 4)
Way = Callable[["Net"], Any]


class Net(nn.Module):
    """Links of kernels, of a norm, of a computed weight, of a buffer that no state dict holds, of an attribute."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv, self.norm = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.middle, self.head = nn.Linear(48, 5), nn.Linear(5, 4)
        self.register_buffer("share", torch.rand(4) + 0.5, persistent=False)
        self.scale = torch.rand(5) + 0.5
        with torch.no_grad():
            for tensor in [*self.parameters(), *self.buffers()]:
                if tensor.is_floating_point():
                    tensor.copy_(torch.rand(tensor.shape) + 0.2)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm(self.conv(x))).flatten(1)
        h = torch.relu(nn.functional.linear(h, self.middle.weight.tanh() * 2, self.middle.bias) * self.scale)
        return self.head(h) * self.share


@torch.no_grad()
def in_place(net: Net) -> None:
    for parameter in net.parameters():
        parameter.mul_(1.5)


def by_optimiser(kind: type[torch.optim.Optimizer], **options: Any) -> Way:
    def way(net: Net) -> None:
        optimiser = kind(net.parameters(), lr=0.1, **options)  # type: ignore[call-arg]
        for _ in range(3):
            optimiser.zero_grad()
            net.train()(torch.rand(6, 2, 4, 4)).square().sum().backward()
            optimiser.step()
        net.eval()

    return way


def each_data(change: Callable[[Tensor], Any]) -> Way:
    def way(net: Net) -> None:
        for parameter in net.parameters():
            change(parameter.data)

    return way


def other_data(net: Net) -> None:
    for parameter in net.parameters():
        parameter.data = torch.rand_like(parameter)


def new_parameters(net: Net) -> None:
    for layer in (net.conv, net.head):
        layer.weight = nn.Parameter(torch.rand_like(layer.weight))


def new_head(net: Net) -> None:
    net.head = nn.Linear(5, 4)


def another_network_s_layer(net: Net) -> None:
    net.conv, net.norm = Net(1).conv, Net(1).norm


def new_statistics(net: Net) -> None:
    net.norm.running_mean, net.norm.running_var = torch.rand(3), torch.rand(3) + 1


def new_buffer_and_attribute(net: Net) -> None:
    net.share, net.scale = torch.rand(4), torch.rand(5)


def attribute_in_place(net: Net) -> None:
    net.share.data.neg_()
    net.scale.mul_(3)


def swapped(net: Net) -> None:
    torch.utils.swap_tensors(net.head.weight, nn.Parameter(torch.rand(4, 5)))


def by_numpy(net: Net) -> None:
    net.middle.weight.detach().numpy()[:] *= -0.5
    net.head.weight.detach().numpy()[0, 0] = 7


def registered_anew(net: Net) -> None:
    del net.head.weight
    net.head.register_parameter("weight", nn.Parameter(torch.rand(4, 5)))


def transposed_memory(net: Net) -> None:
    square = torch.rand(5, 4)
    net.head.weight.data = square.T
    net.head.weight.data.copy_(torch.rand(4, 5))


def while_inferring(net: Net) -> None:
    with torch.inference_mode():
        net.head.weight.mul_(2)
    net.middle.requires_grad_(requires_grad=False).weight.mul_(3)


def converted_by_swapping(net: Net) -> None:
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        net.double()
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)
    net.scale = net.scale.double()


def double(net: Net) -> None:
    net.double()
    net.scale = net.scale.double()


WAYS: dict[str, Way] = {
    "nothing": lambda net: None,
    "in place": in_place,
    "SGD": by_optimiser(torch.optim.SGD, momentum=0.9),
    "Adam": by_optimiser(torch.optim.Adam),
    "Adam, foreach": by_optimiser(torch.optim.AdamW, foreach=True),
    "Adam, fused": by_optimiser(torch.optim.Adam, fused=True),
    "load_state_dict": lambda net: net.load_state_dict(Net(1).state_dict()),
    "load_state_dict, assign": lambda net: net.load_state_dict(Net(1).state_dict(), assign=True),
    "state_dict in place": lambda net: net.state_dict()["head.weight"].mul_(2),
    "double": double,
    "double, by swapping": converted_by_swapping,
    "double and back": lambda net: net.double().float(),
    "data =": other_data,
    "data = of another layout": transposed_memory,
    "data.mul_": each_data(lambda data: data.mul_(1.5)),
    "data.normal_": each_data(nn.init.normal_),
    "data permuted": each_data(lambda data: data.copy_(data.flip(0))),
    "data, of one sign": each_data(lambda data: data.neg_()),
    "new parameters": new_parameters,
    "registered anew": registered_anew,
    "new head": new_head,
    "another network's layer": another_network_s_layer,
    "copied layer": lambda net: setattr(net, "head", copy.deepcopy(net.head).double().float().requires_grad_()),
    "statistics in training": lambda net: (net.train()(torch.rand(8, 2, 4, 4)), net.eval()),
    "new statistics": new_statistics,
    "new buffer and attribute": new_buffer_and_attribute,
    "attribute in place": attribute_in_place,
    "vector_to_parameters": lambda net: vector_to_parameters(torch.rand(3 * 18 + 9 + 48 * 5 + 29), net.parameters()),
    "swap_tensors": swapped,
    "numpy": by_numpy,
    "inference mode, frozen": while_inferring,
    "channels last": lambda net: net.to(memory_format=torch.channels_last).conv.weight.data.mul_(2),
    "shared memory": lambda net: net.share_memory().head.weight.data.mul_(2),
    "flattened": lambda net: net.apply(
        lambda m: (
            m.register_parameter("bias", nn.Parameter(m.bias * 2)) if getattr(m, "bias", None) is not None else None
        )
    ),
}


def numbers(graph: NeuralGraph) -> dict[str, Any]:
    """All that a graph says of its weights."""
    generator = torch.Generator().manual_seed(0)
    x = ax.NodeValues({n: torch.rand(v.shape, generator=generator).to(v) for n, v in graph.ones().items()})
    received, sent = graph.strengths()
    return {
        "forward": graph @ x,
        "transposed": graph.T @ x,
        "received": received,
        "sent": sent,
        "biases": graph.biases(),
        "dense": graph.dense(),
        "kernels": {name: kernel.effective for name, kernel in graph.kernels().items()},
        "channels": dict(graph.channels().blocks),
        "signed channels": dict(graph.channels("sum").blocks),
        **{f"strength of {n}": v for n, v in ax.node_strength(graph).items()},
    }


@pytest.mark.parametrize("way", WAYS)
def test_a_held_graph_is_a_new_capture(way: str) -> None:
    net = Net()
    held = ax.capture(net, IMAGE)
    mapped = {"abs": held.abs(), "square": held.square(), "binary": held.binary(), "map": held.map(lambda w: w**3)}
    transposed, both, repeated = held.T, held.T.abs(), held.abs().T.T
    numbers(held), [graph.strengths() for graph in mapped.values()], transposed @ held.ones(), both @ held.ones()
    WAYS[way](net)
    sharing.forget()
    new = ax.capture(net, IMAGE.to(net.conv.weight))
    torch.testing.assert_close(numbers(held), numbers(new), rtol=0, atol=0)
    for name, graph in mapped.items():
        expected = new.map(lambda w: w**3) if name == "map" else getattr(new, name)()
        torch.testing.assert_close(
            list(map(dict, graph.strengths())), list(map(dict, expected.strengths())), rtol=0, atol=0
        )
    ones = new.ones()
    for graph, expected in ((transposed, new.T), (both, new.abs().T), (repeated, new.abs())):
        torch.testing.assert_close(dict(graph @ ones), dict(expected @ ones), rtol=0, atol=0)
        assert graph.dtype == expected.dtype


@pytest.mark.parametrize("way", WAYS)
def test_the_live_reading_is_the_module_s(way: str) -> None:
    net = Net()
    held = ax.capture(net, IMAGE)
    WAYS[way](net)
    samples = torch.rand(5, 2, 4, 4).to(net.conv.weight)
    batch = next(live_batches(held, samples))
    output = held.groups[-1].name
    torch.testing.assert_close(batch.activations[output], net(samples).detach())
    if net.conv.weight.dtype == torch.double:
        assert batch.pre_activations["conv"].dtype == torch.double


@pytest.mark.parametrize("way", WAYS)
def test_a_snapshot_stays_what_it_was(way: str) -> None:
    net = Net()
    held = ax.capture(net, IMAGE)
    frozen = held.at({name: tensor.clone() for name, tensor in held.state.items()})
    before = numbers(frozen.abs())
    WAYS[way](net)
    torch.testing.assert_close(numbers(frozen.abs()), before, rtol=0, atol=0)


def test_a_channel_graph_is_of_its_moment() -> None:
    net = Net()
    channels = ax.capture(net, IMAGE).channels()
    before = {key: block.clone() for key, block in channels.blocks.items()}
    in_place(net)
    new_head(net)
    torch.testing.assert_close(dict(channels.blocks), before, rtol=0, atol=0)


# ------------------------------------------------------------------------------------------------ what no longer fits


def tied() -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    net[2].weight = net[0].weight
    return net


def sequential() -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(12, 3))


def _do(change: Callable[[Any], Any]) -> Callable[[Any], None]:
    return lambda net: change(net) and None


MISFITS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "another shape": (
        lambda n: setattr(n[3], "weight", nn.Parameter(torch.rand(5, 12))),
        r"'3.weight' of shape \(5, 12\)",
    ),
    "a wider head": (
        lambda n: n.__setitem__(3, nn.Linear(12, 7)),
        r"'3.weight' of shape \(7, 12\), captured with \(3, 12\)",
    ),
    "data of another shape": (
        lambda n: setattr(n[0].weight, "data", torch.rand(3, 2, 5)),
        r"'0.weight' of shape \(3, 2, 5\)",
    ),
    "another layer": (lambda n: n.__setitem__(1, nn.Tanh()), "a Tanh in the place of '1', captured as LeakyReLU"),
    "no layer": (lambda n: n.__setitem__(3, nn.Identity()), "a Identity in the place of '3', captured as Linear"),
    "a layer more": (lambda n: n.append(nn.Linear(3, 3)), "5 layers in 'the module'"),
    "a layer less": (lambda n: n.pop(3), "3 layers in 'the module'"),
    "a layer that is gone": (lambda n: n._modules.__setitem__("3", None), "nothing in the place of '3'"),
    "no bias": (lambda n: setattr(n[3], "bias", None), "no parameter '3.bias'"),
    "a parameter that is deleted": (lambda n: delattr(n[0], "weight"), "no parameter '0.weight'"),
    "pruned": (lambda n: prune.l1_unstructured(n[3], "weight", 0.5), "no parameter '3.weight'"),
    "weight norm": (lambda n: nn.utils.weight_norm(n[3]), "no parameter '3.weight'"),
    "parametrised": (lambda n: parametrizations.orthogonal(n[3]), "ParametrizedLinear in the place of '3'"),
    "a setting": (lambda n: setattr(n[0], "padding", (0,)), r"0.padding = \(0,\), captured with \(1,\)"),
    "a slope": (lambda n: setattr(n[1], "negative_slope", 0.5), "1.negative_slope = 0.5, captured with 0.1"),
    "a forward pass": (lambda n: setattr(n[3], "forward", lambda x: x), "3.forward = "),
    "without values": (lambda n: n.to("meta"), "on the meta device"),
}


@pytest.mark.filterwarnings("ignore:`?torch.nn.utils.weight_norm")
@pytest.mark.parametrize("change", MISFITS)
def test_a_module_that_became_another_is_refused(change: str) -> None:
    net = sequential()
    held = ax.capture(net, torch.zeros(1, 2, 4))
    mapped, ones, state = held.abs(), held.ones(), {n: t.clone() for n, t in net.state_dict().items()}
    does, message = MISFITS[change]
    does(net)
    uses: list[Callable[[], Any]] = [
        lambda: held @ ones,
        lambda: held.T @ ones,
        lambda: mapped @ ones,
        lambda: held.T.binary() @ ones,
        held.channels,
        held.kernels,
        held.strengths,
        lambda: ax.link_weights(held),
        lambda: list(live_batches(held, torch.rand(2, 2, 4))),
        lambda: held.state,
    ]
    for use in uses:
        with pytest.raises(WeightsError, match=message):
            use()
    torch.testing.assert_close(
        dict(held.at(state) @ ones), dict(ax.capture(sequential(), torch.zeros(1, 2, 4)).at(state) @ ones)
    )


def test_tensors_that_are_no_longer_one_are_refused() -> None:
    net = tied()
    held = ax.capture(net, torch.zeros(1, 3))
    net.load_state_dict({name: tensor * 2 for name, tensor in net.state_dict().items()})
    assert torch.equal(held.state["0.weight"], net[2].weight)
    net.double()
    assert held.dtype == torch.double
    net[2].weight = nn.Parameter(torch.rand(3, 3).double())
    with pytest.raises(WeightsError, match=r"two tensors '0.weight' and '2.weight' that were one"):
        held @ ax.capture(net, torch.zeros(1, 3).double()).ones()


@pytest.mark.parametrize(
    "change",
    [
        lambda net: setattr(net[2], "p", 0.1),
        lambda net: net.train(),
        lambda net: setattr(net[1], "momentum", 0.5),
        lambda net: net.register_forward_hook(lambda *_: None),
        lambda net: setattr(net, "n_steps", 7),
        lambda net: setattr(net, "_best", 0.7),
        lambda net: setattr(net, "metric", nn.Identity()),
        lambda net: net.compile(backend="eager"),
    ],
)
def test_what_changes_nothing_is_not_refused(change: Callable[[Any], Any]) -> None:
    class Own(nn.Sequential):
        n_steps = 0

        def forward(self, x: Tensor) -> Tensor:
            return self[3](self[2](self[1](self[0](x))))

    net = nn.ModuleList([Own(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 2))])[0]
    net.n_steps = 3
    held = ax.capture(net.eval(), torch.zeros(1, 3))
    if "metric" in change.__code__.co_consts:
        net = held_network()
        held = ax.capture(net, torch.zeros(1, 3))
        net.metric = nn.Identity()
    else:
        change(net)
    assert len(held @ held.ones()) == 3


def held_network() -> nn.Module:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(self.a(x).relu())

    return Network()


# ------------------------------------------------------------------------------------------- who holds what, and copies


def test_a_module_that_nobody_else_holds_is_read_on() -> None:
    net = Net()
    held, dead = ax.capture(net, IMAGE).abs(), weakref.ref(net)
    net.head = nn.Linear(5, 4)
    expected = numbers(ax.capture(net, IMAGE).abs())
    del net
    gc.collect()
    torch.testing.assert_close(numbers(held), expected)
    del held
    gc.collect()
    assert dead() is None


def test_a_graph_that_its_module_holds_is_copied_with_it() -> None:
    net = Net()
    net.graph = ax.capture(net, IMAGE).abs()
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.head.weight.mul_(2)
    assert other.graph.program is net.graph.program
    torch.testing.assert_close(other.graph.state["head.weight"], 2 * net.graph.state["head.weight"])
    torch.testing.assert_close(numbers(other.graph), numbers(ax.capture(other, IMAGE).abs()))


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy])
def test_copies_of_graphs(copied: Callable[[Any], Any]) -> None:
    net = Net()
    graph = ax.capture(net, IMAGE)
    snapshot, transposed = graph.at({n: t.clone() for n, t in graph.state.items()}), graph.T.abs()
    before = [numbers(graph), numbers(snapshot), dict(transposed @ graph.ones())]
    copies = [copied(graph), copied(snapshot), copied(transposed)]
    if copied is copy.deepcopy:
        in_place(net)
    after = [numbers(copies[0]), numbers(copies[1]), dict(copies[2] @ copies[0].ones())]
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    channels = copied(graph.channels())
    torch.testing.assert_close(dict(channels.blocks), dict(graph.channels().blocks))


def test_graphs_are_not_pickled() -> None:
    graph = ax.capture(Net(), IMAGE)
    for thing in (graph, graph.abs(), graph.T, graph.at(graph.state), graph.program):
        with pytest.raises(AxonometryError, match="a graph is not pickled"):
            pickle.dumps(thing)
    channels = pickle.loads(pickle.dumps(graph.channels()))
    torch.testing.assert_close(dict(channels.blocks), dict(graph.channels().blocks))
    torch.testing.assert_close(dict(channels @ channels.ones()), dict(graph.channels() @ channels.ones()))


def test_what_a_copy_cannot_take_along_is_said() -> None:
    net = Net()
    net.scale = net.head.weight.sum() * torch.ones(5)
    graph = ax.capture(net, IMAGE)
    with pytest.raises(WeightsError, match="a copy of a graph copies its module; got RuntimeError: Only Tensors"):
        copy.deepcopy(graph)


class Masked(nn.Module):
    """Attention under a mask that the forward pass makes."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(3, 3) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        places = torch.arange(4, device=x.device)
        mask = torch.zeros(4, 4, device=x.device).masked_fill(places[:, None] < places, -torch.inf)
        return (self.q(x) @ self.k(x).transpose(1, 2) + mask).softmax(-1) @ self.v(x)


def test_what_a_program_makes_it_makes_where_the_weights_are() -> None:
    graph = ax.capture(Masked(), torch.zeros(1, 4, 3))
    state = {name: tensor.to("meta") for name, tensor in graph.state.items()}
    statics = statics_of(graph.program, state)
    assert {value.device.type for value in statics.values() if isinstance(value, Tensor)} == {"meta"}
    values = {name: tensor.to("meta") for name, tensor in graph.ones().items()}
    received = run_program(graph.program, values, statics, graph.links)
    assert {value.device.type for value in received.values()} == {"meta"}
    with pytest.raises(WeightsError, match=r"holds numbers; got 'q.weight' on the meta device"):
        graph.at(state)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_module_that_moves_is_followed() -> None:
    for net, shape in ((Net(), (1, 2, 4, 4)), (Masked(), (1, 4, 3))):
        held, samples = ax.capture(net, torch.zeros(shape)), torch.rand(5, *shape[1:])
        mapped, expected = held.abs(), numbers(held)
        next(live_batches(held, samples))
        net.cuda()
        if isinstance(net, Net):
            net.scale = net.scale.cuda()
        moved = numbers(held)
        assert held.device.type == "cuda"
        assert (mapped @ held.ones()).flatten().is_cuda
        torch.testing.assert_close(moved, expected, check_device=False, rtol=1e-4, atol=1e-4)
        output = next(live_batches(held, samples)).activations[held.groups[-1].name]
        torch.testing.assert_close(output, net(samples.cuda()).detach(), rtol=1e-4, atol=1e-4)
