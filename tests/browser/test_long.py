"""Long conversations and long lists come in pieces, and the reader does not notice where they are joined."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
from browser.chat import Chat, Visit
from playwright.sync_api import expect
from served import Server


def test_older_messages_come_in_above_what_is_read(server: Server, visit: Visit) -> None:
    context = visit(server, "reader")
    with _client(server, "reader") as client:
        name = client.post("/api/conversations", json={"title": "Long"}).raise_for_status().json()["id"]
        for number in range(120):
            said = {"text": f"message {number}", "respond": False}
            client.post(f"/api/conversations/{name}/messages", json=said).raise_for_status()
    page = context.new_page()
    page.goto(f"/c/{name}")
    messages = page.locator("article.user")
    expect(messages.last).to_contain_text("message 119")
    expect(messages.last).to_be_in_viewport()
    expect(messages).to_have_count(50)
    read = messages.first
    expect(read).to_contain_text("message 70")
    read.scroll_into_view_if_needed()
    expect(messages).to_have_count(100)
    expect(page.get_by_text("message 70", exact=True)).to_be_in_viewport()
    messages.first.scroll_into_view_if_needed()
    expect(messages).to_have_count(120)
    assert [text.strip() for text in messages.locator(".part").all_inner_texts()] == [
        f"message {n}" for n in range(120)
    ]


def test_pages_that_are_short_fill_the_view_all_the_same(tmp_path: Path, visit: Visit) -> None:
    """What is large may be little to look at: a page ends after so many bytes, and the next one is fetched at once."""
    server = Server(tmp_path, page_bytes="8000")
    try:
        server.start()
        context = visit(server, "reader")
        large = {"metadata": {"a": "x" * 3000}}
        with _client(server, "reader") as client:
            for number in range(12):
                client.post("/api/conversations", json={"title": f"Thing {number}", **large}).raise_for_status()
            name = client.post("/api/conversations", json={"title": "Long"}).raise_for_status().json()["id"]
            for number in range(20):
                said = {"text": f"message {number}", "respond": False, **large}
                client.post(f"/api/conversations/{name}/messages", json=said).raise_for_status()
        page = context.new_page()
        page.goto(f"/c/{name}")
        expect(page.locator(".conversations a")).to_have_count(13)
        messages = page.locator("article.user")
        expect(messages.nth(9)).to_be_attached()  # As many as fill the view, from pages of two.
        while (count := messages.count()) < 20:
            messages.first.scroll_into_view_if_needed()
            expect(messages).not_to_have_count(count)
        texts = messages.locator(".part").all_inner_texts()
        assert [text.strip() for text in texts] == [f"message {n}" for n in range(20)]
        context.close()
    finally:
        server.close()


def test_the_list_grows_as_it_is_scrolled_and_can_be_searched(server: Server, visit: Visit) -> None:
    context = visit(server, "collector")
    with _client(server, "collector") as client:
        for number in range(70):
            client.post("/api/conversations", json={"title": f"Thing {number:02d}"}).raise_for_status()
    page = context.new_page()
    page.goto("/")
    rows = page.locator(".conversations a")
    expect(rows).to_have_count(30)
    expect(rows.first).to_contain_text("Thing 69")
    rows.last.scroll_into_view_if_needed()
    expect(rows).to_have_count(60)
    rows.last.scroll_into_view_if_needed()
    expect(rows).to_have_count(70)
    page.get_by_label("Search conversations").fill("Thing 42")
    expect(rows).to_have_count(1)
    page.get_by_label("Search conversations").fill("No such thing")
    expect(page.get_by_text("Nothing found.")).to_be_visible()


def test_a_list_in_another_tab_hears_of_a_new_conversation(chat: Chat) -> None:
    other = chat.page.context.new_page()
    other.goto("/")
    chat.say("A word to the other tab [[tokens=3 rate=0]]")
    expect(other.get_by_role("link", name=re.compile("^A word to the other tab"))).to_be_visible()


def _client(server: Server, name: str) -> httpx2.Client:
    """A client with the session that the browser has."""
    return httpx2.Client(base_url=server.url, trust_env=False, cookies=server.sessions[name])
