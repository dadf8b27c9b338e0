"""Clients of a server that keeps being killed: readers with cursors, and posters that repeat what was not acknowledged."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

import trio

from bench.client import Account
from bench.servers import Trialogue
from bench.sse import Frame, open_events
from bench.verdict import ENDS
from trialogue import Cursor, new_id

#: Waiting before another attempt while the server is down.
RETRY = 0.01
#: Seconds after which what has not come is held to be lost; a restart takes one or two.
PATIENCE = 20.0


@dataclass
class Talk:
    """One conversation: what its reader saw, and what its poster said."""

    conversation: str
    seen: list[Frame] = field(default_factory=list[Frame])
    cursor: str | None = None
    first: int = -1
    posted: list[str] = field(default_factory=list[str])
    acknowledged: list[str] = field(default_factory=list[str])
    ended: int = 0
    problems: list[str] = field(default_factory=list[str])
    #: When the first event came after the latest start of the server.
    first_event_at: float | None = None

    @property
    def open_turns(self) -> int:
        """Messages whose answer has not come to its end."""
        return len(self.posted) - self.ended

    def take(self, frame: Frame) -> None:
        """Note a frame. A reset would mean that the log went backwards, which a crash must not do."""
        if self.first_event_at is None:
            self.first_event_at = trio.current_time()
        if frame.type == "snapshot":
            self._begin(frame)
        elif frame.type == "reset":
            self.problems.append(f"the server asked to start over: {frame.data!r}")
        else:
            self.seen.append(frame)
            self.cursor = frame.cursor
            # An interrupted run is followed by one that goes on with its answer.
            self.ended += frame.type in ENDS and frame.type != "run.interrupted"

    def _begin(self, frame: Frame) -> None:
        if self.cursor is not None:
            self.problems.append("a snapshot came although a cursor was sent")
        self.cursor = frame.cursor
        self.first = frame.seq + 1


class World:
    """The clients. ``stopping`` lets the posters finish; readers go on until cancelled."""

    def __init__(self, server: Trialogue, account: Account, words: str, source: random.Random) -> None:
        self.server = server
        self.account = account
        self.words = words
        self.talks: list[Talk] = []
        self.stopping = False
        self._source = source
        # Set, and renewed, whenever a reader got something.
        self._news = trio.Event()

    async def until(self, met: Callable[[], bool], seconds: float) -> bool:
        """Wait until ``met()``, which is asked after every batch of events; whether it was, in time."""
        with trio.move_on_after(seconds):
            while not met():
                await self._news.wait()
        return met()

    def next_server(self) -> Trialogue:
        """Where the next request goes that anybody has."""
        return self.server

    async def read(self, talk: Talk) -> None:
        """Follow a conversation over any number of connections, each from where the last one ended."""
        path = f"/api/conversations/{talk.conversation}/events"
        while True:
            try:
                async with open_events(self.next_server().port, path, self.account.cookie, talk.cursor) as events:
                    while frames := await events.receive():
                        for frame in frames:
                            talk.take(frame)
                        self._news.set()
                        self._news = trio.Event()
            except (OSError, trio.BrokenResourceError):
                pass
            await trio.sleep(RETRY)

    async def post(self, talk: Talk) -> None:
        """Keep one to three turns open; every message is repeated, with the same id, until it is acknowledged."""
        while not self.stopping:
            if talk.cursor is not None and talk.open_turns < self._source.randint(1, 3):
                message = new_id()
                talk.posted.append(message)
                with trio.move_on_after(PATIENCE) as patience:
                    await self._insist(talk, message)
                    talk.acknowledged.append(message)
                if patience.cancelled_caught:
                    talk.problems.append(f"the message {message} was not accepted within {PATIENCE:g} s")
            await trio.sleep(self._source.uniform(0.0, 0.05))

    async def _insist(self, talk: Talk, message: str) -> None:
        while True:
            if await self._send(talk, message):
                return
            await trio.sleep(RETRY)

    async def _send(self, talk: Talk, message: str) -> bool:
        body = {"id": message, "text": self.words}
        path = f"/api/conversations/{talk.conversation}/messages"
        try:
            answer = await trio.to_thread.run_sync(
                self.next_server().client().call, "POST", path, body, self.account.cookie, abandon_on_cancel=True
            )
        except (OSError, EOFError, ValueError, HTTPException):
            return False
        status, problem = answer[0], answer[2]
        if 400 <= status < 500:
            talk.problems.append(f"a message was refused with {status}: {problem}")
        return status < 500

    async def full_log(self, talk: Talk) -> list[Frame]:
        """Everything in the log after event 0, by a new reader; what does not come in time is not there."""
        assert talk.cursor is not None
        generation = int(talk.cursor.partition(".")[0])
        start = str(Cursor(generation, 1, 0))
        last = talk.seen[-1].seq if talk.seen else 0
        log: list[Frame] = []
        path = f"/api/conversations/{talk.conversation}/events"
        with trio.move_on_after(PATIENCE):
            async with open_events(self.server.port, path, self.account.cookie, start) as events:
                while not log or log[-1].seq < last:
                    frames = await events.receive()
                    if not frames:
                        break
                    log += frames
        return log

    async def rows(self, talk: Talk) -> dict[str, str]:
        """Texts of the answers at the end of the conversation, as they are stored."""
        path = f"/api/conversations/{talk.conversation}?limit=50"
        snapshot: Any = await trio.to_thread.run_sync(self.server.client().must, "GET", path, None, self.account.cookie)
        answers = [message for message in snapshot["messages"] if message["role"] == "assistant"]
        return {one["id"]: "".join(part.get("text", "") for part in one["parts"]) for one in answers}

    async def charged(self, talk: Talk) -> dict[str, int]:
        """What the ledger says of the conversation's runs."""
        path = "/api/usage?group=conversation&limit=366&from=2000-01-01"
        call = self.server.client().must
        report = await trio.to_thread.run_sync(call, "GET", path, None, self.account.cookie)
        return next((group for group in report["usage"] if group["name"] == talk.conversation), {})

    async def books(self, talk: Talk) -> tuple[list[Frame], dict[str, int]]:
        """The whole log, and what the ledger says; read again when something was charged in between, such as a summary."""
        charged = await self.charged(talk)
        while True:
            log, before = await self.full_log(talk), charged
            charged = await self.charged(talk)
            if charged == before:
                return log, charged

    def dump(self, talk: Talk) -> str:
        """The last frames a reader saw, for a report of what went wrong."""
        return "\n".join(
            f"{frame.cursor} {frame.type} {json.dumps(frame.data.decode())[:160]}" for frame in talk.seen[-20:]
        )
