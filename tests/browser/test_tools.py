"""Tools on the page: calls and results are there to be unfolded, and a person decides about those that wait."""

from __future__ import annotations

import httpx2
from browser.chat import Chat, Visit
from playwright.sync_api import expect
from served import Server

CALL = "[[rate=0 call=current_time"


def ask_first(chat: Chat, server: Server) -> None:
    """Have the conversation that is open ask before each call of the clock."""
    name = chat.page.url.rpartition("/")[2]
    with httpx2.Client(base_url=server.url, trust_env=False, cookies=server.sessions["ada"]) as client:
        settings = {"settings": {"tools": [{"name": "current_time", "approval": "ask"}]}}
        headers = {"Origin": server.url}
        client.patch(f"/api/conversations/{name}", json=settings, headers=headers).raise_for_status()


def test_a_call_and_its_result_can_be_unfolded(chat: Chat) -> None:
    chat.say(f'Tell me {CALL}:{{"zone":"Asia/Tokyo"}}]]')
    chat.expect_status("completed")
    call = chat.answer.locator("details", has_text="Calls current_time")
    result = chat.answer.locator("details", has_text="The tool answered")
    expect(result.locator("pre")).to_be_hidden()
    call.locator("summary").click()
    result.locator("summary").click()
    expect(call.locator("pre")).to_have_text('{"zone":"Asia/Tokyo"}')
    expect(result.locator("pre")).to_contain_text("+0900")
    expect(chat.answer.locator(".part.text").last).to_contain_text("The tools said:")
    chat.page.reload()
    expect(result.locator("pre")).to_be_attached()
    expect(chat.answer.locator(".part")).to_have_count(4)


def test_a_call_that_waits_is_decided_about(server: Server, chat: Chat) -> None:
    chat.say("Hello [[rate=0]]")
    chat.expect_status("completed")
    ask_first(chat, server)
    chat.say(f'Tell me {CALL}:{{"zone":"UTC"}}]]')
    approval = chat.page.get_by_role("region", name="Approval of current_time")
    expect(approval.get_by_label("Arguments")).to_have_value('{\n  "zone": "UTC"\n}')
    expect(chat.status).to_have_text("Waiting for your decision.")
    chat.page.reload()  # What waits is there for whoever comes.
    approval.get_by_role("button", name="Approve").click()
    chat.expect_status("completed")
    expect(approval).to_have_count(0)
    expect(chat.answer).to_contain_text("+0000")

    chat.say(f"And again {CALL}]]")
    approval.get_by_role("button", name="Edit").click()
    approval.get_by_label("Arguments").fill("no JSON")
    approval.get_by_role("button", name="Approve").click()
    expect(approval.get_by_role("alert")).to_have_text("The arguments must be a JSON object.")
    approval.get_by_label("Arguments").fill('{"zone": "Asia/Tokyo"}')
    approval.get_by_role("button", name="Approve").click()
    chat.expect_status("completed")
    expect(chat.answer).to_contain_text("+0900")
    expect(chat.answer.locator("details", has_text="Calls").locator("pre")).to_have_text('{"zone":"Asia/Tokyo"}')

    chat.say(f"Or not {CALL}]]")
    approval.get_by_role("button", name="Deny").click()
    chat.expect_status("completed")
    expect(chat.answer.locator("details", has_text="The tool failed").locator("pre")).to_contain_text("declined")


def test_two_devices_see_the_same_decision(server: Server, chat: Chat, visit: Visit) -> None:
    chat.say("Hello [[rate=0]]")
    chat.expect_status("completed")
    ask_first(chat, server)
    chat.say(f"Tell me {CALL} calls=2]]")
    other = Chat(visit(server, "ada").new_page())
    other.page.goto(chat.page.url)
    name = "Approval of current_time"
    expect(other.page.get_by_role("region", name=name)).to_have_count(2)
    other.page.get_by_role("region", name=name).first.get_by_role("button", name="Deny").click()
    for page in (chat, other):
        expect(page.page.get_by_role("region", name=name)).to_have_count(1)
    chat.page.get_by_role("region", name=name).get_by_role("button", name="Approve").click()
    for page in (chat, other):
        page.expect_status("completed")
        expect(page.answer.locator("details")).to_have_count(4)
