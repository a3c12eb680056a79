"""Toy networks whose adjacency matrix is written down by hand, and the dense matrix of that writing.

A toy says, for each pair of neuron groups that are linked, what the source contributes to the target, in plain torch
calls and with an explicit map ``f`` on every coefficient. It shares no code with the capture, so they can disagree.

>>> toy = TOYS["residual"]()
>>> dense(toy, torch.abs).shape
torch.Size([11, 11])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)
WeightMap = Callable[[Tensor], Tensor]
Block = Callable[[Tensor, WeightMap], Tensor]

MAPS: Mapping[str, WeightMap] = {
    "identity": lambda w: w,
    "abs": torch.abs,
    "square": torch.square,
    "binary": lambda w: (w != 0).to(w.dtype),
}
"""What ``graph``, ``graph.abs()``, ``graph.square()`` and ``graph.binary()`` do to a coefficient."""


@dataclass(frozen=True)
class Toy:
    r"""A network with the matrix it must have.

    Attributes:
        name: A short name, unique among the toys.
        module: The network, in float64 and eval mode.
        inputs: Example inputs.
        groups: Shape without batch axis of each neuron group, in any order.
        blocks: For (target group, source group), the function ``(x, f) -> contribution`` from values x of shape
            (batch, \*source shape) to the target's pre-activations of shape (batch, \*target shape), with f applied to
            each coefficient.
        outputs: The groups whose role is "output"; by default the one that is linked to nothing.
        pooling: The argument of ``capture``.
        counted: Whether ``n_links`` is the number of paths that the blocks have when every coefficient is 1.
        named: Whether the groups' names are part of what is expected; if not, groups are matched in order.
    """

    name: str
    module: nn.Module
    inputs: tuple[Tensor, ...]
    groups: Mapping[str, tuple[int, ...]]
    blocks: Mapping[tuple[str, str], Block]
    outputs: tuple[str, ...] = ()
    pooling: str = "mean"
    counted: bool = True
    named: bool = True
    roles: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        targets, sources = {target for target, _ in self.blocks}, {source for _, source in self.blocks}
        outputs = set(self.outputs) or set(self.groups) - sources
        roles = {
            name: "output" if name in outputs else "hidden" if name in targets else "input" for name in self.groups
        }
        object.__setattr__(self, "roles", roles)


def structure(w: Tensor) -> Tensor:
    """The map that counts links: 1 for every coefficient, zero or not."""
    return torch.ones_like(w)


def dense(toy: Toy, f: WeightMap = MAPS["identity"], order: tuple[str, ...] = ()) -> Tensor:
    """The matrix A[target, source] of a toy in float64, each block applied to every unit vector of its source.

    Args:
        toy: The toy.
        f: The map on coefficients: a value of :data:`MAPS`, or :func:`structure`.
        order: The order of the groups in rows and columns; the toy's own by default.
    """
    order = order or tuple(toy.groups)
    sizes = [torch.Size(toy.groups[name]).numel() for name in order]
    ends = torch.tensor(sizes).cumsum(0).tolist()
    place = {name: slice(end - size, end) for name, size, end in zip(order, sizes, ends, strict=True)}
    matrix = torch.zeros(sum(sizes), sum(sizes), dtype=torch.float64)
    with torch.no_grad():
        for (target, source), block in toy.blocks.items():
            size = torch.Size(toy.groups[source]).numel()
            units = torch.eye(size, dtype=torch.float64).reshape(size, *toy.groups[source])
            contribution = block(units, f)
            assert contribution.shape == (size, *toy.groups[target]), (
                f"{toy.name}: the block {source} -> {target} has {contribution.shape}"
            )
            matrix[place[target], place[source]] += contribution.reshape(size, -1).T
    return matrix


def randomise(module: M, seed: int = 0) -> M:
    """The module in float64 and eval mode with every parameter and statistic drawn at random, none of them a default.

    Gains have both signs, running variances are positive; integer buffers are left alone. The values are odd multiples
    of 1/32: never zero, and exact in every floating type, so that the same network in bfloat16 has the same matrix.
    """
    generator = torch.Generator().manual_seed(seed)
    module.double().eval()
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.is_floating_point():
                values = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
                values = values.abs() + 0.5 if name.endswith("running_var") else values
                tensor.copy_((torch.floor(values * 16) + 0.5) / 16)
    return module


class Residual(nn.Module):
    """x + second(relu(first(x))), read as one group of the second layer's sum."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """The head's output."""
        h = self.second(torch.relu(self.first(x)))
        return self.head(torch.relu(h + x))


class Gate(nn.Module):
    """A product of two different signals."""

    def __init__(self) -> None:
        super().__init__()
        self.value, self.gate, self.head = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        """The head's output."""
        return self.head(torch.sigmoid(self.gate(x)) * torch.tanh(self.value(x)))


def linear() -> Toy:
    """One layer: A is its weight."""
    module = randomise(nn.Sequential(nn.Linear(3, 2)))
    w = module.get_parameter("0.weight")
    return Toy(
        "linear",
        module,
        (torch.zeros(1, 3).double(),),
        {"input": (3,), "0": (2,)},
        {("0", "input"): lambda x, f: F.linear(x, f(w))},
    )


def perceptron() -> Toy:
    """Two layers: the activation carries its input unchanged, biases are no links."""
    module = randomise(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False)))
    first, second = module.get_parameter("0.weight"), module.get_parameter("2.weight")
    blocks: dict[tuple[str, str], Block] = {
        ("0", "input"): lambda x, f: F.linear(x, f(first)),
        ("2", "0"): lambda x, f: F.linear(x, f(second)),
    }
    return Toy("perceptron", module, (torch.zeros(1, 3).double(),), {"input": (3,), "0": (4,), "2": (2,)}, blocks)


def convolution() -> Toy:
    """Convolution with folded batch norm, max-pooling read as the mean, a linear layer."""
    module = randomise(
        nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)
        )
    )
    kernel, scale, head = (module.get_parameter(f"{i}.weight") for i in (0, 1, 5))
    gain = (scale / (module.get_buffer("1.running_var") + 1e-5).sqrt()).reshape(3, 1, 1, 1)

    def pooled(x: Tensor, f: WeightMap) -> Tensor:
        windows = x.reshape(-1, 3, 2, 2, 2, 2).sum((3, 5)) * f(torch.tensor(0.25).double())
        return F.linear(windows.flatten(1), f(head))

    blocks: dict[tuple[str, str], Block] = {
        ("0", "input"): lambda x, f: F.conv2d(x, f(kernel) * f(gain), padding=1),
        ("5", "0"): pooled,
    }
    groups = {"input": (2, 4, 4), "0": (3, 4, 4), "5": (2,)}
    return Toy("convolution", module, (torch.zeros(1, 2, 4, 4).double(),), groups, blocks)


def residual() -> Toy:
    """A skip enters the group of the layer that it is added to, as unit links."""
    module = Residual()
    randomise(module)
    blocks: dict[tuple[str, str], Block] = {
        ("first", "input"): lambda x, f: F.linear(x, f(module.first.weight)),
        ("second", "first"): lambda x, f: F.linear(x, f(module.second.weight)),
        ("second", "input"): lambda x, f: x * f(torch.ones(()).double()),
        ("head", "second"): lambda x, f: F.linear(x, f(module.head.weight)),
    }
    return Toy(
        "residual",
        module,
        (torch.zeros(1, 3).double(),),
        {"input": (3,), "first": (3,), "second": (3,), "head": (2,)},
        blocks,
    )


def gate() -> Toy:
    """Both factors of a product of two signals are linked to its reader."""
    module = Gate()
    randomise(module)
    blocks: dict[tuple[str, str], Block] = {
        ("gate", "input"): lambda x, f: F.linear(x, f(module.gate.weight)),
        ("value", "input"): lambda x, f: F.linear(x, f(module.value.weight)),
        ("head", "gate"): lambda x, f: F.linear(x, f(module.head.weight)),
        ("head", "value"): lambda x, f: F.linear(x, f(module.head.weight)),
    }
    return Toy(
        "gate",
        module,
        (torch.zeros(1, 3).double(),),
        {"input": (3,), "gate": (4,), "value": (4,), "head": (2,)},
        blocks,
    )


TOYS: Mapping[str, Callable[[], Toy]] = {
    function.__name__: function for function in (linear, perceptron, convolution, residual, gate)
}
"""A few toys that cover a rule's usual surroundings; each call builds a fresh one."""
