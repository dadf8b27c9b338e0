"""Clients of a fleet of nodes: they say things, read what comes of it over either wire, and write down all they see.

A client knows nothing of owners. It asks any node, goes to another when one fails or is silent, resumes a stream at its
last cursor, and repeats a command, under the same id, until it is acknowledged.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import trio
from bench.sse import Frame, open_events
from chaos.asking import FAILED, ask
from sockets import Closed, Refused, open_socket
from wsproto.utilities import ProtocolError

from trialogue import new_id

#: Seconds of silence after which a reader believes its connection to be dead: well over what any node is silent for
#: while an answer is written, and less than its heartbeat.
SILENCE = 2.0
#: Seconds before another attempt.
RETRY = 0.05
#: Seconds a command may take, all attempts together: longer than any trouble lasts.
PATIENCE = 60.0
#: Statuses that ask to come again.
AGAIN = frozenset({429, 500, 502, 503})
#: Of a run that is followed by no other on the same answer, and of one that may be.
ENDS = frozenset({"run.completed", "run.incomplete", "run.failed", "run.cancelled"})


@dataclass
class Record:
    """What one reader saw of a conversation, over all its connections, without what it had seen already."""

    frames: list[Frame] = field(default_factory=list[Frame])
    cursor: str | None = None
    first: int = -1
    connections: int = 0
    problems: list[str] = field(default_factory=list[str])
    #: Until when it does not read.
    asleep_until: float = 0.0

    @property
    def last(self) -> int:
        """The number of the event up to which it knows the conversation."""
        return self.frames[-1].seq if self.frames else self.first - 1

    def take(self, frame: Frame) -> None:
        """Note a frame. A reset would mean that the log went backwards, which no trouble here brings about."""
        if frame.type == "snapshot":
            if self.cursor is not None:
                self.problems.append(f"a snapshot came although the cursor {self.cursor!r} was sent")
            self.first = frame.seq + 1
            self.cursor = frame.cursor
        elif frame.type == "reset":
            self.problems.append(f"the server asked to start over: {frame.data!r}")
        elif frame.cursor:
            self.frames.append(frame)
            self.cursor = frame.cursor


@dataclass
class Question:
    """A message, and how many tokens its answer has: the provider's truth."""

    tokens: int
    respond: bool = True
    acknowledged: bool = False
    #: The answers that acknowledgements named: its own, and one for each time another was asked for.
    answers: set[str] = field(default_factory=set[str])
    #: How often another answer was asked for.
    again: int = 0

    @property
    def text(self) -> str:
        """What is said."""
        return f"[[tokens={self.tokens} rate=200 numbered]]"

    def note_answer(self, accepted: Any) -> None:
        """An acknowledgement, which names the answer that is to come."""
        if accepted and accepted.get("answer"):
            self.answers.add(accepted["answer"])

    @property
    def truth(self) -> str:
        """What the model answers."""
        return "".join(f"{number} " for number in range(self.tokens))


@dataclass
class Talk:
    """One conversation: its readers, and what was said in it."""

    conversation: str
    records: list[Record] = field(default_factory=list[Record])
    questions: dict[str, Question] = field(default_factory=dict[str, Question])
    #: Titles it was given, each once, and whether that was acknowledged.
    titles: dict[str, bool] = field(default_factory=dict[str, bool])
    problems: list[str] = field(default_factory=list[str])
    #: Seconds from the first attempt at a command to its acknowledgement.
    waits: list[float] = field(default_factory=list[float])

    @property
    def path(self) -> str:
        """Its address."""
        return f"/api/conversations/{self.conversation}"

    @property
    def open_turns(self) -> int:
        """Questions whose answer no reader has seen come to its end."""
        ended = max((sum(frame.type in ENDS for frame in record.frames) for record in self.records), default=0)
        return sum(question.respond for question in self.questions.values()) - ended


class Clients:
    """Everybody who talks. ``stopping`` lets those who say things finish; readers go on until cancelled."""

    def __init__(self, ports: Callable[[], list[int]], cookie: str, source: random.Random) -> None:
        self._ports = ports
        self._cookie = cookie
        self._source = source
        self.stopping = False

    def port(self) -> int:
        """Any node's."""
        return self._source.choice(self._ports())

    # --- reading -----------------------------------------------------------------------------------------------------

    async def read(self, talk: Talk, record: Record, *, socket: bool) -> None:
        """Follow a conversation for ever, over event streams or WebSockets."""
        follow = self._read_socket if socket else self._read_stream
        while True:
            record.connections += 1
            with suppress(*FAILED, Closed, Refused, ProtocolError):
                await follow(talk, record)
            await trio.sleep(RETRY)

    async def _read_stream(self, talk: Talk, record: Record) -> None:
        with trio.fail_after(SILENCE) as patience:
            async with open_events(self.port(), f"{talk.path}/events", self._cookie, record.cursor) as events:
                while frames := await events.receive():
                    await self._take(record, frames, patience)

    async def _read_socket(self, talk: Talk, record: Record) -> None:
        with trio.fail_after(SILENCE) as patience:
            async with open_socket(self.port(), cookie=self._cookie) as socket:
                await socket.greet()
                await socket.say(type="subscribe", id="a", conversation=talk.conversation, after=record.cursor)
                while True:
                    frame = frame_of(await socket.text())
                    if frame is not None:
                        await self._take(record, [frame], patience)

    async def _take(self, record: Record, frames: list[Frame], patience: trio.CancelScope) -> None:
        for frame in frames:
            record.take(frame)
        patience.deadline = max(trio.current_time(), record.asleep_until) + SILENCE
        if record.asleep_until > trio.current_time():
            await trio.sleep_until(record.asleep_until)

    # --- saying ------------------------------------------------------------------------------------------------------

    async def converse(self, talk: Talk) -> None:
        """Keep some turns open, stop one now and then, leave a note, rename the conversation; until ``stopping``."""
        while not self.stopping:
            await trio.sleep(self._source.uniform(0.0, 0.3))
            kind = self._source.choices(["ask", "note", "rename", "stop", "again"], [12, 2, 2, 1, 2])[0]
            if kind == "rename":
                await self._rename(talk)
            elif kind == "stop":
                await self._insist(talk, "POST", f"{talk.path}/stop", {})
            elif kind == "again":
                await self._ask_again(talk)
            elif kind == "note":
                await self._say(talk, Question(0, respond=False))
            elif talk.open_turns < self._source.randint(1, 3):
                await self._say(talk, Question(self._source.randint(1, 120)))

    async def _say(self, talk: Talk, question: Question) -> None:
        name = new_id()
        talk.questions[name] = question
        body = {"id": name, "text": question.text, "respond": question.respond}
        twice = self._source.random() < 0.2
        async with trio.open_nursery() as nursery:
            if twice:  # A double click: at the same time, and perhaps at another node.
                nursery.start_soon(self._try, talk, "POST", f"{talk.path}/messages", body)
            answer = await self._insist(talk, "POST", f"{talk.path}/messages", body)
            question.acknowledged = answer is not None
            question.note_answer(answer)

    async def _ask_again(self, talk: Talk) -> None:
        """Another answer to a question that has one, under a key. While an answer is written, that is refused."""
        ended = {msgspec.json.decode(one.data)["message"] for one in talk.records[0].frames[-50:] if one.type in ENDS}
        answered = [(one, answer) for one in talk.questions.values() for answer in one.answers & ended]
        if answered:
            question, answer = self._source.choice(answered)
            question.again += 1
            path = f"/api/messages/{answer}/regenerate"
            question.note_answer(await self._insist(talk, "POST", path, {}, key=new_id(), also=frozenset({409})))

    async def _rename(self, talk: Talk) -> None:
        title = new_id()
        talk.titles[title] = False
        talk.titles[title] = await self._insist(talk, "PATCH", talk.path, {"title": title}) is not None

    async def _insist(
        self, talk: Talk, method: str, path: str, body: Any, *, key: str = "", also: frozenset[int] = frozenset()
    ) -> Any:
        """Repeat a command until it is acknowledged: its answer, ``None`` for none. ``also`` are refusals to expect."""
        began = trio.current_time()
        with trio.move_on_after(PATIENCE):
            while True:
                status, answer = await self._try(talk, method, path, body, key)
                if 200 <= status < 300:
                    talk.waits.append(trio.current_time() - began)
                    return answer or {}
                if status in also:
                    return None
                if status and status not in AGAIN:
                    talk.problems.append(f"{method} {path} was refused with {status}: {answer}")
                    return None
                await trio.sleep(RETRY)
        talk.problems.append(f"{method} {path} with {body} was not acknowledged within {PATIENCE:g} s")
        return None

    async def _try(self, talk: Talk, method: str, path: str, body: Any, key: str = "") -> tuple[int, Any]:
        """One attempt at any node; status 0 when nothing came of it."""
        try:
            with trio.fail_after(self._source.choice([1.0, 5.0])):
                return await ask(self.port(), method, path, body, self._cookie, key)
        except FAILED:
            return 0, None


def frame_of(text: str) -> Frame | None:
    """The event that a WebSocket's message carries, its data byte for byte; ``None`` for another message."""
    head, found, data = text.partition(',"data":')
    if not found or not head.startswith('{"type":"event"'):
        return None
    fields: dict[str, Any] = msgspec.json.decode(head + "}")
    return Frame(fields.get("token", ""), fields["event"], data[:-1].encode())
