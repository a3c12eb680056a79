"""Recurrent networks: the worked example, time first, live values against the modules, rolled in time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import CaptureError
from axonometry.program.readings.linear import linear_maps
from axonometry.program.readings.live import live_batches
from axonometry.testing import randomise


class Example(nn.Module):
    """Definitions 2: Wx = [[1,-1],[2,.5]], Wh = [[.5,1],[-1,.25]], b = [.1,-.2], Wo = [[1],[3]], three steps."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.out = nn.RNN(2, 2, batch_first=True), nn.Linear(2, 1, bias=False)
        with torch.no_grad():
            self.rnn.weight_ih_l0.copy_(torch.tensor([[1.0, -1.0], [2.0, 0.5]]).T)
            self.rnn.weight_hh_l0.copy_(torch.tensor([[0.5, 1.0], [-1.0, 0.25]]).T)
            self.rnn.bias_ih_l0.copy_(torch.tensor([0.3, 0.1]))  # torch has two biases: together [.1, -.2]
            self.rnn.bias_hh_l0.copy_(torch.tensor([-0.2, -0.3]))
            self.out.weight.copy_(torch.tensor([[1.0, 3.0]]))
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rnn(x)[0][:, -1])


class Looped(nn.Module):
    """The same network as a loop over a cell."""

    def __init__(self) -> None:
        super().__init__()
        example = Example()
        self.cell, self.out = nn.RNNCell(2, 2).double(), example.out
        self.cell.load_state_dict({k.removesuffix("_l0"): v for k, v in example.rnn.state_dict().items()})

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.out(state)


INPUT = torch.zeros(1, 3, 2, dtype=torch.float64)


def test_worked_example() -> None:
    strength = ax.node_strength(ax.capture(Example(), INPUT), "ictai2021")
    expected = torch.tensor([[4.6, -1.45], [4.1, -0.2], [3.6, 3.55]], dtype=torch.float64)
    torch.testing.assert_close(strength["rnn"], expected)
    torch.testing.assert_close(strength["input"], torch.tensor([[1.0, 3.5]] * 3, dtype=torch.float64))


@pytest.mark.parametrize("network", [Example, Looped])
def test_worked_example_rolled(network: type[nn.Module]) -> None:
    graph = ax.capture(network(), INPUT)
    strength = ax.node_strength(graph, "ictai2021", rolled=True)
    assert len(strength) == 3
    hidden = [name for name in strength if name in ("rnn", "cell")]
    torch.testing.assert_close(strength[hidden[0]], torch.tensor([5.1, 2.8], dtype=torch.float64))
    torch.testing.assert_close(strength["input"], torch.tensor([1.0, 3.5], dtype=torch.float64))
    torch.testing.assert_close(strength["out"], torch.tensor([5.0], dtype=torch.float64))
    links = ax.node_strength(graph, rolled=True)
    torch.testing.assert_close(links[hidden[0]], torch.tensor([5.0, 3.0], dtype=torch.float64))


def test_a_loop_s_steps_are_neurons_of_their_own_with_shared_weights() -> None:
    graph, layer = (ax.capture(network(), INPUT) for network in (Looped, Example))
    strength = ax.node_strength(graph, "ictai2021")
    whole = ax.node_strength(layer, "ictai2021")["rnn"]
    for t, name in enumerate(("cell", "cell@2", "cell@3")):
        torch.testing.assert_close(strength[name], whole[t])
    counts = {network: ax.link_weights(g)["count"].sum() for network, g in (("loop", graph), ("layer", layer))}
    assert counts == {"loop": 10, "layer": 10}, "each shared weight once"
    assert graph.n_links == layer.n_links == 3 * 4 + 2 * 4 + 2


LAYERS = {
    "rnn": lambda: nn.RNN(3, 4, 2),
    "relu": lambda: nn.RNN(3, 4, nonlinearity="relu", bias=False, bidirectional=True),
    "gru": lambda: nn.GRU(3, 4, 2, bidirectional=True),
    "lstm": lambda: nn.LSTM(3, 4, 2, bidirectional=True, dropout=0.5),
    "lstm without bias": lambda: nn.LSTM(3, 4, bias=False),
    "projection": lambda: nn.LSTM(3, 4, 2, proj_size=2, bidirectional=True),
}


class Ends(nn.Module):
    """All that a layer returns, each part read by a linear map."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer
        self.size = (layer.proj_size or layer.hidden_size) * (2 if layer.bidirectional else 1)
        self.every, self.last = nn.Linear(self.size, 2), nn.Linear(self.size * layer.num_layers, 2)
        memory = layer.hidden_size * (2 if layer.bidirectional else 1) * layer.num_layers
        self.memory = nn.Linear(memory, 2) if isinstance(layer, nn.LSTM) else None

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        states, ends = self.layer(x)
        ends = ends if isinstance(ends, tuple) else (ends,)
        flat = [end.transpose(0, 1).flatten(1) for end in ends]
        found = self.every(states), self.last(flat[0])
        return found if self.memory is None else (*found, self.memory(flat[1]))


@pytest.mark.parametrize("batch_axis", [0, 1])
@pytest.mark.parametrize("kind", LAYERS)
def test_live_values_are_the_module_s(kind: str, batch_axis: int) -> None:
    layer = LAYERS[kind]()
    layer.batch_first = batch_axis == 0
    module = randomise(Ends(layer))
    x = torch.randn(5, 6, 3, dtype=torch.float64)
    x = x if batch_axis == 0 else x.transpose(0, 1)
    graph = ax.capture(module, x, batch_axis=batch_axis)
    assert not [c.parameter for c in graph.coverage if c.role == "unclaimed"]
    (batch,) = live_batches(graph, x, batch_size=5)
    outputs = module(x)
    every = outputs[0] if batch_axis == 0 else outputs[0].transpose(0, 1)
    torch.testing.assert_close(batch.pre_activations["every"], every.detach())
    torch.testing.assert_close(batch.pre_activations["last"], outputs[1].detach())
    if module.memory is not None:
        torch.testing.assert_close(batch.pre_activations["memory"], outputs[2].detach())


@pytest.mark.parametrize("kind", ["lstm without bias", "rnn", "gru"])
def test_live_gates_are_those_of_a_cell(kind: str) -> None:
    """Fields and activations of the first layer, step by step, from torch's cells."""
    layer = randomise(LAYERS[kind]())
    layer.batch_first = True
    x = torch.randn(2, 4, 3, dtype=torch.float64)
    graph = ax.capture(layer, x)
    name = next(group.name for group in graph.groups if group.role != "input")
    (batch,) = live_batches(graph, x, batch_size=2)
    weights = [getattr(layer, f"weight_{part}_l0") for part in ("ih", "hh")]
    biases = [getattr(layer, f"bias_{part}_l0", torch.zeros(())) for part in ("ih", "hh")]
    state = memory = torch.zeros(2, 4, dtype=torch.float64)
    for t in range(4):
        a, b = x[:, t] @ weights[0].T + biases[0], state @ weights[1].T + biases[1]
        if kind == "rnn":
            fields = a + b
            gates = state = fields.tanh()
        elif kind == "gru":
            r, z = (a + b)[:, :4].sigmoid(), (a + b)[:, 4:8].sigmoid()
            fields = torch.cat([(a + b)[:, :8], a[:, 8:] + r * b[:, 8:]], 1)
            n = fields[:, 8:].tanh()
            gates, state = torch.cat([r, z, n], 1), (1 - z) * n + z * state
        else:
            fields = a + b
            i, f, g, o = (
                fields[:, :4].sigmoid(),
                fields[:, 4:8].sigmoid(),
                fields[:, 8:12].tanh(),
                fields[:, 12:].sigmoid(),
            )
            memory = f * memory + i * g
            gates, state = torch.cat([i, f, g, o], 1), o * memory.tanh()
        torch.testing.assert_close(batch.pre_activations[name][:, t], fields.detach())
        torch.testing.assert_close(batch.activations[name][:, t], gates.detach())


def test_time_first_without_saying_so_is_refused() -> None:
    with pytest.raises(CaptureError, match=r"batch_first=False.*batch_axis=1"):
        ax.capture(nn.GRU(3, 4), torch.zeros(6, 2, 3))


def test_time_first() -> None:
    graph = ax.capture(nn.GRU(3, 4), torch.zeros(6, 2, 3), batch_axis=1)
    assert [group.shape for group in graph.groups] == [(6, 3), (6, 12)]
    first = ax.capture(nn.GRU(3, 4, batch_first=True), torch.zeros(2, 6, 3))
    assert first.n_links == graph.n_links


def test_a_given_first_state_is_an_input_that_links_to_the_first_step() -> None:
    module = randomise(nn.RNN(3, 2, batch_first=True))

    class Given(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = module

        def forward(self, x: Tensor, state: Tensor) -> Tensor:
            return self.rnn(x, state.transpose(0, 1))[0]

    graph = ax.capture(Given(), torch.zeros(1, 4, 3, dtype=torch.float64), torch.zeros(1, 1, 2, dtype=torch.float64))
    received = graph @ {**graph.zeros(), "state": torch.tensor([[1.0, 0.0]], dtype=torch.float64)}
    expected = torch.zeros(4, 2, dtype=torch.float64)
    expected[0] = module.weight_hh_l0[:, 0].detach()
    torch.testing.assert_close(received["rnn"], expected)


def test_linear_map_goes_through_all_steps() -> None:
    """Without nonlinearity an RNN's map from step t to the last state is Wh^(T-1-t) Wx."""
    module = Example()
    maps = linear_maps(ax.capture(module, INPUT))
    w_in, w_state, w_out = module.rnn.weight_ih_l0, module.rnn.weight_hh_l0, module.out.weight
    for t in range(3):
        along = w_out @ torch.linalg.matrix_power(w_state, 2 - t)
        torch.testing.assert_close(maps["rnn"][:, t], along.detach())
        torch.testing.assert_close(maps["input"][:, t], (along @ w_in).detach())


def test_linear_map_of_a_projected_lstm_follows_every_path() -> None:
    """Against the powers of the adjacency matrix, which is nilpotent."""
    graph = ax.capture(randomise(nn.LSTM(2, 2, proj_size=1, batch_first=True)), torch.zeros(1, 3, 2).double())
    adjacency = torch.from_numpy(graph.to_scipy().toarray())
    paths, power = torch.eye(len(adjacency)).double(), torch.eye(len(adjacency)).double()
    for _ in range(len(adjacency)):
        power = power @ adjacency
        paths = paths + power
    output = next(group.name for group in graph.groups if group.role == "output")
    maps = linear_maps(graph, output)
    rows = torch.cat([m.flatten(1) for m in maps.values()], 1)
    sizes = {group.name: group.n_neurons for group in graph.groups}
    start = sum(size for name, size in list(sizes.items())[: list(sizes).index(output)])
    torch.testing.assert_close(rows, paths[start : start + sizes[output]])
