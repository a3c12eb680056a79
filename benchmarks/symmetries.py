"""The map from tensors to neurons: how long it takes, and what it makes possible."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.populations.cifar_resnet import CifarResNet
from axonometry.populations.resnet import ResNet
from benchmarks.architectures import gpt2
from benchmarks.timing import Row, fresh_capture, seconds

EXPORTED = 10_000
TOKENS = 128


def symmetries() -> list[Row]:
    """Maps of a ResNet-20 and of GPT-2, two ResNet-18 aligned, many small networks exported."""
    return [_map_of_a_resnet_20(), _map_of_gpt2(), *_aligned_resnet_18(), _exported()]


def _map_of_a_resnet_20() -> Row:
    graph = fresh_capture(CifarResNet(20).eval(), torch.zeros(1, 3, 32, 32))
    taken = seconds(lambda: ax.permutations(graph))
    found = ax.permutations(graph)
    detail = f"after capture; {len(found.classes)} classes of {sum(c.size for c in found.classes.values())} neurons"
    return Row("permutation classes of a ResNet-20", f"{taken:.2f} s", "under 1 s", taken < 1, 1, detail)


def _map_of_gpt2() -> Row:
    model = gpt2().eval()
    graph = ax.capture(model, torch.zeros(1, TOKENS, dtype=torch.int64))
    start = time.process_time()
    taken = seconds(lambda: ax.permutations(graph))
    worked = time.process_time() - start
    size = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    name = f"permutation classes of GPT-2, {size:.0f} M parameters, random weights"
    detail = f"after capture, {TOKENS} tokens; {worked:.1f} s of processor time"
    return Row(name, f"{taken:.2f} s", "under 5 s", taken < 5, 1, detail)


def _aligned_resnet_18() -> list[Row]:
    """Two ResNet-18 of other seeds; and one with its neurons exchanged, of which all are found back."""
    states: list[dict[str, Tensor]] = []
    for seed in range(2):
        torch.manual_seed(seed)
        states.append(ResNet(18).eval().state_dict())
    graph = ax.capture(ResNet(18).eval(), torch.zeros(1, 3, 64, 64))
    taken = seconds(lambda: ax.align(graph, *states))
    exchange = ax.permutations(graph).random(0)
    back = ax.align(graph, states[0], ax.permute(states[0], graph, exchange))
    moved = [(axis, order) for axis, order in exchange.order.items() if axis[1] == 0]
    right = sum(int((order[back.order[axis]] == sorted(order)).sum()) for axis, order in moved if axis in back.order)
    share = right / sum(len(order) for _, order in moved)
    return [
        Row("alignment of two ResNet-18 by weights", f"{taken:.1f} s", "under 30 s", taken < 30, 1, "random weights"),
        Row(
            "neurons of a ResNet-18 found back after an exchange of all",
            f"{100 * share:.1f} %",
            "at least 99 %",
            share >= 0.99,
            1,
            "by weights; rows of all tensors that move",
        ),
    ]


def _exported() -> Row:
    """The networks of the Small CNN Zoo: captured once, each read with other weights."""
    torch.manual_seed(0)
    convolved = [layer for i in (1, 16, 16) for layer in (nn.Conv2d(i, 16, 3, 2), nn.ReLU())]
    net = nn.Sequential(*convolved, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    shapes = {name: tensor.shape for name, tensor in net.state_dict().items()}

    def export() -> None:
        structure = ax.parameter_graph(fresh_capture(net, torch.zeros(1, 1, 28, 28)))
        for _ in range(EXPORTED):
            structure.at({name: torch.randn(shape) for name, shape in shapes.items()})

    taken = seconds(export)
    count = sum(shape.numel() for shape in shapes.values())
    name = f"{EXPORTED:,} small CNNs of {count:,} parameters as graphs, one capture"
    return Row(name, f"{taken:.1f} s", "under 60 s", taken < 60, 1, "their random weights drawn, too")
