"""The server dies in the middle of an answer and comes back: the page says so, waits, and goes on where it was."""

from __future__ import annotations

import re

from browser.chat import Chat, Visit, counted
from browser.watched import Watched
from playwright.sync_api import expect
from served import Server


def test_an_answer_goes_on_when_the_server_is_back(mortal_server: Server, visit: Visit, watched: Watched) -> None:
    # The browser itself reports each connection that fails while there is no server.
    watched.expected.append("net::ERR_")
    page = visit(mortal_server, "ada").new_page()
    page.goto("/")
    chat = Chat(page)
    chat.say("Count [[tokens=150 rate=60 numbered]]")
    chat.expect_answer(re.compile(r"\b20\b"))
    mortal_server.kill()
    expect(chat.status).to_contain_text("Connection lost")
    seen = chat.text()
    assert counted(150).startswith(seen)
    chat.box.fill("Not lost")
    cursors: list[str | None] = []
    page.on("request", lambda one: cursors.append(one.headers.get("last-event-id")) if "/events" in one.url else None)
    mortal_server.start()
    chat.expect_answer(counted(150))
    chat.expect_status("completed")
    expect(chat.status).to_have_text("Connected")
    expect(chat.box).to_have_value("Not lost")
    expect(chat.answers).to_have_count(1)
    # It went on from where it was, each time it asked, and not from a snapshot.
    assert cursors
    assert None not in cursors
