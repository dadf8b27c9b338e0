"""The settings of a conversation: what is changed here holds, is refused in words, and has an address of its own."""

from __future__ import annotations

import re

from browser.chat import Chat
from browser.watched import Watched
from playwright.sync_api import expect

TITLE = "Settings of this conversation"


def test_a_conversation_is_set_and_put_away(chat: Chat) -> None:
    page, dialog = chat.page, chat.page.get_by_role("dialog", name=TITLE)
    chat.say("Set me [[tokens=3 rate=0 numbered]]")
    chat.expect_status("completed")
    page.get_by_role("button", name=TITLE).click()
    dialog.get_by_label("Name").fill("Set")
    dialog.get_by_label("System prompt").fill("Be brief.")
    dialog.get_by_label("Temperature").fill("0.5")
    dialog.get_by_label("Folder").fill("Work")
    dialog.get_by_label("Pinned").check()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("Set")
    expect(page).not_to_have_url(re.compile("#"))
    page.get_by_label("Show").select_option("Work")
    row = page.get_by_role("link", name=re.compile("pinned Set"))
    expect(row).to_be_visible()
    page.get_by_role("button", name=TITLE).click()
    expect(dialog.get_by_label("Temperature")).to_have_value("0.5")
    expect(dialog.get_by_label("System prompt")).to_have_value("Be brief.")
    dialog.get_by_label("In the archive").check()
    dialog.get_by_role("button", name="Save").click()
    expect(row).to_have_count(0)
    page.get_by_label("Show").select_option("Archive")
    expect(row).to_be_visible()


def test_settings_have_an_address(chat: Chat, watched: Watched) -> None:
    page, dialog = chat.page, chat.page.get_by_role("dialog", name=TITLE)
    chat.say("Here [[tokens=3 rate=0 numbered]]")
    chat.expect_status("completed")
    page.get_by_role("button", name=TITLE).click()
    expect(dialog).to_be_visible()
    page.go_back()
    expect(dialog).to_have_count(0)
    page.go_forward()
    expect(dialog).to_be_visible()
    page.reload()
    expect(dialog.get_by_label("Name")).to_have_value(re.compile("^Here"))
    watched.expected.append("422 .*/api/conversations/")
    folder = dialog.get_by_label("Folder")
    folder.evaluate("box => box.removeAttribute('maxlength')")
    folder.fill("x" * 500)  # What the box itself would not take, the server refuses, and it is said beside the box.
    dialog.get_by_role("button", name="Save").click()
    expect(folder).to_have_attribute("aria-invalid", "true")
    expect(folder).to_be_focused()
    expect(dialog.get_by_role("alert").filter(has_text=re.compile("."))).to_have_count(1)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page).not_to_have_url(re.compile("#"))


CHANGES = """async () => {
  const { changesOf, valuesOf } = await import("/page/view-settings.js");
  const before = valuesOf({ title: "a", settings: { temperature: 1, max_tokens: 9 }, pinned: true });
  return [before, changesOf(before, before), changesOf(before, { ...before, title: "", temperature: "0", max_tokens: "" })];
}"""


def test_only_what_differs_is_sent(chat: Chat) -> None:
    before, nothing, changes = chat.page.evaluate(CHANGES)
    assert (before["temperature"], before["system"], before["archived"]) == ("1", "", False)
    assert nothing == {}
    assert changes == {"title": None, "settings": {"temperature": 0, "max_tokens": None}}
