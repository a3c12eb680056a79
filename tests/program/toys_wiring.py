"""Toys of parameter-free wiring: a linear layer reads a rearranged, cut, padded or averaged input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.testing import Block, Toy

from .oracles import Net, linear, number, register, toy, zeros


def wired(
    name: str, shape: tuple[int, ...], wiring: Callable[[Tensor], Tensor], block: Block | None = None, **options: Any
) -> None:
    """linear(flatten(wiring(input))). Without a block the wiring is an index map that its own function spells out."""

    def build() -> Toy:
        example = zeros(*shape)
        net = Net(lambda n, x: n.out(wiring(x).flatten(1)), out=nn.Linear(wiring(example[0]).numel(), 2))
        read = block or (lambda x, f: wiring(x))
        blocks = {("out", "input"): lambda x, f: linear(net.out)(read(x, f).reshape(x.shape[0], -1), f)}
        return Toy(name, net, example, {"input": shape, "out": (2,)}, blocks, **options)

    register(name, build)


def indexed(*axes: Any) -> Block:
    """The listed positions of each axis after the batch, in order; an axis left out (None) stays whole."""

    def block(x: Tensor, f: object) -> Tensor:
        for axis, positions in enumerate(axes, start=1):
            if positions is not None:
                x = torch.cat([x.narrow(axis, i, 1) for i in positions], axis)
        return x

    return block


def numpy_map(function: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...]) -> Block:
    """The index map that a numpy function does to an array of positions; -1 is a place without input."""
    count = int(np.prod(shape))
    places = torch.from_numpy(np.ascontiguousarray(function(np.arange(count).reshape(shape))))

    def block(x: Tensor, f: object) -> Tensor:
        flat = torch.cat([x.reshape(x.shape[0], count), x.new_zeros(x.shape[0], 1)], 1)
        return flat[:, places.reshape(-1)].reshape(-1, *places.shape)

    return block


def rearranged(
    name: str, shape: tuple[int, ...], wiring: Callable[[Tensor], Tensor], function: Callable[[np.ndarray], np.ndarray]
) -> None:
    wired(name, shape, wiring, numpy_map(function, shape))


# The batch axis comes first in torch, and not at all in numpy.
rearranged("view", (2, 3, 2), lambda x: x.view(-1, 6, 2).transpose(1, 2), lambda a: a.reshape(6, 2).T)
rearranged("view_by_size", (2, 3), lambda x: x.view(x.size(0), 3, 2).permute(0, 2, 1), lambda a: a.reshape(3, 2).T)
rearranged(
    "reshape",
    (2, 6),
    lambda x: x.reshape(x.shape[0], 3, 2, 2).permute(0, 3, 1, 2),
    lambda a: a.reshape(3, 2, 2).transpose(2, 0, 1),
)
rearranged(
    "unflatten",
    (6, 2),
    lambda x: x.unflatten(1, (3, 2)).permute(0, 2, 3, 1),
    lambda a: a.reshape(3, 2, 2).transpose(1, 2, 0),
)
rearranged("unflatten_module", (6,), lambda x: nn.Unflatten(1, (3, 2))(x).mT, lambda a: a.reshape(3, 2).T)
rearranged("permute", (2, 3, 2), lambda x: x.permute(0, 3, 1, 2), lambda a: a.transpose(2, 0, 1))
rearranged(
    "permute_batch_and_back", (2, 3), lambda x: x.permute(2, 0, 1).permute(1, 2, 0).transpose(1, 2), lambda a: a.T
)
rearranged("transpose", (2, 3), lambda x: x.transpose(1, 2), lambda a: a.T)
rearranged("movedim", (2, 3, 2), lambda x: torch.movedim(x, 1, -1), lambda a: np.moveaxis(a, 0, -1))
rearranged("swapaxes", (2, 3, 1), lambda x: x.swapaxes(1, -2), lambda a: a.swapaxes(0, -2))
rearranged("flip", (2, 3), lambda x: x.flip(1, 2), lambda a: a[::-1, ::-1])
rearranged("fliplr", (2, 3), lambda x: torch.flip(x, [-1]), lambda a: a[:, ::-1])
rearranged("roll", (3, 4), lambda x: torch.roll(x, (1, -1), (1, 2)), lambda a: np.roll(a, (1, -1), (0, 1)))
rearranged("rot90", (2, 3), lambda x: torch.rot90(x, 1, (1, 2)), np.rot90)
rearranged("squeeze", (1, 3, 1), lambda x: x.squeeze(1).squeeze(-1), lambda a: a.reshape(3))
rearranged("unsqueeze", (3,), lambda x: x.unsqueeze(1).unsqueeze(-1), lambda a: a[None, :, None])
rearranged("none_index", (3,), lambda x: x[:, None, :, None], lambda a: a[None, :, None])
rearranged(
    "pixel_shuffle",
    (4, 2, 1),
    lambda x: F.pixel_shuffle(x, 2),
    lambda a: a.reshape(1, 2, 2, 2, 1).transpose(0, 3, 1, 4, 2).reshape(1, 4, 2),
)
rearranged(
    "pixel_unshuffle",
    (1, 2, 4),
    lambda x: F.pixel_unshuffle(x, 2),
    lambda a: a.reshape(1, 1, 2, 2, 2).transpose(0, 2, 4, 1, 3).reshape(4, 1, 2),
)
rearranged(
    "pixel_shuffle_module",
    (4, 1, 2),
    nn.PixelShuffle(2),
    lambda a: a.reshape(2, 2, 1, 2).transpose(2, 0, 3, 1).reshape(1, 2, 4),
)
rearranged(
    "channel_shuffle",
    (4, 2),
    lambda x: x.view(-1, 2, 2, 2).transpose(1, 2).reshape(-1, 4, 2),
    lambda a: a[[0, 2, 1, 3]],
)
rearranged("channel_shuffle_module", (6, 1, 1), nn.ChannelShuffle(3), lambda a: a[[0, 2, 4, 1, 3, 5]])
rearranged("slice", (5, 4), lambda x: x[:, 1:4, ::2], lambda a: a[1:4, ::2])
rearranged("slice_negative", (5,), lambda x: x[:, -3:-1], lambda a: a[-3:-1])
rearranged("ellipsis", (2, 5), lambda x: x[..., 1::3], lambda a: a[..., 1::3])
rearranged("select", (3, 2), lambda x: x[:, 1], lambda a: a[1])
rearranged("select_last", (3, 2), lambda x: x.select(1, -1), lambda a: a[-1])
rearranged("narrow", (5,), lambda x: x.narrow(1, 2, 2), lambda a: a[2:4])
rearranged("index_select", (4, 2), lambda x: x.index_select(1, torch.tensor([3, 0, 3])), lambda a: a[[3, 0, 3]])
rearranged("index_list", (4, 2), lambda x: x[:, [2, 0]], lambda a: a[[2, 0]])
rearranged("index_tensor", (2, 3), lambda x: x[:, :, torch.tensor([2, 2, 1])], lambda a: a[:, [2, 2, 1]])
rearranged(
    "index_pairs",
    (3, 3),
    lambda x: x[:, torch.tensor([0, 1, 2]), torch.tensor([2, 1, 0])],
    lambda a: a[[0, 1, 2], [2, 1, 0]],
)
rearranged("chunk", (5,), lambda x: torch.cat(x.chunk(2, 1)[::-1], 1), lambda a: a[[3, 4, 0, 1, 2]])
rearranged("chunk_dropping_one", (6, 1), lambda x: x.chunk(3, dim=1)[1], lambda a: a[2:4])
rearranged("split", (5, 2), lambda x: torch.cat([x.split(2, 1)[2], x.split(2, 1)[0]], 1), lambda a: a[[4, 0, 1]])
rearranged("split_sizes", (5,), lambda x: torch.cat(torch.split(x, [1, 3, 1], dim=1)[1:], 1), lambda a: a[1:])
rearranged("unbind", (3, 2), lambda x: torch.stack([x.unbind(1)[2], x.unbind(1)[0]], 1), lambda a: a[[2, 0]])
rearranged("tensor_split", (5,), lambda x: torch.tensor_split(x, 2, dim=1)[0], lambda a: a[:3])
rearranged(
    "stack",
    (2, 2),
    lambda x: torch.stack([x[:, 0], x[:, 1], x[:, 0]], dim=2),
    lambda a: np.stack([a[0], a[1], a[0]], 1),
)
rearranged(
    "cat_negative", (2, 2), lambda x: torch.cat([x, x.flip(1)], dim=-1), lambda a: np.concatenate([a, a[::-1]], -1)
)
rearranged("hstack", (3,), lambda x: torch.hstack([x[:, 2:], x]), lambda a: a[[2, 0, 1, 2]])
rearranged("expand", (1, 2), lambda x: x.expand(-1, 3, -1), lambda a: np.broadcast_to(a, (3, 2)))
rearranged(
    "expand_as", (1, 2), lambda x: x.expand_as(torch.zeros(x.shape[0], 2, 2)), lambda a: np.broadcast_to(a, (2, 2))
)
rearranged("repeat", (2, 2), lambda x: x.repeat(1, 2, 1), lambda a: np.tile(a, (2, 1)))
rearranged("tile", (3,), lambda x: torch.tile(x, (1, 2)), lambda a: np.tile(a, 2))
rearranged("repeat_interleave", (3,), lambda x: x.repeat_interleave(2, dim=1), lambda a: np.repeat(a, 2))
rearranged("contiguous_clone_detach", (2, 3), lambda x: x.transpose(1, 2).contiguous().clone().detach(), lambda a: a.T)
rearranged("float_and_back", (3,), lambda x: x.float().to(torch.float64).type_as(x), lambda a: a)
rearranged(
    "pad_zero", (2, 3), lambda x: F.pad(x, (1, 2, 0, 1)), lambda a: np.pad(a, ((0, 1), (1, 2)), constant_values=-1)
)
rearranged("pad_value", (3,), lambda x: F.pad(x, (2, 0), value=7.0), lambda a: np.pad(a, (2, 0), constant_values=-1))
rearranged(
    "pad_crop", (2, 4), lambda x: F.pad(x, (-1, 1)), lambda a: np.pad(a[:, 1:], ((0, 0), (0, 1)), constant_values=-1)
)
rearranged(
    "pad_reflect",
    (2, 4),
    lambda x: F.pad(x, (2, 1), mode="reflect"),
    lambda a: np.pad(a, ((0, 0), (2, 1)), mode="reflect"),
)
rearranged(
    "pad_replicate",
    (1, 2, 3),
    lambda x: F.pad(x, (1, 0, 2, 1), mode="replicate"),
    lambda a: np.pad(a, ((0, 0), (2, 1), (1, 0)), mode="edge"),
)
rearranged(
    "pad_circular",
    (1, 3, 3),
    lambda x: F.pad(x, (1, 2, 0, 1), mode="circular"),
    lambda a: np.pad(a, ((0, 0), (0, 1), (1, 2)), mode="wrap"),
)
rearranged(
    "zero_pad_module",
    (1, 2, 2),
    nn.ZeroPad2d((0, 1, 2, 0)),
    lambda a: np.pad(a, ((0, 0), (2, 0), (0, 1)), constant_values=-1),
)
rearranged(
    "reflection_pad_module",
    (1, 3, 2),
    nn.ReflectionPad2d(1),
    lambda a: np.pad(a, ((0, 0), (1, 1), (1, 1)), mode="reflect"),
)
rearranged(
    "replication_pad_module",
    (1, 3),
    nn.ReplicationPad1d(2),
    lambda a: np.pad(a, ((0, 0), (2, 2)), mode="edge"),
)
rearranged(
    "constant_pad_module",
    (1, 3),
    nn.ConstantPad1d(1, 0.5),
    lambda a: np.pad(a, ((0, 0), (1, 1)), constant_values=-1),
)
rearranged(
    "cat_zeros",
    (1, 3),
    lambda x: torch.cat([x, torch.zeros_like(x)], 1),
    lambda a: np.pad(a, ((0, 1), (0, 0)), constant_values=-1),
)
rearranged("unfold_windows", (5,), lambda x: x.unfold(1, 3, 2), lambda a: a[[[0, 1, 2], [2, 3, 4]]])

wired("mean_of_positions", (2, 2, 3), lambda x: x.mean((2, 3)), lambda x, f: x.sum((2, 3)) * f(number(1 / 6)))
wired("mean_keepdim", (3, 2), lambda x: x.mean(1, keepdim=True), lambda x, f: x.sum(1) * f(number(1 / 3)))
wired(
    "mean_twice",
    (2, 2, 3),
    lambda x: x.mean(3).mean(-1),
    lambda x, f: x.sum((2, 3)) * f(number(1 / 3)) * f(number(1 / 2)),
)
wired("sum_of_tokens", (3, 2), lambda x: x.sum(dim=1), lambda x, f: x.sum(1))
wired("mean_by_hand", (3, 2), lambda x: x.sum(1) / 3, lambda x, f: x.sum(1) * f(number(1 / 3)))
wired("centred", (3,), lambda x: x - 0.5, lambda x, f: x)
wired("scaled", (3,), lambda x: x * 2.5, lambda x, f: x * f(number(2.5)))
wired("divided", (3,), lambda x: x / -4, lambda x, f: x * f(number(-0.25)))
wired("negated", (3,), lambda x: -x, lambda x, f: x * f(number(-1.0)))
wired(
    "scaled_twice",
    (3,),
    lambda x: 0.5 * (2 * x).mul(3),
    lambda x, f: x * f(number(0.5)) * f(number(2.0)) * f(number(3.0)),
)
wired(
    "normalised_image",
    (2, 2),
    lambda x: (x - torch.tensor([0.4, 0.5])[:, None]) / torch.tensor([[2.0], [4.0]]),
    lambda x, f: x * f(torch.tensor([[0.5], [0.25]]).double()),
)
wired("added_to_itself", (3,), lambda x: x + x, lambda x, f: 2 * x)
wired("minus_its_mirror", (3,), lambda x: x - x.flip(1), lambda x, f: x + x.flip(1) * f(number(-1.0)))
wired(
    "halves_subtracted",
    (4,),
    lambda x: torch.sub(x[:, :2], x[:, 2:], alpha=3),
    lambda x, f: x[:, :2] + x[:, 2:] * f(number(-3.0)),
)
wired("from_one", (3,), lambda x: 1 - x, lambda x, f: x * f(number(-1.0)))
wired(
    "maximum_of_halves",
    (4,),
    lambda x: torch.maximum(x[:, :2], x[:, 2:]),
    lambda x, f: (x[:, :2] + x[:, 2:]) * f(number(0.5)),
)
wired(
    "constant_mask",
    (3,),
    lambda x: x * torch.tensor([1.0, 0.0, -2.0]),
    lambda x, f: x * f(torch.tensor([1.0, 0.0, -2.0]).double()),
)
wired(
    "lerp_with_a_constant",
    (4,),
    lambda x: torch.lerp(x[:, :2], x[:, 2:], 0.25),
    lambda x, f: x[:, :2] * f(number(0.75)) + x[:, 2:] * f(number(0.25)),
)


@toy
def wiring_between_layers() -> Toy:
    """Wiring after a neuron group, not only after the input."""
    net = Net(
        lambda n, x: n.out(torch.cat([(h := n.first(x).relu().view(-1, 2, 2)).mean(2), h[:, 1]], 1)),
        first=nn.Linear(3, 4),
        out=nn.Linear(4, 2),
    )

    def block(x: Tensor, f: Any) -> Tensor:
        h = x.reshape(-1, 2, 2)
        return linear(net.out)(torch.cat([h.sum(2) * f(number(0.5)), h[:, 1]], 1), f)

    blocks = {("first", "input"): linear(net.first), ("out", "first"): block}
    return Toy("wiring_between_layers", net, zeros(3), {"input": (3,), "first": (4,), "out": (2,)}, blocks)


@toy
def wiring_after_the_last_layer() -> Toy:
    """What follows the last group is no link: only groups have links."""
    net = Net(lambda n, x: F.log_softmax(n.out(x).view(-1, 2, 2).mean(1), dim=1), out=nn.Linear(3, 4))
    return Toy(
        "wiring_after_the_last_layer",
        net,
        zeros(3),
        {"input": (3,), "out": (4,)},
        {("out", "input"): linear(net.out)},
        outputs=("out",),
    )
