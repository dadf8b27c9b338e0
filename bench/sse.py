"""A client of one event stream that misses nothing and believes nothing: it keeps each frame as it came."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import h11
import trio


@dataclass(frozen=True)
class Frame:
    """A server-sent event: its id (a cursor, or empty), its type and its data."""

    cursor: str
    type: str
    data: bytes

    @property
    def seq(self) -> int:
        """The number in the cursor; -1 without one."""
        return int(self.cursor.rpartition(".")[2]) if self.cursor else -1

    @property
    def epoch(self) -> int:
        """The epoch in the cursor; -1 without one."""
        return int(self.cursor.split(".")[1]) if self.cursor else -1


class EventStream:
    """An open stream. ``receive`` gives the next batch of frames, and nothing more once the connection is gone."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._protocol = h11.Connection(h11.CLIENT)
        self._rest = b""

    async def open(self, path: str, headers: dict[str, str]) -> int:
        """Send the request; the answer's status."""
        fields = [("Host", "127.0.0.1"), ("Accept", "text/event-stream"), *headers.items()]
        request = h11.Request(method="GET", target=path, headers=fields)
        for event in (request, h11.EndOfMessage()):
            await self._stream.send_all(self._protocol.send(event) or b"")
        try:
            head = await self._next()
        except h11.RemoteProtocolError as error:
            raise trio.BrokenResourceError(f"no answer to {path}: {error}") from error
        if not isinstance(head, h11.Response):
            raise trio.BrokenResourceError(f"no answer to {path}: {head!r}")
        return head.status_code

    async def receive(self) -> list[Frame]:
        """At least one frame; an empty list when the stream has ended, cleanly or not."""
        while True:
            try:
                event = await self._next()
            except (trio.BrokenResourceError, h11.RemoteProtocolError):
                return []
            if not isinstance(event, h11.Data):
                return []
            *blocks, self._rest = (self._rest + bytes(event.data)).split(b"\n\n")
            frames = [frame for block in blocks if (frame := _frame(block)) is not None]
            if frames:
                return frames

    async def _next(self) -> object:
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self._protocol.receive_data(await self._stream.receive_some(65_536))
        return event


@asynccontextmanager
async def open_events(port: int, path: str, cookie: str, cursor: str | None) -> AsyncGenerator[EventStream]:
    """Connect and ask for events after ``cursor``. Raises ``OSError`` or ``BrokenResourceError`` when it cannot."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        events = EventStream(stream)
        status = await events.open(path, {"Cookie": cookie} | ({"Last-Event-ID": cursor} if cursor else {}))
        if status != 200:
            raise trio.BrokenResourceError(f"{path} answered {status}")
        yield events


def _frame(block: bytes) -> Frame | None:
    fields = {"id": b"", "event": b"", "data": b""}
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        if name.decode() in fields:
            fields[name.decode()] = value.removeprefix(b" ")
    if not fields["data"]:
        return None  # A comment, or the time to wait before reconnecting.
    return Frame(fields["id"].decode(), fields["event"].decode(), fields["data"])
