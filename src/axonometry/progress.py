"""How long functions report their progress: they call back with numbers and words, and know nothing of terminals.

>>> heard = []
>>> report = prefixed("training", lambda done, total, words: heard.append(f"{done}/{total} {words}"))
>>> for number in (1, 2):
...     report(number, 2, f"epoch {number}")
>>> heard
['1/2 training: epoch 1', '2/2 training: epoch 2']
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], object]
"""Called with how much is done, out of how much, and what is being done in a few words."""


def silent(done: int, total: int, words: str) -> None:
    """Progress that nobody follows."""


def prefixed(title: str, progress: Progress | None) -> Progress:
    """Progress whose words begin with a title.

    Args:
        title: What is being done as a whole, such as ``"training lenet"``.
        progress: The callback to pass the words on to; None for :func:`silent`.
    """
    if progress is None:
        return silent
    return lambda done, total, words: progress(done, total, f"{title}: {words}" if words else title)
