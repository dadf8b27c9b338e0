"""The list follows what happens, wherever it is done: it is told, and does not ask."""

from __future__ import annotations

import re
from typing import Any

import httpx2
from browser.chat import Chat, Visit
from browser.watched import Watched
from playwright.sync_api import Page, expect
from served import Server


def client_of(server: Server, name: str) -> httpx2.Client:
    """Another device of the same user."""
    return httpx2.Client(base_url=server.url, trust_env=False, cookies=server.sessions[name])


def make(client: httpx2.Client, title: str) -> str:
    name: str = client.post("/api/conversations", json={"title": title}).raise_for_status().json()["id"]
    return name


def test_what_another_device_does_is_shown(server: Server, visit: Visit) -> None:
    page = visit(server, "lister").new_page()
    page.goto("/")
    rows = page.locator(".conversations a")
    expect(page.get_by_text("Your conversations will stand here.")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if re.search(r"/api/conversations(\?|$)", one.url) else None)
    with client_of(server, "lister") as client:
        old, new = make(client, "Old one"), make(client, "New one")
        expect(rows).to_have_text([re.compile("^New one"), re.compile("^Old one")])
        client.patch(f"/api/conversations/{old}", json={"title": "Old one, renamed"}).raise_for_status()
        expect(rows).to_have_text([re.compile("^Old one, renamed"), re.compile("^New one")])
        client.patch(f"/api/conversations/{old}", json={"archived": True}).raise_for_status()
        expect(rows).to_have_count(1)
        client.delete(f"/api/conversations/{new}").raise_for_status()
        expect(rows).to_have_count(0)
        client.post(f"/api/conversations/{new}/restore").raise_for_status()
        expect(rows).to_have_count(1)
        client.delete(f"/api/conversations/{new}?purge=true").raise_for_status()
        expect(rows).to_have_count(0)
    assert asked == []


def test_who_is_answering_is_marked(chat: Chat) -> None:
    row = chat.page.locator(".conversations a").first
    chat.say("Speak [[tokens=9000 rate=20]]")
    expect(row).to_contain_text("answering")
    other = chat.page.context.new_page()
    other.goto("/")
    expect(other.locator(".conversations a").first.locator(".speaking")).to_be_visible()
    chat.stop.click()
    chat.expect_status("cancelled")
    for page in (chat.page, other):
        expect(page.locator(".conversations .speaking")).to_have_count(0)


def test_the_list_is_right_when_the_server_is_back(mortal_server: Server, visit: Visit, watched: Watched) -> None:
    watched.expected.append("net::ERR_")
    page = visit(mortal_server, "ada").new_page()
    page.goto("/")
    rows = page.locator(".conversations a")
    with client_of(mortal_server, "ada") as client:
        make(client, "Before")
        expect(rows).to_have_text([re.compile("^Before")])
        mortal_server.kill()
        mortal_server.start()
        make(client, "After")
    expect(rows).to_have_text([re.compile("^After"), re.compile("^Before")])


def test_what_was_found_is_kept_true(server: Server, visit: Visit) -> None:
    page = visit(server, "finder").new_page()
    page.goto("/")
    rows = page.locator(".conversations a")
    with client_of(server, "finder") as client:
        owl = make(client, "An owl")
        make(client, "A dog")
        expect(rows).to_have_count(2)
        page.get_by_label("Search conversations").fill("owl")
        expect(rows).to_have_count(1)
        make(client, "A cat")
        client.patch(f"/api/conversations/{owl}", json={"title": "An owl, renamed"}).raise_for_status()
        expect(rows).to_have_text([re.compile("^An owl, renamed")])
        page.get_by_label("Search conversations").fill("")
        expect(rows).to_have_count(3)


# --- the fold, alone ------------------------------------------------------------------------------------------------


def placed(page: Page, rows: list[dict[str, Any]], row: dict[str, Any], partial: bool = False) -> list[str]:
    script = """async ([rows, row, partial]) => {
      const { placed } = await import("/page/rows.js");
      return placed(rows, row, partial).map(({ id }) => id);
    }"""
    ids: list[str] = page.evaluate(script, [rows, row, partial])
    return ids


def row(name: str, minute: int, seq: int = 1, **fields: object) -> dict[str, Any]:
    return {"id": name, "updated_at": f"2026-01-01T00:{minute:02d}:00Z", "seq": seq, **fields}


def test_rows_stand_by_their_activity(server: Server, visit: Visit) -> None:
    page = visit(server).new_page()
    page.goto("/")
    rows = [row("c", 30), row("b", 20), row("a", 10)]
    assert placed(page, rows, row("d", 40)) == ["d", "c", "b", "a"]
    assert placed(page, rows, row("a", 25)) == ["c", "a", "b"]
    assert placed(page, rows, row("b", 20, title="x")) == ["c", "b", "a"]
    assert placed(page, rows, row("z", 5)) == ["c", "b", "a", "z"]
    assert placed(page, rows, row("z", 5), partial=True) == ["c", "b", "a"]
    assert placed(page, rows, row("a", 10, seq=2), partial=True) == ["c", "b", "a"]
    assert placed(page, rows, row("b", 50, archived=True)) == ["c", "a"]
    assert placed(page, rows, row("b", 50, deleted_at="2026-01-01T00:50:00Z")) == ["c", "a"]
    assert placed(page, [], row("a", 1)) == ["a"]


def test_newer_state_of_a_row_stands(server: Server, visit: Visit) -> None:
    page = visit(server).new_page()
    page.goto("/")
    script = """async () => {
      const { newest, refreshed } = await import("/page/rows.js");
      const [old, recent] = [{ id: "a", seq: 3 }, { id: "a", version: 5 }];
      const gone = { id: "b", seq: 9, deleted_at: "2026-01-01T00:00:00Z" };
      const known = new Map([["a", old], ["b", gone]]);
      return [
        newest(old, recent) === recent, newest(recent, old) === recent, newest(undefined, old) === old,
        newest(old, undefined) === old, refreshed([recent, { id: "b", version: 4 }], known).length,
      ];
    }"""
    assert page.evaluate(script) == [True, True, True, True, 1]
