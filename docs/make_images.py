"""The pictures of the README, from a population's folder and a headless Chromium.

    python docs/make_images.py runs/demo
    python docs/make_images.py --network runs/cikm2022/lenet

writes docs/images/population.png and docs/images/population-dark.png, the first figure of the population's page, or
docs/images/network.svg, the most accurate of some networks before and after training.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from axonometry.populations import Population, load_population
from axonometry.report.population import population_page

IMAGES = Path(__file__).parent / "images"
WIDTH = 920


def main() -> None:
    """Write both pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("population", type=Path, help="a folder of runs")
    parser.add_argument("--network", action="store_true", help="draw one network instead")
    parser.add_argument("--edges", type=float, nargs="+", help="edges of the accuracy bins")
    arguments = parser.parse_args()
    if arguments.network:
        network(load_population(arguments.population))
        return
    page = population_page(load_population(arguments.population), edges=arguments.edges)
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = page.write(Path(folder) / "page.html")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        picture(browser, path, "light", IMAGES / "population.png")
        picture(browser, path, "dark", IMAGES / "population-dark.png")
        browser.close()


def network(population: Population) -> None:
    """The most accurate network at its first and at its last step."""
    best = str(population.frame["accuracy"].idxmax())
    steps, accuracy = population.runs[best].steps, population.frame.loc[best, "accuracy"]
    names = "untrained", f"after {steps[-1]} epochs, {accuracy:.0%} of the test images right"
    drawn = population.graph(best, steps[0]).draw(beside=population.graph(best), names=names)
    drawn.write_svg(str(IMAGES / "network.svg"))


def picture(browser: Browser, path: Path, scheme: str, target: Path) -> None:
    """One screenshot of the first figure, in one of the two colour schemes, sharp on fine screens."""
    page = browser.new_page(
        viewport={"width": WIDTH, "height": 1000}, device_scale_factor=1.5, color_scheme=scheme, reduced_motion="reduce"
    )
    page.goto(path.as_uri())
    figure = page.locator("figure.plots").first
    figure.locator(".panel:not([hidden]) .main-svg").first.wait_for()
    # A picture has no controls to press and no details to open; the layer's name is in the switch on the page.
    page.add_style_tag(
        content=".player, .definition, .modebar, .choices, figcaption { display: none !important }"
        " .choices + .panels .panel-head b { display: inline !important } .block { border-radius: 0; margin: 0 }"
    )
    figure.screenshot(path=target, animations="disabled")
    page.close()


if __name__ == "__main__":
    main()
