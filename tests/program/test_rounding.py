"""Networks that make much of a rounding are not taken for networks that mix their samples, and the other way around."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import CaptureError
from axonometry.program.checks.double import in_double
from axonometry.program.readings.live import live_batches

from .oracles import Net


def chaotic(h: Tensor) -> Tensor:
    """The logistic map: 28 steps, each of which doubles a difference on average."""
    h = torch.sigmoid(h)
    for _ in range(28):
        h = 4 * h * (1 - h)
    return h


def rounded(x: Tensor) -> Tensor:
    """Rounded otherwise in a batch, as products of another size are: by the last bit of the type."""
    return x * (1 + (len(x) - 1) * torch.finfo(x.dtype).eps)


def net(forward: Any, **parts: nn.Module) -> Net:
    return Net(forward, **({"a": nn.Linear(8, 8), "o": nn.Linear(8, 2)} | parts)).float()


def test_a_rounding_that_grows_is_no_mixing() -> None:
    network = net(lambda n, x: n.o(chaotic(n.a(rounded(x)))))
    a, both = torch.rand(1, 8), torch.rand(2, 8)
    both[0] = a[0]
    with torch.no_grad():
        assert (network(a) - network(both)[:1]).abs().max() > 0.01  # far more than a check by size could let pass
    before = {name: value.data_ptr() for name, value in network.state_dict().items()}
    graph = ax.capture(network, a)
    assert [group.name for group in graph.groups] == ["input", "a", "o"]
    assert sum(batch.size for batch in live_batches(graph, torch.rand(4, 8))) == 4
    assert {name: value.data_ptr() for name, value in network.state_dict().items()} == before


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_half_precision_likewise(dtype: torch.dtype) -> None:
    network = net(lambda n, x: n.o(chaotic(n.a(rounded(x))))).to(dtype)
    assert ax.capture(network, torch.rand(1, 8, dtype=dtype)).n_links == 80


def test_what_mixes_besides_is_named() -> None:
    """In single precision the samples seem to meet before they do."""
    network = net(lambda n, x: n.o(chaotic(n.a(rounded(x))).softmax(0)))
    with pytest.raises(CaptureError, match="got _softmax at"):
        ax.capture(network, torch.rand(1, 8))


def test_a_module_that_asks_for_single_precision_is_refused_as_before() -> None:
    network = net(lambda n, x: n.o(torch.mm(n.a(x), torch.eye(8)) - n.a(x).mean(0)))
    with pytest.raises(CaptureError, match="got mean at"):
        ax.capture(network, torch.rand(1, 8))


class Two(nn.Module):
    def __init__(self, *, mixes: bool) -> None:
        super().__init__()
        self.a, self.o, self.mixes = nn.Linear(8, 8), nn.Linear(8, 2), mixes

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.o(chaotic(self.a(rounded(x)) + self.b_of(y)))

    def b_of(self, y: Tensor) -> Tensor:
        return y.sum(0) if self.mixes else y


def test_several_inputs_of_which_the_first_sample_is_rounded_otherwise() -> None:
    x, y = torch.rand(3, 8), torch.rand(3, 8)
    assert [group.name for group in ax.capture(Two(mixes=False), x, y).groups] == ["x", "y", "a", "o"]
    with pytest.raises(CaptureError, match="got sum at"):
        ax.capture(Two(mixes=True), x, y)


def test_tied_weights_stay_tied_in_double_precision_and_the_module_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3))
    network[2].weight = network[0].weight
    held = dict(network.named_parameters())
    with in_double(network):
        assert network[0].weight.dtype == torch.float64 == network[1].running_mean.dtype
        assert network[2].weight is network[0].weight
        assert network[1].num_batches_tracked.dtype == torch.int64
    assert all(p is held[name] for name, p in network.named_parameters())


def test_a_result_that_cancels_is_rounding_in_every_precision() -> None:
    """The real part of ``(p + iq) (q + ip)`` is ``pq - qp``, of which each batch leaves another last bit."""

    def forward(n: Any, x: Tensor) -> Tensor:
        p, q = n.a(x), n.o(x)
        return (torch.complex(p, q) * torch.complex(q, p)).real

    torch.manual_seed(0)
    network = net(forward, o=nn.Linear(8, 8))
    assert [group.name for group in ax.capture(network, torch.rand(1, 8)).groups] == ["input", "a", "o"]
