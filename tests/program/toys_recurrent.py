"""Toys of recurrent layers and cells: time step by time step, written out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from axonometry.testing import Block, Toy, WeightMap

from .oracles import Net, linear, register, toy, zeros

T, UNITS = 3, 2


def handed_on(gates: Tensor, kind: str) -> Tensor:
    """The state that the gates make: all of an LSTM's, update and candidate of a GRU, the unit itself of an RNN."""
    if kind == "lstm":
        return sum(gates[..., i * UNITS : (i + 1) * UNITS] for i in range(4))
    return gates[..., UNITS : 2 * UNITS] + gates[..., 2 * UNITS :] if kind == "gru" else gates


def from_input(layer: nn.RNNBase, name: str, kind: str = "", axis: int = 1) -> Block:
    """Each step's sums read the same step of the layer below."""

    def block(x: Tensor, f: WeightMap) -> Tensor:
        weight = f(getattr(layer, f"weight_ih_{name}"))
        steps = [handed_on(x.select(axis, t), kind) @ weight.T for t in range(T)]
        return torch.stack(steps, axis)

    return block


def from_before(layer: nn.RNNBase, name: str, kind: str, *, reverse: bool = False, axis: int = 1) -> Block:
    """Each step's sums read the state of the step before."""

    def block(x: Tensor, f: WeightMap) -> Tensor:
        weight = f(getattr(layer, f"weight_hh_{name}"))
        out = [torch.zeros(*x.select(axis, 0).shape[:-1], weight.shape[0], dtype=x.dtype) for _ in range(T)]
        for t in range(T):
            before = t + 1 if reverse else t - 1
            if 0 <= before < T:
                out[t] = handed_on(x.select(axis, before), kind) @ weight.T
        return torch.stack(out, axis)

    return block


def at_step(t: int, layer: nn.Linear, kind: str) -> Block:
    """A linear layer that reads the state of one step."""
    return lambda x, f: handed_on(x[:, t], kind) @ f(layer.weight).T


@toy
def rnn_last_state() -> Toy:
    net = Net(lambda n, x: n.out(n.rnn(x)[1][0]), rnn=nn.RNN(3, UNITS, batch_first=True), out=nn.Linear(UNITS, 2))
    blocks = {
        ("rnn", "input"): from_input(net.rnn, "l0"),
        ("rnn", "rnn"): from_before(net.rnn, "l0", "rnn"),
        ("out", "rnn"): at_step(T - 1, net.out, "rnn"),
    }
    return Toy("rnn_last_state", net, zeros(T, 3), {"input": (T, 3), "rnn": (T, UNITS), "out": (2,)}, blocks)


@toy
def rnn_relu_without_bias() -> Toy:
    rnn = nn.RNN(3, UNITS, nonlinearity="relu", bias=False, batch_first=True)
    net = Net(lambda n, x: n.out(n.rnn(x)[0]), rnn=rnn, out=nn.Linear(UNITS, 2))
    blocks = {
        ("rnn", "input"): from_input(net.rnn, "l0"),
        ("rnn", "rnn"): from_before(net.rnn, "l0", "rnn"),
        ("out", "rnn"): linear(net.out),
    }
    return Toy("rnn_relu_without_bias", net, zeros(T, 3), {"input": (T, 3), "rnn": (T, UNITS), "out": (T, 2)}, blocks)


@toy
def gru() -> Toy:
    net = Net(lambda n, x: n.out(n.gru(x)[0][:, -1]), gru=nn.GRU(3, UNITS, batch_first=True), out=nn.Linear(UNITS, 2))
    blocks = {
        ("gru", "input"): from_input(net.gru, "l0"),
        ("gru", "gru"): from_before(net.gru, "l0", "gru"),
        ("out", "gru"): at_step(T - 1, net.out, "gru"),
    }
    return Toy("gru", net, zeros(T, 3), {"input": (T, 3), "gru": (T, 3 * UNITS), "out": (2,)}, blocks)


@toy
def lstm_two_layers() -> Toy:
    lstm = nn.LSTM(3, UNITS, num_layers=2, batch_first=True)
    net = Net(lambda n, x: n.out(n.lstm(x)[0][:, -1]), lstm=lstm, out=nn.Linear(UNITS, 2))
    blocks = {
        ("lstm.l0", "input"): from_input(net.lstm, "l0"),
        ("lstm.l0", "lstm.l0"): from_before(net.lstm, "l0", "lstm"),
        ("lstm.l1", "lstm.l0"): from_input(net.lstm, "l1", "lstm"),
        ("lstm.l1", "lstm.l1"): from_before(net.lstm, "l1", "lstm"),
        ("out", "lstm.l1"): at_step(T - 1, net.out, "lstm"),
    }
    groups = {"input": (T, 3), "lstm.l0": (T, 4 * UNITS), "lstm.l1": (T, 4 * UNITS), "out": (2,)}
    return Toy("lstm_two_layers", net, zeros(T, 3), groups, blocks)


@toy
def lstm_both_ways() -> Toy:
    lstm = nn.LSTM(3, UNITS, bidirectional=True, batch_first=True)
    net = Net(lambda n, x: n.out(n.lstm(x)[0]), lstm=lstm, out=nn.Linear(2 * UNITS, 2))
    halves = {"lstm.l0": slice(0, UNITS), "lstm.l0_reverse": slice(UNITS, 2 * UNITS)}
    blocks: dict[tuple[str, str], Block] = {}
    for group, half in halves.items():
        name = group.removeprefix("lstm.")
        blocks[group, "input"] = from_input(net.lstm, name)
        blocks[group, group] = from_before(net.lstm, name, "lstm", reverse=name.endswith("reverse"))
        blocks["out", group] = lambda x, f, half=half: handed_on(x, "lstm") @ f(net.out.weight[:, half]).T
    groups = {"input": (T, 3), **dict.fromkeys(halves, (T, 4 * UNITS)), "out": (T, 2)}
    return Toy("lstm_both_ways", net, zeros(T, 3), groups, blocks)


@toy
def lstm_with_projection() -> Toy:
    lstm = nn.LSTM(3, UNITS, proj_size=1, batch_first=True)
    net = Net(lambda n, x: n.out(n.lstm(x)[0]), lstm=lstm, out=nn.Linear(1, 2))
    blocks = {
        ("lstm", "input"): from_input(net.lstm, "l0"),
        ("lstm", "lstm.projection"): from_before(net.lstm, "l0", "rnn"),
        ("lstm.projection", "lstm"): lambda x, f: handed_on(x, "lstm") @ f(net.lstm.weight_hr_l0).T,
        ("out", "lstm.projection"): linear(net.out),
    }
    groups = {"input": (T, 3), "lstm": (T, 4 * UNITS), "lstm.projection": (T, 1), "out": (T, 2)}
    return Toy("lstm_with_projection", net, zeros(T, 3), groups, blocks)


def looped(net: Net, x: Tensor) -> Tensor:
    """A cell called step by step."""
    state = None
    for t in range(T):
        state = net.cell(x[:, t], state)
    return net.out(state[0] if isinstance(state, tuple) else state)


def cell(name: str, kind: str, module: type[nn.RNNCellBase], gates: int) -> None:
    """A loop over a cell: a group a step, whose weights are the same."""
    names = ["cell", *(f"cell@{t}" for t in range(2, T + 1))]

    def build() -> Toy:
        net = Net(looped, cell=module(3, UNITS), out=nn.Linear(UNITS, 2))
        blocks: dict[tuple[str, str], Block] = {}
        for t, group in enumerate(names):
            blocks[group, "input"] = lambda x, f, t=t: x[:, t] @ f(net.cell.weight_ih).T
            if t:
                blocks[group, names[t - 1]] = lambda x, f: handed_on(x, kind) @ f(net.cell.weight_hh).T
        blocks["out", names[-1]] = lambda x, f: handed_on(x, kind) @ f(net.out.weight).T
        groups = {"input": (T, 3), **dict.fromkeys(names, (gates * UNITS,)), "out": (2,)}
        return Toy(name, net, zeros(T, 3), groups, blocks)

    register(name, build)


cell("rnn_cell_loop", "rnn", nn.RNNCell, 1)
cell("gru_cell_loop", "gru", nn.GRUCell, 3)
cell("lstm_cell_loop", "lstm", nn.LSTMCell, 4)
