"""What all tests share: image data, a browser, seeds, one thread a process, and folders that are made once for all."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
import torch
from filelock import FileLock
from hypothesis import HealthCheck, settings

from tests import types_at_run_time
from tests.slow import Times, shared_fixtures, slow_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

REPOSITORY = Path(__file__).resolve().parent.parent

# The same examples on every machine and in every order: a failure that comes and goes teaches nothing.
settings.register_profile(
    "axonometry", derandomize=True, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("axonometry")

types_at_run_time.install()

# No test cuts the power, so that none needs to wait for the disk.
os.fsync = os.fstat  # type: ignore[assignment]  # it still fails for what is no file

# A shell starts what it puts into the background with Ctrl-C ignored, and that is inherited by the commands under test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Under pytest-xdist there is a process a core: a second thread each would take the other process's core.
if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test, but fail it where CI=true: there, nothing may be missing."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{reason} (with CI=true this is a failure)")
    pytest.skip(reason)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--times", type=Path, metavar="FOLDER", help="note what tests and fixtures take; see tests/slow.py"
    )


def pytest_configure(config: pytest.Config) -> None:
    if folder := config.getoption("--times"):
        config.pluginmanager.register(Times(folder / f"{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}.json"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that took long when they were measured are marked slow, beside those that say it themselves."""
    slow = slow_names()
    for item in items:
        if item.nodeid in slow or not slow.isdisjoint(shared_fixtures(item)):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Measures and rules of test modules are for these alone: processes that tests start do not import them."""
    _forget_places()
    # What is there by now, torch and all tests, stays to the end: no collection needs to walk through it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture
def in_this_process() -> Iterator[None]:
    """Populations are trained here, without new processes."""
    from tests.inline import training_here  # the package is first imported where its types are checked

    with training_here():
        yield


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Every test starts from the same random numbers, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _nobody_elses_parts() -> Iterator[None]:
    """Where a test registered names is forgotten: a later test's processes would import that file, which is gone."""
    yield
    _forget_places()


def _forget_places() -> None:
    if registering := sys.modules.get("axonometry.registering"):
        registering.forget_places()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """A folder that is filled by whichever process of the session asks for it first, and only read from then on.

    ``made_once("digits", lambda folder: train(configuration, folder / "a"))`` trains once, however many workers
    pytest-xdist runs: the others wait at the lock. Every worker has its own base directory, below one that all share.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        place, done = shared / f"once-{name}", shared / f"once-{name}.done"
        with FileLock(shared / f"once-{name}.lock"):
            if not done.exists():
                place.mkdir()
                with torch.random.fork_rng():  # the same whichever test asks first, and in the middle of what
                    torch.manual_seed(0)
                    make(place)
                done.touch()
        return place

    return folder


@pytest.fixture(scope="session")
def data_directory() -> Path:
    """The folder of image data sets: AXONOMETRY_DATA, or shared/data in the checkout, beside it or above it."""
    named = os.environ.get("AXONOMETRY_DATA")
    above = [folder / "shared" / "data" for folder in (REPOSITORY, *REPOSITORY.parents)]
    for folder in [Path(named)] if named else above:
        if (folder / "mnist").is_dir():
            return folder
    skip_or_fail(
        f"the image data is missing: {named or 'no shared/data beside or above the checkout'}; "
        "set AXONOMETRY_DATA to the folder that holds mnist/, fashion-mnist/ and cifar10/"
    )


@pytest.fixture(scope="session")
def _chromium() -> Iterator[Browser]:
    """One headless browser for all tests, of the system's own Chromium."""
    from playwright.sync_api import sync_playwright

    executable = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if executable is None:
        skip_or_fail("neither chromium nor google-chrome is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def browser(_chromium: Browser) -> Iterator[Page]:
    """A fresh page of a headless Chromium (1280x900), without network."""
    context = _chromium.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    yield context.new_page()
    context.close()
