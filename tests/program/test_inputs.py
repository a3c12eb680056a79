"""Several inputs: where their samples lie, which of them are neurons, and what a sample's own mask does live."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import CaptureError
from axonometry.program.readings.live import live_batches
from axonometry.testing import randomise


class Started(nn.Module):
    """A recurrent layer whose first state is given, in torch's own layout."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.out = nn.GRU(4, 3, 2, batch_first=True), nn.Linear(3, 2)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        return self.out(self.gru(x, state)[0])


class Padded(nn.Module):
    """Sums the tokens that are there."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        return self.out(torch.relu(self.hidden(x)).masked_fill(~there.unsqueeze(-1), 0).sum(1))


class Last(nn.Module):
    """Reads the state at each sample's own last step."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.out = nn.RNN(4, 3, batch_first=True), nn.Linear(3, 2)

    def forward(self, x: Tensor, length: Tensor) -> Tensor:
        place = (length - 1).reshape(-1, 1, 1).expand(-1, 1, 3)
        return self.out(self.rnn(x)[0].gather(1, place)[:, 0])


def test_an_axis_for_each_input() -> None:
    module = randomise(Started())
    x, state = torch.randn(5, 6, 4, dtype=torch.float64), torch.randn(2, 5, 3, dtype=torch.float64)
    graph = ax.capture(module, x, state, batch_axis=(0, 1))
    assert [group.shape for group in graph.groups] == [(6, 4), (2, 3), (6, 9), (6, 9), (6, 2)]
    fields = torch.cat([batch.pre_activations["out"] for batch in live_batches(graph, (x, state), batch_size=2)])
    torch.testing.assert_close(fields, module(x, state).detach())


def test_inputs_whose_samples_lie_on_other_axes_are_refused() -> None:
    with pytest.raises(CaptureError, match=r"samples along one axis.*does not run.*batch_axis="):
        ax.capture(Started(), torch.randn(5, 6, 4), torch.randn(2, 5, 3))


def test_a_mask_as_long_as_the_batch_is_not_cut_in_silence() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.value = nn.Linear(4, 4)

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return nn.functional.scaled_dot_product_attention(x, x, self.value(x), attn_mask=mask)

    x, mask = torch.randn(5, 5, 4), torch.ones(5, 5).tril().bool()
    with pytest.raises(CaptureError, match=r"has another result.*batch_axis=\(0, None\)"):
        ax.capture(Masked(), x, mask)
    assert ax.capture(Masked(), x, mask, batch_axis=(0, None)).n_neurons == 40


@pytest.mark.parametrize("axes", [(0,), (0, 7), (0, 1, 1)])
def test_axes_that_the_inputs_do_not_have(axes: tuple[int, ...]) -> None:
    with pytest.raises(CaptureError, match="an axis for every tensor"):
        ax.capture(Started(), torch.randn(5, 6, 4), torch.randn(2, 5, 3), batch_axis=axes)


def test_packed_sequences_are_refused() -> None:
    class Packs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(4, 3, batch_first=True)

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
            return nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]

    with pytest.raises(CaptureError, match="a packed sequence"):
        ax.capture(Packs(), torch.randn(2, 5, 4), torch.tensor([5, 3]))
    with pytest.raises(CaptureError, match="a packed sequence"):
        ax.capture(nn.LSTM(4, 3), nn.utils.rnn.pack_sequence([torch.randn(3, 4), torch.randn(2, 4)]))


@pytest.mark.parametrize("mode", ["out", "abs"])
def test_live_links_are_those_of_the_sample_s_own_mask(mode: str) -> None:
    module = randomise(Padded())
    x = torch.randn(3, 5, 4, dtype=torch.float64)
    there = torch.arange(5) < torch.tensor([2, 5, 3])[:, None]
    graph = ax.capture(module, x[:1], torch.ones(1, 5, dtype=torch.bool))
    found = ax.neuron_strength(graph, (x, there), mode).mean
    hidden, weight = torch.relu(module.hidden(x)).detach(), module.out.weight.detach()
    kept = hidden * there[..., None]
    if mode == "out":
        torch.testing.assert_close(found["hidden"], (kept * weight.sum(0)).mean(0))
        return
    received = kept.sum(1) @ weight.abs().T + module.out.bias.detach().abs()
    torch.testing.assert_close(found["out"], (received + module(x, there).detach().abs()).mean(0))


def test_live_links_leave_each_sample_s_last_step() -> None:
    module = randomise(Last())
    x, length = torch.randn(3, 5, 4, dtype=torch.float64), torch.tensor([2, 5, 3])
    graph = ax.capture(module, x[:1], torch.tensor([5]))
    states = module.rnn(x)[0].detach()
    at = torch.arange(5) == (length - 1)[:, None]
    onward = torch.arange(5) < 4
    sums = at[..., None] * module.out.weight.detach().sum(0)
    sums = sums + onward[:, None] * module.rnn.weight_hh_l0.detach().sum(0)
    torch.testing.assert_close(ax.neuron_strength(graph, (x, length), "out").mean["rnn"], (states * sums).mean(0))


@pytest.mark.parametrize("function", [nn.ReLU(), nn.Tanh(), nn.LeakyReLU(0.1), nn.ELU()])
def test_a_nonlinearity_behind_max_pooling_is_that_of_the_neurons_in_front(function: nn.Module) -> None:
    """Both orders are one network: the same graph, the same activations."""
    conv, pool, out = nn.Conv2d(1, 3, 3), nn.MaxPool2d(2), nn.Linear(27, 2)
    behind = randomise(nn.Sequential(conv, pool, function, nn.Flatten(), out))
    before = nn.Sequential(conv, function, pool, nn.Flatten(), out).eval()
    x = torch.randn(9, 1, 8, 8, dtype=torch.float64)
    one, other = ax.capture(behind, x), ax.capture(before, x)
    torch.testing.assert_close(ax.neuron_activation(one, x).mean["0"], ax.neuron_activation(other, x).mean["0"])
    strengths = (ax.neuron_strength(graph, x).mean for graph in (one, other))
    torch.testing.assert_close(*(s["0"] for s in strengths))
    (batch,) = live_batches(one, x, batch_size=9)
    torch.testing.assert_close(batch.pre_activations["4"], behind(x).detach())
    assert one.n_links == other.n_links


def test_a_falling_function_stays_behind_its_pooling() -> None:
    module = randomise(
        nn.Sequential(nn.Conv2d(1, 3, 3), nn.MaxPool2d(2), nn.LeakyReLU(-0.5), nn.Flatten(), nn.Linear(27, 2))
    )
    x = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    (batch,) = live_batches(ax.capture(module, x), x, batch_size=4)
    torch.testing.assert_close(batch.pre_activations["4"], module(x).detach())


@pytest.mark.parametrize("norm", [nn.LayerNorm(6), nn.GroupNorm(2, 6), nn.RMSNorm(6), nn.BatchNorm1d(6)])
def test_a_norm_stands_before_the_nonlinearity(norm: nn.Module) -> None:
    module = randomise(nn.Sequential(nn.Linear(4, 6), norm, nn.ReLU(), nn.Linear(6, 2)))
    x = torch.randn(9, 4, dtype=torch.float64)
    graph = ax.capture(module, x)
    (batch,) = live_batches(graph, x, batch_size=9)
    torch.testing.assert_close(batch.activations["0"], torch.relu(norm(module[0](x))).detach())


def test_a_projection_behind_which_something_is_added_stays_a_group() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.out = nn.LSTM(4, 6, proj_size=4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.lstm(x)[0] + x)

    module = randomise(Residual())
    x = torch.randn(3, 5, 4, dtype=torch.float64)
    graph = ax.capture(module, x)
    assert [group.name for group in graph.groups] == ["input", "lstm", "lstm.projection", "out"]
    (batch,) = live_batches(graph, x, batch_size=3)
    torch.testing.assert_close(batch.pre_activations["out"], module(x).detach())
    expected = 2 * module.out.weight.detach().sum(1)  # a link from the projection and one from the input
    torch.testing.assert_close((graph @ graph.ones())["out"], expected.expand(5, 2))


def test_the_larger_of_two_signals_wins_live() -> None:
    class Maxout(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.out = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(torch.maximum(self.a(x), self.b(x)))

    module = randomise(Maxout())
    x = torch.randn(7, 3, dtype=torch.float64)
    found = ax.neuron_strength(ax.capture(module, x), x, "out").mean
    a, b = module.a(x).detach(), module.b(x).detach()
    torch.testing.assert_close(found["a"], (a * (a >= b) * module.out.weight.detach().sum(0)).mean(0))
