"""Files on the page: attached, pasted and dropped ones go with the message, and pictures are seen in it."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

from browser.chat import Chat, Visit
from browser.watched import Watched
from PIL import Image
from playwright.sync_api import expect
from served import Server


def picture(colour: str = "red") -> bytes:
    out = BytesIO()
    Image.new("RGB", (600, 300), colour).save(out, "PNG")
    return out.getvalue()


def test_attached_files_go_with_the_message(server: Server, visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("The owl sleeps by day.")
    (tmp_path / "red.png").write_bytes(picture())
    page = visit(server, "ada").new_page()
    page.goto("/")
    chat = Chat(page)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Attach files").click()
    chooser.value.set_files([tmp_path / "notes.txt", tmp_path / "red.png"])
    files = page.get_by_role("list", name="Attached files").get_by_role("listitem")
    expect(files).to_have_count(2)
    chat.say("What is this?")
    expect(files).to_have_count(0)
    message = page.locator("article.user").last
    expect(message.get_by_role("link", name="notes.txt")).to_be_visible()
    shown = message.get_by_role("img", name="red.png")
    expect(shown).to_be_visible()
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 320
    chat.expect_status("completed")
    assert "The owl sleeps by day." in chat.text()
    page.reload()
    expect(page.locator("article.user").last.get_by_role("img", name="red.png")).to_be_visible()


def test_file_alone_is_a_message_and_one_taken_away_is_gone(server: Server, visit: Visit) -> None:
    page = visit(server, "bob").new_page()
    page.goto("/")
    send = page.get_by_role("button", name="Send")
    expect(send).to_be_disabled()
    chooser = page.locator("input[type=file]")
    chooser.set_input_files({"name": "one.txt", "mimeType": "text/plain", "buffer": b"1"})
    expect(send).to_be_enabled()
    page.get_by_role("button", name="Take one.txt away").click()
    expect(send).to_be_disabled()
    chooser.set_input_files({"name": "two.txt", "mimeType": "text/plain", "buffer": b"2"})
    expect(send).to_be_enabled()
    send.click()
    expect(page.locator("article.user").last.get_by_role("link", name="two.txt")).to_be_visible()
    # Nobody waits for a removal, so it may come later than the message.
    page.wait_for_function(
        "fetch('/api/files').then(r => r.json()).then(r => `${r.files.map(f => f.name)}` === 'two.txt')"
    )


def test_pasted_and_dropped_files_are_attached(server: Server, visit: Visit) -> None:
    page = visit(server, "eve").new_page()
    page.goto("/")
    data = base64.b64encode(picture("blue")).decode()
    for kind, name in (("paste", "pasted.png"), ("drop", "dropped.png")):
        page.locator("#box").evaluate(
            """(box, [kind, name, data]) => {
                const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
                const transfer = new DataTransfer();
                transfer.items.add(new File([bytes], name, { type: "image/png" }));
                const options = { bubbles: true, cancelable: true };
                box.dispatchEvent(
                    kind === "paste"
                        ? new ClipboardEvent(kind, { ...options, clipboardData: transfer })
                        : new DragEvent(kind, { ...options, dataTransfer: transfer }),
                );
            }""",
            [kind, name, data],
        )
        expect(page.get_by_role("button", name=f"Take {name} away")).to_be_visible()
    expect(page.locator(".attachment img")).to_have_count(2)


def test_file_that_is_too_large_is_told(mortal_server: Server, watched: Watched, visit: Visit) -> None:
    watched.expected.append("413 .*/api/upload$")
    mortal_server.kill()
    mortal_server._settings["TRIALOGUE_FILE_MAX_BYTES"] = "10"
    mortal_server.start()
    page = visit(mortal_server, "ada").new_page()
    page.goto("/")
    page.locator("input[type=file]").set_input_files(
        {"name": "large.txt", "mimeType": "text/plain", "buffer": b"more than ten bytes"}
    )
    expect(page.locator(".toast")).to_contain_text("large.txt was not sent")
    expect(page.locator(".toast")).to_contain_text("file_max_bytes")
