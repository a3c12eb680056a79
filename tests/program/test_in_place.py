"""Calls that write in place become calls that return: the same program as torch's second trace makes, or that trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.program import capture, export
from axonometry.program.passes import PASSES, in_place
from axonometry.program.readings.live import live_batches
from axonometry.program.sharing import store as sharing
from axonometry.testing import check_adjoint

from .networks import REAL, Dense, Mobile, Perceptron, Plain, Preactivation, Residual
from .networks_more import Inception, UNet
from .oracles import Net

X = torch.randn(1, 4, dtype=torch.float64)


def relu_then_read(n: Any, x: Tensor) -> Tensor:
    h = n.first(x)
    F.relu(h, inplace=True)
    return n.second(h) + h


def chained(n: Any, x: Tensor) -> Tensor:
    h = n.first(x)
    h += x
    h.relu_()
    h *= 2.0
    return n.second(h)


def read_before_it_is_written(n: Any, x: Tensor) -> Tensor:
    h = n.first(x)
    before = n.second(h)
    h.tanh_()
    return before + n.second(h)


def written_twice_under_one_name(n: Any, x: Tensor) -> Tensor:
    h = n.first(x)
    h.add_(x)
    h.mul_(3.0)
    return n.second(h)


def a_view_before_the_write(n: Any, x: Tensor) -> Tensor:
    h = n.first(x)
    view = h.view(2, 2)
    h.mul_(3.0)
    return n.second(view.reshape(1, 4))


def a_view_between_two_writes(n: Any, x: Tensor) -> Tensor:
    h = n.first(x)
    h += x
    view = h.view(2, 2)
    h.mul_(3.0)
    return n.second(view.reshape(1, 4))


def a_write_through_a_view(n: Any, x: Tensor) -> Tensor:
    h = n.first(x)
    h[:, :2].mul_(3.0)
    return n.second(h)


def a_part_set_to_zero(n: Any, x: Tensor) -> Tensor:
    h = n.first(x)
    h[:, 0] = 0.0
    return n.second(h)


def a_write_to_what_flatten_may_share(n: Any, x: Tensor) -> Tensor:
    h = n.first(x)
    flat = h.flatten()
    flat.mul_(3.0)
    return n.second(h)


def a_write_to_the_input(n: Any, x: Tensor) -> Tensor:
    x = x.clone()
    x.mul_(2.0)
    return n.second(torch.relu_(n.first(x)))


def a_write_behind_dropout(n: Any, x: Tensor) -> Tensor:
    h = n.first(x)
    dropped = F.dropout(h, 0.5, training=n.training)
    dropped.mul_(3.0)
    return n.second(h)


def casts_to_the_type_it_has(n: Any, x: Tensor) -> Tensor:
    h = n.first(x.to(x.device)).double().to(torch.float64)
    return n.second(h.to(x.dtype) * h.type_as(x))


def casts_to_another_type(n: Any, x: Tensor) -> Tensor:
    return n.second(n.first(x).float().mul(2.0).to(x.dtype))


def a_write_behind_a_cast(n: Any, x: Tensor) -> Tensor:
    h = n.first(x)
    same, copied = h.to(x.dtype), h.to(x.dtype, copy=True)
    h.mul_(3.0)
    return n.second(same) + copied


def a_write_of_wider_numbers(n: Any, x: Tensor) -> Tensor:
    h = n.first(x).half().mul(1.0)
    h += x  # stays in half precision, where h + x would be double
    return n.second(h.to(x.dtype))


SIMPLE = [
    casts_to_the_type_it_has,
    casts_to_another_type,
    relu_then_read,
    chained,
    read_before_it_is_written,
    written_twice_under_one_name,
    a_write_to_the_input,
]
INVOLVED = [a_view_before_the_write, a_view_between_two_writes, a_write_through_a_view, a_part_set_to_zero]
INVOLVED += [a_write_to_what_flatten_may_share, a_write_behind_dropout, a_write_behind_a_cast, a_write_of_wider_numbers]


def network(forward: Callable[[Any, Tensor], Tensor]) -> nn.Module:
    return Net(forward, first=nn.Linear(4, 4), second=nn.Linear(4, 4))


def counted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The second traces that are made from now on."""
    made: list[object] = []
    real = in_place._traced_again
    monkeypatch.setattr(in_place, "_traced_again", lambda exported: made.append(exported) or real(exported))
    return made


# torch's own trace takes dropout in evaluation mode for a copy, which it is not: that network is compared with it alone
@pytest.mark.parametrize("forward", [f for f in (*SIMPLE, *INVOLVED) if f is not a_write_behind_dropout])
def test_the_program_computes_what_the_module_does(
    forward: Callable[[Any, Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    traces = counted(monkeypatch)
    module = network(forward)
    exported = export.export(module, (X,))
    assert len(traces) == (forward in INVOLVED)
    arguments = [
        exported.state_dict.get(spec.target, exported.constants.get(spec.target, X))
        for spec in exported.graph_signature.input_specs
    ]
    (result,) = torch.fx.Interpreter(exported.graph_module, graph=exported.graph).run(*arguments)
    assert torch.allclose(result, module(X))
    assert not [n for n in exported.graph.nodes if n.op == "call_function" and in_place._writes(n.target)]


def test_casts_to_the_type_that_is_there_are_left_out() -> None:
    called = [node.target for node in export.export(network(casts_to_the_type_it_has), (X,)).graph.nodes]
    assert not in_place.CASTS & set(called)
    called = [node.target for node in export.export(network(casts_to_another_type), (X,)).graph.nodes]
    assert sum(target in in_place.CASTS for target in called) == 2


@pytest.mark.parametrize("forward", [*SIMPLE, *INVOLVED])
def test_the_graph_is_that_of_the_second_trace(
    forward: Callable[[Any, Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    sharing.forget()
    module = network(forward)
    same_graph(module, X, monkeypatch)


def same_graph(module: nn.Module, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = capture(module, x)
    sharing.forget()
    monkeypatch.setattr(export, "PASSES", (lambda exported: exported.run_decompositions({}), *PASSES[1:]))
    slow = capture(module, x)
    sharing.forget()
    assert (quick.groups, quick.synapses, quick.wires) == (slow.groups, slow.synapses, slow.wires)
    assert quick.coverage == slow.coverage
    for one, other in ((quick, slow), (quick.abs(), slow.abs()), (quick.T, slow.T)):
        assert torch.equal((one @ quick.ones()).flatten(), (other @ quick.ones()).flatten())
    assert torch.equal(quick.biases().flatten(), slow.biases().flatten())
    samples = torch.rand(3, *x.shape[1:], dtype=x.dtype)
    (one,), (other,) = (list(live_batches(graph, samples)) for graph in (quick, slow))
    for kind in ("pre_activations", "activations"):
        found, expected = getattr(one, kind), getattr(other, kind)
        assert found.keys() == expected.keys()
        assert all(torch.allclose(found[name], expected[name]) for name in found)
    check_adjoint(quick, draws=1)


@pytest.mark.parametrize("family", [Perceptron, Plain, Residual, Preactivation, Dense, Mobile, UNet, Inception])
def test_networks_need_no_second_trace(family: type[nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    traces = counted(monkeypatch)
    module = family(REAL).double()
    x = torch.zeros(1, *family.shape, dtype=torch.float64)
    export.export(module, (x,))
    assert not traces
    same_graph(module, x, monkeypatch)


class Outside(nn.Module):
    """Calls that torch takes apart, and calls that it keeps, in one network."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 4), nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.layer(x)).type_as(x).expand_as(x)


@pytest.mark.parametrize("inside", ["as it is here", "another one"])
def test_the_second_trace_keeps_composites_whole(inside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    traces = counted(monkeypatch)
    if inside == "another one":
        monkeypatch.setattr(in_place, "ARGUMENTS", set())
    called = [str(node.target) for node in export.export(Outside(), (X.float(),)).graph.nodes]
    assert len(traces) == 1
    assert {"aten.linear.default", "aten.layer_norm.default"} <= set(called)
    assert not {"aten.expand_as.default"} & set(called)
