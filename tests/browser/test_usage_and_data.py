"""What was used, and taking everything out and in, as the page shows them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx2
from browser.chat import Chat, Visit
from browser.watched import Watched
from playwright.sync_api import expect
from served import Server


def test_usage_is_added_up_and_the_budget_shown(mortal_server: Server, visit: Visit) -> None:
    page = visit(mortal_server, "spender").new_page()
    page.goto("/")
    chat = Chat(page)
    chat.say("Count [[tokens=7 rate=0 numbered]]")
    chat.expect_status("completed")
    # The first account of a server is administrator's.
    with httpx2.Client(
        base_url=mortal_server.url, trust_env=False, cookies=mortal_server.sessions["spender"]
    ) as client:
        me = client.get("/api/auth/me").json()["id"]
        client.put(f"/api/admin/budgets/users/{me}", json={"day_tokens": 5000}).raise_for_status()
    page.goto("/#usage")
    dialog = page.get_by_role("dialog", name="Settings")
    expect(dialog.get_by_role("row").last).to_contain_text(re.compile(r"All of it\s*1"))
    expect(dialog.get_by_role("meter")).to_have_accessible_name(re.compile("^Today: .* of 5,000 tokens"))
    dialog.get_by_label("Add up").select_option("By conversation")
    dialog.get_by_role("link", name=re.compile("^Count")).click()
    expect(dialog).to_have_count(0)
    expect(page).to_have_url(re.compile("/c/[^#]+$"))
    expect(chat.answers).to_have_count(1)


def test_all_is_taken_out_and_in_again(server: Server, visit: Visit, tmp_path: Path, watched: Watched) -> None:
    page = visit(server, "mover").new_page()
    with httpx2.Client(base_url=server.url, trust_env=False, cookies=server.sessions["mover"]) as client:
        name = client.post("/api/conversations", json={"title": "Moved"}).raise_for_status().json()["id"]
        client.post(f"/api/conversations/{name}/messages", json={"text": "hello", "respond": False}).raise_for_status()
        page.goto("/#data")
        dialog = page.get_by_role("dialog", name="Settings")
        with page.expect_download() as download:
            dialog.get_by_role("link", name="JSON").click()
        kept = tmp_path / "kept.json"
        kept.write_bytes(Path(download.value.path()).read_bytes())
        assert json.loads(kept.read_bytes())["conversations"][0]["conversation"]["title"] == "Moved"
    other = visit(server, "taker").new_page()
    other.goto("/#data")
    dialog = other.get_by_role("dialog", name="Settings")
    dialog.get_by_label("Export to take in").set_input_files(kept)
    expect(dialog.get_by_text("1 conversation added")).to_be_visible()
    expect(other.locator(".conversations a")).to_contain_text("Moved")
    broken = tmp_path / "broken.json"
    broken.write_text("no export")
    dialog.get_by_label("Export to take in").set_input_files(broken)
    expect(dialog.get_by_text("Ended early")).to_be_visible()
    watched.expected.append("4.. .*/api/import")


def test_a_file_is_seen_and_removed(server: Server, visit: Visit) -> None:
    page = visit(server, "filer").new_page()
    with httpx2.Client(base_url=server.url, trust_env=False, cookies=server.sessions["filer"]) as client:
        client.post("/api/upload", files={"file": ("notes.txt", b"some notes", "text/plain")}).raise_for_status()
        page.goto("/#files")
        dialog = page.get_by_role("dialog", name="Settings")
        expect(dialog.get_by_role("listitem")).to_contain_text("10 bytes")
        dialog.get_by_role("button", name="Remove notes.txt").click()
        dialog.get_by_role("button", name="Remove?").click()
        expect(dialog.get_by_text("will stand here")).to_be_visible()
        assert client.get("/api/files").json()["files"] == []


PURE = """async () => {
  const { daysOf } = await import("/page/view-usage.js");
  const { importWords } = await import("/page/view-data.js");
  const { bytes, dollars } = await import("/page/words.js");
  return [
    [daysOf("2028-02"), daysOf("soon")],
    [importWords({ state: "done" }), importWords({ state: "running", added: 2, present: 1, grown: 1, failed: 3 })],
    [0, 999, 1000, 1_440_000].map(bytes),
    [0, 10, 2_100_000, 12_300_000_000].map(dollars),
  ];
}"""


def test_figures_are_put_into_words(server: Server, visit: Visit) -> None:
    page = visit(server).new_page()
    page.goto("/")
    days, imports, sizes, costs = page.evaluate(PURE)
    assert days == [{"from": "2028-02-01", "to": "2028-02-29"}, {}]
    assert imports == [
        "Nothing new in it",
        "Being taken in: 2 conversations added, 1 here already (1 grew), 3 could not be taken in",
    ]
    assert sizes == ["0 bytes", "999 bytes", "1 kB", "1.4 MB"]
    assert costs == ["$0", "< $0.0001", "$0.0021", "$12.30"]
