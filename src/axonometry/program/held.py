"""Tensors that a module holds outside its parameters and buffers, and captures without those that it computes anew.

Some modules keep what they once computed from their parameters, as LeViT does with the biases of its attention::

    if device not in self.attention_bias_cache:
        self.attention_bias_cache[device] = self.attention_biases[:, self.attention_bias_idxs]
    return self.attention_bias_cache[device]

After one pass the parameter is read no more, and a capture would take the numbers of that day for constants. So such a
tensor is taken away and the module is run: where it has put another in the same place, it is captured without. A module
may fill the place in its forward pass, from nothing or from None, or when it is told ``train(False)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from types import ModuleType
from typing import Any, Literal

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from axonometry.program.checks.trial import Branches, Inputs, trial
from axonometry.program.draws import AtTheirMeans, same_draws
from axonometry.program.export import prepared
from axonometry.program.ir import Coverage, Program
from axonometry.program.weights.module_weights import memory_of

Way = Literal["absent", "none", "empty", "train"]
INTERNAL = ("_parameters", "_buffers", "_modules")
WAYS: tuple[Way, ...] = ("absent", "none", "empty", "train")
LEVELS = 2
"""How deep in a module's plain objects tensors are looked for: ``self.caches.of_attention.biases`` is found."""


@dataclass(frozen=True, eq=False)
class Held:
    """Floating-point tensors outside parameters and buffers: an attribute, or an entry of one that is a dictionary.

    Attributes:
        path: The submodule.
        owner: The submodule itself, or a plain object that it has.
        name: The owner's attribute.
        key: The key, where the attribute is a dictionary; else None.
        value: What is held: a tensor, or tuples and lists with tensors.
        within: The attributes that lead from the submodule to the owner, where that is another object.
    """

    path: str
    owner: object
    name: str
    key: Any
    value: Any
    within: str = ""

    @property
    def place(self) -> str:
        """In words, as Python writes it."""
        full = ".".join(filter(None, (self.path, self.within, self.name)))
        return full if self.key is None else f"{full}[{self.key!r}]"

    def is_filled(self) -> bool:
        """Whether tensors of the same shapes are there."""
        value = vars(self.owner).get(self.name)
        value = value if self.key is None or value is None else value.get(self.key)
        return [x.shape for x in _tensors(value)] == [x.shape for x in _tensors(self.value)]

    def take_away(self, way: Way | None) -> None:
        """Leave nothing in its place, or None; of a list, as many of these, or a list without entries."""
        if way == "empty" and isinstance(self.value, list):
            vars(self.owner)[self.name] = []
        elif self.key is not None:
            del vars(self.owner)[self.name][self.key]
        elif way == "none":
            vars(self.owner)[self.name] = [None] * len(self.value) if isinstance(self.value, list) else None
        else:
            del vars(self.owner)[self.name]

    def put_back(self) -> None:
        """Have it again where it was."""
        if self.key is None:
            vars(self.owner)[self.name] = self.value
        else:
            vars(self.owner)[self.name][self.key] = self.value


def held_tensors(module: nn.Module) -> list[Held]:
    """What a module and its parts hold besides their parameters and buffers."""
    own = {id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    found = []
    for path, part in module.named_modules():
        for within, owner in _owners(part):
            for name, value in vars(owner).items():
                if name in INTERNAL or name.startswith("_flat_weight"):
                    continue
                for key, entry in value.items() if isinstance(value, dict) else [(None, value)]:
                    tensors = _tensors(entry)
                    if tensors and not any(id(tensor) in own for tensor in tensors):
                        found.append(Held(path, owner, name, key, entry, within))
    return found


def _owners(part: nn.Module) -> Iterator[tuple[str, object]]:
    """A submodule, and the plain objects that it has as attributes, with the attributes that lead there."""
    level, seen = [("", part)], {id(part)}
    for deeper in range(LEVELS + 1):
        yield from level
        if deeper == LEVELS:
            return
        below = [
            (f"{within}.{name}".lstrip("."), value)
            for within, owner in level
            for name, value in vars(owner).items()
            if name not in INTERNAL and _is_plain(value)
        ]
        level = [(within, value) for within, value in below if id(value) not in seen]
        seen.update(id(value) for _, value in level)


def _is_plain(value: object) -> bool:
    """Whether it is an object of some class of Python's, which may hold tensors as a module does."""
    others = (nn.Module, Tensor, type, ModuleType)
    return hasattr(value, "__dict__") and not isinstance(value, others) and not callable(value)


def _tensors(value: Any) -> list[Tensor]:
    if not isinstance(value, (Tensor, tuple, list, dict)):
        return []
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor) and leaf.is_floating_point()]


@contextmanager
def without_held(module: nn.Module, one: Inputs) -> Iterator[None]:
    """The module without the tensors that it can compute anew; afterwards it has them again.

    Args:
        module: The module, unwrapped.
        one: An example of one sample.
    """
    held = held_tensors(module)
    tells = any(type(part).train is not nn.Module.train for part in module.modules())
    if not (held or tells) or any(weight.is_meta for weight in module.parameters()):
        yield
        return
    ways = _ways(module, one, held, tells=tells)
    told = "train" in ways.values() or (
        tells and not _fills(module, one, [], None) and _fills(module, one, [], "train")
    )
    own_forward = vars(module).get("forward")
    try:
        for tensor, way in ways.items():
            tensor.take_away(way)
        if told:
            _tell_first(module)
        yield
    finally:
        for tensor in ways:
            tensor.put_back()
        if told:
            vars(module).pop("forward", None)
            vars(module).update({} if own_forward is None else {"forward": own_forward})


def _ways(module: nn.Module, one: Inputs, held: Sequence[Held], *, tells: bool) -> dict[Held, Way]:
    """By tensor that is computed anew, from what; tensors of one attribute of one class go together."""
    alike: dict[tuple[type, str], list[Held]] = {}
    for tensor in held:
        alike.setdefault((type(tensor.owner), tensor.name), []).append(tensor)
    ways: dict[Held, Way] = {}
    for members in alike.values():
        for way in WAYS if tells else WAYS[:3]:
            if _fills(module, one, members, way):
                ways.update(dict.fromkeys(members, way))
                break
    return ways


def _fills(module: nn.Module, one: Inputs, members: Sequence[Held], way: Way | None) -> bool:
    """Whether the module runs without these tensors, and has put others in their places when it has run."""
    with prepared(module), same_draws():
        for tensor in members:
            tensor.take_away(way)
        if way == "train":  # some add up weights when they are told so: not in those of the user
            for part in module.modules():
                part._parameters.update(
                    {n: None if w is None else nn.Parameter(w.detach().clone()) for n, w in part._parameters.items()}
                )
            _tell_first(module)
        try:
            trial(module, one, Branches(), (AtTheirMeans(),))
        except Exception:  # noqa: BLE001 - what is needed and cannot be computed
            return False
        return all(tensor.is_filled() for tensor in members)


def _tell_first(module: nn.Module) -> None:
    """Let a forward pass begin with ``train(False)`` of every part that has its own."""
    forward = module.forward

    @wraps(forward)
    def run(*args: Any, **keywords: Any) -> Any:
        for part in module.modules():
            if type(part).train is not nn.Module.train:
                part.train(False)
        return forward(*args, **keywords)

    vars(module)["forward"] = run


def with_reasons(program: Program, state: Mapping[str, Any], module: nn.Module) -> Program:
    """The program whose coverage says of unused parameters which held tensor is read in the place of what they make.

    Args:
        program: The program of the module.
        state: Its tensors by name.
        module: The module, unwrapped.
    """
    used = {memory_of(state[name]) for node, name in program.names.items() if node.users and name in program.constants}
    read: dict[str, list[str]] = {}
    for held in held_tensors(module):
        if any(memory_of(tensor) in used for tensor in _tensors(held.value)):
            read.setdefault(held.path, []).append(held.place)

    loose = _loose(program, state, module)

    def told(claim: Coverage) -> Coverage:
        places = read.get(claim.parameter.rpartition(".")[0])
        if claim.role == "unclaimed" and places is None and loose:
            return replace(claim, reason=f"{claim.reason}; {loose}")
        if claim.role != "unclaimed" or places is None:
            return claim
        words = "a tensor" if len(places) == 1 else "tensors"
        reason = f"the forward pass reads {', '.join(places)}, {words} that the module holds outside its parameters"
        return replace(claim, reason=reason)

    return replace(program, coverage=tuple(map(told, program.coverage)))


def _loose(program: Program, state: Mapping[str, Any], module: nn.Module) -> str:
    """Floating-point constants of the program that are no tensors of the module, in words.

    Nobody can say where they come from: of a global, a closure, an array of NumPy that was filled by an earlier pass.
    """
    own = {memory_of(tensor) for tensor in (*module.parameters(), *module.buffers())}
    found = [state[name] for node, name in program.names.items() if node.users and name in program.constants]
    shapes = [tuple(t.shape) for t in found if t.is_floating_point() and t.numel() > 1 and memory_of(t) not in own]
    several = ", ".join(map(str, dict.fromkeys(shapes)))
    rest = "read as they are, which may have been computed from it"
    return f"tensors of shape {several} outside the module's parameters and buffers are {rest}" if shapes else ""
