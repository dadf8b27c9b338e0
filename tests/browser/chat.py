"""The page as a user sees it: found by what things are called, not by how they are built."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

import httpx2
from playwright.sync_api import BrowserContext, Page, expect
from served import Server

#: Makes browser contexts at a server: ``visit(server)``, or ``visit(server, "name")`` signed in as somebody new.
Visit: TypeAlias = Callable[..., BrowserContext]
PASSWORD = "correct horse battery"


class Chat:
    """One page, and what a user does with it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.box = page.get_by_role("textbox", name="Message", exact=True)
        self.answers = page.locator("article.assistant")
        self.answer = self.answers.last
        self.stop = page.get_by_role("button", name="Stop")
        self.status = page.locator(".status")

    def say(self, text: str) -> None:
        """Write and press Enter."""
        self.box.fill(text)
        self.box.press("Enter")

    def text(self) -> str:
        """The last answer as it reads now."""
        return self.answer.locator(".part.text").inner_text() if self.answer.locator(".part.text").count() else ""

    def expect_answer(self, text: str | re.Pattern[str]) -> None:
        """Wait until the last answer reads so."""
        expect(self.answer.locator(".part.text")).to_have_text(text)

    def expect_status(self, status: str) -> None:
        """Wait until the last answer has come to this."""
        expect(self.answer).to_have_attribute("data-status", status)


def counted(tokens: int) -> str:
    """What echo answers to ``[[tokens=... numbered]]``, as a page shows it."""
    return " ".join(str(number) for number in range(tokens))


def sign_up(context: BrowserContext, server: Server, name: str) -> None:
    """Give the browser a session of this user, who is registered over the API when first heard of."""
    cookies = server.sessions.get(name)
    if cookies is None:
        account = {"email": f"{name}@example.org", "password": PASSWORD, "name": name.capitalize()}
        with httpx2.Client(base_url=server.url, trust_env=False) as client:
            client.post("/api/auth/register", json=account).raise_for_status()
            cookies = server.sessions[name] = {cookie.name: cookie.value or "" for cookie in client.cookies.jar}
    context.add_cookies([{"name": key, "value": value, "url": server.url} for key, value in cookies.items()])
