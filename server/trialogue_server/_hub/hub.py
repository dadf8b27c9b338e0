"""The ASGI handler for an event stream, and what the rest of the server asks of the hub.

A stream that failed, or whose client took nothing for too long, never ends cleanly: its connection is broken, so that
the client resumes from the last frame it has. It ends cleanly when we say goodbye, and only then.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Iterable

import trio

from trialogue import ClosedError, UnauthenticatedError
from trialogue_server._guard.asgi import Message, Receive, Scope, Send
from trialogue_server._hub.closings import Closings
from trialogue_server._hub.rounds import Rounds, Statistics
from trialogue_server._hub.sink import Chunk, Sink, sink_for
from trialogue_server._hub.source import Source
from trialogue_server._hub.stream import Ending, Stream, Tag

_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)
_END: Message = {"type": "http.response.body", "body": b"", "more_body": False}
#: Bytes of a stream's beginning that are sent at a time.
_PIECE = 65_536
#: Clients of a server that goes away come back spread over so many milliseconds.
_RETRY = (500, 5_000)
#: The same where another process answers at once: enough that not all of them knock in the same instant.
_SOON = (0, 250)


class StreamBroken(Exception):
    """Raised out of ``Hub.stream`` where no connection could be broken directly."""


@contextlib.asynccontextmanager
async def open_hub(*, heartbeat: float = 15.0, send_deadline: float = 30.0) -> AsyncGenerator[Hub, None]:
    """A hub, for the block. At its end, streams that are still open are broken.

    ``heartbeat`` is how much silence a client sees at most. ``send_deadline`` holds where bytes go through ASGI's
    ``send``; guarded connections bring their own.
    """
    hub = Hub(heartbeat, send_deadline)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.rounds.run)
        try:
            yield hub
        finally:
            hub.shut()
            nursery.cancel_scope.cancel()


class Hub:
    """All event streams of this process."""

    def __init__(self, heartbeat: float, send_deadline: float) -> None:
        self.rounds = Rounds(heartbeat)
        #: Requests that are being answered with a stream.
        self.answering = 0
        self._send_deadline = send_deadline
        self._streams: set[Stream] = set()
        # Requests that take long and are no streams.
        self._held: dict[trio.CancelScope, Tag] = {}
        self._per_user: Counter[str] = Counter()
        self._draining = False
        self._retry = _RETRY
        self._closings = Closings()

    def __repr__(self) -> str:
        return f"<Hub streams={len(self._streams)} draining={self._draining}>"

    async def stream(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        source: Source,
        seq: int,
        *,
        preface: Callable[[], bytes] = bytes,
        headers: Iterable[tuple[bytes, bytes]] = (),
        tag: Tag = Tag(),  # noqa: B008 - immutable
        began: float | None = None,
    ) -> None:
        """Answer a request with what ``preface`` gives and then the frames of ``source`` from number ``seq`` on.

        Returns when the client has left, when the stream was ended, or when the connection was broken. Raises
        ``ClosedError`` before anything is sent if the hub is draining, and ``StreamBroken`` if the answer must not look
        complete and only the server can see to that. ``began`` is a time, on Trio's clock, at which whose stream it is had
        not been asked yet: what was closed since then concerns it.
        """
        self._refuse_when_draining()
        await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
        if scope["method"] == "HEAD":
            await send(_END)
            return
        await _send_preface(preface() or b": ok\n\n", send)
        stream = Stream(source, seq, sink_for(scope, send, self._send_deadline), tag, self.rounds.queue)
        self.answering += 1
        try:
            with self._registered(stream, began), stream.over:
                await _left(receive)
                stream.end(Ending.LEFT)
            await self._conclude(stream, send)
        finally:
            self.answering -= 1

    async def carry(self, source: Source, seq: int, sink: Sink, tag: Tag, began: float | None = None) -> Ending:
        """Write the frames of ``source`` from number ``seq`` on to ``sink`` until the stream ends; returns why it did.

        What goes out before and after is the caller's. When cancelled, what the sink has begun to write is finished all the
        same. ``began`` is as for ``stream``. Raises ``ClosedError`` if the hub is draining.
        """
        self._refuse_when_draining()
        stream = Stream(source, seq, sink, tag, self.rounds.queue)
        with self._registered(stream, began), stream.over:
            await trio.sleep_forever()
        if stream.ending is Ending.DRAINED and not stream.busy:
            with contextlib.suppress(trio.BrokenResourceError):
                await _catch_up(stream)
        assert stream.ending is not None, "only an ending cancels the scope"
        return stream.ending

    @contextlib.contextmanager
    def hold(self, tag: Tag, began: float) -> Generator[None]:
        """Around a request that takes long and is no stream: it ends when streams with such a tag are closed.

        ``began`` is as for ``stream``. Raises ``UnauthenticatedError`` then.
        """
        scope = trio.CancelScope()
        self._held[scope] = tag
        if self._closings.concern(tag, began):
            scope.cancel()
        try:
            with scope:
                yield
        finally:
            del self._held[scope]
        if scope.cancelled_caught:
            raise UnauthenticatedError("the session or the key has ended in the midst of this: log in again")

    def _refuse_when_draining(self) -> None:
        if self._draining:
            raise ClosedError("the server is shutting down: try again, another one answers")

    @contextlib.contextmanager
    def _registered(self, stream: Stream, began: float | None = None) -> Generator[None, None, None]:
        self._streams.add(stream)
        self._per_user[stream.tag.user] += 1
        self.rounds.counters.opened += 1
        detach = stream.source.attach(stream.wake)
        self.rounds.add(stream)
        if self._draining:  # Began while the head was on its way.
            stream.end(Ending.DRAINED)
        if stream.source.is_past:  # So did this, or it was too late for ``break_off``.
            stream.end(Ending.BROKEN)
        if began is not None and self._closings.concern(stream.tag, began):
            stream.end(Ending.REVOKED)
        try:
            yield
        finally:
            detach()
            stream.end(Ending.BROKEN)  # Stands only if nothing else does: the handler was cancelled.
            self.rounds.discard(stream)
            self._streams.discard(stream)
            self._per_user[stream.tag.user] -= 1
            if not self._per_user[stream.tag.user]:
                del self._per_user[stream.tag.user]

    async def _conclude(self, stream: Stream, send: Send) -> None:
        if stream.ending is Ending.LEFT:
            return
        if stream.ending is not Ending.BROKEN and not stream.busy:
            with contextlib.suppress(trio.BrokenResourceError):
                if stream.ending is Ending.DRAINED:
                    await _catch_up(stream)
                    await stream.sink.write_last(_goodbye(self.retry_hint()))
                await send(_END)
                return
        self.rounds.counters.broken += 1
        if not stream.sink.abort():
            raise StreamBroken

    # ---------------------------------------------------------------------------- what others ask of the hub

    @property
    def heartbeat(self) -> float:
        """Seconds of silence that a client sees at most."""
        return self.rounds.heartbeat

    @property
    def draining(self) -> bool:
        """Whether no more streams are taken."""
        return self._draining

    def count(self, user: str) -> int:
        """How many streams ``user`` has open."""
        return self._per_user[user]

    def close_where(self, matches: Callable[[Tag], bool]) -> int:
        """End every stream whose tag matches, now, and each one that is just being opened; returns how many are ended.

        Requests that are held end too, and are not counted.
        """
        self._closings.add(matches)
        ended = [stream for stream in self._streams if stream.ending is None and matches(stream.tag)]
        for stream in ended:
            stream.end(Ending.REVOKED)
        for scope in [scope for scope, tag in self._held.items() if matches(tag)]:
            scope.cancel()
        return len(ended)

    def retry_hint(self) -> int:
        """When one client is to come back, in milliseconds."""
        return random.randint(*self._retry)

    def drain(self, *, soon: bool = False) -> None:
        """Say goodbye to every client, each with its own hint when to come back, and take no more streams.

        ``soon`` says that another process answers already, or in a moment.
        """
        self._retry = _SOON if soon else self._retry
        self._draining = True
        for stream in self._streams:
            stream.end(Ending.DRAINED)

    def break_off(self) -> None:
        """Break what is open, so that every client resumes from where it is, and learns there what has become of that."""
        for stream in tuple(self._streams):
            stream.end(Ending.BROKEN)

    def tags(self) -> frozenset[Tag]:
        """Whose streams are open, and whose long requests are under way."""
        return frozenset({*(stream.tag for stream in self._streams), *self._held.values()})

    def shut(self) -> None:
        """Break what is left."""
        self._draining = True
        for stream in self._streams:
            stream.end(Ending.BROKEN)

    def statistics(self) -> Statistics:
        """Counters so far."""
        self.rounds.counters.streams = len(self._streams)
        return self.rounds.counters


async def _send_preface(data: bytes, send: Send) -> None:
    # In pieces: the server copies what it is given more than once, and a client that does not read would have it keep that.
    for start in range(0, len(data), _PIECE):
        await send({"type": "http.response.body", "body": data[start : start + _PIECE], "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _catch_up(stream: Stream) -> None:
    """What was published and not written yet: the end of an answer, most of all. One that is far behind resumes."""
    found = stream.source.read(stream.seq)
    while found is not None and found[0]:
        data, stream.seq = found
        await stream.sink.write_last(Chunk(data, 0))
        found = stream.source.read(stream.seq)


def _goodbye(wait: int) -> Chunk:
    return Chunk(b'event: reconnect\nretry: %d\ndata: {"after_ms":%d}\n\n' % (wait, wait), 0)
