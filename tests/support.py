"""What tests of several folders share: a conversation to talk in, and a reader that folds what it is shown.

The fold here is written on its own, as a client's author would from the documentation, so that it checks the core's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
import trio

from trialogue import (
    ConversationUpdated,
    CreateConversation,
    Engine,
    Event,
    HeadMoved,
    InboxAdded,
    InboxRemoved,
    Message,
    MessageAdded,
    MessageRemoved,
    MessageRevised,
    PartAdded,
    PartDelta,
    PartStarted,
    Policy,
    PostMessage,
    Receipt,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunIncomplete,
    RunInterrupted,
    RunStarted,
    Settings,
    Stop,
    TextPart,
    ToolReturned,
    UsageReported,
    decode_event,
    event_type,
    new_id,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Reader:
    """Folds events as a client would: texts by message and part, the head, what waits, and how each run ended."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, object]] = {}
        self.parts: dict[str, list[str]] = {}
        self.kinds: dict[str, list[str]] = {}
        self.head: str | None = None
        self.title: str | None = None
        self.live: str | None = None
        self.waiting: list[str] = []
        self.ends: dict[str, list[str]] = {}

    def see(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case MessageAdded(message) | MessageRevised(message):
                self._write(message)
                if isinstance(event, MessageAdded):
                    self.head = message.id
            case MessageRemoved(message, head):
                self._remove(message)
                self.head = head
            case HeadMoved(head):
                self.head = head
            case InboxAdded(queued, front):
                self.waiting.insert(0 if front else len(self.waiting), queued.message.id)
            case InboxRemoved(message):
                self.waiting.remove(message)
            case RunStarted():
                self.live = event.run
                self.ends[event.run] = []
            case PartStarted():
                assert event.part == len(self.parts[event.message])
                self.parts[event.message].append("")
                self.kinds[event.message].append(event.kind)
            case PartAdded() | ToolReturned():
                assert event.part == len(self.parts[event.message])
                self.parts[event.message].append("")
                self.kinds[event.message].append("tool_result" if isinstance(event, ToolReturned) else "whole")
            case PartDelta():
                written = self.parts[event.message][event.part]
                assert len(written) == event.offset, "a hole or a repeat"
                self.parts[event.message][event.part] = written + event.text
            case RunCompleted() | RunIncomplete() | RunFailed() | RunCancelled() | RunInterrupted():
                self.ends[event.run].append(type(event).__name__)
                self.live = None
            case ConversationUpdated():
                if event.title is not msgspec.UNSET:
                    self.title = event.title
            case UsageReported():
                pass
            case _:
                pass

    def _write(self, message: Message) -> None:
        self.messages[message.id] = {"parent": message.parent, "role": message.role}
        texts = [part.text if isinstance(part, TextPart) else None for part in message.parts]
        self.parts[message.id] = [text or "" for text in texts]
        self.kinds[message.id] = ["whole" if text is None else "text" for text in texts]

    def _remove(self, message: str) -> None:
        for child in [other for other, row in self.messages.items() if row["parent"] == message]:
            self._remove(child)
        self.messages.pop(message, None)

    def text(self, message: str) -> str:
        """What is shown of a message: its text parts, joined."""
        pairs = zip(self.kinds[message], self.parts[message], strict=True)
        return "".join(text for kind, text in pairs if kind == "text")


def split_frames(data: bytes) -> list[tuple[str, str, bytes]]:
    """(id, type, data) of each server-sent event in ``data``."""
    frames: list[tuple[str, str, bytes]] = []
    for block in data.split(b"\n\n"):
        if block:
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
            frames.append((fields.get(b"id", b"").decode(), fields[b"event"].decode(), fields[b"data"]))
    return frames


class Talk:
    """One conversation in an engine, and the shortest ways to say something in it."""

    def __init__(self, engine: Engine, conversation: str, model: str) -> None:
        self.engine = engine
        self.id = conversation
        self.model = model

    def post_command(
        self,
        text: str,
        *,
        command: str | None = None,
        policy: Policy = "queue",
        respond: bool = True,
        settings: Settings | None = None,
    ) -> PostMessage:
        """A command that says ``text``, with fresh ids."""
        message = new_id()
        return PostMessage(
            command or message,
            NOW,
            message,
            new_id(),
            new_id(),
            (TextPart(text),),
            self.model,
            settings or Settings(),
            policy=policy,
            respond=respond,
        )

    async def post(
        self, text: str, *, policy: Policy = "queue", respond: bool = True, settings: Settings | None = None
    ) -> Receipt:
        """Say ``text``."""
        command = self.post_command(text, policy=policy, respond=respond, settings=settings)
        return await self.engine.submit(self.id, command)

    async def stop(self) -> Receipt:
        """Stop the live run."""
        return await self.engine.submit(self.id, Stop(new_id(), NOW))

    async def until(self, *types: str) -> list[Event]:
        """All events of the log, as soon as there is one of these types among them."""
        return await self._when(lambda events: any(event_type(event) in types for event in events))

    async def settled(self) -> list[Event]:
        """All events of the log once something was answered, no run is live and nothing waits."""

        def over(events: list[Event]) -> bool:
            reader = fold(events)
            return bool(reader.ends) and reader.live is None and not reader.waiting

        return await self._when(over)

    async def _when(self, holds: Callable[[list[Event]], bool]) -> list[Event]:
        tail = await self.engine.watch(self.id)
        changed = trio.Event()

        def wake() -> None:
            changed.set()

        detach = tail.attach(wake)
        try:
            while not holds(events := await self.events()):
                await changed.wait()
                changed = trio.Event()
            return events
        finally:
            detach()

    async def events(self) -> list[Event]:
        """All events of the log that are committed."""
        entries = await self.engine.store.events(self.id, 0, 100_000)
        assert [entry.seq for entry in entries] == list(range(len(entries)))
        return [decode_event(entry.data) for entry in entries]


def fold(events: Sequence[Event]) -> Reader:
    """A reader that has seen ``events``."""
    reader = Reader()
    for event in events:
        reader.see(event)
    return reader


async def open_talk(engine: Engine, model: str | None = None, owner: str = "ann") -> Talk:
    """A new conversation."""
    conversation = new_id()
    await engine.create(CreateConversation(conversation, owner, NOW))
    return Talk(engine, conversation, model or await engine.resolve(None))
