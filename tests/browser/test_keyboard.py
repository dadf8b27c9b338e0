"""Everything can be done without a mouse: each control is reached with Tab and seen to be, and dialogs keep the focus."""

from __future__ import annotations

import re

import httpx2
import pytest
from browser.chat import Chat, Visit
from playwright.sync_api import Page, expect
from served import Server

#: What can be used and is to be seen, and whether the focus has been there and was visible.
WATCH = """() => {
  window.reached = new Map();
  const shown = (element) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    return outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
  };
  // A box within a frame may leave it to the frame to show the focus.
  const visible = (element) => shown(element) || [element.parentElement, element.parentElement?.parentElement].some(
    (frame) => frame && getComputedStyle(frame).boxShadow !== "none" || shown(frame));
  document.addEventListener("focusin", ({ target }) => reached.set(target, visible(target)));
}"""
MISSED = """(root) => {
  const usable = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  const there = [...document.querySelector(root).querySelectorAll(usable)].filter(
    (one) => one.checkVisibility() && !one.disabled && !one.closest("[inert]") && one.tabIndex >= 0);
  const told = (one) => `${one.tagName} ${one.getAttribute("aria-label") ?? one.textContent ?? one.id}`.slice(0, 80);
  return {
    unreached: there.filter((one) => !reached.has(one)).map(told),
    unseen: there.filter((one) => reached.get(one) === false).map(told),
    count: there.length,
  };
}"""
INSIDE = "() => document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))"
#: More than any of these views has controls.
STEPS = 60


def tabbed(page: Page, root: str, steps: int = STEPS) -> None:
    """Go through the page with Tab, and fail if something in ``root`` was left out."""
    page.evaluate(WATCH)
    for _ in range(steps):
        page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    found = page.evaluate(MISSED, root)
    assert found["count"] > 2
    assert (found["unreached"], found["unseen"]) == ([], [])


def test_page_is_gone_through_with_tab(chat: Chat) -> None:
    chat.say("Read this [[rate=0 reason=9]]")
    chat.expect_status("completed")
    tabbed(chat.page, "body")


@pytest.mark.parametrize("place", ["account", "users", "audit"])
def test_settings_are_gone_through_with_tab(mortal_server: Server, visit: Visit, place: str) -> None:
    page = visit(mortal_server, "boss").new_page()
    page.goto(f"/#{place}")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("[aria-busy=true]")).to_have_count(0)
    tabbed(page, "dialog")


def test_dialogs_keep_the_focus_and_give_it_back(server: Server, visit: Visit) -> None:
    page = visit(server, "typist").new_page()
    with httpx2.Client(base_url=server.url, trust_env=False, cookies=server.sessions["typist"]) as client:
        talk = client.post("/api/conversations", json={"title": "Keys"}).raise_for_status().json()["id"]
    page.goto(f"/c/{talk}")
    for name in ("Account and settings", "Trash", "Settings of this conversation", "Share or keep"):
        opener = page.get_by_role("button", name=name)
        opener.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        for _ in range(25):
            page.keyboard.press("Tab")
            assert page.evaluate(INSIDE), name
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(opener).to_be_focused()


def test_drawer_of_a_phone_keeps_the_focus_and_gives_it_back(server: Server, visit: Visit) -> None:
    page = visit(server, "caller", viewport={"width": 360, "height": 740}).new_page()
    page.goto("/")
    menu = page.get_by_role("button", name="Conversations")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("searchbox")).to_be_focused()
    for _ in range(15):
        page.keyboard.press("Tab")
        inside = "() => document.activeElement === document.body || !document.activeElement.closest('main')"
        assert page.evaluate(inside)
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()


def test_skipping_leads_to_the_conversation(server: Server, visit: Visit) -> None:
    page = visit(server, "skipper").new_page()
    page.goto("/")
    expect(Chat(page).box).to_be_focused()
    page.evaluate("() => document.activeElement.blur()")
    skip = page.get_by_role("link", name="Skip to the conversation")
    skip.focus()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    expect(page).to_have_url(re.compile("/#main$"))
