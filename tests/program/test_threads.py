"""Captures in several threads at once: each has its own graph, and the process is as it was."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import transformer

import axonometry as ax
from axonometry.errors import CaptureError


def network(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 2))


def state_of_the_process() -> tuple[object, ...]:
    logged = logging.root.manager.disable, logging.getLogger("torch").filters
    detection = transformer._detect_is_causal_mask, torch.backends.mha.get_fastpath_enabled()
    return sys.stdout, sys.stderr, *logged, list(warnings.filters), *detection


def test_captures_in_several_threads() -> None:
    ax.capture(network(30), torch.zeros(1, 3))  # what torch imports for the first export adds filters of its own
    before = state_of_the_process()
    networks = [network(width) for width in range(2, 14)]
    with ThreadPoolExecutor(6) as pool:
        graphs = list(pool.map(lambda net: ax.capture(net, torch.zeros(1, 3)), networks))
    for net, graph in zip(networks, graphs, strict=True):
        assert graph.n_links == 5 * len(net[0].bias)
        torch.testing.assert_close(graph.state["0.weight"], net[0].weight.detach())
    assert state_of_the_process() == before


def test_one_module_captured_by_several_threads_is_left_as_it_was() -> None:
    net = network(5).train()
    hook = net.register_forward_hook(lambda *_: None)
    with ThreadPoolExecutor(6) as pool:
        graphs = list(pool.map(lambda n: ax.capture(net, torch.zeros(2 + n, 3)), range(12)))
    assert {graph.n_links for graph in graphs} == {25}
    assert net.training
    assert all(part.training for part in net.modules())
    assert list(net._forward_hooks) == [hook.id]
    assert "forward" not in vars(net)


class Waiting(nn.Module):
    """Waits in its forward pass, and warns there, until the other thread has looked round."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.inside, self.go_on = threading.Event(), threading.Event()

    def forward(self, x: Tensor) -> Tensor:
        self.inside.set()
        assert self.go_on.wait(20)
        warnings.warn("of the forward pass", stacklevel=1)
        return self.layer(x)


def test_other_threads_see_nothing_of_a_capture(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    net, streams = Waiting(), (sys.stdout, sys.stderr)
    with ThreadPoolExecutor(1) as pool:
        capturing = pool.submit(ax.capture, net, torch.zeros(1, 3))
        assert net.inside.wait(20)
        assert (sys.stdout, sys.stderr) == streams
        sys.stdout.write("said meanwhile")
        logging.getLogger("torch.of_this_test").error("logged meanwhile")
        with pytest.warns(UserWarning, match="warned meanwhile"):
            warnings.warn("warned meanwhile", stacklevel=1)
        with warnings.catch_warnings():  # the list of filters is another one while the capture ends
            net.go_on.set()
            assert capturing.result().n_links == 6
    assert "said meanwhile" in capsys.readouterr().out
    assert "logged meanwhile" in caplog.text
    with pytest.warns(UserWarning, match="said afterwards"):
        warnings.warn("said afterwards", stacklevel=1)


def test_a_capture_that_fails_lets_the_next_thread_in() -> None:
    class Failing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("no forward pass")

    with ThreadPoolExecutor(2) as pool:
        failing = [pool.submit(ax.capture, Failing(), torch.zeros(1, 3)) for _ in range(3)]
        working = pool.submit(ax.capture, network(4), torch.zeros(1, 3))
        for future in failing:
            with pytest.raises(CaptureError, match="no forward pass"):
                future.result(timeout=60)
        assert working.result(timeout=60).n_links == 20


def test_a_graph_is_read_by_several_threads() -> None:
    graph = ax.capture(network(7), torch.zeros(1, 3))
    expected = graph.abs() @ graph.ones()
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: graph.abs() @ graph.ones(), range(40)):
            torch.testing.assert_close(dict(found), dict(expected), rtol=0, atol=0)
