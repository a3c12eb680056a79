"""Progress callbacks."""

from __future__ import annotations

from axonometry.progress import prefixed, silent


def test_a_title_stands_before_the_words() -> None:
    heard: list[tuple[int, int, str]] = []
    report = prefixed("training", lambda *told: heard.append(told))
    report(1, 3, "epoch 1")
    report(2, 3, "")
    assert heard == [(1, 3, "training: epoch 1"), (2, 3, "training")]


def test_without_a_callback_nobody_is_told() -> None:
    assert prefixed("training", None) is silent
    silent(1, 2, "words")
