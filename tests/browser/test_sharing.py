"""Taking things out of a conversation: a link that others read, a document to keep, a fork; what the trash gives back."""

from __future__ import annotations

import re

import httpx2
from browser.chat import Chat, Visit
from browser.watched import Watched
from playwright.sync_api import expect
from served import Server


def test_a_link_is_made_read_by_others_and_ended(chat: Chat, server: Server, visit: Visit, watched: Watched) -> None:
    page = chat.page
    chat.say("Tell me [[tokens=8 rate=0 numbered]]")
    chat.expect_status("completed")
    page.get_by_role("button", name="Share or keep").click()
    dialog = page.get_by_role("dialog", name="Share or keep")
    dialog.get_by_role("button", name="Make a link").click()
    address = dialog.get_by_role("link", name=re.compile("^http")).get_attribute("href")
    assert address is not None
    reader = visit(server).new_page()
    reader.goto(address)
    expect(reader.get_by_role("heading", level=1)).to_contain_text("Tell me")
    expect(reader.locator("article")).to_have_count(2)
    expect(reader.locator("article.assistant .part.text")).to_have_text("0 1 2 3 4 5 6 7")
    expect(reader.get_by_role("textbox")).to_have_count(0)
    head = httpx2.get(address, trust_env=False)
    assert "noindex" in head.headers["x-robots-tag"]
    assert "default-src 'none'" in head.headers["content-security-policy"]
    watched.expected.append("404 .*/api/shared/")
    dialog.get_by_role("button", name="End the link").click()
    expect(dialog.get_by_role("link", name=re.compile("^http"))).to_have_count(0)
    reader.reload()
    expect(reader.get_by_role("alert")).to_have_text("This link shows nothing any more.")


def test_what_is_shared_is_drawn_and_not_run(server: Server, visit: Visit) -> None:
    visit(server, "eve")
    with httpx2.Client(base_url=server.url, trust_env=False, cookies=server.sessions["eve"]) as client:
        url = f"/api/conversations/{client.post('/api/conversations', json={'title': '<b>bold</b>'}).json()['id']}"
        text = "<img src=x onerror=\"document.title='run'\"> **strong** <script>document.title='run'</script>"
        said = client.post(f"{url}/messages", json={"text": text, "respond": False})
        assert said.status_code == 202
        path = client.post(f"{url}/share").json()["path"]
    page = visit(server).new_page()
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_have_text("<b>bold</b>")
    expect(page.locator("article")).to_contain_text("onerror")
    assert page.title() == "<b>bold</b>"


def test_a_conversation_is_kept_as_a_document(chat: Chat) -> None:
    chat.say("Keep this [[tokens=3 rate=0 numbered]]")
    chat.expect_status("completed")
    chat.page.get_by_role("button", name="Share or keep").click()
    for name, begins in (("Markdown", "# Keep this"), ("JSON, with all branches", '{"format":"trialogue"')):
        with chat.page.expect_download() as download:
            chat.page.get_by_role("link", name=name).click()
        with open(download.value.path()) as file:
            assert file.read().startswith(begins)


def test_a_fork_goes_on_by_itself(chat: Chat) -> None:
    chat.say("First [[tokens=3 rate=0 numbered]]")
    chat.expect_status("completed")
    original = chat.page.url
    chat.say("Second [[tokens=4 rate=0 numbered]]")
    expect(chat.answers).to_have_count(2)
    chat.expect_status("completed")
    chat.answers.first.get_by_role("button", name="Fork from here").click()
    expect(chat.answers).to_have_count(1)
    expect(chat.box).to_be_focused()
    assert chat.page.url != original
    chat.say("Third [[tokens=5 rate=0 numbered]]")
    chat.expect_answer("0 1 2 3 4")
    chat.page.goto(original)
    expect(chat.answers).to_have_count(2)


def test_the_trash_gives_back_and_lets_go(server: Server, visit: Visit) -> None:
    page = visit(server, "tess").new_page()
    page.goto("/")
    chat = Chat(page)
    for text in ("Restore me", "Let me go"):
        page.get_by_role("link", name="New", exact=True).click()
        chat.say(f"{text} [[tokens=2 rate=0]]")
        chat.expect_status("completed")
        page.get_by_role("button", name="Delete").click()
        expect(chat.answers).to_have_count(0)
    page.get_by_role("button", name="Trash").click()
    trash = page.get_by_role("dialog", name="Trash")
    expect(trash.get_by_role("listitem")).to_have_count(2)
    row = trash.get_by_role("listitem").filter(has_text="Let me go")
    row.get_by_role("button", name="Delete for good").click()
    row.get_by_role("button", name="Delete for good?").click()
    expect(trash.get_by_role("listitem")).to_have_count(1)
    trash.get_by_role("button", name="Restore").click()
    expect(trash).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Restore me")
    page.get_by_role("button", name="Trash").click()
    expect(page.get_by_text("The trash is empty.")).to_be_visible()
