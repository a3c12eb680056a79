"""The colours of the report, in light and in dark.

Figures are drawn with the light colours, so that they are correct outside the page too (a notebook, a PDF). The page
replaces each of them by its dark counterpart in the dark theme.

All scales are ordinal: lightness is monotonic, and their steps stay distinct for readers with deuteranopia and
protanopia (asserted in the tests). Higher accuracy and higher values have more contrast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import plotly.graph_objects as go

Scale = Literal["accuracy", "depth", "heat"]

TOKENS = {
    "page": ("#f4f5f7", "#0f1115"),
    "surface": ("#fefefe", "#181b21"),
    "raised": ("#eceef2", "#232730"),
    "line": ("#dfe2e8", "#2c313b"),
    "muted": ("#5c6370", "#9ba3b0"),
    "ink": ("#1b1e24", "#e9ebef"),
    "accent": ("#5b1486", "#c5c2fd"),
}
"""Colours by role: name -> (light, dark)."""

_ANCHORS: dict[Scale, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "accuracy": (
        ("#ef9d32", "#e9732e", "#da4844", "#c1195c", "#90147b", "#5b1485", "#27117a"),
        ("#9a5505", "#c05832", "#e15c63", "#fb659d", "#e591ee", "#c5c2fe", "#c6e1ff"),
    ),
    "depth": (
        ("#98be49", "#58ae63", "#069975", "#027e79", "#056474", "#024b6e", "#102e6a"),
        ("#dcf181", "#a1e694", "#6cd5a6", "#43c0b2", "#06a9be", "#0b8ec7", "#426ec2"),
    ),
    "heat": (
        ("#f0f9f9", "#b5dbdf", "#79bdc6", "#2e9fb0", "#1a799a", "#17547f", "#183060"),
        ("#1f242e", "#2d4359", "#316784", "#258fab", "#60b3c1", "#95d7da", "#c9faf6"),
    ),
}
_STOPS = 30


def _mix(first: str, second: str, share: float) -> str:
    pairs = ((int(first[i : i + 2], 16), int(second[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _spread(anchors: tuple[str, ...]) -> tuple[str, ...]:
    """Piecewise linear interpolation of the anchors in sRGB at ``_STOPS + 1`` even positions."""
    places = [i * (len(anchors) - 1) / _STOPS for i in range(_STOPS + 1)]
    left = [min(int(place), len(anchors) - 2) for place in places]
    return tuple(_mix(anchors[i], anchors[i + 1], place - i) for i, place in zip(left, places, strict=True))


SCALES: dict[Scale, tuple[str, ...]] = {name: _spread(light) for name, (light, _) in _ANCHORS.items()}
"""The light stops of each scale, from low to high."""

_SIGNED = (
    ("#17468f", "#4f82c8", "#a3c1e8", "#edeff3", "#f2bf9d", "#d9773a", "#9a400c"),
    ("#a5caff", "#5f97e3", "#315a94", "#2c313c", "#8f4c22", "#dd8443", "#ffc594"),
)
DIVERGING: tuple[str, ...] = _spread(_SIGNED[0])
"""The light stops of the scale of signed values: blue below zero, orange above it, next to nothing at it."""

DARK: dict[str, str] = (
    dict(TOKENS.values())
    | {
        light: dark
        for name, (_, darks) in _ANCHORS.items()
        for light, dark in zip(SCALES[name], _spread(darks), strict=True)
    }
    | dict(zip(DIVERGING, _spread(_SIGNED[1]), strict=True))
)
"""The dark counterpart of every light colour that a figure may use."""


def shade(scale: Scale, share: float, *, alpha: float = 1.0) -> str:
    """The colour at ``share`` (0 to 1) of a scale, as ``#rrggbb`` or, with ``alpha`` below 1, ``#rrggbbaa``.

    >>> shade("accuracy", 0.0), shade("accuracy", 1.0, alpha=0.5)
    ('#ef9d32', '#27117a80')
    """
    return faint(SCALES[scale][round(min(max(share, 0.0), 1.0) * _STOPS)], alpha)


def steps(scale: Scale, count: int) -> list[str]:
    """``count`` colours from the low to the high end of a scale; the high end for a single one.

    >>> steps("accuracy", 2)
    ['#ef9d32', '#27117a']
    """
    return [shade(scale, i / (count - 1) if count > 1 else 1.0) for i in range(count)]


def diverging(count: int) -> tuple[str, ...]:
    """``count`` colours of the scale of signed values, an odd number, so that zero is the one in the middle.

    >>> diverging(3)
    ('#17468f', '#edeff3', '#9a400c')
    """
    return tuple(DIVERGING[round(i * _STOPS / (count - 1))] for i in range(count))


def faint(colour: str, alpha: float) -> str:
    """The colour with an opacity; the page keeps the last two digits when it replaces the first six.

    >>> faint("#336699", 0.5)
    '#33669980'
    """
    return colour if alpha >= 1 else f"{colour}{round(alpha * 255):02x}"


def colorscale(scale: Scale) -> list[tuple[float, str]]:
    """The scale as Plotly's ``colorscale``."""
    return [(i / _STOPS, colour) for i, colour in enumerate(SCALES[scale])]


def template() -> go.layout.Template:
    """The small Plotly template that every figure of the report carries."""
    import plotly.graph_objects as go

    ink, muted, line = (TOKENS[name][0] for name in ("ink", "muted", "line"))
    axis = {
        "automargin": True,
        "gridcolor": line,
        "linecolor": line,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": line,
        "tickfont": {"color": muted, "size": 12},
        "spikecolor": muted,
        "spikethickness": 1,
        "spikedash": "solid",
        "title": {"standoff": 8, "font": {"size": 13, "color": muted}},
    }
    return go.layout.Template(
        layout={
            "font": {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 13, "color": ink},
            # Not transparent: a figure that is saved as an image takes its background with it.
            "paper_bgcolor": TOKENS["surface"][0],
            "plot_bgcolor": TOKENS["surface"][0],
            "xaxis": axis | {"showgrid": False, "showline": True},
            "yaxis": axis,
            "hoverlabel": {
                "bgcolor": TOKENS["surface"][0],
                "bordercolor": line,
                "font": {"color": ink, "size": 13},
                "align": "left",
            },
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": muted, "activecolor": ink},
            "hovermode": "closest",
            "showlegend": False,
            "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        }
    )
