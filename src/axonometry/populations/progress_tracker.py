"""What became of the runs of one call."""

from __future__ import annotations

from pathlib import Path

from axonometry.errors import RunError
from axonometry.populations.workers import Named
from axonometry.progress import Progress

_FAILURES_SHOWN = 5


class ProgressTracker:
    """Counts the runs that have ended, keeps what went wrong, and reports both.

    Args:
        total: Runs in all.
        done: Runs that were whole before.
        progress: Called with the runs that have ended, out of how many, and a few words.

    >>> from axonometry.populations import RunConfiguration
    >>> tracker = ProgressTracker(2, 0, lambda done, of, words: print(done, "of", of))
    0 of 2
    >>> tracker.ended(RunConfiguration(), None)
    1 of 2
    """

    def __init__(self, total: int, done: int, progress: Progress) -> None:
        self._total, self._done, self._progress = total, done, progress
        self._failures: dict[str, str] = {}
        progress(done, total, f"{done} were there" if done else "")

    def say(self, words: str) -> None:
        """Report a few words while no run ends."""
        self._progress(self._done, self._total, words)

    def ended(self, configuration: Named, wrong: str | None) -> None:
        """Count a run, with what went wrong, or None."""
        name = configuration.identity
        self._done += 1
        if wrong is not None:
            self._failures[name] = wrong
        self._progress(self._done, self._total, f"{name} failed: {wrong}" if wrong else name)

    def require_success(self, folder: Path) -> None:
        """Name the runs that failed.

        Raises:
            RunError: There are some.
        """
        if not self._failures:
            return
        shown = [f"{name} ({wrong.rstrip('.')})" for name, wrong in list(self._failures.items())[:_FAILURES_SHOWN]]
        more = [f"and {len(self._failures) - len(shown)} more"] if len(self._failures) > len(shown) else []
        raise RunError(
            f"every run of the population in {folder} is trained to its end",
            f"{len(self._failures)} of {self._total} that were not: {', '.join(shown + more)}",
            "The others are finished; the same call resumes these",
        )
