"""Complex weights are refused in one line, at the capture and in snapshots; complex signals are pairs of neurons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import CaptureError, WeightsError
from axonometry.testing import check_adjoint

from .oracles import Net

C = torch.complex64
X = torch.randn(1, 3, 8)


def parameter(*shape: int, dtype: torch.dtype = C) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape, dtype=dtype))


def network(forward: Callable[[Any, Tensor], Tensor], **parts: Any) -> nn.Module:
    made = Net(forward, o=nn.Linear(8, 2)).float()
    for name, part in parts.items():
        setattr(made, name, part)
    return made


COMPLEX: dict[str, nn.Module] = {
    "linear": network(lambda n, x: torch.view_as_real(F.linear(x.to(C), n.w)), w=parameter(2, 8)),
    "product": network(lambda n, x: (x.to(C) @ n.w).abs(), w=parameter(8, 2)),
    "spectral": network(
        lambda n, x: n.o(torch.fft.irfft(torch.einsum("bix,iox->box", torch.fft.rfft(x), n.w), n=8)),
        w=parameter(3, 2, 5),
    ),
    "filter": network(lambda n, x: n.o(torch.fft.irfft(torch.fft.rfft(x) * n.w, n=8)), w=parameter(5)),
    "bias": network(lambda n, x: n.o((torch.fft.fft(x) + n.w).real), w=parameter(8)),
    "unused": network(lambda n, x: n.o(x), w=parameter(8)),
    "tied": network(lambda n, x: n.o(x) + (x.to(C) @ n.w).real, w=parameter(8, 2)),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_parameters(name: str) -> None:
    with pytest.raises(CaptureError, match=r"a link's weight is a real number; got 'w' of type torch\.complex64"):
        ax.capture(COMPLEX[name], X)


@pytest.mark.parametrize("layer", [nn.Linear(8, 2, dtype=C), nn.Conv1d(3, 2, 1, dtype=C)])
def test_complex_layers(layer: nn.Module) -> None:
    with pytest.raises(CaptureError, match=r"'0\.weight' of type torch\.complex64"):
        ax.capture(nn.Sequential(layer), X.to(C))


def test_complex_inputs() -> None:
    module = network(lambda n, x: n.o(x.real))
    with pytest.raises(CaptureError, match=r"an input of type torch\.complex64\. .*view_as_real"):
        ax.capture(module, X.to(C))


def test_weights_that_are_made_complex() -> None:
    def spectral(n: Any, x: Tensor) -> Tensor:
        weight = torch.view_as_complex(n.w)
        return n.o(torch.fft.irfft(torch.einsum("bix,iox->box", torch.fft.rfft(x), weight), n=8))

    module = network(spectral, w=parameter(3, 2, 5, 2, dtype=torch.float32))
    with pytest.raises(
        CaptureError, match=r"a link's weight is a real number; got a complex weight of aten\.einsum.* at"
    ):
        ax.capture(module, X)


def test_complex_signals_have_real_weights() -> None:
    module = network(lambda n, x: n.o(torch.fft.fft(x).real))
    graph = ax.capture(module, X)
    check_adjoint(graph)
    cosines = torch.fft.fft(torch.eye(8)).real
    expected = (module.o.weight @ cosines).detach().sum(1)
    torch.testing.assert_close((graph @ graph.ones())["o"], expected.expand(3, 2), atol=1e-4, rtol=1e-4)


def test_a_snapshot_of_complex_weights() -> None:
    module = nn.Sequential(nn.Linear(8, 2))
    graph = ax.capture(module, X)
    state = {name: value.to(C) for name, value in module.state_dict().items()}
    with pytest.raises(WeightsError, match=r"a link's weight is a real number; got '0\.\w+' of type torch\.complex64"):
        graph.at(state) @ graph.ones()
    module.load_state_dict(state, assign=True)
    with pytest.raises(WeightsError, match="a link's weight is a real number"):
        ax.link_weights(graph)
