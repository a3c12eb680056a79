"""Damage: bytes, JSON and archives changed in ways that disks, downloads and people's enemies change them."""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
from collections.abc import Iterator
from typing import Any

ODD_NUMBERS = ("-1", "0", "1e999", "NaN", "99999999999999999999", "10" + "0" * 400, "-0.0", "2.5", "true", "null")
ODD_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        0,
        2.5,
        10**30,
        10**400,
        float("nan"),
        float("inf"),
        "",
        "text",
        "\ud800",
        "a\0b",
        "\x1b[31mred\r\n",
    ),
    *("<script>alert(1)</script>", "../../etc/passwd", [], {}, [[]], {"": None}, [0] * 50, "x" * 10_000),
)
SIZES = (0, 1, 127, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """A few bytes of a file changed, cut off, moved, doubled or filled with sizes that are none."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
        if not changed:
            return bytes(changed)
        at = rng.randrange(len(changed))
        # Headers are short and decide most: half of the damage is near the ends.
        at = rng.choice((at, min(at, rng.randrange(1, 600)), max(len(changed) - rng.randrange(1, 300), 0)))
        at = min(at, len(changed) - 1)
        length = rng.randrange(1, 64)
        kind = rng.randrange(9)
        if kind == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at] = rng.randrange(256)
        elif kind == 2:
            del changed[at:]
        elif kind == 3:
            del changed[at : at + length]
        elif kind == 4:
            changed[at:at] = bytes(rng.randrange(256) for _ in range(length))
        elif kind == 5:
            changed[at : at + length] = bytes(len(changed[at : at + length]))
        elif kind == 6:
            width = rng.choice((1, 2, 4, 8))
            number = rng.choice(SIZES) % 256**width
            changed[at : at + width] = number.to_bytes(width, rng.choice(("little", "big")))
        elif kind == 7:
            other = rng.randrange(len(changed))
            changed[at:at] = changed[other : other + length]
        else:
            numbers = list(re.finditer(rb"\d+", bytes(changed[:4000])))
            if numbers:
                one = rng.choice(numbers)
                changed[one.start() : one.end()] = rng.choice(ODD_NUMBERS).encode()
    return bytes(changed)


def damaged_json(text: str, rng: random.Random) -> str:
    """A JSON text with one or two of its values exchanged, left out, doubled or put deep inside of others."""
    content = json.loads(text)
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.choice(list(places(content)))
        kind = rng.randrange(6)
        if not place:
            return json.dumps(rng.choice(ODD_VALUES))
        *path, last = place
        holder = content
        for key in path:
            holder = holder[key]
        if kind <= 2:
            holder[last] = rng.choice(ODD_VALUES)
        elif kind == 3:
            del holder[last]
        elif kind == 4 and isinstance(holder, dict):
            holder[rng.choice(("", "unknown", "a\0", str(last) + " "))] = holder.pop(last)
        else:
            deep: Any = holder[last]
            for _ in range(rng.choice((1, 3, 300))):  # two of them can still be written
                deep = [deep]
            holder[last] = deep
    found = json.dumps(content)
    return found if rng.random() < 0.9 else "[" * 100_000 + found


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys that lead to every value within dictionaries and lists."""
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in items:
        yield from places(inside, (*place, key))


def damaged_archive(data: bytes, rng: random.Random) -> bytes:
    """A zip archive of which one member is damaged, and its checksum is right all the same."""
    written = io.BytesIO()
    compress = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(written, "w", compress) as new:
        names = old.namelist()
        hit = rng.choice([*names, *[name for name in names if name.endswith((".pkl", ".json"))] * 3])
        for name in names:
            content = old.read(name)
            if name != hit:
                new.writestr(name, content)
                continue
            what = rng.randrange(10)
            if what == 0:
                continue
            if what == 1:
                new.writestr(name + "x", content)
            elif what <= 3 and name.endswith(".json"):
                new.writestr(name, damaged_json(content.decode(), rng).encode("utf-8", "surrogatepass"))
            else:
                new.writestr(name, damaged_bytes(content, rng))
    found = written.getvalue()
    return damaged_bytes(found, rng) if rng.random() < 0.1 else found


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Damage that fits what the bytes are."""
    if data.startswith(b"PK") and rng.random() < 0.6:
        return damaged_archive(data, rng)
    if data.lstrip().startswith((b"{", b"[")) and rng.random() < 0.7:
        return damaged_json(data.decode(), rng).encode("utf-8", "surrogatepass")
    return damaged_bytes(data, rng)
