"""Shared by all tests: one thread each, the default Keras backend, where the real data lies, and a browser."""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from studylib.execution import configure
from studylib.params.study import Execution

configure(Execution())


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
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, address):
    """Open the page at the module's ``address``; at the end, nothing may have left it and nothing may have gone wrong in it."""
    contexts, requests, problems = [], [], []

    def visit(width=1280, scheme="light", **options):
        contexts.append(
            browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True, **options)
        )
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
