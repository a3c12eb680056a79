"""Names that a configuration can use, and how a user adds to them.

A run's configuration is plain JSON, so it *names* its data set, network, optimiser... One registry a kind says what a
name stands for. Ours are entered in the same way as a user's:

    OPTIMISERS.register("rprop", torch.optim.Rprop, learning_rate=0.01)     # in my_parts.py
    axonometry --import my_parts.py runs train --config runs.json           # {"optimiser": "rprop", ...}

A name is all that a run remembers: whoever opens it in a new process imports ``my_parts.py`` again, and is told so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, ParamSpec, TypeVar

from axonometry.errors import AxonometryError, ConfigurationError, closest
from axonometry.registering import note_caller

Entry = TypeVar("Entry")
Facts = ParamSpec("Facts")


class Registry(Mapping[str, Entry], Generic[Facts, Entry]):
    """Entries by the name that configurations use; a mapping, in the order of registering.

    Args:
        what: How messages call such a name: the configuration's key, or words.
        make: From what :meth:`register` is given, behind the name, to the entry.
        entries: Those that are always there, and cannot be replaced: recorded runs rely on them.
        error: What is raised for a name that is not there.

    >>> sides = Registry("`side`", int, {"triangle": 3})
    >>> sides.register("square", "4")
    >>> sides.lookup("square"), list(sides)
    (4, ['triangle', 'square'])
    >>> sides.lookup("circle")
    Traceback (most recent call last):
    axonometry.errors.ConfigurationError: `side` is one of triangle, square; got 'circle'. Correct the spelling, or ...
    """

    def __init__(
        self,
        what: str,
        make: Callable[Facts, Entry],
        entries: Mapping[str, Entry],
        error: type[AxonometryError] = ConfigurationError,
    ) -> None:
        self._what, self._make, self._error = what, make, error
        self._entries = dict(entries)
        self._built_in = frozenset(entries)

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def register(self, name: str, /, *facts: Facts.args, **more: Facts.kwargs) -> None:
        """Add an entry; one that was registered before under the same name is replaced (a notebook's cell runs twice).

        Args:
            name: What configurations call it.
            facts: What the entry is made of; see the registry's own documentation.
            more: Likewise, by name.

        Raises:
            ConfigurationError: The name is empty, or one of Axonometry's own.
        """
        if not name or name in self._built_in:
            came = f"{name!r}, which Axonometry brings" if name else "an empty name"
            raise ConfigurationError(f"a registered name of {self._what} is new", came, "Choose another name")
        self._entries[name] = self._make(*facts, **more)
        note_caller()  # other processes import its module again

    def unregister(self, name: str) -> None:
        """Take a registered entry out again; nothing happens where there is none.

        Raises:
            ConfigurationError: The entry is one of Axonometry's own.
        """
        if name in self._built_in:
            raise ConfigurationError(f"a registered name of {self._what} is taken out", f"{name!r}, which is not")
        self._entries.pop(name, None)

    def lookup(self, name: str) -> Entry:
        """The entry of a name.

        Raises:
            AxonometryError: There is none; the message lists those that there are. A ConfigurationError, or the
                registry's own kind.
        """
        if name not in self._entries:
            remedy = "Correct the spelling, or import the file that registers it: axonometry --import FILE.py"
            raise self._error(f"{self._what} is one of {', '.join(self)}", repr(name), closest(name, self, remedy))
        return self._entries[name]


def as_it_is(entry: Entry) -> Entry:
    """For registries whose entries need no more than themselves."""
    return entry
