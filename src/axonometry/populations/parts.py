"""A user's own parts in other processes: where they were registered, and importing that again.

A population is trained by new processes, which know what Axonometry brings and nothing else. So whoever hands them work
sends along *where* names were registered, and they import it before they begin. What was registered in a notebook's
cell or behind a script's ``__name__`` guard has no such place: those processes then say which name they lack.
"""

from __future__ import annotations

import linecache
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module, util
from pathlib import Path
from types import FrameType, ModuleType

from axonometry.errors import AxonometryError, ConfigurationError


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
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _NOT_THE_USERS:
        frame = frame.f_back
    if frame is None:
        return
    module, file = frame.f_globals.get("__name__"), frame.f_globals.get("__file__")
    # A script is run again by multiprocessing itself, as "__mp_main__".
    if module not in (None, "__main__", "__mp_main__") and file is not None:
        _places[Place(module, str(Path(file).resolve()))] = None


def registering_places() -> tuple[Place, ...]:
    """Where names were registered in this process."""
    return tuple(_places)


def forget_places() -> None:
    """Forget where names were registered; new processes are told of those alone that register from now on."""
    _places.clear()


def import_places(places: Iterable[Place]) -> None:
    """Import what registered names in another process; what is imported already is left alone.

    Raises:
        ConfigurationError: A file is gone.
    """
    for place in places:
        if place.module not in sys.modules and not _found_by_name(place):
            module_of_file(Path(place.file), place.module)


def import_parts(place: str) -> ModuleType:
    """Import a file or module that registers data sets, networks, optimisers... Its code is run, once in a process.

    Args:
        place: ``FILE.py``, or the name of an importable module.

    Raises:
        ConfigurationError: There is none.
    """
    if place.endswith(".py"):
        path = Path(place).resolve()
        loaded = sys.modules.get(path.stem)
        return loaded if loaded and getattr(loaded, "__file__", None) == str(path) else module_of_file(path)
    try:
        return import_module(place)
    except ModuleNotFoundError as error:
        raise ConfigurationError(str(error), "", "Check the module's name") from error
    except Exception as error:
        rule = f"{place} cannot be imported: {type(error).__name__}: {error}"
        raise ConfigurationError(rule, "", "Check the module's name") from error


def module_of_file(path: Path, name: str | None = None) -> ModuleType:
    """The module of a Python file, which is run.

    Args:
        path: Of the file.
        name: What ``sys.modules`` calls it; the file's name without its ending where None.

    Raises:
        ConfigurationError: There is no such file, it is not Python's, or raises something.
    """
    linecache.checkcache(str(path))
    name = name or path.stem
    spec = util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigurationError(f"no such file: {path}", "", "Check the path")
    module = util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses, inspect and pickle look up there what it defines
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # what a user's file raises is anything
        sys.modules.pop(name, None)
        if isinstance(error, AxonometryError):  # it says already what is wrong
            raise
        at = error.lineno if isinstance(error, SyntaxError) else _line_in(path, error)
        rule = f"{path} cannot be run: {type(error).__name__}: {error}"
        raise ConfigurationError(rule + (f" (line {at})" if at else ""), "", "Correct the file") from error
    return module


def _line_in(path: Path, error: Exception) -> int | None:
    """The last line of a file that an exception came through."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if Path(frame.filename) == path), None)


def _found_by_name(place: Place) -> bool:
    try:
        spec = util.find_spec(place.module)
    except (ModuleNotFoundError, ValueError):
        return False
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != Path(place.file):
        return False
    import_module(place.module)
    return True
