"""Where a user's own parts were registered: data sets, networks, measures, rules.

A population is trained by new processes, which know what Axonometry brings and nothing else. Whoever hands them work
sends along *where* names were registered, and they import it before they begin
(:mod:`axonometry.importing`). What was registered in a notebook's cell or behind a script's ``__name__``
guard has no such place: those processes then say which name they lack.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType


@dataclass(frozen=True)
class Place:
    """A module that registers something.

    Attributes:
        module: Its name, as ``sys.modules`` has it.
        file: Its file, for modules that cannot be found by their name in another process.
    """

    module: str
    file: str


_places: dict[Place, None] = {}
_NOT_THE_USERS = ("axonometry", "jaxtyping", "beartype")  # the shape checkers stand between calls under test


def note_caller() -> None:
    """Remember the module that is registering something: the nearest caller that is none of ours."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    if frame is not None:
        _note(frame.f_globals.get("__name__"), frame.f_globals.get("__file__"))


def note_home(function: object) -> None:
    """Remember the module in which a function is defined that is registered, unless it is ours.

    >>> before = registering_places()
    >>> note_home(note_caller)
    >>> registering_places() == before
    True
    """
    module = getattr(function, "__module__", None)
    if module is not None and not _is_ours(module):
        _note(module, getattr(sys.modules.get(module), "__file__", None))


def registering_places() -> tuple[Place, ...]:
    """Where names were registered in this process."""
    return tuple(_places)


def forget_places() -> None:
    """Forget where names were registered; new processes are told of those alone that register from now on."""
    _places.clear()


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in _NOT_THE_USERS


def _note(module: str | None, file: str | None) -> None:
    # A script is run again by multiprocessing itself, as "__mp_main__".
    if module not in (None, "__main__", "__mp_main__") and file is not None:
        _places[Place(str(module), str(Path(file).resolve()))] = None
