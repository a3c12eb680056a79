"""A user's own parts in other processes: importing what registered them (:mod:`axonometry.registering`)."""

from __future__ import annotations

import linecache
import sys
import traceback
from collections.abc import Iterable
from importlib import import_module, util
from pathlib import Path
from types import ModuleType
from typing import Any

from axonometry.errors import AxonometryError, ConfigurationError
from axonometry.registering import Place


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


def variable_at(place: str) -> Any:
    """What a place names; None where there is nothing of that name. The code there is run.

    Args:
        place: ``FILE.py:NAME`` or ``package.module:NAME``; the name may have dots, as of a class in a class.

    Raises:
        ConfigurationError: There is no such file or module, or it raises something.

    >>> variable_at("math:pi"), variable_at("math:tau.real"), variable_at("math:other"), variable_at("math")
    (3.14..., 6.28..., None, None)
    """
    file, _, name = place.rpartition(":")
    if not (file and name):
        return None
    found: Any = module_of_file(Path(file)) if file.endswith(".py") else import_parts(file)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def file_of(place: str) -> Path | None:
    """The Python file of ``FILE.py:NAME`` or ``package.module:NAME``, which is not run; None where there is none.

    Of a module in a package, the package's own ``__init__.py`` is run to find it.

    >>> file_of("json.decoder:JSONDecoder").name, file_of("nowhere:Net")
    ('decoder.py', None)
    """
    module = place.rpartition(":")[0] or place
    if module.endswith(".py"):
        return Path(module) if Path(module).is_file() else None
    try:
        spec = util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin is not None and Path(spec.origin).is_file() else None


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
