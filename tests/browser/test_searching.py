"""The search at the side finds what was said and what stands in files, and opens it where it stands."""

from __future__ import annotations

import re

import httpx2
import pytest
from browser.axe import violations
from browser.chat import Visit
from browser.test_found import client_of, expect_found, said
from browser.watched import Watched
from playwright.sync_api import Page, expect
from served import Server


def made(client: httpx2.Client, title: str) -> str:
    name: str = client.post("/api/conversations", json={"title": title}).raise_for_status().json()["id"]
    return name


def furnish(client: httpx2.Client) -> tuple[str, str]:
    """Something to be found in a title, a message, a file, and on a branch that is not shown: two conversations."""
    made(client, "Owls of the north")
    talk = made(client, "Evening walk")
    said(client, talk, "Somewhere 🦉 in the barn an owl was calling")
    said(client, talk, "It was dark by then")
    branched = made(client, "Another way")
    root = said(client, branched, "Where to?")
    said(client, branched, "To the owlery <b>please</b>", parent=root)
    said(client, branched, "Home", parent=root)
    client.post("/api/upload", files={"file": ("notes.txt", b"The snowy owl nests on the ground", "text/plain")})
    return talk, branched


def search(page: Page, words: str) -> None:
    page.get_by_role("searchbox", name="Search conversations").fill(words)


def hits(page: Page) -> list[str]:
    return page.locator(".hits a").all_inner_texts()


def test_what_was_said_is_found_and_opened(server: Server, visit: Visit) -> None:
    page = visit(server, "seeker").new_page()
    with client_of(server, "seeker") as client:
        talk, branched = furnish(client)
        page.goto("/")
        search(page, "owl")
        expect(page.locator(".conversations a")).to_have_count(3)
        found = page.get_by_role("region", name="Messages and files")
        expect(found.get_by_role("link")).to_have_count(3)
        expect(page.get_by_role("status").get_by_text("3 hits in messages and files")).to_be_attached()
        said_in = found.get_by_role("link", name=re.compile("Evening walk"))
        expect(said_in).to_contain_text("You: Somewhere 🦉 in the barn an owl was calling")
        expect(said_in.locator("mark")).to_have_text(["owl"])
        expect(found.get_by_role("link", name="notes.txt")).to_have_attribute("href", re.compile("^/api/files/"))
        said_in.click()
        expect_found(page, talk, "in the barn")
        # The one on the other branch: it was chosen here, so its branch is shown; and what was written is text.
        found.get_by_role("link", name=re.compile("Another way")).click()
        expect_found(page, branched, "To the owlery <b>please</b>")
        search(page, "")
        expect(found).to_have_count(0)
        expect(page.locator(".conversations a")).to_have_count(3)
        search(page, "no such words at all")
        expect(page.get_by_text("Nothing found.")).to_be_visible()


def test_search_needs_no_mouse(server: Server, visit: Visit) -> None:
    page = visit(server, "seeker").new_page()
    with client_of(server, "seeker") as client:
        talk = made(client, "By hand")
        said(client, talk, "A kingfisher at the weir")
    page.goto("/")
    page.get_by_role("searchbox").focus()
    page.keyboard.type("kingfisher")
    link = page.locator(".hits a")
    expect(link).to_have_count(1)
    for _ in range(4):
        page.keyboard.press("Tab")
        if link.evaluate("(one) => one === document.activeElement"):
            break
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    expect_found(page, talk, "A kingfisher")


def test_more_is_there_on_demand(server: Server, visit: Visit) -> None:
    page = visit(server, "hoarder").new_page()
    with client_of(server, "hoarder") as client:
        talk = made(client, "Many")
        for number in range(25):
            said(client, talk, f"heron number {number}")
    page.goto("/")
    search(page, "heron")
    links = page.locator(".hits a")
    expect(links).to_have_count(20)
    page.get_by_role("button", name="More messages and files").press("Enter")
    expect(links).to_have_count(25)
    expect(links.nth(20)).to_be_focused()
    assert len(set(hits(page))) == 25


def test_a_search_that_failed_says_so(server: Server, visit: Visit, watched: Watched) -> None:
    watched.expected.append("503 .*/api/search")
    page = visit(server, "unlucky").new_page()
    problem = '{"status": 503, "code": "slow_search", "detail": "the search took too long: use rarer words"}'
    page.route("**/api/search?*", lambda route: route.fulfill(status=503, body=problem))
    page.goto("/")
    search(page, "anything")
    expect(page.locator(".side-list").get_by_text("the search took too long", exact=False).first).to_be_visible()


@pytest.mark.parametrize("phone", [False, True])
def test_hits_can_be_read(server: Server, visit: Visit, phone: bool) -> None:
    name = "peruser"
    options = {"viewport": {"width": 360, "height": 740}, "has_touch": True} if phone else {}
    page = visit(server, name, bypass_csp=True, **options).new_page()
    with client_of(server, name) as client:
        talk, _ = furnish(client)
    page.goto(f"/c/{talk}")
    if phone:
        page.get_by_role("button", name="Conversations").click()
    search(page, "owl")
    expect(page.locator(".hits a").first).to_be_visible()
    assert violations(page) == []
    page.locator(".hits a").get_by_text("Evening walk").first.click()
    expect(page.locator("article.found")).to_be_in_viewport()
