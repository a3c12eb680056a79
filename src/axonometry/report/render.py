"""From blocks to HTML: the Jinja environment, and the formats of cells, names and JSON."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
import re
from importlib import resources, util
from typing import TYPE_CHECKING

from axonometry.cell_text import number
from axonometry.errors import MissingExtraError
from axonometry.report import palette

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import jinja2
    import plotly.graph_objects as go
    from markupsafe import Markup


def environment() -> jinja2.Environment:
    """The environment that renders ``template.html``; everything that is not marked as safe is escaped.

    Raises:
        MissingExtraError: plotly or jinja2 is not installed.
    """
    for package in ("jinja2", "plotly"):
        if util.find_spec(package) is None:
            missing = MissingExtraError.of(package, "report")
            raise missing
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(_own),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": number,
        "sort_key": sort_key,
        "prose": _prose,
        "dark": palette.DARK.__getitem__,
        "kind": lambda block: type(block).__name__,
        "script_json": lambda value: _script(json.dumps(value)),
        "plotly_json": _figure,
    }
    return made


def scripts_of_page(*, plotly: bool) -> dict[str, str]:
    """The scripts of a page by name: all of a page's code, and none of its content.

    Args:
        plotly: Whether the page has figures.
    """
    from plotly.offline import get_plotlyjs

    return {"head": _own("head.js"), "plotly": get_plotlyjs() if plotly else "", "page": _own("page.js")}


def script_sources(scripts: Iterable[str]) -> Markup:
    """The sources of a content security policy that runs these scripts, as they stand in the page, and no other.

    >>> str(script_sources(["alert(1)"]))
    "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='"
    """
    from markupsafe import Markup

    digests = (hashlib.sha256(script.encode()).digest() for script in scripts if script)
    return Markup(" ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests))


def sort_key(value: object) -> float | None:
    """The sort key of a cell that is a number, else None."""
    if isinstance(value, (str, bool)) or not hasattr(value, "__float__"):
        return None
    try:
        real = float(value)
    except OverflowError:  # an integer beyond floats
        return None
    return real if math.isfinite(real) else None


def unique_slugs(names: Sequence[str]) -> list[str]:
    """Names as unique addresses inside the page.

    >>> unique_slugs(["Over time", "Over time", "<b>"])
    ['over-time', 'over-time-2', 'b']
    """
    slugs: list[str] = []
    for name in names:
        base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "part"
        candidates = (base if count == 1 else f"{base}-{count}" for count in itertools.count(1))
        slugs.append(next(slug for slug in candidates if slug not in slugs))
    return slugs


def _own(name: str) -> str:
    """A file of this package."""
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _prose(text: str) -> list[Markup]:
    from markupsafe import Markup, escape

    parts = [part for part in re.split(r"\n\s*\n", text.strip()) if part]
    return [Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(part)))) for part in parts]


def _figure(figure: go.Figure) -> Markup:
    return _script(figure.to_json())


def _script(text: str) -> Markup:
    """JSON that can neither end its script element nor open a comment in it."""
    from markupsafe import Markup

    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
