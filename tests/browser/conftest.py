"""Chromium, a server, and what both are for. Playwright's synchronous API runs a loop of its own, so these tests are plain
functions and know nothing of Trio.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser.chat import Chat, Visit, sign_up
from browser.watched import Watched
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright
from served import Server

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = (
    "--no-sandbox",  # Tests may run as root, where Chromium's sandbox does not.
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-domain-reliability",
    "--disable-client-side-phishing-detection",
    "--no-first-run",
    "--no-pings",
    # Nothing but this machine can be reached, whatever a page asks for.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


# A page shares two cores with other tests' servers and browsers; a wait that is met ends at once, however long it may be.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that only use it."""
    yield from _serve(tmp_path_factory.mktemp("server"))


@pytest.fixture
def mortal_server(tmp_path: Path) -> Iterator[Server]:
    """A server for one test, which may kill it."""
    yield from _serve(tmp_path)


def _serve(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium. Where there is none the tests are skipped, but not where CI counts on them."""
    if CHROMIUM is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium is installed: the page is not tested")
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def watched() -> Iterator[Watched]:
    """What the test's pages complain about; an unexpected complaint fails the test."""
    watched = Watched()
    yield watched
    watched.check()


@pytest.fixture
def visit(browser: Browser, watched: Watched) -> Iterator[Visit]:
    """What makes browser contexts."""
    contexts: list[BrowserContext] = []

    def make(server: Server, name: str | None = None, **options: object) -> BrowserContext:
        context = browser.new_context(base_url=server.url, **options)  # type: ignore[arg-type]  # passed on as given
        contexts.append(context)
        watched.watch(context)
        if name is not None:
            sign_up(context, server, name)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def chat(server: Server, visit: Visit) -> Chat:
    """A signed-in user's page, with nothing said yet."""
    page = visit(server, "ada").new_page()
    page.goto("/")
    chat = Chat(page)
    expect(chat.box).to_be_focused()
    return chat
