"""One's account on the page: its name, devices, keys and end."""

from __future__ import annotations

import re

import httpx2
import pytest
from browser.chat import PASSWORD, Chat, Visit
from browser.watched import Watched
from playwright.sync_api import Page, expect
from served import Server


@pytest.fixture
def page(server: Server, visit: Visit) -> Page:
    """The settings of somebody who uses nothing else."""
    page = visit(server, "moira").new_page()
    page.goto("/")
    expect(Chat(page).box).to_be_focused()
    return page


def test_a_name_is_changed_and_a_wrong_password_is_told(page: Page, watched: Watched) -> None:
    page.get_by_role("button", name="Account and settings").click()
    dialog = page.get_by_role("dialog", name="Settings")
    dialog.get_by_label("Name").fill("Grace Hopper")
    dialog.get_by_role("button", name="Save").click()
    expect(page.locator(".account-name")).to_have_text("Grace Hopper")
    expect(dialog.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    watched.expected.append("4.. .*/api/auth/password")
    dialog.get_by_label("The one you have").fill("something else")
    dialog.get_by_label("A new one").fill("another horse battery")
    dialog.get_by_role("button", name="Change the password").click()
    expect(dialog.get_by_role("alert").filter(has_text="wrong")).to_be_visible()
    page.go_back()
    expect(dialog).to_have_count(0)


def test_another_device_is_signed_out(page: Page, server: Server) -> None:
    with httpx2.Client(base_url=server.url, trust_env=False, headers={"User-Agent": "Tablet/1"}) as other:
        other.post("/api/auth/login", json={"email": "moira@example.org", "password": PASSWORD}).raise_for_status()
        page.goto("/#devices")
        dialog = page.get_by_role("dialog", name="Settings")
        expect(dialog.get_by_role("listitem").filter(has_text="this device")).to_have_count(1)
        dialog.get_by_role("button", name="Sign out Tablet").click()
        expect(dialog.get_by_text("Tablet")).to_have_count(0)
        assert other.get("/api/auth/me").status_code == 401


def test_a_key_is_made_shown_once_and_revoked(page: Page, server: Server) -> None:
    page.goto("/#account")
    dialog = page.get_by_role("dialog", name="Settings")
    dialog.get_by_role("link", name="API keys").click()
    expect(page).to_have_url(re.compile("#keys$"))
    dialog.get_by_label("What it is for").fill("Nightly job")
    dialog.get_by_label("Write").uncheck()
    dialog.get_by_label("Dollars a month").fill("2.5")
    dialog.get_by_role("button", name="Make the key").click()
    token = dialog.get_by_label("This is the key").input_value()
    bearer = {"Authorization": f"Bearer {token}"}
    assert httpx2.get(f"{server.url}/api/models", headers=bearer, trust_env=False).status_code == 200
    page.reload()
    row = dialog.get_by_role("listitem").filter(has_text="Nightly job")
    expect(row).to_contain_text("read · used")
    expect(row).to_contain_text("$2.5 a month")
    expect(dialog.get_by_label("This is the key")).to_have_count(0)
    row.get_by_role("button", name="Revoke Nightly job").click()
    row.get_by_role("button", name="Revoke?").click()
    expect(row).to_have_count(0)
    assert httpx2.get(f"{server.url}/api/models", headers=bearer, trust_env=False).status_code == 401


def test_an_account_ends_with_its_password(server: Server, visit: Visit) -> None:
    page = visit(server, "brief").new_page()
    page.goto("/#account")
    dialog = page.get_by_role("dialog", name="Settings")
    dialog.get_by_role("button", name="Delete my account…").click()
    password = dialog.get_by_label("Password", exact=True)
    expect(password).to_be_focused()
    password.fill(PASSWORD)
    dialog.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_role("alert")).to_have_text("Your account is deleted.")
    expect(dialog).to_have_count(0)


NAMES = """async (agents) => {
  const { deviceName } = await import("/page/view-devices.js");
  return agents.map(deviceName);
}"""


def test_devices_have_names(page: Page) -> None:
    agents = {
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0": "Firefox on Windows",
        "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36": "Chrome on Android",
        "python-httpx/1.0": "python-httpx",
        "": "An unknown device",
    }
    assert page.evaluate(NAMES, list(agents)) == list(agents.values())
