"""What the client sent waits for the app within bounds; its leaving does not wait."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing

from trialogue_server._guard.inbox import Inbox

END = {"type": "http.disconnect"}


def piece(number: int) -> dict[str, Any]:
    return {"type": "http.request", "body": b"%d" % number, "more_body": True}


async def test_sender_waits_for_room(nursery: trio.Nursery) -> None:
    inbox = Inbox(2)
    await inbox.put(piece(0))
    await inbox.put(piece(1))
    nursery.start_soon(inbox.put, piece(2))
    await trio.testing.wait_all_tasks_blocked()
    assert [await inbox.receive() for _ in range(3)] == [piece(0), piece(1), piece(2)]


async def test_end_waits_for_no_room_and_comes_last(autojump_clock: trio.testing.MockClock) -> None:
    """Else a client that left is noticed only by an app that reads all it sent."""
    inbox = Inbox(1)
    await inbox.put(piece(0))
    with trio.fail_after(1):
        await inbox.put(END)
    assert [await inbox.receive() for _ in range(3)] == [piece(0), END, END]


async def test_end_releases_a_waiting_sender(nursery: trio.Nursery) -> None:
    inbox = Inbox(1)
    await inbox.put(piece(0))
    nursery.start_soon(inbox.put, piece(1))
    await trio.testing.wait_all_tasks_blocked()
    await inbox.put(END)
    await trio.testing.wait_all_tasks_blocked()
    assert not nursery.child_tasks


async def test_nothing_waits_for_an_app_that_is_gone(autojump_clock: trio.testing.MockClock) -> None:
    inbox = Inbox(1)
    inbox.close()
    with trio.fail_after(1):
        for number in range(10):
            await inbox.put(piece(number))
