"""Signals in the place of biases, gains and slopes are refused; the same sum or product outside the layer is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import axonometry as ax
from axonometry.errors import UnknownOperationError
from tests.program.symmetry.networks import Function

Forward = Callable[[Any, Tensor], Tensor]
ODD: dict[str, Forward] = {
    "linear": lambda m, x: F.linear(m.a(x), m.w.weight, m.r(x)[0]),
    "conv1d": lambda m, x: F.conv1d(m.a(x)[:, None], m.c.weight, m.r(x)[0]),
    "conv_transpose1d": lambda m, x: F.conv_transpose1d(m.a(x)[:, None], m.t.weight, m.r(x)[0]),
    "bilinear": lambda m, x: F.bilinear(m.a(x), m.a(x), m.b.weight, m.r(x)[0]),
    "layer_norm's gain": lambda m, x: m.w(F.layer_norm(m.a(x), (3,), m.a(x)[0])),
    "layer_norm's shift": lambda m, x: m.w(F.layer_norm(m.a(x), (3,), None, m.a(x)[0])),
    "rms_norm": lambda m, x: m.w(F.rms_norm(m.a(x), (3,), m.a(x)[0])),
    "group_norm": lambda m, x: m.w(F.group_norm(m.a(x)[..., None], 1, m.a(x)[0])[..., 0]),
    "prelu": lambda m, x: m.w(F.prelu(m.a(x), m.a(x)[0])),
}


def made(forward: Forward) -> nn.Module:
    torch.manual_seed(0)
    layers = {"a": nn.Linear(4, 3), "w": nn.Linear(3, 2, bias=False), "r": nn.Linear(4, 2), "b": nn.Bilinear(3, 3, 2)}
    return Function(forward, **layers, c=nn.Conv1d(1, 2, 3), t=nn.ConvTranspose1d(1, 2, 3))


@pytest.mark.parametrize("name", ODD)
def test_a_signal_where_a_parameter_belongs_is_refused(name: str) -> None:
    with pytest.raises(UnknownOperationError, match="a bias, gain or slope that depends on the input"):
        ax.capture(made(ODD[name]), torch.randn(1, 4), batch_axis=(None,))


def test_the_sum_outside_is_read() -> None:
    graph = ax.capture(made(lambda m, x: m.w(m.a(x)) + m.r(x)), torch.randn(1, 4))
    assert {synapse.target for synapse in graph.synapses} == {"a", "w"}
    assert graph.n_links == 12 + 6 + 8
