"""What an administrator does on the page: who has an account, who is invited, and a new password for who forgot theirs."""

from __future__ import annotations

import re

from browser.chat import Chat, Visit
from browser.watched import Watched
from playwright.sync_api import expect
from served import Server


def test_people_are_invited_helped_and_disabled(mortal_server: Server, visit: Visit, watched: Watched) -> None:
    page = visit(mortal_server, "boss").new_page()  # The first account of a server is administrator's.
    page.goto("/#users")
    dialog = page.get_by_role("dialog", name="Settings")
    dialog.get_by_label("For the address").fill("bob@example.org")
    dialog.get_by_role("button", name="Invite").click()
    guest = visit(mortal_server).new_page()
    guest.goto(dialog.get_by_label("Pass this link on").input_value())
    guest.get_by_label("Name").fill("Bob")
    guest.get_by_label("E-mail").fill("bob@example.org")
    guest.get_by_label("Password").fill("a battery of horses")
    guest.get_by_role("button", name="Create account").click()
    expect(Chat(guest).box).to_be_focused()

    # Another's is nobody else's business: there is no such page for Bob.
    guest.goto("/#account")
    theirs = guest.get_by_role("dialog", name="Settings")
    expect(theirs.get_by_role("link", name="Account")).to_be_visible()
    expect(theirs.get_by_role("link", name="People")).to_have_count(0)

    page.reload()
    row = dialog.get_by_role("listitem").filter(has_text="Bob")
    row.get_by_role("button", name="Reset the password of bob@example.org").click()
    link = row.get_by_label("With this link").input_value()
    watched.expected.append("401 ")
    fresh = visit(mortal_server).new_page()
    fresh.goto(link)
    fresh.get_by_label("New password").fill("another lot of horses")
    fresh.get_by_role("button", name="Set it").click()
    expect(fresh.get_by_role("alert").first).to_have_text("Your password is set. Sign in with it.")
    assert not re.search("reset", fresh.url)
    fresh.get_by_label("E-mail").fill("bob@example.org")
    fresh.get_by_label("Password").fill("another lot of horses")
    fresh.get_by_role("button", name="Sign in").click()
    expect(Chat(fresh).box).to_be_visible()

    row.get_by_role("button", name="Disable bob@example.org").click()
    expect(row).to_contain_text("disabled")
    expect(fresh.get_by_role("heading", name="Sign in")).to_be_visible()
