"""Shared by all tests: one thread each, the default Keras backend, where the real data lies, a browser, and who runs when."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from studylib.execution import configure
from studylib.params.study import Execution
from tests.browser import PATIENCE, offline

configure(Execution())
sys.modules["rfc3987_syntax"] = None  # as `studylib.cli` does, and why
# The networks of the tests are tiny: most of their time is spent on compiling, which takes 3 s instead of 5 at this level.
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"

TESTS = Path(__file__).parent

SECONDS = {
    "end_to_end/test_quickstart.py": 130,
    "end_to_end/test_smoke.py": 110,
    "end_to_end/test_pages.py": 80,
    "end_to_end/test_package.py": 60,
    "test_grid.py": 55,
    "models/test_keras_rnn.py": 45,
    "report/test_page.py": 32,
    "report/test_ranking_explorer.py": 12,
    "report/test_claims_explorer.py": 12,
    "models/test_backends.py": 25,
    "report/test_recommender.py": 22,
    "models/test_gru4rec.py": 20,
    "end_to_end/test_failures.py": 20,
    "test_figures.py": 20,
    "data/test_datasets.py": 17,
    "test_collection.py": 15,
    "models/test_neighbours.py": 14,
    "papers/test_toledo_rezende.py": 13,
    "end_to_end/test_own_log.py": 13,
    "test_contributing.py": 11,
    "tables/test_factors.py": 9,
    "test_comparison.py": 8,
    "tables/test_ranking.py": 7,
    "models/test_files.py": 5,
    "models/test_sasrec.py": 5,
    "models/test_update.py": 5,
    "attack/test_kills.py": 720,
    "attack/test_nothing_lost.py": 550,
    "attack/test_hosts.py": 400,
    "attack/test_stops.py": 400,
    "attack/test_verify_command.py": 230,
    "attack/test_readers.py": 200,
}
"""The slow files and the longest attacks: those that train networks, start processes, kernels or a browser, read real data
or compute many intervals. A worker takes a file as a whole, the one of the most seconds (of one core, about) first, so that no
long one is left for the end. All other files but the attacks are quick: `make check` runs them."""


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="no file of SECONDS: what `make check` runs")
    parser.addoption("--slow", action="store_true", help="only the files of SECONDS")
    parser.addoption("--attack", action="store_true", help="only the files of tests/attack, which no other option runs")


def pytest_ignore_collect(collection_path, config):
    """A file of the other part, or a module without an example, is not even imported."""
    if collection_path.suffix != ".py":
        return None
    if not collection_path.is_relative_to(TESTS):
        return True if ">>>" not in collection_path.read_text() else None
    if not collection_path.name.startswith("test_"):
        return None
    if config.option.attack != (TESTS / "attack" in collection_path.parents):
        return True
    slow = collection_path.relative_to(TESTS).as_posix() in SECONDS
    return True if (config.option.quick and slow) or (config.option.slow and not slow) else None


def pytest_collection_modifyitems(items):
    """The files of the most seconds first; a file's tests keep their order, and one worker takes them all (`--dist loadfile`)."""

    def seconds(item):
        return SECONDS.get(item.path.relative_to(TESTS).as_posix(), 0) if item.path.is_relative_to(TESTS) else 0

    items.sort(key=lambda item: -seconds(item))


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """A folder that all workers have, for what one of them makes and the others wait for."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of the real data; tests that need it are skipped where it is not."""
    root = os.environ.get("STUDYLIB_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("the real data is not here: set STUDYLIB_DATA to its folder")
    return Path(root).resolve()


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine: the page is not tested in a browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            timeout=PATIENCE,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, address):
    """Open the page at the module's ``address``; at the end, nothing may have left it and nothing may have gone wrong in it."""
    contexts, requests, problems = [], [], []

    def visit(width=1280, scheme="light", **options):
        contexts.append(offline(browser, viewport={"width": width, "height": 800}, color_scheme=scheme, **options))
        page = contexts[-1].new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda problem: problems.append(str(problem)))
        page.goto(address)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert {url for url in requests if not url.startswith("data:")} <= {address} and not problems
