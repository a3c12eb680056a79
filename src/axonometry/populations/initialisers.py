"""How networks begin: paper 1's nine initialisers, with the meaning that Keras gives them, torch's own, and He's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod, sqrt

import torch
from torch import Generator, Tensor, nn

from axonometry.populations.registry import Registry, as_it_is

Draw = Callable[[Tensor, Tensor, float, Generator], object]
"""Fill the first tensor; the second is the layer's kernel, then the scale and the generator."""

_WITH_A_KERNEL = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
# A transposed convolution's kernel is (I, O, *k): what counts as its fan-in is O·Πk, with Keras as with PyTorch.

_TRUNCATED_STD = 0.87962566103423978  # standard deviation of a unit normal truncated at 2


def fans(weight: Tensor) -> tuple[int, int]:
    """Fan-in and fan-out of a parameter, as Keras counts them.

    A kernel of shape (O, I, *k) has fan-in I·Πk and fan-out O·Πk; I is the number of channels that one output channel
    sees. A vector of n biases has n and n.

    >>> fans(torch.empty(64, 3, 5, 5)), fans(torch.empty(10, 200)), fans(torch.empty(10))
    ((75, 1600), (200, 10), (10, 10))
    """
    if weight.ndim == 1:
        return len(weight), len(weight)
    taps = prod(weight.shape[2:])
    return weight.shape[1] * taps, weight.shape[0] * taps


def initialise(network: nn.Module, name: str, scale: float, generator: Generator) -> None:
    """Draw the kernels and biases of all linear, convolutional, recurrent and embedding layers anew, in their order.

    Kernels *and* biases get the same initialiser, as in the official code of paper 1 (definitions 1.2). Normalisation
    layers, which paper 1 does not have, keep the 1 and 0 that they start with [our choice].

    ``scale`` s means something else for each initialiser (definitions 1.4, item 12):

    - ``random-normal``: standard deviation s. ``random-uniform``: uniform on (-s, s). ``truncated-normal``: normal of
      standard deviation s, redrawn beyond 2s, so that its own standard deviation is 0.8796 s.
    - ``variance-scaling-{normal|uniform}-fan-{in|out|avg}``: variance s/n with n the fan-in, the fan-out or their mean,
      at least 1. ``normal`` is truncated at two standard deviations *and* widened by 1/0.8796 to make up for it, which
      is what Keras does with ``distribution="normal"``. By Keras's rule a bias vector of n units has both fans n.
    - ``torch-default`` is none of the nine: uniform on (-s, s)/sqrt(fan-in of the layer's kernel) for both, what
      PyTorch's layers draw at s = 1. So it is uniform on (-s, s)/sqrt(units) for all parameters of a recurrent layer,
      and normal of standard deviation s for an embedding, whose rows all others take as fan-in [our choice].
    - ``he``: kernels normal of variance 2 s²/(fan-in of the kernel), biases 0. At s = 1 a deep ReLU network keeps the
      scale of its signals: ReLU throws half of their square away, and the 2 makes up for it (He et al. 2015).

    The fans, the truncation and the widening are those of Keras's source; paper 1 names the initialisers only.

    Args:
        network: Changed in place.
        name: A name in :data:`INITIALISERS`.
        scale: s, positive.
        generator: Where the random numbers come from; on the CPU.

    Raises:
        ConfigurationError: There is no such initialiser.

    >>> layer = nn.Linear(4, 2)
    >>> initialise(layer, "random-uniform", 0.5, torch.Generator().manual_seed(0))
    >>> bool(layer.weight.abs().max() < 0.5)
    True
    """
    draw = INITIALISERS.lookup(name)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, _WITH_A_KERNEL):
                draw(layer.weight, layer.weight, scale, generator)
                if layer.bias is not None:
                    draw(layer.bias, layer.weight, scale, generator)
            elif isinstance(layer, nn.RNNBase):
                states = layer.get_parameter("weight_hh_l0")
                for parameter in layer.parameters():
                    draw(parameter, states, scale, generator)
            elif isinstance(layer, nn.Embedding):
                rule = INITIALISERS["random-normal"] if name == "torch-default" else draw
                rule(layer.weight.T, layer.weight.T, scale, generator)


def _truncated_normal(parameter: Tensor, std: float, generator: Generator) -> Tensor:
    return nn.init.trunc_normal_(parameter, 0.0, std, -2 * std, 2 * std, generator=generator)


def _variance_scaling(distribution: str, mode: str) -> Draw:
    def draw(parameter: Tensor, kernel: Tensor, scale: float, generator: Generator) -> Tensor:
        fan_in, fan_out = fans(parameter)
        n = {"in": fan_in, "out": fan_out, "avg": (fan_in + fan_out) / 2}[mode]
        std = sqrt(scale / max(1.0, n))
        if distribution == "normal":
            return _truncated_normal(parameter, std / _TRUNCATED_STD, generator)
        return parameter.uniform_(-sqrt(3) * std, sqrt(3) * std, generator=generator)

    return draw


def _torch_default(parameter: Tensor, kernel: Tensor, scale: float, generator: Generator) -> Tensor:
    bound = scale / sqrt(fans(kernel)[0])
    return parameter.uniform_(-bound, bound, generator=generator)


def _he(parameter: Tensor, kernel: Tensor, scale: float, generator: Generator) -> Tensor:
    if parameter.ndim == 1:
        return parameter.zero_()
    return parameter.normal_(0.0, scale * sqrt(2 / fans(kernel)[0]), generator=generator)


PAPER_INITIALISERS: Mapping[str, Draw] = {
    "random-normal": lambda parameter, kernel, scale, generator: parameter.normal_(0.0, scale, generator=generator),
    "random-uniform": lambda parameter, kernel, scale, generator: parameter.uniform_(
        -scale, scale, generator=generator
    ),
    "truncated-normal": lambda parameter, kernel, scale, generator: _truncated_normal(parameter, scale, generator),
    **{
        f"variance-scaling-{distribution}-fan-{mode}": _variance_scaling(distribution, mode)
        for distribution in ("normal", "uniform")
        for mode in ("in", "out", "avg")
    },
}
"""The nine of paper 1."""

INITIALISERS: Registry[[Draw], Draw] = Registry(
    "`initialiser`", as_it_is, {**PAPER_INITIALISERS, "torch-default": _torch_default, "he": _he}
)
"""All initialisers by the name that configurations use; ``INITIALISERS.register(name, draw)`` adds one.

``draw(parameter, kernel, scale, generator)`` fills ``parameter`` in place, with random numbers from the generator
alone; ``kernel`` is its layer's, so that a bias knows the fan-in.
"""
