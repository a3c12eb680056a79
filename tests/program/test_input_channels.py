"""The channels of an input are along the axis that the first weights run along, wherever the input has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import axonometry as ax

from .oracles import Net

CONV = nn.Conv1d(5, 2, 3)
Forward = Callable[[Any, Tensor], Tensor]

TURNED: dict[str, tuple[Forward, nn.Module, tuple[int, ...], int]] = {
    "transpose": (lambda n, x: n.a(x.transpose(1, 2)), CONV, (9, 5), 1),
    "permute": (lambda n, x: n.a(x.permute(0, 3, 1, 2)), nn.Conv2d(3, 2, 3), (6, 7, 3), 2),
    "movedim": (lambda n, x: n.a(x.movedim(-1, 1)), nn.Conv2d(3, 2, 3), (6, 7, 3), 2),
    "mT": (lambda n, x: n.a(x.mT), CONV, (9, 5), 1),
    "scaled": (lambda n, x: n.a((x / 255 - 0.5).transpose(1, 2)), CONV, (9, 5), 1),
    "padded": (lambda n, x: n.a(F.pad(x.transpose(1, 2), (2, 2))), CONV, (9, 5), 1),
    "normed": (lambda n, x: n.a(n.norm(x).transpose(1, 2)), CONV, (9, 5), 1),
    "sliced": (lambda n, x: n.a(x[:, 2:].transpose(1, 2)), CONV, (9, 5), 1),
    "pooled": (lambda n, x: n.a(F.avg_pool1d(x.transpose(1, 2), 2)), CONV, (9, 5), 1),
    "flipped": (lambda n, x: n.a(x.flip(1).transpose(1, 2)), CONV, (9, 5), 1),
    "activated": (lambda n, x: n.a(x.tanh().transpose(1, 2)), CONV, (9, 5), 1),
    "patches": (lambda n, x: n.a(x.unfold(1, 2, 2).mean(-1).transpose(1, 2)), CONV, (9, 5), 1),
    "linear_last": (lambda n, x: n.a(x.transpose(1, 2)), nn.Linear(9, 2), (9, 5), 0),
    "steps": (lambda n, x: n.a(x.transpose(1, 2)[:, :, 0]), nn.Linear(9, 2), (5, 9), 1),
    "square": (lambda n, x: n.a(x.transpose(1, 2)), nn.Conv1d(5, 2, 1), (5, 5), 1),
    "single": (lambda n, x: n.a(x.transpose(1, 2)), nn.Conv1d(1, 2, 3), (9, 1), 1),
    "as_it_is": (lambda n, x: n.a(x), CONV, (5, 9), 0),
    "image": (lambda n, x: n.a(x.flatten(1)), nn.Linear(60, 2), (3, 4, 5), 0),
}


@pytest.mark.parametrize("name", TURNED)
def test_the_axis_that_weights_run_along(name: str) -> None:
    forward, layer, shape, axis = TURNED[name]
    network = Net(forward, a=layer, norm=nn.LayerNorm(5)).float()
    group = ax.capture(network, torch.zeros(1, *shape)).groups[0]
    assert group.shape == shape
    assert group.channel_axis == axis


def test_the_channel_graph_of_a_turned_input() -> None:
    """Five channels in front of two, the norms of the kernels between: not nine time steps."""
    network = Net(lambda n, x: n.a(x.transpose(1, 2)), a=CONV).float()
    channels = ax.capture(network, torch.zeros(1, 9, 5)).channels()
    block = channels.blocks["a", "input"]
    torch.testing.assert_close(block, network.a.weight.detach().norm(dim=2))


@pytest.mark.parametrize("layer", ["attention", "encoder"])
def test_attention_is_one_graph_whichever_axis_comes_first(layer: str) -> None:
    def made(batch_first: bool) -> nn.Module:
        torch.manual_seed(0)
        if layer == "encoder":
            return nn.TransformerEncoderLayer(16, 4, 8, batch_first=batch_first)
        attention = nn.MultiheadAttention(16, 4, batch_first=batch_first)
        return Net(lambda n, x: n.a(x, x, x, need_weights=False)[0], a=attention).float()

    first = ax.capture(made(True), torch.zeros(1, 6, 16))
    second = ax.capture(made(False), torch.zeros(6, 1, 16), batch_axis=1)
    assert [g.n_channels for g in first.groups] == [g.n_channels for g in second.groups]
    assert first.groups[0].n_channels == 16
    one, other = (graph.channels() for graph in (first, second))
    assert one.blocks.keys() == other.blocks.keys()
    for place, block in one.blocks.items():
        torch.testing.assert_close(block, other.blocks[place])
    degree = [float((c @ c.ones()).flatten().sum()) for c in (one, other)]
    assert degree[0] == pytest.approx(degree[1])


def test_several_inputs_each_by_its_own_weights() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv1d(5, 2, 1), nn.Linear(3, 2)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.a(x.transpose(1, 2)).transpose(1, 2) + self.b(y)

    graph = ax.capture(Two(), torch.zeros(1, 9, 5), torch.zeros(1, 9, 3))
    assert {group.name: group.channel_axis for group in graph.groups if group.role == "input"} == {"x": 1, "y": 1}


def test_recurrent_inputs_keep_their_features() -> None:
    for network, shape, axis in (
        (nn.LSTM(5, 3, batch_first=True), (1, 9, 5), 0),
        (nn.GRU(5, 3), (9, 1, 5), 1),
    ):
        group = ax.capture(network, torch.zeros(shape), batch_axis=axis).groups[0]
        assert (group.shape, group.channel_axis) == ((9, 5), 1)
    network = Net(lambda n, x: n.a(x.transpose(1, 2))[0], a=nn.LSTM(5, 3, batch_first=True)).float()
    group = ax.capture(network, torch.zeros(1, 5, 9)).groups[0]
    assert (group.shape, group.channel_axis) == ((5, 9), 0)
