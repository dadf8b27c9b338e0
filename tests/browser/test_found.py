"""A message that is named somewhere is shown where it stands, however long ago it was said and on whichever branch."""

from __future__ import annotations

import re
from typing import Any

import httpx2
from browser.chat import Chat, Visit
from browser.watched import Watched
from playwright.sync_api import Page, expect
from served import Server

from trialogue import new_id


def client_of(server: Server, name: str) -> httpx2.Client:
    """Another device of the same user."""
    return httpx2.Client(base_url=server.url, trust_env=False, cookies=server.sessions[name])


def said(client: httpx2.Client, talk: str, text: str, **body: Any) -> str:
    answer = client.post(f"/api/conversations/{talk}/messages", json={"text": text, "respond": False, **body})
    name: str = answer.raise_for_status().json()["message"]
    return name


def long_ago(client: httpx2.Client) -> tuple[str, str]:
    """A conversation of more than two pages, and its first message."""
    talk: str = client.post("/api/conversations", json={"title": "Long ago"}).raise_for_status().json()["id"]
    first = said(client, talk, "The snowy owl nests on the ground")
    for number in range(110):
        said(client, talk, f"message {number}")
    return talk, first


def expect_found(page: Page, talk: str, text: str) -> None:
    expect(page).to_have_url(re.compile(f"/c/{talk}$"))
    found = page.locator("article.found")
    expect(found).to_contain_text(text)
    expect(found).to_be_in_viewport()
    expect(found).to_be_focused()


def test_a_cited_message_opens_where_it_stands(server: Server, visit: Visit) -> None:
    page = visit(server, "citer").new_page()
    with client_of(server, "citer") as client:
        talk, _ = long_ago(client)
        asking = client.post("/api/conversations", json={"title": "Asking"}).raise_for_status().json()["id"]
        text = '[[rate=0 call=search_my_content:{"words":"owl"}]]'
        said(client, asking, text, respond=True, tools=["search_my_content"])
    page.goto(f"/c/{asking}")
    Chat(page).expect_status("completed")
    cited = page.locator(".sources").get_by_role("link", name="Long ago")
    cited.click()
    expect_found(page, talk, "The snowy owl")
    page.go_back()
    expect(cited).to_be_visible()


def test_a_message_of_another_branch_is_shown_on_its_own(server: Server, visit: Visit) -> None:
    page = visit(server, "brancher").new_page()
    with client_of(server, "brancher") as client:
        talk, first = long_ago(client)
        below = said(client, talk, "another way", parent=first)
        said(client, talk, "and on from there", parent=below)
        client.patch(f"/api/conversations/{talk}", json={"head": said(client, talk, "back", parent=first)})
    page.goto(f"/m/{below}")
    page.get_by_role("button", name="Show it").click()
    expect_found(page, talk, "another way")
    expect(page.locator("article.user")).to_have_text([re.compile("owl"), re.compile("way"), re.compile("from there")])


def test_a_link_changes_no_conversation(server: Server, visit: Visit) -> None:
    """Whoever wrote it, and however it is followed: the branch that is shown stays until its reader says otherwise."""
    page = visit(server, "clicker").new_page()
    with client_of(server, "clicker") as client:
        talk, first = long_ago(client)
        aside = said(client, talk, "an aside", parent=first)
        head = said(client, talk, "back", parent=first)
        hostile = f"Click [here](/m/{aside}) or [there](/m/{aside}#)"
        reading = client.post("/api/conversations", json={"title": "Reading"}).raise_for_status().json()["id"]
        said(client, reading, hostile, respond=True)
        page.goto(f"/c/{reading}")
        Chat(page).expect_status("completed")
        page.locator("article.assistant").get_by_role("link", name="here", exact=True).click()
        expect(page.get_by_text("This message is on another branch.")).to_be_visible()
        expect(page).to_have_url(re.compile(f"/c/{talk}$"))
        expect(page.locator("article.user").last).to_have_text(re.compile("back"))
        elsewhere = page.context.new_page()
        elsewhere.goto(f"/m/{aside}")
        expect(elsewhere.get_by_role("button", name="Show it")).to_be_visible()
        assert client.get(f"/api/conversations/{talk}").json()["conversation"]["head"] == head


def test_a_message_that_is_not_there_is_told_of(server: Server, visit: Visit, watched: Watched) -> None:
    page = visit(server, "misser").new_page()
    watched.expected.append("404 .*/api/messages/")
    page.goto(f"/m/{new_id()}")
    expect(page.get_by_text("This message is not there any more.")).to_be_visible()
    expect(page).to_have_url(re.compile("[0-9]/$"))
