"""The page as a file: structure, escaping, numbers, and what happens when something is missing.

The gold file: ``small_page.html`` beside this test is ``small_page()`` without plotly.js, styles and script.
After a change that is meant, look at a page in a browser, write the file anew with
``UPDATE_GOLD=1 python -m pytest tests/report/test_page.py -k gold``, and read the difference before you commit it.
"""

from __future__ import annotations

import json
import math
import os
import re
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given, strategies as st

from axonometry.cell_text import number
from axonometry.errors import AxonometryError, MissingExtraError, WriteError
from axonometry.report import Drawing, Facts, Figure, Key, Page, Panel, Prose, Tab, Table, palette, render
from axonometry.report.render import sort_key, unique_slugs

GOLD = Path(__file__).with_name("small_page.html")
NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & \"quotes\" 'too' `code`"


def small_page() -> Page:
    figure = go.Figure(
        go.Scatter(x=[0, 1], y=[0.5, 0.75], name="low", legendgroup="low"), layout={"template": palette.template()}
    )
    plots = Figure(
        "Accuracy",
        (Panel(figure, "conv1", "n = 2"),),
        "It rises.",
        "A share.",
        (Key("low", palette.shade("accuracy", 0.0)),),
    )
    table = Table(("network", "accuracy"), (("a", 0.5), ("b", math.nan)), "Networks", "Two of them.")
    return Page(
        "Two networks",
        "A small page.",
        (
            Tab("Overview", (Facts({"networks": 2}, prominent=True), plots)),
            Tab(
                "Networks",
                (Prose("First.\n\nSecond, with `code`.", "Words"), table, Drawing("Graph", "<svg></svg>", "Drawn.")),
            ),
        ),
        {"data": "digits"},
        "axonometry demo",
    )


def without_plotly(html: str) -> str:
    from plotly.offline import get_plotlyjs

    return html.replace(get_plotlyjs(), "/* plotly.js */").replace(f"Axonometry {version()}", "Axonometry VERSION")


def version() -> str:
    from importlib.metadata import version as of

    return of("axonometry")


class Elements(HTMLParser):
    """All start tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:
            self.text += data


def test_the_small_page_is_the_gold_file() -> None:
    html = without_plotly(small_page().html())
    html = re.sub(r"'sha256-[\w+/]{43}='", "'sha256-HASH'", html)
    for name in ("style.css", "page.js"):
        html = html.replace(
            resources.files("axonometry.report").joinpath(name).read_text("utf-8").rstrip("\n"), f"/* {name} */"
        )
    if os.environ.get("UPDATE_GOLD"):
        GOLD.write_text(html, encoding="utf-8", newline="\n")
    assert html == GOLD.read_text(encoding="utf-8")


def test_plotly_is_inside_once_and_only_where_figures_are() -> None:
    from plotly.offline import get_plotlyjs

    page = small_page()
    assert page.html().count(get_plotlyjs()) == 1
    assert "plotly.js v" in page.html()
    assert "plotly.js v" not in Page("t", "", (page.tabs[1],)).html()


def test_nothing_on_the_page_points_outside() -> None:
    html = without_plotly(small_page().html())
    elements = Elements(html).found
    assert not [attrs for _, attrs in elements if attrs.get("src")]
    assert all((attrs.get("href") or "#")[0] == "#" or attrs["href"] == "data:," for _, attrs in elements)
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "https://" not in html
    assert "default-src 'none'" in html


def test_whatever_users_name_is_text() -> None:
    figure = go.Figure(go.Scatter(x=[1], y=[1], name=NASTY))
    blocks = (
        Facts({NASTY: NASTY}, NASTY),
        Prose(NASTY, NASTY),
        Table((NASTY,), ((NASTY,),), NASTY, NASTY),
        Figure(
            NASTY,
            (Panel(figure, NASTY, NASTY), Panel(figure)),
            NASTY,
            NASTY,
            (Key(NASTY, palette.shade("heat", 1.0)),),
            "switch",
        ),
        Drawing(NASTY, "<svg></svg>", NASTY),
    )
    page = Page(NASTY, NASTY, (Tab(NASTY, blocks), Tab(NASTY, ())), {NASTY: NASTY}, NASTY)
    elements = Elements(without_plotly(page.html()))
    assert not [attrs for tag, attrs in elements.found if tag == "img" or "onerror" in attrs]
    plain = Elements(without_plotly(Page("t", "", (Tab("a", ()), Tab("b", ())), {"x": 1}, "c").html()))
    assert [tag for tag, _ in elements.found].count("script") == [tag for tag, _ in plain.found].count("script") + 3
    assert elements.text.count("onerror=alert(2)") > 15


def test_figures_inside_scripts_are_whole_json() -> None:
    figure = go.Figure(go.Scatter(x=[1], y=[1], text=[NASTY + "<!--\u2028"]))
    (text,) = render.environment().from_string("{{ f | plotly_json }}").render(f=figure).splitlines()
    assert "<" not in text
    assert json.loads(text)["data"][0]["text"] == [NASTY + "<!--\u2028"]


@given(st.text(max_size=40))
def test_any_text_comes_back_from_the_page_as_it_was(text: str) -> None:
    cell = render.environment().from_string("<td>{{ text | number }}</td>").render(text=text)
    if not set(text) & set("\r\x00"):  # a parser may change these
        assert Elements(cell).text == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (12954, "12,954"),
        (np.int64(658024), "658,024"),
        (0.0, "0"),
        (0.98765, "0.9877"),
        (-1234.5, "-1,234"),
        (9999.9, "10,000"),
        (999.97, "1000"),
        (1234567.0, "1,234,567"),
        (1.5e12, "1.500e+12"),
        (3e-9, "3e-09"),
        (np.float32(0.25), "0.25"),
        (math.nan, "–"),
        (None, "–"),
        (pd.NA, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (True, "yes"),
        (np.False_, "no"),
        ((3, 32, 32), "3 × 32 × 32"),
        ((), "–"),
        ("1e5", "1e5"),
        (Path("runs") / "a", "runs/a"),
        ({"a": 1}, "{'a': 1}"),
    ],
)
def test_numbers_are_written_for_readers(value: object, text: str) -> None:
    assert number(value) == text


def test_cells_sort_by_value_and_what_is_no_number_has_none() -> None:
    assert sort_key(np.float64(0.5)) == 0.5
    assert [sort_key(value) for value in ("3", True, None, math.nan, math.inf, (1, 2))] == [None] * 6


@given(st.lists(st.sampled_from(["a", "A", "a 2", "a-2", "", "é", "a-2-2"]), max_size=8))
def test_addresses_inside_the_page_are_unique(names: list[str]) -> None:
    slugs = unique_slugs(names)
    assert len(set(slugs)) == len(names)
    assert all(slugs)


def test_ids_are_unique() -> None:
    ids = [attrs["id"] for _, attrs in Elements(without_plotly(small_page().html())).found if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_a_table_of_a_frame_keeps_columns_and_rows() -> None:
    table = Table.of(pd.DataFrame({"layer": ["a"], 0: [1.5]}), title="T")
    assert (table.columns, table.rows, table.title) == (("layer", "0"), (("a", 1.5),), "T")


def test_a_page_without_tabs_is_refused() -> None:
    with pytest.raises(AxonometryError, match="at least one tab"):
        Page("t", "", ())


@pytest.mark.parametrize("package", ["plotly", "jinja2"])
def test_a_missing_package_is_named_with_its_remedy(
    package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(render.util, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(MissingExtraError, match=rf"missing package: {package}\..*pip install 'axonometry\[report\]'"):
        small_page().write(tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_writing_replaces_a_page_and_makes_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    assert small_page().write(path) == path
    first = path.read_bytes()
    small_page().write(str(path))
    assert path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == ["page.html"]


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WriteError, match="No space left"):
        small_page().write(path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
