"""What a user does with the page, and what the page promises: nothing is lost, and what it says is true."""

from __future__ import annotations

import re

import pytest
from browser.chat import PASSWORD, Chat, Visit, counted
from browser.watched import Watched
from playwright.sync_api import Page, expect
from served import Server


def test_from_the_first_visit_to_an_answer_and_out_again(server: Server, visit: Visit) -> None:
    page = visit(server).new_page()
    page.goto("/")
    page.get_by_role("button", name="Create an account").click()
    page.get_by_label("Name").fill("Grace")
    page.get_by_label("E-mail").fill("grace@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    chat = Chat(page)
    chat.say("Hello [[tokens=30 rate=0 numbered]]")
    chat.expect_answer(counted(30))
    chat.expect_status("completed")
    expect(chat.answer).to_have_attribute("aria-label", re.compile("echo", re.I))
    expect(chat.status).to_have_text("Connected")
    expect(page.get_by_role("link", name=re.compile("^Hello"))).to_have_attribute("aria-current", "page")
    chat.box.fill("For no one else at this browser")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("E-mail").fill("grace@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    chat.expect_answer(counted(30))
    expect(chat.box).to_have_value("")


def test_a_wrong_password_is_told_in_words(server: Server, visit: Visit, watched: Watched) -> None:
    watched.expected.append("401 .*/api/auth/login$")
    page = visit(server).new_page()
    page.goto("/")
    page.get_by_label("E-mail").fill("nobody@example.org")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("password")


def test_stop_ends_the_answer_and_says_so(chat: Chat) -> None:
    chat.say("Count [[endless rate=50 numbered]]")
    expect(chat.status).to_contain_text("is answering")
    chat.expect_answer(re.compile(r"^0 1 2 .*\b15\b"))
    chat.stop.click()
    chat.expect_status("cancelled")
    expect(chat.answer).to_contain_text("Stopped.")
    expect(chat.stop).to_be_hidden()
    expect(chat.box).to_be_focused()
    assert counted(100_000).startswith(chat.text())


def test_a_stopped_answer_can_be_continued(chat: Chat) -> None:
    chat.say("Count [[tokens=60 rate=0 stall=20 numbered]]")
    chat.expect_answer(counted(20))
    chat.stop.click()
    chat.page.get_by_role("button", name="Continue").click()
    chat.expect_answer(counted(60))
    chat.expect_status("completed")


def test_a_reload_in_the_middle_loses_nothing(chat: Chat) -> None:
    chat.say("Count [[tokens=120 rate=60 numbered]]")
    chat.expect_answer(re.compile(r"\b10\b"))
    chat.page.reload()
    chat.expect_answer(counted(120))
    chat.expect_status("completed")
    expect(chat.answers).to_have_count(1)


def test_a_message_sent_meanwhile_waits_for_its_turn(chat: Chat) -> None:
    chat.say("First [[rate=0 tokens=20 stall=9 numbered]]")
    chat.expect_answer(counted(9))
    chat.say("Second [[tokens=5 rate=0 numbered]]")
    expect(chat.page.locator("article.waiting")).to_contain_text("Waiting for its turn")
    chat.stop.click()
    expect(chat.answers).to_have_count(2)
    chat.expect_answer(counted(5))
    expect(chat.answers.first.locator(".part.text")).to_have_text(counted(9))
    expect(chat.page.locator("article.waiting")).to_have_count(0)


def test_a_waiting_message_can_be_taken_back(chat: Chat) -> None:
    chat.say("First [[rate=0 tokens=20 stall=9 numbered]]")
    chat.expect_answer(counted(9))
    chat.say("Never mind")
    chat.page.get_by_role("button", name="Take back").click()
    expect(chat.page.locator("article.waiting")).to_have_count(0)
    chat.stop.click()
    chat.expect_status("cancelled")
    expect(chat.answers).to_have_count(1)


def test_an_edit_makes_a_branch_and_both_can_be_read(chat: Chat) -> None:
    chat.say("One [[tokens=3 rate=0 numbered]]")
    chat.expect_answer(counted(3))
    user = chat.page.locator("article.user")
    user.hover()
    user.get_by_role("button", name="Edit").click()
    chat.page.get_by_label("Edit your message").fill("Two [[tokens=7 rate=0 numbered]]")
    chat.page.keyboard.press("Enter")
    chat.expect_answer(counted(7))
    expect(user).to_contain_text("2/2")
    user.get_by_role("button", name="Previous version").click()
    chat.expect_answer(counted(3))
    expect(user).to_contain_text("1/2")
    expect(user.get_by_role("button", name="Next version")).to_be_focused()
    chat.page.keyboard.press("Enter")
    chat.expect_answer(counted(7))


def test_an_answer_can_be_regenerated(chat: Chat) -> None:
    chat.say("Again [[tokens=4 rate=0 numbered]]")
    chat.expect_status("completed")
    chat.answer.get_by_role("button", name="Regenerate").click()
    expect(chat.answer).to_contain_text("2/2")
    chat.expect_answer(counted(4))


def test_a_failure_is_told_in_words(chat: Chat) -> None:
    chat.say("Break [[tokens=50 fail=9 kind=refused rate=0 numbered]]")
    chat.expect_status("failed")
    expect(chat.answer).to_contain_text("Failed:")
    expect(chat.answer.get_by_role("button", name="Try again")).to_be_visible()
    chat.expect_answer(counted(9))


def test_two_tabs_show_the_same_conversation(chat: Chat) -> None:
    chat.say("Count [[rate=0 tokens=99 stall=30 numbered]]")
    chat.expect_answer(counted(30))
    other = Chat(chat.page.context.new_page())
    other.page.goto(chat.page.url)
    other.expect_answer(counted(30))
    other.stop.click()
    chat.expect_status("cancelled")
    other.expect_status("cancelled")
    other.say("From the other [[tokens=6 rate=0 numbered]]")
    expect(chat.answers).to_have_count(2)
    chat.expect_answer(counted(6))


def test_everything_goes_by_keyboard(chat: Chat) -> None:
    keyboard = chat.page.keyboard
    keyboard.type("Count [[endless rate=50 numbered]]")
    keyboard.press("Shift+Enter")
    keyboard.type("please")
    keyboard.press("Enter")
    chat.expect_answer(re.compile(r"\b5\b"))
    expect(chat.page.locator("article.user .part")).to_have_text("Count [[endless rate=50 numbered]]\nplease")
    _tab_to(chat.page, "Stop")
    keyboard.press("Enter")
    chat.expect_status("cancelled")
    expect(chat.box).to_be_focused()
    _tab_to(chat.page, "Rename")
    keyboard.press("Enter")
    keyboard.type("Counting")
    keyboard.press("Enter")
    expect(chat.page.get_by_role("heading", name="Counting")).to_be_visible()
    expect(chat.page.get_by_role("link", name=re.compile("^Counting"))).to_be_visible()
    _tab_to(chat.page, "Delete")
    keyboard.press("Enter")
    expect(chat.page.get_by_role("heading", name="New conversation")).to_be_visible()
    expect(chat.page.get_by_role("link", name=re.compile("^Counting"))).to_have_count(0)
    _tab_to(chat.page, "Undo")
    keyboard.press("Enter")
    expect(chat.page.get_by_role("heading", name="Counting")).to_be_visible()


def _tab_to(page: Page, name: str) -> None:
    focused = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(focused) == name:
            return
    pytest.fail(f"the Tab key does not reach {name!r}")


def test_a_draft_survives_a_reload(chat: Chat) -> None:
    chat.box.fill("Half a thought")
    chat.page.reload()
    expect(chat.box).to_have_value("Half a thought")


def test_the_list_stands_behind_a_button_on_a_phone(server: Server, visit: Visit) -> None:
    phone = visit(server, "phone", viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    page = phone.new_page()
    page.goto("/")
    chat = Chat(page)
    chat.box.fill("Hello [[tokens=300 rate=0]]")
    page.get_by_role("button", name="Send").click()
    chat.expect_status("completed")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("button", name="Conversations").click()
    page.get_by_role("link", name="New", exact=True).click()
    expect(page.get_by_role("heading", name="New conversation")).to_be_visible()
    expect(page.locator("#side")).to_be_hidden()
