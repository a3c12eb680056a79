"""Whether two modules are one architecture: everything that decides what ``torch.export`` makes of a module, as a key.

Two LeNets have the same key whatever their weights::

    first, second = LeNet(), LeNet()
    fingerprint(first, (image,), ()) == fingerprint(second, (image,), ())

and another padding, another shape of the image or another class of the same name has another. The key must never be
equal where the programs are not, so it goes the other way round: it names all that a forward pass can look at, and
where it meets a thing that it does not know to the end there is no key (:class:`Opaque`), and the capture is made anew.

A forward pass can look at

- the module tree: classes by identity, attributes by value, names, shapes and ties of parameters and buffers;
- its code: methods that it reaches by name, their defaults, closures and globals, each again by value;
- the example: structure, shapes, dtypes, and the values of what is not floating point;
- a few settings of torch.

It cannot look at weights: under export they have no values. Neither does the training mode count, which is off then.
"""

from __future__ import annotations

import builtins
import enum
import functools
import struct
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from axonometry.program.sharing.code_names import (
    REFLECTED,
    REFLECTING,
    REFUSED,
    Opaque,
    home_of,
    is_trusted,
    names_in,
    reachable_members,
)
from axonometry.program.sharing.layout import layout_of
from axonometry.program.sharing.torch_state import has_global_state, settings

LARGEST = 2**16
"""Most entries of a tensor that is compared by its values."""
DEEPEST = 40
SCALARS = (type(None), bool, int, str, bytes, complex, torch.dtype, torch.device, torch.memory_format, torch.layout)
OBSERVED = {"training", "_parameters", "_buffers", "_modules", "_forward_pre_hooks", "_load_state_dict_pre_hooks"}
OBSERVED |= {"_forward_hooks", "_backward_hooks", "_backward_pre_hooks", "_load_state_dict_post_hooks"}
OBSERVED |= {f"_forward_{kind}" for kind in ("hooks_with_kwargs", "hooks_always_called", "pre_hooks_with_kwargs")}
"""Attributes of a module that are looked at in a way of their own, or have no part in an export."""


def fingerprint(
    module: nn.Module, inputs: Any, options: Hashable, *, computes: Callable[[Any], bool] = lambda _: False
) -> Hashable:
    """The key of an architecture, an example and options; it keeps no tensor of the module alive.

    Args:
        module: The module, unwrapped.
        inputs: One sample: tensors and plain values in tuples, lists and dictionaries.
        options: Whatever else decides.
        computes: Whether a forward pre-hook computes weights; such a module has no key.

    Raises:
        Opaque: There is no such key.
    """
    if has_global_state():
        raise Opaque("modes and global hooks")
    walk = _ArchitectureWalk(computes)
    tree = walk.module(module)
    example = walk.example(inputs)
    return tree, example, walk.code(), settings(), options


@dataclass
class _ArchitectureWalk:
    """One walk over a module: numbers for tensors and modules in the order of meeting, and code still to be looked at.

    Attributes:
        computes: See :func:`fingerprint`.
        met: By id, the number of what has been met; objects are held so that no id is given away twice.
        classes: The classes whose methods the forward pass may reach.
        named: The attributes' names that code reached so far speaks of.
        whole: Classes that code speaks of, which it may make instances of: all of their members count.
        every: Whether some code reaches members without naming them.
    """

    computes: Callable[[Any], bool]
    met: dict[int, tuple[int, Any]] = field(default_factory=dict)
    classes: dict[type, None] = field(default_factory=dict)
    named: set[str] = field(default_factory=lambda: {"forward"})
    whole: set[type] = field(default_factory=set)
    every: bool = False
    depth: int = 0

    def _number(self, thing: Any) -> tuple[int, bool]:
        """The number of a thing, and whether it is met for the first time."""
        new = id(thing) not in self.met
        return self.met.setdefault(id(thing), (len(self.met), thing))[0], new

    # the tree --------------------------------------------------------------------------------------------------------

    def module(self, module: nn.Module) -> Hashable:
        """Class, attributes, tensors and parts of a module; a number where it has been met before."""
        number, new = self._number(module)
        if not new:
            return number
        if isinstance(module, torch.jit.ScriptModule) or any(map(self.computes, module._forward_pre_hooks.values())):
            raise Opaque("weights or code outside the module's attributes")
        kind = self._class(type(module))
        tensors = [*module._parameters.items(), *module._buffers.items()]
        return (
            kind,
            tuple((name, None if tensor is None else self.weight(tensor)) for name, tensor in tensors),
            len(module._parameters),
            tuple((name, self.value(value)) for name, value in sorted(vars(module).items()) if name not in OBSERVED),
            tuple((name, None if part is None else self.module(part)) for name, part in module._modules.items()),
        )

    def weight(self, tensor: Tensor) -> Hashable:
        """What is known of a parameter or buffer without its values."""
        if type(tensor) not in (Tensor, nn.Parameter) or tensor.layout is not torch.strided:
            raise Opaque(f"a {type(tensor).__name__}")
        number, new = self._number(tensor)
        return (number, layout_of(tensor), tensor.requires_grad, self.value(vars(tensor))) if new else number

    def _class(self, kind: type) -> Hashable:
        """A class by identity; it is not held, and one that takes the place of a dead one is not equal to it."""
        self.classes[kind] = None
        return weakref.ref(kind)

    # values ----------------------------------------------------------------------------------------------------------

    def value(self, value: Any) -> Hashable:
        """A value that equals another's only where nothing can tell the two apart."""
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                raise Opaque("a value that is too deep, or contains itself")
            return self._value(value)
        finally:
            self.depth -= 1

    def _value(self, value: Any) -> Hashable:
        kind = type(value)
        if kind in SCALARS:
            return kind, value
        if kind is float:
            return kind, struct.pack("d", value)  # 0.0 and -0.0 are two, nan is one
        if kind in (tuple, list, torch.Size, range):
            return kind, tuple(map(self.value, value))
        if kind in (dict, OrderedDict):
            return kind, tuple((self.value(key), self.value(item)) for key, item in value.items())
        if kind in (set, frozenset):
            return kind, tuple(map(self.value, value))  # in their order, which a loop over them would see
        if kind is weakref.ReferenceType:
            return kind, self._again(value())
        if kind is nn.Parameter:
            return self._again(value)
        if kind is slice:
            return kind, self.value((value.start, value.stop, value.step))
        if kind is Tensor:
            return self.content(value)
        if isinstance(value, type):
            self.whole.add(value)
            return self._class(value)
        return self._callable(value) if callable(value) else self._instance(value)

    def _again(self, tensor: Any) -> Hashable:
        """A parameter that the module also has under its name, as recurrent layers keep them in lists."""
        if id(tensor) not in self.met:
            raise Opaque("a tensor outside the module")
        return self.met[id(tensor)][0]

    def _instance(self, value: Any) -> Hashable:
        """Records: members of enumerations, named tuples, dataclasses."""
        kind = type(value)
        if isinstance(value, enum.Enum):
            return self._class(kind), value.name, self.value(value.value)
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return self._class(kind), self.value(tuple(value))
        if is_dataclass(value) and set(getattr(value, "__dict__", {"": 0})) <= {f.name for f in fields(value)}:
            return self._class(kind), self.value(vars(value))
        raise Opaque(f"a {kind.__name__}")

    def content(self, tensor: Tensor) -> Hashable:
        """A tensor with its values."""
        if tensor.requires_grad or tensor.layout is not torch.strided or tensor.numel() > LARGEST:
            raise Opaque("a large tensor, or one that is computed from others")
        number, new = self._number(tensor)
        values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        return (number, layout_of(tensor), values) if new else number

    # code ------------------------------------------------------------------------------------------------------------

    def _callable(self, value: Any) -> Hashable:
        """Functions by their code and what they see; those of torch by identity."""
        if isinstance(value, functools.partial):
            return self.value(value.func), self.value(value.args), self.value(value.keywords)
        if isinstance(value, types.FunctionType):
            return weakref.ref(value) if is_trusted(value.__globals__["__name__"]) else self.function(value)
        fixed = isinstance(value, (torch._ops.OpOverload, torch._ops.OpOverloadPacket))
        if fixed or (isinstance(value, types.BuiltinFunctionType) and is_trusted(home_of(value))):
            return value
        raise Opaque(f"a {type(value).__name__}")

    def function(self, function: types.FunctionType) -> Hashable:
        """Its code, defaults, closure and globals; of a wrapper that checks types and passes on, what it wraps."""
        checks = hasattr(function, "__beartype_wrapper") or function.__globals__["__name__"] == "jaxtyping._decorator"
        if checks and hasattr(function, "__wrapped__"):
            return self.value(function.__wrapped__)
        number, new = self._number(function)
        if not new:
            return number
        code, seen = function.__code__, names_in(function.__code__)
        self.named |= seen.attributes
        self.every |= not REFLECTED.isdisjoint(seen.attributes)
        cells = tuple(map(self._cell, code.co_freevars, function.__closure__ or ()))
        found = tuple((name, self._global(name, function, seen.attributes)) for name in seen.globals)
        given = function.__defaults__, function.__kwdefaults__, vars(function)
        return code, self.value(given), cells, found

    def _cell(self, name: str, cell: Any) -> Hashable:
        try:
            value = cell.cell_contents
            return self._class(value) if name == "__class__" else self.value(value)
        except ValueError:
            raise Opaque("a variable without a value") from None

    def _global(self, name: str, function: types.FunctionType, attributes: frozenset[str]) -> Hashable:
        if name in function.__globals__:
            value = function.__globals__[name]
            return self._library(value, attributes) if isinstance(value, types.ModuleType) else self.value(value)
        if name in REFUSED or not hasattr(builtins, name):
            raise Opaque(f"the global {name}")
        self.every |= name in REFLECTING
        return None

    def _library(self, library: types.ModuleType, attributes: frozenset[str]) -> Hashable:
        """Of a library: which it is, and where it is not one of the trusted, what the code may take from it."""
        name = library.__name__
        if is_trusted(name):
            return name
        taken = sorted(attributes & vars(library).keys())
        parts = ((part, vars(library)[part]) for part in taken)
        return name, tuple(
            (part, self._library(value, attributes) if isinstance(value, types.ModuleType) else self.value(value))
            for part, value in parts
        )

    def code(self) -> Hashable:
        """The methods and class attributes that a forward pass may reach, until no code names more of them."""
        found: dict[tuple[int, str], Hashable] = {}
        while True:
            todo = [place for place in self._reachable() if place[:2] not in found]
            if not todo:
                return tuple(found.items())
            for number, name, value in todo:
                found[number, name] = self._member(value)

    def _reachable(self) -> Iterator[tuple[int, str, Any]]:
        """Members of classes that are named by code, by number and name."""
        for number, kind in enumerate(list(self.classes)):
            named = None if self.every or kind in self.whole else self.named
            for name, member in reachable_members(kind, named, is_made=kind in self.whole):
                yield number, name, member

    def _member(self, member: Any) -> Hashable:
        if isinstance(member, (staticmethod, classmethod)):
            return type(member), self._member(member.__func__)
        if isinstance(member, property):
            return property, tuple(None if f is None else self._member(f) for f in (member.fget, member.fset))
        if isinstance(member, (types.MemberDescriptorType, types.GetSetDescriptorType)):
            return member.__name__
        return self.value(member)

    # the example -----------------------------------------------------------------------------------------------------

    def example(self, value: Any) -> Hashable:
        """Shapes and dtypes of floating-point tensors; all else by value."""
        kind = type(value)
        if isinstance(value, Tensor):
            if kind not in (Tensor, nn.Parameter) or value.layout is not torch.strided:
                raise Opaque(f"a {kind.__name__}")
            floating = value.is_floating_point()
            return (self._number(value)[0], layout_of(value)) if floating else self.content(value.detach())
        if kind in (tuple, list):
            return kind, tuple(map(self.example, value))
        if kind in (dict, OrderedDict):
            return kind, tuple((self.value(key), self.example(item)) for key, item in value.items())
        return self.value(value)
