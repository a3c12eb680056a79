"""Random draws and their means: with each draw at its mean, two passes differ by what the network does alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Randomness = Literal["refuse", "fix"]
MEANS: dict[str, tuple[tuple[str, float], ...]] = {
    "rand": (),
    "rand_like": (),
    "uniform": (("from", 0.0), ("to", 1.0)),
    "randn": (),
    "randn_like": (),
    "normal": (("mean", 0.0),),
    "normal_functional": (("mean", 0.0),),
    "exponential": (("lambd", 1.0),),
    "poisson": (("self", 0.0),),
    "bernoulli": (("p", 0.5),),
}
"""By draw that has a mean: the arguments that the mean follows from, with torch's defaults."""


MEANLESS = ("randint", "randint_like", "random", "geometric", "cauchy", "log_normal")
"""Draws that are taken once, each number by itself."""
ORDERS = ("sort", "argsort", "topk")
"""Operators whose last result is the places of entries in their order."""
SWITCHES = {"train": False, "training": False, "dropout_p": 0.0}
"""Arguments that turn an operator's draws on, with torch's defaults."""


def is_random(operation: Any) -> bool:
    """Whether an operator may draw from a random generator."""
    return torch.Tag.nondeterministic_seeded in getattr(operation, "tags", ())


def may_draw(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call draws: not a dropout in evaluation, nor attention without dropout.

    >>> may_draw(torch.ops.aten.dropout.default, (None, 0.5, False), {})
    False
    """
    if not is_random(operation):
        return False
    given = call_arguments(operation, args, kwargs)
    for name, default in SWITCHES.items():
        if any(argument.name == name for argument in operation._schema.arguments):
            return bool(given.get(name, default))
    return True


def mean_of(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, uniform: float = 0.5) -> Any:
    """The mean of a draw, a number or a tensor; None where the draw has none, as a permutation.

    Args:
        operation: The operator that draws.
        args: What it is called with.
        kwargs: Its named arguments.
        uniform: Where a uniform draw lies between its bounds, which is 1/2 for its mean.

    >>> mean_of(torch.ops.aten.uniform_.default, (torch.zeros(2), 1.0, 4.0), {})
    2.5
    """
    name = _name(operation)
    if name not in MEANS:
        return None
    given = call_arguments(operation, args, kwargs)
    if operation is torch.ops.aten.bernoulli.default:
        return given["self"]
    values = [given.get(argument, default) for argument, default in MEANS[name]]
    if name in ("rand", "rand_like"):
        return uniform
    if name == "uniform":
        return values[0] + (values[1] - values[0]) * uniform
    if name == "exponential":
        return 1 / values[0]
    return values[0] if values else 0.0


def _name(operation: Any) -> str:
    return str(operation.overloadpacket.__name__).removesuffix("_")


def _same_for_all(drawn: Tensor) -> Tensor:
    """The first sample's draw for each of them, so that a sample has it alone and among others."""
    return drawn.copy_(drawn[:1].clone().expand_as(drawn)) if drawn.dim() and len(drawn) > 1 else drawn


def call_arguments(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an operator's call by name; those that the call leaves out are left out."""
    names = [argument.name for argument in operation._schema.arguments]
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _reversed_ties(result: Any, values: Tensor, dim: int) -> Any:
    """An order in which entries come last first where all along the axis are the same: any order of these is right."""
    if not values.dim() or not values.numel():
        return result
    places = result[-1] if isinstance(result, (tuple, list)) else result
    tied = (values == values.select(dim, 0).unsqueeze(dim)).all(dim, keepdim=True)
    turned = torch.where(tied, places.flip(dim), places)
    return (*result[:-1], turned) if isinstance(result, (tuple, list)) else turned


class AtTheirMeans(TorchDispatchMode):
    """While it is on, draws are their means: of dropout the signal itself. A draw without a mean is always the same.

    A permutation is the reversed order, also one that is made by sorting draws: the identity, which is drawn now and
    then, would leave two samples where they are.
    """

    def __init__(self, uniform: float = 0.5) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._uniform = uniform

    def __torch_dispatch__(self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Run an operator, and put the mean in the place of what it draws."""
        kwargs = kwargs or {}
        given = call_arguments(operation, args, kwargs)
        if not is_random(operation):
            result = operation(*args, **kwargs)
            return _reversed_ties(result, args[0], given.get("dim", -1)) if _name(operation) in ORDERS else result
        if operation is torch.ops.aten.native_dropout.default:
            return given["input"].clone(), torch.ones_like(given["input"], dtype=torch.bool)
        if given.get("dropout_p"):
            operation, args, kwargs = _without_dropout(operation, given)
        if "upper" in given and "noise" in given:  # a leaky ReLU whose slope is drawn
            return torch.nn.functional.leaky_relu(given["self"], (given["lower"] + given["upper"]) / 2)
        mean = mean_of(operation, args, kwargs, uniform=self._uniform)
        # Drawn all the same: the shape, the type and the error of wrong arguments are those of the call.
        torch.manual_seed(0)
        drawn = operation(*args, **kwargs)
        if _name(operation) == "randperm":
            return drawn.copy_(torch.arange(len(drawn) - 1, -1, -1))
        if mean is None:
            return _same_for_all(drawn) if _name(operation) in MEANLESS else drawn
        return drawn.copy_(mean) if isinstance(mean, Tensor) else drawn.fill_(mean)


def _without_dropout(operation: Any, given: dict[str, Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    by_place = [a.name for a in operation._schema.arguments if not a.kwarg_only and a.name in given]
    given = {**given, "dropout_p": 0.0}
    return operation, tuple(given.pop(name) for name in by_place), given


@dataclass(frozen=True)
class Draws:
    """What a pass draws: the seed of Python's and NumPy's generators, and where uniform draws of torch's lie."""

    seed: int = 0
    uniform: float = 0.5


MEAN_DRAWS = Draws()


@contextmanager
def same_draws(seed: int = 0) -> Iterator[Drawn]:
    """Random numbers of Python and NumPy from a seed; afterwards their generators are as they were."""
    before, of_numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield Drawn(_states())
    finally:
        random.setstate(before)
        np.random.set_state(of_numpy)


@dataclass(frozen=True)
class Drawn:
    """Tells whether the generators of Python and NumPy have been drawn from."""

    before: tuple[Any, ...]

    def __bool__(self) -> bool:
        """Whether they have."""
        return self.before != _states()


def _states() -> tuple[Any, ...]:
    _, keys, *rest = np.random.get_state()
    return random.getstate(), np.asarray(keys).tobytes(), rest
