"""Forged predictors: whole files, in whose content one or two values were exchanged for others of every kind."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import skops.io

from tests.fuzz.damage import places

VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2.5, 10**6, 2**31, 2**40, 10**400, -0.0, 1e308, float("nan"), float("inf")),
    *("", "text", "5", "\x1b[31m", [], {}, [[]], ["a", "b"], {"a": 1}, [0] * 50, "x" * 10_000),
    *(np.zeros(0), np.zeros((3, 3)), np.arange(5), np.array(2.5), np.array(["a", "b"]), np.ones(2, complex)),
)
ARRAYS: tuple[Callable[[Any, random.Random], Any], ...] = (
    lambda a, _: a.astype(np.float64) + 0.5,
    lambda a, _: a.astype(np.float64),
    lambda a, _: a.astype(bool),
    lambda a, _: a.astype(str),
    lambda a, _: a.astype(np.uint64),
    lambda a, _: a.astype(np.float16),
    lambda a, _: a[:-1],
    lambda a, _: a[:0],
    lambda a, _: np.concatenate([a, a]),
    lambda a, _: a[None],
    lambda a, _: a.reshape(-1),
    lambda a, _: a.T,
    lambda a, _: a[::-1],
    lambda a, _: -a - 1,
    lambda a, _: a * 0,
    lambda a, _: a.tolist(),
    lambda a, rng: with_one(a, rng, (np.nan, np.inf, -np.inf, 1e308, -1e308, 1e300, 1e20)),
    lambda a, rng: with_one(a, rng, (-1, 0, 1, 10**6, 2**31 - 1, -(2**31))),
)


def with_one(array: Any, rng: random.Random, values: tuple[float, ...]) -> Any:
    """An array of which one number is another."""
    value = rng.choice(values)
    found = array.astype(np.float64 if not np.isfinite(value) or value != int(value) else array.dtype).copy()
    with np.errstate(all="ignore"):
        if found.size:
            found.flat[rng.randrange(found.size)] = np.array(value).astype(found.dtype)
    return found


def forged(body: bytes, rng: random.Random) -> bytes:
    """The archive of a predictor with one or two of its values exchanged."""
    content = skops.io.loads(body, trusted=[])
    for _ in range(rng.choice((1, 1, 1, 2))):
        *path, last = rng.choice([place for place in places(content) if place])
        holder = content
        for key in path:
            holder = holder[key]
        value = holder[last]
        if isinstance(value, np.ndarray) and rng.random() < 0.8:
            holder[last] = rng.choice(ARRAYS)(value, rng)
        elif rng.random() < 0.1:
            del holder[last]
        elif rng.random() < 0.1 and isinstance(holder, list):
            holder.append(value)
        else:
            holder[last] = rng.choice(VALUES)
    return skops.io.dumps(content)
