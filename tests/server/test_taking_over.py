"""Killed in the middle of an answer that the upstream keeps, the server goes on with it, and nothing is asked for twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import trio
from served import Server

from trialogue.testing.upstream import Upstream, open_upstream
from trialogue.testing.upstream_responses import KeptResponses, begin_events, end_event, text_events

WORDS = [f"tok{number} " for number in range(30)]
EVENTS = [*begin_events(), *text_events(*WORDS), end_event(input_tokens=70, output_tokens=30)]
#: After so many events the upstream waits until the test lets it go on.
FIRST, SECOND = 12, 24


class Told:
    """A conversation with one question, at a server that is killed now and then."""

    def __init__(self, server: Server, upstream: Upstream) -> None:
        self.upstream = upstream
        self._server = server
        self._session: dict[str, str] = {}
        self._url = ""

    async def ask(self) -> None:
        """Ask the question."""
        async with self._client() as client:
            body = {"email": "ada@example.org", "password": "correct horse", "name": "Ada"}
            assert (await client.post("/api/auth/register", json=body)).status_code == 201
            self._session = dict(client.cookies)
            self._url = f"/api/conversations/{(await client.post('/api/conversations', json={})).json()['id']}"
            answer = await client.post(f"{self._url}/messages", json={"text": "Tell me."})
            assert answer.status_code == 202, answer.text

    async def answer(self, holds: Callable[[str, str], bool]) -> str:
        """The text of the answer, as soon as that and its status are what they should be."""
        while True:
            async with self._client() as client:
                last: dict[str, Any] = (await client.get(self._url)).json()["messages"][-1]
            text = "".join(part["text"] for part in last["parts"])
            if last["role"] == "assistant" and holds(last["status"], text):
                return text
            await trio.sleep(0.02)  # It is asked again, as a page would.

    async def parts(self) -> list[str]:
        """The parts of the answer."""
        async with self._client() as client:
            last = (await client.get(self._url)).json()["messages"][-1]
        return [part["text"] for part in last["parts"]]

    async def charges(self) -> list[dict[str, Any]]:
        """What was charged for."""
        async with self._client() as client:
            found: list[dict[str, Any]] = (await client.get("/api/usage/runs")).json()["charges"]
        return found

    async def stop(self) -> None:
        """Stop the answer."""
        async with self._client() as client:
            assert (await client.post(f"{self._url}/stop", json={})).status_code == 200

    async def die(self) -> None:
        """The server is killed, and started anew."""
        await trio.to_thread.run_sync(self._server.kill)
        await trio.to_thread.run_sync(self._server.start)

    def _client(self) -> httpx2.AsyncClient:
        origin = {"Origin": self._server.url}
        return httpx2.AsyncClient(
            base_url=self._server.url, timeout=10, trust_env=False, cookies=self._session, headers=origin
        )


@asynccontextmanager
async def told(folder: Path, kept: KeptResponses) -> AsyncGenerator[Told]:
    with trio.fail_after(180):
        async with open_upstream(kept) as upstream:
            server = Server(
                folder,
                default_model="kept:m",
                openai_profiles="kept",
                openai_kept_base_url=upstream.url,
                openai_kept_api="responses",
                openai_kept_background="on",
            )
            try:
                await trio.to_thread.run_sync(server.start)
                yield Told(server, upstream)
            finally:
                server.close()


async def test_killed_twice_it_says_everything_once(tmp_path: Path) -> None:
    first, second = trio.Event(), trio.Event()
    kept = KeptResponses([*EVENTS[:FIRST], first, *EVENTS[FIRST:SECOND], second, *EVENTS[SECOND:]])
    async with told(tmp_path, kept) as talk:
        await talk.ask()
        await talk.answer(lambda _, text: text == "".join(WORDS[: FIRST - 4]))
        await talk.die()
        first.set()
        await talk.answer(lambda _, text: text == "".join(WORDS[: SECOND - 4]))
        await talk.die()
        second.set()
        await talk.answer(lambda status, _: status == "completed")
        assert await talk.parts() == ["".join(WORDS)]
        (charge,) = await talk.charges()
        reported = charge["reported"]
        assert (charge["status"], reported["input_tokens"], reported["output_tokens"]) == ("completed", 70, 30)
    assert len(kept.begun) == 1, "it was asked for once"
    assert kept.resumed == [FIRST - 1, SECOND - 1], "and each time gone on with from where the log ends"


async def test_a_stop_reaches_what_goes_on_upstream(tmp_path: Path) -> None:
    kept = KeptResponses([*EVENTS[:FIRST], trio.Event()])
    async with told(tmp_path, kept) as talk:
        await talk.ask()
        await talk.answer(lambda _, text: text == "".join(WORDS[: FIRST - 4]))
        await talk.die()
        await talk.stop()
        await kept.given_up.wait()
    assert kept.cancelled == 1
