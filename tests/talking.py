"""What tests of the API say: a conversation's address, a note, a question with its answer, and what is shown of it."""

from __future__ import annotations

from typing import Any

import httpx2
from rest import read_events

ENDS = ("run.completed", "run.incomplete", "run.failed", "run.cancelled")


async def make(client: httpx2.AsyncClient, **body: Any) -> str:
    """A new conversation's address."""
    answer = await client.post("/api/conversations", json=body)
    assert answer.status_code == 201, answer.text
    return f"/api/conversations/{answer.json()['id']}"


async def note(client: httpx2.AsyncClient, url: str, text: str, **body: Any) -> str:
    """A message that nobody answers; its id."""
    answer = await client.post(f"{url}/messages", json={"text": text, "respond": False, **body})
    assert answer.status_code == 202, answer.text
    name: str = answer.json()["message"]
    return name


async def talked(client: httpx2.AsyncClient, url: str, text: str, **body: Any) -> dict[str, Any]:
    """A question that was answered; the ids of both."""
    answer = await client.post(f"{url}/messages", json={"text": text, **body})
    assert answer.status_code == 202, answer.text
    await read_events(client, answer.headers["location"], *ENDS)
    accepted: dict[str, Any] = answer.json()
    return accepted


def texts(messages: list[dict[str, Any]]) -> list[str]:
    """What is read of each message."""
    return ["".join(part.get("text", "") for part in message["parts"]) for message in messages]
