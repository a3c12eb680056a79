"""All toys of this folder and the library, and their graphs, each captured once a test run.

An export costs a quarter of a second whatever its size, so toys are captured side by side: the parts of one network,
each of which reads its own stretch of the input.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from axonometry.program import NeuralGraph, capture
from axonometry.testing import TOYS, Block, Toy

from . import (
    toys_activations,
    toys_attention,
    toys_blocks,
    toys_conv,
    toys_defined,
    toys_ends,
    toys_indexed,
    toys_linear,
    toys_norm,
    toys_pool,
    toys_products,
    toys_recurrent,
    toys_sums,
    toys_wiring,
)
from .oracles import REGISTRY, zeros

_ = (toys_activations, toys_blocks, toys_conv, toys_ends, toys_linear, toys_norm)
_ = (toys_defined, toys_indexed)
_ = (toys_pool, toys_products, toys_sums, toys_wiring, toys_attention, toys_recurrent)
SINGLE = {**TOYS, **REGISTRY}
"""Every toy by itself."""


class SideBySide(nn.Module):
    """Networks that share nothing but the vector from which they take their inputs."""

    def __init__(self, parts: dict[str, nn.Module], shapes: list[tuple[int, ...]]) -> None:
        super().__init__()
        self.parts, self.shapes = nn.ModuleDict(parts), shapes

    def forward(self, x: Tensor) -> list[Tensor]:
        pieces = x.split([torch.Size(shape).numel() for shape in self.shapes], dim=1)
        return [
            part(piece.reshape(-1, *shape))
            for part, piece, shape in zip(self.parts.values(), pieces, self.shapes, strict=True)
        ]


def side_by_side(name: str, toys: Iterable[Toy]) -> Toy:
    """Toys of one input each as one toy: groups are called ``parts.TOY.GROUP``."""
    toys = list(toys)
    shapes = [toy.groups["input"] for toy in toys]
    ends = torch.tensor([torch.Size(shape).numel() for shape in shapes]).cumsum(0).tolist()
    groups: dict[str, tuple[int, ...]] = {"input": (ends[-1],)}
    blocks: dict[tuple[str, str], Block] = {}
    for toy, shape, end in zip(toys, shapes, ends, strict=True):
        groups |= {f"parts.{toy.name}.{group}": s for group, s in toy.groups.items() if group != "input"}
        for (target, source), block in toy.blocks.items():
            key = f"parts.{toy.name}.{target}", source if source == "input" else f"parts.{toy.name}.{source}"
            blocks[key] = stretch(block, end, shape) if source == "input" else block
    outputs = tuple(
        f"parts.{toy.name}.{group}" for toy in toys for group, role in toy.roles.items() if role == "output"
    )
    module = SideBySide({toy.name: toy.module for toy in toys}, shapes).eval()
    return Toy(
        name, module, zeros(ends[-1]), groups, blocks, outputs, toys[0].pooling, all(toy.counted for toy in toys)
    )


def stretch(block: Block, end: int, shape: tuple[int, ...]) -> Block:
    """A block that reads its toy's own stretch of the common input."""
    start = end - torch.Size(shape).numel()
    return lambda x, f: block(x[:, start:end].reshape(-1, *shape), f)


def family(name: str) -> str:
    """The toys that are captured side by side with this one; empty for a toy that stands alone."""
    toy = SINGLE[name]()
    usual = toy.inputs[0].is_contiguous() and toy.inputs[0].is_floating_point()
    if name in TOYS or not toy.named or len(toy.inputs) > 1 or not usual:
        return ""
    file = SINGLE[name].__module__.rsplit("_", 1)[-1]
    return f"{file} {toy.pooling}{'' if toy.counted else ' weighted'}"


def cases(size: int = 14) -> dict[str, Callable[[], Toy]]:
    """The toys that stand alone, and the families in portions."""
    families: dict[str, list[str]] = {}
    for name in SINGLE:
        families.setdefault(family(name), []).append(name)
    made = {name: SINGLE[name] for name in families.pop("")}
    for title, names in families.items():
        for i in range(0, len(names), size):
            title_i = f"{title} {i // size + 1}"
            made[title_i] = functools.partial(gathered, title_i, tuple(names[i : i + size]))
    return made


def gathered(title: str, names: tuple[str, ...]) -> Toy:
    return side_by_side(title, [SINGLE[name]() for name in names])


CASES = cases()


@functools.cache
def captured(name: str) -> tuple[Toy, NeuralGraph]:
    """A toy and its graph."""
    toy = CASES[name]()
    return toy, capture(toy.module, *toy.inputs, pooling=toy.pooling)


def order(toy: Toy, graph: NeuralGraph) -> tuple[str, ...]:
    """The toy's names of the graph's groups, in the graph's order."""
    return tuple(group.name for group in graph.groups) if toy.named else tuple(toy.groups)


def mapped(graph: NeuralGraph, name: str) -> NeuralGraph:
    """The graph with its weights mapped by the method that belongs to a map's name."""
    return graph if name == "identity" else getattr(graph, name)()
