"""One capture at a time, and silence in the thread that captures, without a change that other threads would see.

``warnings.catch_warnings`` and ``redirect_stdout`` swap what belongs to the whole process. Of two threads that do so
in turn, the first one out puts back its own before, and the second one out the first one's inside: warnings, or the
output, are then gone for good. Here a filter that matches in capturing threads alone is put in front of the others.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

CAPTURING = threading.RLock()
"""Held by the thread that captures: torch's exporter knows one at a time, and the module is changed meanwhile."""
_thread = threading.local()


def _is_capturing() -> bool:
    return getattr(_thread, "depth", 0) > 0


class _InThisThread(logging.Filter):
    """Stands where a warning's filter has a pattern, and where a logger has a filter."""

    def match(self, _: str) -> bool:
        """Whether a warning is one of a capture."""
        return _is_capturing()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is to be logged."""
        return not _is_capturing()


_OURS = _InThisThread()
_IGNORED: Any = ("ignore", _OURS, Warning, None, 0)


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch warns and logs in this thread: what goes wrong is said in one error."""
    with CAPTURING:
        filters: Any = warnings.filters  # where others swap the list meanwhile, ours is left in it, and matches nothing
        loggers = [x for n, x in [*logging.root.manager.loggerDict.items()] if n.split(".")[0] == "torch"]
        _thread.depth = getattr(_thread, "depth", 0) + 1
        filters.insert(0, _IGNORED)
        warnings._filters_mutated()  # type: ignore[attr-defined]
        for logger in loggers:
            if isinstance(logger, logging.Logger):
                logger.addFilter(_OURS)
        try:
            yield
        finally:
            _thread.depth -= 1
            with suppress(ValueError):
                filters.remove(_IGNORED)
            warnings._filters_mutated()  # type: ignore[attr-defined]
            if not _is_capturing():
                for logger in loggers:
                    if isinstance(logger, logging.Logger):
                        logger.removeFilter(_OURS)
