"""What the page consists of: files of this package, and the report's style and colours."""

from __future__ import annotations

from importlib import resources

from axonometry.report import palette

_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
_OWN = {"/": "watch.html", "/watch.css": "watch.css"} | {
    f"/{name}.js": f"{name}.js" for name in ("watch", "table", "curves", "chart", "theme")
}


def page_files() -> dict[str, tuple[str, str]]:
    """Content and type of each file by its path."""
    here, report = resources.files("axonometry.watch"), resources.files("axonometry.report")
    found = {path: (here.joinpath(name).read_text(encoding="utf-8"), _type(name)) for path, name in _OWN.items()}
    style = report.joinpath("style.css").read_text(encoding="utf-8")
    return {**found, "/style.css": (style, _type("style.css")), "/colours.css": (colours_css(), _type("colours.css"))}


def colours_css() -> str:
    """The report's colours as custom properties, light and dark: its roles, and the stops of its ordinal scales.

    A canvas needs colours as numbers: ``light-dark()`` in a custom property would reach it as this text.
    """
    light = {name: pair[0] for name, pair in palette.TOKENS.items()}
    for scale in ("accuracy", "depth"):
        light |= {f"{scale}-{place}": colour for place, colour in enumerate(palette.SCALES[scale])}
    dark = {name: palette.DARK[colour] for name, colour in light.items()}
    properties = {"light": _properties(light), "dark": _properties(dark)}
    return (
        f":root {{ color-scheme: light dark; {properties['light']} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {properties['dark']} }} }}\n"
        f':root[data-theme="light"] {{ {properties["light"]} }}\n'
        f':root[data-theme="dark"] {{ {properties["dark"]} }}\n'
    )


def _properties(colours: dict[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def _type(name: str) -> str:
    return _TYPES[name.rpartition(".")[2]]
