"""Pages in a real browser: every figure drawn, every control works, nothing asked of any network, nothing too wide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.synthetic_page import SCRIPT, page

playwright = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page().write(tmp_path_factory.mktemp("report") / "page.html")


@pytest.fixture
def watched(browser: Any) -> Iterator[Any]:
    """A browser page that fails the test if the page complains or asks any network for anything."""
    browser.set_default_timeout(90_000)  # a busy machine is no failure
    complaints: list[str] = []
    browser.on(
        "console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None
    )
    browser.on("pageerror", lambda error: complaints.append(str(error)))
    browser.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    browser.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else complaints.append(request.url),
    )
    yield browser
    assert complaints == []


def opened(browser: Any, path: Path, address: str = "") -> Any:
    browser.goto(path.as_uri() + address)
    return browser


def draw_all(browser: Any) -> None:
    """Scroll through the open tab until every figure in it is drawn."""
    for plot in browser.locator("section:not([hidden]) .panel:not([hidden]) .plot").all():
        plot.scroll_into_view_if_needed()
        plot.locator(".main-svg").first.wait_for()


def theme(browser: Any) -> tuple[str, str]:
    """The page's background and the first figure's tick colour."""
    return browser.evaluate(
        """() => [getComputedStyle(document.body).backgroundColor,
                  getComputedStyle(document.querySelector('.xtick text')).fill]"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_every_tab_draws_every_figure_and_none_is_too_wide(watched: Any, path: Path, scheme: str, width: int) -> None:
    watched.emulate_media(color_scheme=scheme)
    watched.set_viewport_size({"width": width, "height": 812})
    opened(watched, path)
    tabs = watched.get_by_role("tab").all()
    assert len(tabs) == len(page().tabs)
    for tab, expected in zip(tabs, page().tabs, strict=True):
        tab.click()
        assert tab.get_attribute("aria-selected") == "true"
        assert watched.locator("section:not([hidden])").count() == 1
        draw_all(watched)
        assert watched.evaluate("document.documentElement.scrollWidth") <= width, expected.name
        drawn = watched.locator("section:not([hidden]) .plot .main-svg:first-child").all()
        assert len(drawn) == watched.locator("section:not([hidden]) .panel:not([hidden]) .plot").count()
        for svg in drawn:
            box = svg.bounding_box()
            assert box["width"] > 200
            assert box["height"] > 150
            assert box["x"] + box["width"] <= width


def test_every_figure_shows_its_data(watched: Any, path: Path) -> None:
    opened(watched, path)
    for tab in watched.get_by_role("tab").all():
        tab.click()
        draw_all(watched)
        for plot in watched.locator("section:not([hidden]) .panel:not([hidden]) .plot").all():
            marks = plot.locator(".point, .js-line, .hm image, .box").count()
            assert marks > 0, plot.get_attribute("aria-label")


def test_tabs_work_by_keyboard(watched: Any, path: Path) -> None:
    opened(watched, path)
    tabs = watched.get_by_role("tab")
    last = tabs.count() - 1
    tabs.first.focus()
    for key, index in (
        ("ArrowRight", 1),
        ("ArrowLeft", 0),
        ("ArrowLeft", last),
        ("ArrowRight", 0),
        ("End", last),
        ("Home", 0),
    ):
        watched.keyboard.press(key)
        assert watched.evaluate("document.activeElement.id") == tabs.nth(index).get_attribute("id")
        assert tabs.nth(index).get_attribute("aria-selected") == "true"
        assert watched.locator("section:not([hidden])").get_attribute("id") == tabs.nth(index).get_attribute(
            "aria-controls"
        )
        assert [tab.get_attribute("tabindex") for tab in tabs.all()].count("0") == 1


def test_an_address_opens_its_tab_and_a_tab_sets_the_address(watched: Any, path: Path) -> None:
    opened(watched, path, "#networks")
    assert watched.locator("section:not([hidden])").get_attribute("id") == "networks"
    watched.get_by_role("tab").first.click()
    assert watched.evaluate("location.hash") == "#overview"
    watched.evaluate("location.hash = '#over-time.1'")
    watched.locator("#over-time:not([hidden])").wait_for()
    opened(watched, path, "#no-such-thing")
    assert watched.locator("section:not([hidden])").get_attribute("id") == "overview"


def test_the_theme_follows_the_screen_and_the_button_and_is_remembered(watched: Any, path: Path) -> None:
    watched.emulate_media(color_scheme="light")
    opened(watched, path)
    draw_all(watched)
    light = theme(watched)
    watched.emulate_media(color_scheme="dark")
    watched.wait_for_function(
        "light => getComputedStyle(document.querySelector('.xtick text')).fill !== light", arg=light[1]
    )
    dark = theme(watched)
    assert light[0] != dark[0]
    watched.get_by_role("button", name="Switch between light and dark").click()
    assert theme(watched) == light
    watched.reload()
    draw_all(watched)
    assert theme(watched) == light


def test_a_legend_key_hides_its_networks_in_all_panels_and_in_the_other_theme_too(watched: Any, path: Path) -> None:
    opened(watched, path, "#over-time")
    draw_all(watched)
    figure = watched.locator("#over-time figure").first
    lines = figure.locator(".js-line")
    panels, before = figure.locator(".plot").count(), lines.count()
    key = figure.locator(".key").nth(1)
    key.focus()
    watched.keyboard.press("Enter")
    assert key.get_attribute("aria-pressed") == "false"
    watched.wait_for_function(
        "n => document.querySelector('#over-time figure').querySelectorAll('.js-line').length < n", arg=before
    )
    hidden = lines.count()
    assert hidden <= before - panels
    watched.get_by_role("button", name="Switch between light and dark").click()
    assert lines.count() == hidden
    key.click()
    watched.wait_for_function(
        "n => document.querySelector('#over-time figure').querySelectorAll('.js-line').length === n", arg=before
    )


def test_the_player_moves_the_dots_through_the_steps(watched: Any, path: Path) -> None:
    watched.emulate_media(reduced_motion="reduce")
    opened(watched, path)
    draw_all(watched)
    hero = watched.locator("figure.switch")
    where = """() => [...document.querySelectorAll('.panel:not([hidden]) .scatterlayer .point')]
        .map(point => point.getAttribute('transform')).join()"""
    last = watched.evaluate(where)
    assert hero.locator("output").inner_text() == "step 5"
    slider = hero.get_by_role("slider", name="Step")
    slider.focus()
    watched.keyboard.press("Home")
    watched.wait_for_function(f"last => ({where})() !== last", arg=last)
    assert hero.locator("output").inner_text() == "step 0"
    hero.get_by_role("button", name="Play").click()
    hero.get_by_role("button", name="Pause").wait_for()
    watched.wait_for_function("() => document.querySelector('figure.switch output').textContent === 'step 5'")
    hero.get_by_role("button", name="Play").wait_for()
    watched.wait_for_function(f"last => ({where})() === last", arg=last)


def test_no_button_sends_the_data_anywhere(watched: Any, path: Path) -> None:
    opened(watched, path)
    draw_all(watched)
    buttons = watched.locator(".panel:not([hidden]) .modebar-btn").all()
    titles = {button.get_attribute("data-title") for button in buttons}
    assert titles == {"Download plot as a PNG", "Zoom", "Pan", "Reset axes"}


def test_a_figure_is_saved_as_an_image_without_a_network(watched: Any, path: Path) -> None:
    opened(watched, path)
    draw_all(watched)
    watched.locator("section:not([hidden]) .panel:not([hidden]) .plot").hover()
    with watched.expect_download() as download:
        watched.locator(".panel:not([hidden]) .modebar-btn").first.click()
    assert download.value.suggested_filename.endswith(".png")


def test_a_switch_shows_one_panel_at_a_time(watched: Any, path: Path) -> None:
    opened(watched, path)
    hero = watched.locator("figure.switch")
    choices = hero.get_by_role("radio")
    choices.first.focus()
    for index in range(1, choices.count()):
        watched.keyboard.press("ArrowRight")
        assert hero.locator(".panel:not([hidden])").count() == 1
        draw_all(watched)
        assert hero.locator(".panel").nth(index).locator(".main-svg").first.bounding_box()["width"] > 800


def test_a_table_sorts_by_value_with_what_is_missing_last(watched: Any, path: Path) -> None:
    opened(watched, path, "#networks")
    table = watched.locator("#networks table").first
    for direction, key in (("ascending", 1), ("descending", -1)):
        table.get_by_role("button", name="accuracy").click()
        assert table.locator("th[aria-sort]").get_attribute("aria-sort") == direction
        cells = [float(text) for text in table.locator("tr td:last-child").all_inner_texts() if text != "–"]
        assert cells == sorted(cells, key=lambda cell: key * cell)
        assert table.locator("tr:last-child td:last-child").inner_text() == "–"


def test_a_script_in_a_name_is_only_text(watched: Any, path: Path) -> None:
    opened(watched, path, "#over-time")
    draw_all(watched)
    assert watched.get_by_text(SCRIPT).first.is_visible()
    plot = watched.locator("#networks .plot").first
    watched.get_by_role("tab", name="Networks").click()
    draw_all(watched)
    assert SCRIPT in plot.locator(".ytick text").all_text_contents()
    assert watched.evaluate("window.harmed === undefined")


def test_paper_shows_every_tab_and_figure_in_light_colours(watched: Any, path: Path, tmp_path: Path) -> None:
    watched.emulate_media(color_scheme="dark")
    opened(watched, path)
    watched.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 50_000
    watched.evaluate("dispatchEvent(new Event('beforeprint'))")
    panels = watched.locator(".plot").count()
    assert watched.locator(".plot .main-svg:first-child").count() == panels
    assert watched.locator("section:not([hidden])").count() == len(page().tabs)
    assert watched.evaluate("getComputedStyle(document.querySelector('.xtick text')).fill") == "rgb(92, 99, 112)"
    watched.evaluate("dispatchEvent(new Event('afterprint'))")
    assert watched.locator("section:not([hidden])").count() == 1
    assert watched.evaluate("getComputedStyle(document.querySelector('.xtick text')).fill") == "rgb(155, 163, 176)"


def test_without_scripts_text_and_tables_are_there(browser: Any, path: Path) -> None:
    context = browser.context.browser.new_context(
        java_script_enabled=False, viewport={"width": 375, "height": 812}, offline=True
    )
    try:
        plain = context.new_page()
        plain.goto(path.as_uri())
        for heading in ("Overview", "Over time", "Networks", "Definitions"):
            assert plain.get_by_role("heading", name=heading, exact=True, level=2).is_visible()
        assert plain.get_by_text("The figures of this page need JavaScript").is_visible()
        assert plain.locator("table").first.is_visible()
        assert plain.locator("svg").first.is_visible()
        assert not plain.locator(".legend, .player").first.is_visible()
    finally:
        context.close()
