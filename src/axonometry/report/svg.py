r"""Elements of SVG: the one place where names and numbers become drawings, all of them escaped.

>>> text = element("text", "<script>alert(1)</script>", x=1.5, text_anchor="middle")
>>> str(text)
'<text x="1.5" text-anchor="middle">&lt;script&gt;alert(1)&lt;/script&gt;</text>'
>>> str(element("g", text, "\x1b"))[-9:]
'>\\x1b</g>'
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def element(name: str, *inside: str, **attributes: object) -> Markup:
    """One element of SVG.

    Args:
        name: The element's name, one of ours.
        inside: What it holds: other elements, or text, which is escaped. Characters that XML cannot hold are written as
            their escapes.
        attributes: By name, with ``_`` for the dash and ``class_`` for ``class``; escaped too, and left out where None.

    >>> element("circle", r=2)
    Markup('<circle r="2"/>')
    """
    from markupsafe import Markup

    words = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _text(str(value)))
        for key, value in attributes.items()
        if value is not None
    )
    if not inside:
        return Markup("<{}{}/>").format(name, words)
    return Markup("<{}{}>{}</{}>").format(name, words, Markup("").join(map(_text, inside)), name)


def _text(inside: str) -> Markup:
    """Markup as it is; of anything else, text."""
    from markupsafe import Markup, escape

    if isinstance(inside, Markup):
        return inside
    return escape(_NO_XML.sub(lambda match: ascii(match[0])[1:-1], inside))
