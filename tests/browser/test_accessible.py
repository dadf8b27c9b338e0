"""Every view can be read and used by everyone: axe-core finds nothing in it, in light and in dark."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx2
import pytest
from browser.axe import violations
from browser.chat import Chat, Visit
from browser.watched import Watched
from playwright.sync_api import Page, expect
from served import Server

RICH = """Read this

# A heading
Some `code`, **strong**, a [link](https://example.org).

```python
def greet(name: str) -> None:
    print(f"Hello {name}", 42)  # a remark
```

| a | b |
|---|---|
| 1 | 2 |

> quoted
"""


def client_of(server: Server, name: str) -> httpx2.Client:
    """Another device of the same user."""
    return httpx2.Client(base_url=server.url, trust_env=False, cookies=server.sessions[name])


def made(client: httpx2.Client, title: str) -> str:
    name: str = client.post("/api/conversations", json={"title": title}).raise_for_status().json()["id"]
    return name


def said(client: httpx2.Client, talk: str, text: str, **body: object) -> str:
    answer = client.post(f"/api/conversations/{talk}/messages", json={"text": text, **body})
    name: str = answer.raise_for_status().json()["message"]
    return name


def furnished(server: Server, name: str) -> tuple[str, str]:
    """Something for every view to show: the conversation, and the token of its link."""
    with client_of(server, name) as client:
        talk, other, gone = (made(client, title) for title in ("Owls", "Other owls", "Gone owls"))
        client.patch(f"/api/conversations/{talk}", json={"pinned": True}).raise_for_status()
        client.patch(f"/api/conversations/{other}", json={"folder": "Birds"}).raise_for_status()
        client.delete(f"/api/conversations/{gone}").raise_for_status()
        file = client.post("/api/upload", files={"file": ("owls.txt", b"The owl", "text/plain")}).json()["files"][0]
        first = said(client, talk, RICH, files=[file["id"]])
        client.patch(f"/api/messages/{first}", json={"text": RICH + " again"}).raise_for_status()
        said(client, talk, '[[rate=0 call=search_my_content:{"words":"owl"}]]', tools=["search_my_content"])
        said(client, talk, "[[tokens=50 fail=9 kind=refused reason=20 rate=0]]")
        client.post("/api/auth/keys", json={"name": "script"}).raise_for_status()
        client.post("/api/admin/invitations", json={"role": "user", "days": 7}).raise_for_status()
        me = client.get("/api/auth/me").json()["id"]
        client.put(f"/api/admin/budgets/users/{me}", json={"day_tokens": 9000}).raise_for_status()
        token: str = client.post(f"/api/conversations/{talk}/share", json={}).raise_for_status().json()["token"]
    return talk, token


@pytest.fixture
def see(mortal_server: Server, visit: Visit, watched: Watched) -> Callable[..., Page]:
    """Opens an address in a page that axe may look into, as the administrator or as nobody."""

    def see(path: str, name: str | None = "boss", **options: object) -> Page:
        for somebody in ("boss", "bob"):
            visit(mortal_server, somebody)
        page = visit(mortal_server, name, bypass_csp=True, **options).new_page()
        page.goto(path)
        return page

    return see


def test_what_is_said_can_be_read(mortal_server: Server, see: Callable[..., Page]) -> None:
    page = see("/")
    assert violations(page) == [], "where nothing is said yet"
    talk, token = furnished(mortal_server, "boss")
    page.goto(f"/c/{talk}")
    chat = Chat(page)
    chat.expect_status("failed")
    assert violations(page) == []
    for summary in page.locator("article summary").all():
        summary.click()
    page.get_by_role("button", name="Edit").first.click()
    assert violations(page) == [], "unfolded, and with an editor"
    page.get_by_role("button", name="Cancel").click()
    chat.say("Speak [[tokens=900 rate=20]]")
    chat.expect_status("in_progress")
    chat.say("And another thing")
    expect(page.get_by_text("Waiting for its turn")).to_be_visible()
    assert violations(page) == [], "while an answer is written"
    chat.stop.click()
    shared = see(f"/s/{token}", None)
    expect(shared.get_by_role("heading", name="Owls")).to_be_visible()
    assert violations(shared) == [], "what is shared"


def test_dialogs_can_be_read(mortal_server: Server, see: Callable[..., Page]) -> None:
    page = see("/")
    talk, _ = furnished(mortal_server, "boss")
    dialog = page.get_by_role("dialog")
    for place in ("account", "devices", "keys", "usage", "files", "data", "users", "audit", "server"):
        page.goto(f"/#{place}")
        expect(dialog.locator("[aria-busy=true]")).to_have_count(0)
        if place == "users":
            dialog.get_by_role("button", name=re.compile("^Budget of boss")).click()
            expect(dialog.get_by_role("meter")).to_be_visible()
        assert violations(page) == [], place
    page.goto(f"/c/{talk}#settings")
    expect(dialog.get_by_label("System prompt")).to_be_visible()
    assert violations(page) == [], "settings of a conversation"
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Share or keep").click()
    expect(dialog.get_by_role("link", name=re.compile("^http"))).to_be_visible()
    assert violations(page) == [], "sharing"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Trash").click()
    expect(dialog.get_by_text("Gone owls")).to_be_visible()
    assert violations(page) == [], "the trash"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Moved to the trash.")).to_be_visible()
    assert violations(page) == [], "a word at the edge"


def test_the_way_in_can_be_read(see: Callable[..., Page], watched: Watched) -> None:
    page = see("/", None)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name=re.compile("account", re.IGNORECASE)).click()
    assert violations(page) == [], "making an account"
    reset = see("/#reset=tl_reset_x", None)
    expect(reset.get_by_label("New password")).to_be_visible()
    assert violations(reset) == [], "a new password"
    docs = see("/docs", None)
    docs.locator("summary").first.click()
    assert violations(docs) == [], "the API"


def test_a_phone_can_be_read(mortal_server: Server, see: Callable[..., Page]) -> None:
    page = see("/", viewport={"width": 360, "height": 740}, has_touch=True)
    talk, _ = furnished(mortal_server, "boss")
    page.goto(f"/c/{talk}")
    Chat(page).expect_status("failed")
    assert violations(page) == []
    page.get_by_role("button", name="Conversations").click()
    expect(page.get_by_role("link", name=re.compile("^Other owls"))).to_be_visible()
    assert violations(page) == [], "the list over it"
