"""Pickles read without running a line of what they say.

A pickle is a small program whose instructions may import any name and call it. Here every name is looked up in one
table of harmless stand-ins (:data:`STANDINS`); a name that is not in it becomes a class of :class:`Unknown`, which
remembers what it was given and does nothing. ``{"w": tensor, "b": os.system("...")}`` is read as::

    {"w": StoredTensor(...), "b": Unknown("posix.system", args=("...",))}

Before a pickle is read its instructions are counted: one that names a memory slot far beyond them, for which Python's
reader would reserve gigabytes, is refused.
"""

from __future__ import annotations

import pickle  # noqa: S403 - its reader, with every name looked up in a table of ours
import pickletools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from axonometry.errors import CheckpointError

MOST_INSTRUCTIONS = 50_000_000
"""Of one pickle; a checkpoint of a million tensors has about 40 million."""


class Unknown:
    """An object of a class that is not known: what it was made with, and nothing else.

    Attributes:
        name: The class or function that the pickle asks for, ``module.name``.
        args: What it was called with.
        state: What it was given as its state; None where it was given none.
        items: What was appended to it.
        entries: What was set in it by key.
    """

    name = ""

    def __init__(self, *args: Any, **_: Any) -> None:
        self.args = args
        self.state: Any = None
        self.items: list[Any] = []
        self.entries: dict[Any, Any] = {}

    def __new__(cls, *_: Any, **__: Any) -> Unknown:
        """An object, whatever it is made with; pickles may skip ``__init__``."""
        made = super().__new__(cls)
        Unknown.__init__(made)
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries[key] = value

    def append(self, item: Any) -> None:
        """One more item."""
        self.items.append(item)

    def extend(self, items: Any) -> None:
        """Several more items."""
        self.items.extend(items)

    def __call__(self, *args: Any, **_: Any) -> Unknown:
        """A call of an object that is not known gives another one."""
        return _class(f"{self.name}()")(*args)


class Standin:
    """A harmless function in the place of one that a pickle may ask for; nothing can be set on it."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *args: Any) -> Any:
        """What the function gives."""
        return self._function(*args)

    def __setattr__(self, *_: Any) -> None:
        raise AttributeError("a stand-in is read only")

    def __setstate__(self, state: Any) -> None:
        """A pickle may try to set a state; it has none."""


Lookup = Callable[[str, str], Any]
"""Gives what stands for ``module`` and ``name``; None where there is nothing."""


class _Reader(pickle.Unpickler):  # noqa: S301 - find_class gives stand-ins only
    """Python's own reader, with every name looked up in a table of ours."""

    def __init__(self, stream: Any, lookup: Lookup, load: Callable[[Any], Any]) -> None:
        super().__init__(stream, encoding="latin1")
        self._lookup, self._load = lookup, load
        self.asked: dict[str, None] = {}

    def find_class(self, module: str, name: str) -> Any:
        known = self._lookup(module, name)
        if known is not None:
            return known
        self.asked[f"{module}.{name}"] = None
        return _class(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        return self._load(pid)


def read_pickle(stream: Any, lookup: Lookup, load: Callable[[Any], Any] | None = None) -> tuple[Any, tuple[str, ...]]:
    """The object of a pickle, with :class:`Unknown` in the place of all that would need code.

    Args:
        stream: At the pickle's first byte; afterwards behind its last one.
        lookup: What stands for a name, besides the plain containers that are always known.
        load: What stands for a persistent id; without it, an id is an error.

    Returns:
        The object, and the names that it asks for and that are not known.

    Raises:
        CheckpointError: Its instructions make no sense.
        pickle.UnpicklingError: It is cut short or damaged; other exceptions of the pickle module as well.
    """
    begin = stream.tell()
    _check_instructions(stream)
    stream.seek(begin)
    reader = _Reader(stream, lambda module, name: _plain(module, name) or lookup(module, name), load or _refuse_id)
    return reader.load(), tuple(reader.asked)


def _check_instructions(stream: Any) -> None:
    """Refuse what would make the reader reserve memory that the pickle has no use for."""
    # A pickle numbers what it may need again, and Python's reader makes room up to the largest: thirty bytes that
    # say "keep this as number 2^31" would take tens of gigabytes.
    slots = 0
    for count, (operation, argument, _) in enumerate(pickletools.genops(stream)):
        if operation.name in ("LONG_BINPUT", "BINPUT", "PUT"):
            slots = max(slots, int(argument or 0))
        if count > MOST_INSTRUCTIONS or slots > 2 * count + 1000:
            raise CheckpointError(
                "a pickle numbers its objects one after the other",
                f"number {slots} at instruction {count}",
                "Do not use it",
            )


def _refuse_id(pid: Any) -> Any:
    raise pickle.UnpicklingError(f"an object outside the file: {str(pid)[:80]}")


def _plain(module: str, name: str) -> Any:
    return PLAIN.get((module, name)) or (PLAIN.get(("builtins", name)) if module == "__builtin__" else None)


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """``_codecs.encode``, by which protocol 2 writes bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"bytes written as {encoding}")
    return text.encode("latin1")


def _default(*_: Any) -> Any:
    """A ``defaultdict`` without its factory."""
    return OrderedDict()


PLAIN: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): Standin(_default),
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "complex"): complex,
    ("_codecs", "encode"): Standin(_latin1),
}


def _class(name: str) -> type[Unknown]:
    return type("Unknown", (Unknown,), {"name": name})
