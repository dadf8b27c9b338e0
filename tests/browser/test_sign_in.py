"""Ways in besides the password, as a person takes them: a certified OpenID provider's own pages, and an invitation."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser.chat import Visit
from browser.watched import Watched
from playwright.sync_api import expect
from plugins.oidc.real import CLIENT, SECRET, open_provider
from served import Server


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Server]:
    """A server that trusts a provider called Example Ltd, and on which nobody registers by themselves."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with open_provider(f"http://127.0.0.1:{port}/api/auth/oidc/work/callback") as issuer:
        server = Server(
            tmp_path,
            registration="closed",
            oidc_providers="work",
            oidc_work_title="Example Ltd",
            oidc_work_issuer=issuer,
            oidc_work_client_id=CLIENT,
            oidc_work_client_secret=SECRET,
        )
        server.port = port
        server.start()
        yield server
        server.close()


def test_person_signs_in_at_the_provider(company: Server, visit: Visit, watched: Watched) -> None:
    watched.expected += [r"at https?://(?!127)", r"favicon\.ico$"]  # what the provider's own pages lack
    page = visit(company).new_page()
    page.goto(company.url)
    expect(page.get_by_role("button", name="Create an account")).to_have_count(0)
    page.get_by_role("link", name="Continue with Example Ltd").click()
    page.locator("input[name=login]").fill("ada")
    page.locator("input[name=password]").fill("any")
    page.locator("button[type=submit]").click()
    page.locator("button[type=submit]").click()  # consent
    expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_visible()
    expect(page).to_have_url(company.url + "/")


def test_mishap_is_said_in_words(company: Server, visit: Visit) -> None:
    page = visit(company).new_page()
    page.goto(company.url + "/?login=work&problem=forbidden")
    expect(page.get_by_role("alert")).to_have_text(
        "Example Ltd: There is no account for you here, or it is disabled. Ask the administrator."
    )
