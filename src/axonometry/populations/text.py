"""A small text to learn from: the documentation strings of Python's own standard library, which is always there.

Nothing is downloaded. The text is the same for one version of Python on any machine, and another one for the next
version: a run's configuration holds its SHA-256.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from axonometry.errors import DataError

VOCABULARY = " abcdefghijklmnopqrstuvwxyz0.,:;'\"()-_=?"
"""The characters: letters are small, digits are 0, white space is one space, and all else is a question mark."""
WINDOW = 32
"""Characters that are read to say the next one."""
N_TRAIN, N_TEST = 24_000, 4_000
"""Windows to learn from, evenly over the first four fifths of the text, and to test on, over the rest."""

MODULES = tuple(
    (
        "argparse calendar collections configparser contextlib csv dataclasses datetime difflib doctest "
        "email.message enum fractions ftplib functools gzip heapq http.client inspect json logging mailbox "
        "pickletools random shutil smtplib statistics string subprocess tarfile tempfile textwrap threading "
        "tokenize turtle unittest.case unittest.mock"
    ).split()
)
"""Whose documentation strings are read, in this order; modules that a version of Python does not have are left out."""


@lru_cache(maxsize=1)
def standard_text() -> str:
    """The text, in the characters of :data:`VOCABULARY`.

    The sources are parsed, not imported: documentation that is written in C differs between builds.

    Raises:
        DataError: This Python comes without its sources.
    """
    parts = [_plain(words) for name in MODULES for words in _documentation(name)]
    text = " ".join(part for part in parts if part)
    if len(text) < 10 * (N_TRAIN + N_TEST):
        rule = "the text is made from the sources of Python's standard library"
        raise DataError(rule, f"{len(text):,} characters", "Use a Python that has its .py files")
    return text


def sha256_of_text() -> str:
    """The SHA-256 of this Python's text, as 64 hexadecimal digits."""
    return hashlib.sha256(standard_text().encode()).hexdigest()


def require_text(sha256: str) -> None:
    """Make sure that this Python's text is a certain one.

    Raises:
        DataError: It is another one.
    """
    if (own := sha256_of_text()) != sha256:
        rule = f"the run's text is that of the Python with the SHA-256 {sha256[:12]}..."
        raise DataError(rule, f"{own[:12]}...", "Train with that version of Python, or another run")


def text_windows() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Windows of characters and the characters that follow, to learn from and to test on.

    Returns:
        Twice the numbers of the characters in :data:`VOCABULARY`, int64 of shape (N, :data:`WINDOW`), and the number of
        the next character, of shape (N,). No window to test on shares a character with one to learn from.
    """
    numbers = {character: number for number, character in enumerate(VOCABULARY)}
    codes = torch.tensor([numbers[character] for character in standard_text()])
    cut = len(codes) * 4 // 5
    return _windows(codes[:cut], N_TRAIN), _windows(codes[cut:], N_TEST)


def _windows(codes: Tensor, number: int) -> tuple[Tensor, Tensor]:
    starts = torch.linspace(0, len(codes) - WINDOW - 1, number, dtype=torch.float64).long()
    # In an order that has nothing to do with the text's, so that the first ones are a sample of all.
    starts = starts[torch.randperm(number, generator=torch.Generator().manual_seed(0))]
    return codes[starts[:, None] + torch.arange(WINDOW)], codes[starts + WINDOW]


def _documentation(name: str) -> list[str]:
    """The documentation strings of a module's source: its own, then those of what it holds."""
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return []
    if found is None or not found.origin or not found.origin.endswith(".py"):
        return []
    tree = ast.parse(Path(found.origin).read_text(encoding="utf-8"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, kinds)]


def _plain(words: str) -> str:
    words = re.sub(r"[0-9]", "0", re.sub(r"\s+", " ", words.lower())).strip()
    return re.sub(f"[^{re.escape(VOCABULARY)}]", "?", words)
