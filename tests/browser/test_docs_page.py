"""The API's page: it shows what the document says, beside the chat as if made of one piece, on a phone as well."""

from __future__ import annotations

import re

from browser.chat import Visit
from playwright.sync_api import Page, expect
from served import Server

OPERATION = "conversations.create"


def opened(visit: Visit, server: Server, **options: object) -> Page:
    page = visit(server, **options).new_page()
    page.goto(f"/docs#{OPERATION}")
    expect(page.locator("#docs")).not_to_have_attribute("aria-busy", "true")
    return page


def test_operation_is_shown_with_a_command_for_this_server(server: Server, visit: Visit) -> None:
    page = opened(visit, server)
    operation = page.locator(f'[id="{OPERATION}"]')
    expect(operation).to_have_attribute("open", "")
    expect(operation.locator("pre").first).to_contain_text(f'curl "{server.url}/api/conversations"')
    expect(operation.get_by_role("listitem").filter(has_text="Idempotency-Key")).to_be_visible()
    expect(operation.get_by_role("listitem").filter(has_text="metadata").first).to_be_visible()
    answer = operation.locator("details.answer", has_text="201").first
    answer.locator("summary").first.click()
    expect(answer.get_by_text("The durable thing with an id")).to_be_visible()


def test_what_a_websocket_says_is_shown(server: Server, visit: Visit) -> None:
    page = visit(server).new_page()
    page.goto("/docs#socket.upgrade")
    operation = page.locator('[id="socket.upgrade"]')
    expect(operation.get_by_role("heading", name="What the client says")).to_be_visible()
    operation.locator("details", has_text="subscribe").first.locator("summary").first.click()
    expect(operation.get_by_text("Have the events of a conversation")).to_be_visible()


def test_every_operation_opens(server: Server, visit: Visit) -> None:
    page = opened(visit, server)
    count = page.evaluate(
        """async () => {
          const all = [...document.querySelectorAll("details.operation")];
          for (const one of all) one.open = true;
          await new Promise((resolve) => setTimeout(resolve, 50));
          for (const one of document.querySelectorAll("details.answer")) one.open = true;
          await new Promise((resolve) => setTimeout(resolve, 50));
          return [all.length, all.filter((one) => one.querySelector("h3")).length];
        }"""
    )
    assert count[0] == count[1] > 15


def test_filter_leaves_what_is_looked_for(server: Server, visit: Visit) -> None:
    page = opened(visit, server)
    page.get_by_label("Filter the operations").fill("regenerate")
    links = page.get_by_role("navigation").get_by_role("link")
    expect(links).to_have_count(1)
    links.click()
    expect(page).to_have_url(re.compile("#messages.regenerate$"))
    expect(page.locator('[id="messages.regenerate"]')).to_have_attribute("open", "")


def test_a_phone_shows_it_without_scrolling_sideways(server: Server, visit: Visit) -> None:
    page = opened(visit, server, viewport={"width": 360, "height": 740}, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(24, 27, 31)"
