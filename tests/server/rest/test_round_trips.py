"""How often each route asks the store: on a database across the network each time is a round trip."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx2
import pytest
from rest import read_events, serve

from trialogue.testing import Fault, Faults, MemoryStore


class Counted(Faults):
    """Plans nothing, and notes each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def choose(self, call: str) -> Fault | None:
        self.calls.append(call)
        return super().choose(call)


@pytest.fixture
async def asked() -> AsyncGenerator[tuple[httpx2.AsyncClient, Counted, str]]:
    """Somebody with a conversation that has been answered, and what the store was asked."""
    store = MemoryStore()
    store.faults = counted = Counted()
    async with serve(store=store) as server, server.user() as ada:
        talk = str((await ada.post("/api/conversations", json={})).json()["id"])
        await ada.post(f"/api/conversations/{talk}/messages", json={"text": "Say hello"})
        await read_events(ada, f"/api/conversations/{talk}/events", "run.completed", count=0)
        await ada.get("/api/conversations")  # Who is calling is known from here on.
        counted.calls.clear()
        yield ada, counted, talk


async def test_list_is_one_call(asked: tuple[httpx2.AsyncClient, Counted, str]) -> None:
    ada, counted, _ = asked
    for query in ("", "?limit=1", "?pinned=true&archived=false", "?q=hello", "?folder=x"):
        counted.calls.clear()
        assert (await ada.get(f"/api/conversations{query}")).status_code == 200
        assert counted.calls == ["conversations"], query


async def test_opening_is_one_call(asked: tuple[httpx2.AsyncClient, Counted, str]) -> None:
    ada, counted, talk = asked
    answer = await ada.get(f"/api/conversations/{talk}")
    assert len(answer.json()["messages"]) == 2
    assert counted.calls == ["view"]


async def test_change_is_one_call(asked: tuple[httpx2.AsyncClient, Counted, str]) -> None:
    """The conversation is awake: whose it is and what it has become need no look."""
    ada, counted, talk = asked
    for change in ({"title": "Tea"}, {"settings": {"seed": 1}}, {"pinned": True}):
        counted.calls.clear()
        answer = await ada.patch(f"/api/conversations/{talk}", json=change)
        assert answer.status_code == 200
        assert counted.calls == ["append"]
        assert change.items() <= answer.json().items()


async def test_message_is_one_call(asked: tuple[httpx2.AsyncClient, Counted, str]) -> None:
    ada, counted, talk = asked
    answer = await ada.post(f"/api/conversations/{talk}/messages", json={"text": "Say it again", "respond": False})
    assert answer.status_code == 202
    assert counted.calls == ["append"]


async def test_reading_a_message_is_one_call(asked: tuple[httpx2.AsyncClient, Counted, str]) -> None:
    ada, counted, talk = asked
    answer = (await ada.get(f"/api/conversations/{talk}")).json()["messages"][-1]
    counted.calls.clear()
    assert (await ada.get(f"/api/messages/{answer['id']}")).json() == answer
    assert counted.calls == ["message_view"]


async def test_edit_looks_twice(asked: tuple[httpx2.AsyncClient, Counted, str]) -> None:
    """Once for its caller, and once by the actor, which alone knows what is true by then."""
    ada, counted, talk = asked
    answer = (await ada.get(f"/api/conversations/{talk}")).json()["messages"][-1]
    counted.calls.clear()
    assert (await ada.patch(f"/api/messages/{answer['id']}", json={"text": "Hullo"})).status_code == 200
    assert counted.calls == ["message_view", "message", "append"]


async def test_search_by_words_is_one_call(asked: tuple[httpx2.AsyncClient, Counted, str]) -> None:
    ada, counted, _ = asked
    assert (await ada.get("/api/search", params={"q": "hello", "role": "user"})).json()["hits"]
    assert counted.calls == ["search"]
