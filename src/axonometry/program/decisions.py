"""Decisions on integer inputs: a module is exported as the example decides, and samples that decide otherwise are told.

Take a network that leaves its mask alone where nothing is padded::

    padding = ids == 0
    if not padding.any():
        padding = None

An exporter runs it on tensors without values and stops at the ``if``. But ids, masks and what is made of them alone
decide the wiring of a graph as the example has them (see :func:`axonometry.capture`), so their values may be asked for.
:class:`DecidedByExample` computes them beside the export, and notes on a tape what was asked::

    eq(ids, 0), any(...), bool(...) -> False

With other ids the tape is played again, and ids with a 0 among them are refused: their program is another one.
Nothing is answered that depends on a signal, a weight or a draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from types import FunctionType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

ASKING = {"item", "tolist", "__bool__", "__int__", "__float__", "__index__", "equal", "is_nonzero", "allclose"}
FINDING = {"nonzero", "unique", "unique_consecutive", "masked_select", "argwhere", "bincount"}
INDEXING = {"__getitem__", "__setitem__"}
DRAWING = ("rand", "normal", "bernoulli", "multinomial", "poisson", "dropout", "uniform", "exponential", "seed")
WRITING = {"__setitem__", *(f"__i{name}__" for name in "add sub mul truediv floordiv and or xor pow mod".split())}
LARGEST = 2**22
"""Most entries of a value that is computed beside the export."""


@dataclass(frozen=True)
class _Known:
    """The place on the tape of a value that is known."""

    place: int


@dataclass(frozen=True)
class _Call:
    """One call on known values: its tensors' places, and for a question the answer."""

    function: Any
    args: Any
    kwargs: Any
    results: tuple[int, ...]
    answer: Any = None
    is_question: bool = False


@dataclass
class Decisions:
    """What an export has asked of its integer inputs.

    Attributes:
        inputs: By tensor of the example, its place on the tape; None where its values are not known.
        calls: The calls that lead to the questions, in order.
    """

    inputs: tuple[int | None, ...] = ()
    calls: list[_Call] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether anything was asked."""
        return any(call.is_question for call in self.calls)

    def same(self, sample: Sequence[Tensor]) -> bool:
        """Whether a sample decides as the example: one value for each tensor of the example, of one sample."""
        values: dict[int, Any] = {
            place: tensor.detach().cpu().clone()
            for place, tensor in zip(self.inputs, sample, strict=True)
            if place is not None
        }
        for call in self.calls:
            args, kwargs = (
                tree_map(lambda x: values[x.place] if isinstance(x, _Known) else x, given)
                for given in (call.args, call.kwargs)
            )
            found = call.function(*args, **kwargs)
            if call.is_question and not _equal(found, call.answer):
                return False
            values.update(zip(call.results, _tensors(found), strict=False))
        return True


class DecidedByExample(TorchFunctionMode):
    """Beside an export: values of integer inputs, and of what is computed from them alone."""

    def __init__(self, traced: Sequence[Any], example: Sequence[Any]) -> None:
        super().__init__()
        self.decisions = Decisions()
        self._known: dict[int, tuple[Tensor, int]] = {}  # the traced tensor is held, so that no other takes its id
        self._values: dict[int, Tensor] = {}
        places: list[int | None] = []
        for one, real in zip(traced, example, strict=True):
            known = not (real.is_floating_point() or real.is_complex()) and real.numel() <= LARGEST
            places.append(self._keep(one, real) if known else None)
        self.decisions.inputs = tuple(places)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Answer a question on known values; run everything else, and follow what is known."""
        kwargs, name = kwargs or {}, getattr(function, "__name__", "")
        name = "where" if name == "where" and len(args) == 1 else name
        if name == "__iter__" and id(args[0]) in self._known:
            return iter(self.__torch_function__(torch.unbind, types, args))
        if name in INDEXING and len(args) > 1:
            args = (args[0], self._named(args[1]), *args[2:])
        known = all(id(t) in self._known for t in _tensors((args, kwargs)))
        if name in ASKING | FINDING | {"where"} and known and (len(args) == 1 or name != "where"):
            return self._answered(function, args, kwargs)
        draws = any(word in name for word in DRAWING)
        # what a function of Python calls is not seen; a draw is not known, but how many are drawn is
        if draws or (not known and isinstance(function, FunctionType)):
            args, kwargs = tree_map(self._number, args), tree_map(self._number, kwargs)
        result = function(*args, **kwargs)
        writes = name in WRITING or (name.endswith("_") and not name.endswith("__")) or "out" in kwargs
        if known and not draws:
            self._follow(function, args, kwargs, result)
        elif writes:
            self._forget(args[0] if args else None)
        return result

    def _answered(self, function: Any, args: Any, kwargs: Any) -> Any:
        """The answer to a question, in values."""
        answer = self._real(function, args, kwargs)
        places = tuple(self._keep(found, found) for found in _tensors(answer))
        self._note(function, args, kwargs, places, answer=answer, is_question=True)
        return answer

    def _named(self, index: Any) -> Any:
        """An index in which places stand for known masks, ``x[[False, True, True]]`` as ``x[[1, 2]]``."""
        parts: list[Any] = []
        for part in index if isinstance(index, tuple) else (index,):
            if isinstance(part, Tensor) and part.dtype == torch.bool and part.dim() and id(part) in self._known:
                parts += self._answered(torch.nonzero, (part,), {"as_tuple": True})
            else:
                parts.append(part)
        return tuple(parts) if len(parts) != 1 or isinstance(index, tuple) else parts[0]

    def _number(self, leaf: Any) -> Any:
        """The value of a known whole number, as of a size; all else as it is."""
        number = (
            isinstance(leaf, Tensor) and not leaf.dim() and not leaf.is_floating_point() and id(leaf) in self._known
        )
        return self._answered(Tensor.item, (leaf,), {}) if number else leaf

    def _follow(self, function: Any, args: Any, kwargs: Any, result: Any) -> None:
        """Compute a known result beside the traced one."""
        found = _tensors(result)
        if not found or sum(t.numel() for t in found) > LARGEST:
            if getattr(function, "__name__", "") == "__setitem__":
                self._real(function, args, kwargs)
                self._note(function, args, kwargs, ())
            return
        real = _tensors(self._real(function, args, kwargs))
        if [tuple(r.shape) for r in real] == [tuple(t.shape) for t in found]:
            given = self._placed(args), self._placed(kwargs)  # a call in place gives back what it was given
            places = tuple(self._keep(t, r) for t, r in zip(found, real, strict=True))
            self.decisions.calls.append(_Call(function, *given, places))

    def _real(self, function: Any, args: Any, kwargs: Any) -> Any:
        def value(leaf: Any) -> Any:
            if isinstance(leaf, Tensor):
                return self._values[self._known[id(leaf)][1]]
            return torch.device("cpu") if isinstance(leaf, torch.device) else leaf

        with _disable_current_modes(), torch._C.DisableTorchFunction():
            return function(*tree_map(value, args), **tree_map(value, kwargs))

    def _note(self, function: Any, args: Any, kwargs: Any, results: tuple[int, ...], **question: Any) -> None:
        self.decisions.calls.append(_Call(function, self._placed(args), self._placed(kwargs), results, **question))

    def _placed(self, given: Any) -> Any:
        """Arguments with places on the tape where tensors are."""

        def place(leaf: Any) -> Any:
            if isinstance(leaf, Tensor):
                return _Known(self._known[id(leaf)][1])
            return torch.device("cpu") if isinstance(leaf, torch.device) else leaf

        return tree_map(place, given)

    def _keep(self, traced: Tensor, real: Tensor) -> int:
        place = len(self._values)
        self._known[id(traced)], self._values[place] = (traced, place), real
        return place

    def _forget(self, written: Any) -> None:
        """A signal was written to a known tensor: neither it nor what shares its memory is known any more."""
        if not isinstance(written, Tensor) or id(written) not in self._known:
            return
        memory = self._values[self._known[id(written)][1]].untyped_storage().data_ptr()
        for key, (_, place) in list(self._known.items()):
            if self._values[place].untyped_storage().data_ptr() == memory:
                del self._known[key]


@contextmanager
def as_run_alone() -> Iterator[None]:
    """Code that asks whether it is being compiled or exported is told that it is not, as where the module runs."""
    flags = [name for name in ("_is_compiling_flag", "_is_exporting_flag") if hasattr(torch.compiler, name)]
    before = {name: getattr(torch.compiler, name) for name in flags}
    to = nn.Module.to
    try:
        for name in flags:
            setattr(torch.compiler, name, False)
        nn.Module.to = _where_it_is(to)  # type: ignore[method-assign, assignment]
        yield
    finally:
        nn.Module.to = to  # type: ignore[method-assign]
        for name, value in before.items():
            setattr(torch.compiler, name, value)


def _where_it_is(to: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """``module.to(dtype)`` in a forward pass: under an export it cannot put other tensors in the place of its own."""

    @wraps(to)
    def moved(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        device, dtype, _, memory = cast("tuple[Any, ...]", torch._C._nn._parse_to(*args, **kwargs))
        types = {p.dtype for p in module.parameters() if p.is_floating_point()}
        same = device is None and memory is None and types <= {dtype}
        return module if same else to(module, *args, **kwargs)

    return moved


def _tensors(result: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]


def _equal(found: Any, answer: Any) -> bool:
    one, other = tree_leaves(found), tree_leaves(answer)
    if len(one) != len(other):
        return False
    return all(
        a.shape == b.shape and torch.equal(a, b) if isinstance(a, Tensor) else a == b
        for a, b in zip(one, other, strict=True)
    )
