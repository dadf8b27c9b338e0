"""What an administrator sees and decides on the page: budgets, the audit log, and how the server and its models do."""

from __future__ import annotations

import re

import httpx2
from browser.axe import violations
from browser.chat import Visit
from browser.watched import Watched
from playwright.sync_api import Page, expect
from served import Server


def client_of(server: Server, name: str) -> httpx2.Client:
    """Another device of the same user."""
    return httpx2.Client(base_url=server.url, trust_env=False, cookies=server.sessions[name])


def opened(server: Server, visit: Visit, place: str) -> Page:
    """The administrator's page at one of its places, beside somebody else with a key."""
    page = visit(server, "boss").new_page()  # The first account of a server is administrator's.
    visit(server, "bob")
    with client_of(server, "bob") as bob:
        bob.post("/api/auth/keys", json={"name": "script"}).raise_for_status()
    page.goto(f"/#{place}")
    return page


def test_budgets_are_set_and_taken_away(mortal_server: Server, visit: Visit) -> None:
    page = opened(mortal_server, visit, "users")
    page.get_by_role("button", name="Budget of bob@example.org").click()
    own = page.get_by_role("form", name="All of it")
    own.get_by_label("Dollars a month").fill("2.5")
    own.get_by_role("button", name="Set").click()
    expect(page.get_by_role("meter")).to_have_accessible_name(re.compile(r"^This month: \$0 of \$2\.50"))
    key = page.get_by_role("form", name="Key “script”")
    key.get_by_label("Tokens a day").fill("700")
    key.get_by_role("button", name="Set").click()
    expect(key.get_by_role("button", name="As its owner said")).to_be_visible()
    with client_of(mortal_server, "bob") as bob:
        limits = {one["unit"]: one["limit"] for one in bob.get("/api/usage").json()["budgets"]}
        assert limits == {"micro-dollars": 2_500_000, "tokens": None}

    own.get_by_role("button", name="As for everybody").click()
    expect(page.get_by_role("meter")).to_have_count(1)  # The key's.
    expect(own.get_by_label("Dollars a month")).to_have_value("")
    key.get_by_label("Tokens a day").fill("-1")
    assert key.get_by_label("Tokens a day").evaluate("(box) => !box.checkValidity()")

    page.goto("/#audit")
    entries = page.get_by_role("dialog").get_by_role("listitem")
    expect(entries.first).to_contain_text("Changed a budget")
    expect(entries.first).to_contain_text("Boss · to Bob · as by default")


def test_the_audit_log_is_asked_for_what_is_wanted(mortal_server: Server, visit: Visit, watched: Watched) -> None:
    page = opened(mortal_server, visit, "audit")
    entries = page.get_by_role("dialog").get_by_role("listitem")
    expect(entries).to_have_count(5)
    page.get_by_label("What").select_option("Made an API key")
    expect(entries).to_have_count(1)
    expect(entries).to_contain_text(re.compile(r"Bob · .* · from 127\.0\.0\.1"))
    page.get_by_label("Who did it").select_option("boss@example.org")
    expect(page.get_by_text("Nothing of the kind was done.")).to_be_visible()
    page.get_by_label("What").select_option("Everything")
    expect(entries).to_have_count(2)
    page.get_by_label("From").fill("2020-01-01")
    page.get_by_label("Until").fill("2020-12-31")
    expect(entries).to_have_count(0)
    page.get_by_label("Until").fill("")
    expect(entries).to_have_count(2)


def test_a_long_audit_log_comes_in_pages(mortal_server: Server, visit: Visit) -> None:
    page = visit(mortal_server, "boss").new_page()
    with client_of(mortal_server, "boss") as boss:
        for _ in range(55):
            boss.post("/api/admin/invitations", json={"role": "user", "days": 1}).raise_for_status()
    page.goto("/#audit")
    entries = page.get_by_role("dialog").get_by_role("listitem")
    expect(entries).to_have_count(50)
    page.get_by_role("dialog").get_by_role("button", name="More").click()
    expect(entries).to_have_count(57)


def test_everybody_is_named_in_the_audit_log(mortal_server: Server, visit: Visit) -> None:
    """However many there are: they are read page by page, here of one each."""
    page = visit(mortal_server, "boss").new_page()
    for name in ("bob", "cyd"):
        visit(mortal_server, name)
    page.route(
        "**/api/admin/users?*", lambda route: route.continue_(url=route.request.url.replace("limit=200", "limit=1"))
    )
    page.goto("/#audit")
    entries = page.get_by_role("dialog").get_by_role("listitem")
    expect(entries).to_have_count(6)
    for name in ("Boss", "Bob", "Cyd"):
        expect(entries.filter(has_text=name)).to_have_count(2)
    expect(page.get_by_label("Who did it").locator("option")).to_have_count(4)


def test_the_server_tells_how_its_models_do(mortal_server: Server, visit: Visit) -> None:
    page = opened(mortal_server, visit, "server")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("One process has the storage to itself.")
    echo = dialog.get_by_role("listitem").filter(has_text="echo:echo")
    expect(echo).to_contain_text("not asked of late")
    with client_of(mortal_server, "bob") as bob:
        talk = bob.post("/api/conversations", json={}).json()["id"]
        bob.post(f"/api/conversations/{talk}/messages", json={"text": "[[rate=0]]"}).raise_for_status()
    expect(echo).to_contain_text("fine")  # It looks again by itself.
    expect(echo).to_contain_text("asked 1 time")
    expect(dialog).to_contain_text("1 conversation awake")


def test_nodes_are_listed_where_there_are_several(mortal_server: Server, visit: Visit) -> None:
    """As a cluster answers; this server is alone."""
    about = {
        "address": "",
        "version": "0.1.0",
        "started_at": "2026-11-24T15:00:00Z",
        "lease_seconds": 4.5,
        "running": 2,
    }
    nodes = [
        {"id": "a", "name": "one", "alive": True, "draining": False, "active": 30, "unreachable": None, **about},
        {"id": "b", "name": "two", "alive": False, "draining": False, "active": 0, "unreachable": None, **about},
    ]
    page = visit(mortal_server, "boss", bypass_csp=True).new_page()
    answer = {"shared": True, "nodes": nodes, "generation": 1, "answering": "a"}
    page.route("**/api/admin/nodes", lambda route: route.fulfill(json=answer))
    page.goto("/#server")
    rows = page.get_by_role("dialog").get_by_role("row")
    expect(rows).to_have_text(
        [re.compile("^Name"), re.compile("^oneanswers here.*alive302"), re.compile("^two.*gone02")]
    )
    assert violations(page) == []


def test_nobody_else_has_these_places(server: Server, visit: Visit) -> None:
    visit(server, "first")
    page = visit(server, "plain").new_page()
    for place in ("users", "audit", "server"):
        page.goto(f"/#{place}")
        page.reload()
        expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_visible()
        expect(page.get_by_role("dialog")).to_have_count(0)


NODES = """async () => {
  const { stateOf } = await import("/page/view-server.js");
  const { asked } = await import("/page/view-audit.js");
  const box = (value) => ({ value });
  const [none, date] = [box(""), box("2027-03-01")];
  const day = asked({ action: box("login"), actor: none, subject: none, from: date, to: date });
  const nodes = [{ alive: true }, { alive: false }, { alive: true, draining: true }, { alive: true, unreachable: "x" }];
  return [
    nodes.map((node) => stateOf(node).words),
    [day.action, Date.parse(day.to) - Date.parse(day.from)],
  ];
}"""


def test_nodes_and_days_are_put_into_words(server: Server, visit: Visit) -> None:
    page = visit(server).new_page()
    page.goto("/")
    assert page.evaluate(NODES) == [["alive", "gone", "stopping", "out of reach"], ["login", 24 * 3600 * 1000]]
