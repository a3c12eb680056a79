"""Toys of carriers: elementwise nonlinearities as module, function, method, in place, by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.testing import Toy

from .oracles import Net, linear, register, zeros

MODULES: dict[str, Callable[[], nn.Module]] = {
    name: getattr(nn, name)
    for name in (
        "ReLU ReLU6 LeakyReLU PReLU RReLU ELU CELU SELU GELU SiLU Mish Sigmoid LogSigmoid Tanh Tanhshrink Hardtanh "
        "Hardsigmoid Hardswish Hardshrink Softplus Softshrink Softsign Identity"
    ).split()
} | {
    "GELU_tanh": lambda: nn.GELU(approximate="tanh"),
    "PReLU_channels": lambda: nn.PReLU(4),
    "Threshold": lambda: nn.Threshold(0.1, 20.0),
    "ReLU_inplace": lambda: nn.ReLU(inplace=True),
    "SiLU_inplace": lambda: nn.SiLU(inplace=True),
    "LeakyReLU_inplace": lambda: nn.LeakyReLU(0.2, inplace=True),
    "Softmax": lambda: nn.Softmax(dim=1),
    "LogSoftmax": lambda: nn.LogSoftmax(dim=-1),
    "Dropout": lambda: nn.Dropout(0.3),
    "Dropout_inplace": lambda: nn.Dropout(0.3, inplace=True),
    "AlphaDropout": lambda: nn.AlphaDropout(0.3),
    "FeatureAlphaDropout": lambda: nn.FeatureAlphaDropout(0.3),
}

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = (
    {
        name: getattr(F, name)
        for name in (
            "relu relu6 leaky_relu elu celu selu gelu silu mish sigmoid logsigmoid tanh tanhshrink hardtanh "
            "hardsigmoid hardswish hardshrink softplus softshrink softsign relu_ elu_ leaky_relu_ hardtanh_"
        ).split()
    }
    | {
        "torch." + name: getattr(torch, name)
        for name in (
            "relu sigmoid tanh exp expm1 erf sin cos tan atan sinh cosh asinh square abs sign selu celu rsqrt "
            "sqrt log1p reciprocal relu_ tanh_ floor round"
        ).split()
    }
    | {
        "softmax": lambda x: F.softmax(x, dim=-1),
        "dropout": lambda x: F.dropout(x, 0.5, training=False),
        "threshold": lambda x: F.threshold(x, 0.0, 0.0),
        "prelu_constant": lambda x: F.prelu(x, torch.tensor([0.3], dtype=x.dtype)),
    }
)

METHODS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda x: x.relu(),
    "relu_": lambda x: x.relu_(),
    "tanh": lambda x: x.tanh(),
    "sigmoid_": lambda x: x.sigmoid_(),
    "clamp": lambda x: x.clamp(min=0),
    "clamp_both": lambda x: x.clamp(-1.0, 1.0),
    "clamp_": lambda x: x.clamp_(min=0.0),
    "clip": lambda x: x.clip(0, 6),
    "pow": lambda x: x.pow(3),
    "power": lambda x: x**2,
    "softmax": lambda x: x.softmax(-1),
    "log_softmax": lambda x: x.log_softmax(dim=1),
    "abs_": lambda x: x.abs_(),
    "masked_fill": lambda x: x.masked_fill(x < 0, 0.0),
}

BY_HAND: dict[str, Callable[[Tensor], Tensor]] = {
    "swish": lambda x: x * torch.sigmoid(x),
    "swish_in_place": lambda x: x.clone().mul_(torch.sigmoid(x)),
    "swish_scaled": lambda x: x * torch.sigmoid(1.702 * x),
    "gelu_erf": lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
    "gelu_erf_other_order": lambda x: x * 0.5 * (1.0 + torch.erf(x * 0.7071067811865476)),
    "gelu_tanh": lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "gelu_tanh_pow": lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * torch.pow(x, 3)))),
    "mish": lambda x: x * torch.tanh(F.softplus(x)),
    "mish_logs": lambda x: x * torch.tanh(torch.log(1 + torch.exp(x))),
    "hardswish": lambda x: x * F.relu6(x + 3) / 6,
    "hard_tanh_product": lambda x: x * torch.clamp(x * 0.2 + 0.5, 0, 1),
    "leaky_where": lambda x: torch.where(x > 0, x, 0.1 * x),
    "elu_where": lambda x: torch.where(x > 0, x, torch.exp(x) - 1),
    "relu_where_zeros": lambda x: torch.where(x > 0, x, torch.zeros_like(x)),
    "relu_by_mask": lambda x: x * (x > 0),
    "relu_by_float_mask": lambda x: x * (x > 0).to(x.dtype),
    "relu_maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "relu_max_zero": lambda x: torch.max(x, torch.zeros((), dtype=x.dtype)),
    "leaky_maximum": lambda x: torch.maximum(x, 0.1 * x),
    "relu_half_sum": lambda x: 0.5 * (x + x.abs()),
    "squared_relu": lambda x: torch.relu(x) ** 2,
    "squared_relu_product": lambda x: torch.relu(x) * torch.relu(x),
    "square_product": lambda x: x * x,
    "cube": lambda x: x * x * x,
    "softsign": lambda x: x / (1 + x.abs()),
    "sigmoid_fraction": lambda x: 1 / (1 + torch.exp(-x)),
    "tanh_fraction": lambda x: (torch.exp(x) - torch.exp(-x)) / (torch.exp(x) + torch.exp(-x)),
    "softplus": lambda x: torch.log(1 + torch.exp(x)),
    "gaussian": lambda x: torch.exp(-(x**2)),
    "gaussian_minus_square": lambda x: (-x.square()).exp(),
    "snake": lambda x: x + torch.sin(x) ** 2,
    "bent_identity": lambda x: (torch.sqrt(x**2 + 1) - 1) / 2 + x,
    "folding": lambda x: torch.tanh(x + 1) + torch.tanh(1 - x),
    "lisht": lambda x: x * torch.tanh(x),
    "softmax_by_hand": lambda x: torch.exp(x) / torch.exp(x).sum(-1, keepdim=True),
}


def carried(name: str, make: Callable[[], Callable[[Tensor], Tensor] | nn.Module]) -> None:
    """input -> first -> out, and nothing in between."""

    def build() -> Toy:
        act = make()
        if isinstance(act, nn.Module):
            net = Net(lambda n, x: n.out(n.act(n.first(x))), first=nn.Linear(3, 4), act=act, out=nn.Linear(4, 2))
        else:
            net = Net(lambda n, x: n.out(act(n.first(x))), first=nn.Linear(3, 4), out=nn.Linear(4, 2))
        blocks = {("first", "input"): linear(net.first), ("out", "first"): linear(net.out)}
        return Toy(name, net, zeros(3), {"input": (3,), "first": (4,), "out": (2,)}, blocks)

    register(name, build)


for title, make in MODULES.items():
    carried(f"module_{title}", make)
for kind, table in {"function": FUNCTIONS, "method": METHODS, "by_hand": BY_HAND}.items():
    for title, act in table.items():
        carried(f"{kind}_{title}".replace(".", "_"), lambda act=act: act)
