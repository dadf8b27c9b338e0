"""The hub's task: rounds over the streams that have something to send. Beside it, heartbeats for those that have not.

A round takes all streams that woke since the last one, reads each distinct place once, and makes one system call per
stream. What a socket does not take at once is carried by a task of its own, and the stream is passed by until that is
done; so a slow client costs a task while it is slow, one chunk of memory, and nobody else's time.
"""

from __future__ import annotations

import logging
import sys
from collections import OrderedDict

import msgspec
import trio

from trialogue import TrialogueError
from trialogue_server._hub.sink import Chunk, Line
from trialogue_server._hub.stream import Ending, Stream

_log = logging.getLogger("trialogue.hub")

#: What is read from the log at a time, in bytes as far as can be foreseen, and in frames.
_BATCH_BYTES, _MOST_FRAMES = 131_072, 500
#: Between two rounds that follow at once, others have their turn after so many streams.
_SLICE = 200


class Statistics(msgspec.Struct):
    """Counters since the start, but for ``streams`` and ``busy``, which are now."""

    streams: int = 0
    busy: int = 0
    opened: int = 0
    rounds: int = 0
    chunks: int = 0
    bytes: int = 0
    carried: int = 0
    caught_up: int = 0
    heartbeats: int = 0
    broken: int = 0


class Rounds:
    """The streams that are open, and the task that serves them."""

    def __init__(self, heartbeat: float) -> None:
        self.counters = Statistics()
        #: By silence, the longest first; a stream that is busy is not silent and not in here.
        self._silent: OrderedDict[Stream, None] = OrderedDict()
        #: Seconds of silence after which a stream says that it is there.
        self.heartbeat = heartbeat
        self._dirty: list[Stream] = []
        self._wanted = trio.Event()
        # Where heartbeats rest while there is no stream that needs them.
        self._resting = trio.lowlevel.ParkingLot()
        self._carriers: trio.Nursery

    def queue(self, stream: Stream) -> None:
        """``stream`` wants to be in the next round."""
        self._dirty.append(stream)
        self._wanted.set()

    def add(self, stream: Stream) -> None:
        """Serve ``stream`` from now on."""
        if stream.heartbeat is not None:
            self._silent[stream] = None
            self._resting.unpark()
        stream.wake()

    def discard(self, stream: Stream) -> None:
        """Serve it no more."""
        self._silent.pop(stream, None)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as self._carriers:
            self._carriers.start_soon(self._beats)
            task_status.started()
            while True:
                await self._wanted.wait()
                self._wanted = trio.Event()
                await self._round()

    # ------------------------------------------------------------------------------------------------ rounds

    async def _round(self) -> None:
        dirty, self._dirty = self._dirty, []
        if not dirty:
            return
        self.counters.rounds += 1
        # Streams at the same place of the same source share one chunk.
        chunks: dict[tuple[int, int], Chunk | None] = {}
        now = trio.current_time()
        for number, stream in enumerate(dirty, 1):
            stream.dirty = False
            if stream.ending is None and not stream.busy:
                self._serve(stream, chunks, now)
            if number % _SLICE == 0:
                await trio.lowlevel.checkpoint()
                chunks.clear()  # What was read before may have grown.

    def _serve(self, stream: Stream, chunks: dict[tuple[int, int], Chunk | None], now: float) -> None:
        line = stream.sink.line
        if line is not None and line.busy:
            line.waiting[stream] = None
            return
        key = (id(stream.source), stream.seq)
        try:
            chunk = chunks[key] if key in chunks else chunks.setdefault(key, _read(stream))
            if chunk is None:
                self._carry(stream, None, 0)
            elif chunk.data:
                self._write(stream, chunk, now)
        except trio.BrokenResourceError:
            stream.end(Ending.LEFT)
        except Exception:
            self._fail(stream)

    def _write(self, stream: Stream, chunk: Chunk, now: float) -> None:
        left = stream.sink.write_nowait(chunk)
        stream.seq = chunk.next_seq
        self._count(chunk)
        if left:
            self._carry(stream, chunk, left)
        else:
            if stream.heartbeat is not None:
                stream.idle_since = now
                self._silent.move_to_end(stream)
            if stream.seq < stream.source.next_seq:
                stream.wake()

    def _count(self, chunk: Chunk) -> None:
        self.counters.chunks += 1
        self.counters.bytes += len(chunk.data)

    def _fail(self, stream: Stream) -> None:
        error = sys.exception()
        # A store that is down takes a thousand readers with it, and a thousand traces say no more than one line each.
        _log.error(
            "%r failed (%s); its client will resume", stream, error, exc_info=not isinstance(error, TrialogueError)
        )
        stream.end(Ending.BROKEN)

    # ----------------------------------------------------------------------------- what cannot be done at once

    def _carry(self, stream: Stream, chunk: Chunk | None, left: int) -> None:
        stream.busy = True
        if stream.sink.line is not None:
            stream.sink.line.busy = True
        self.counters.busy += 1
        self._silent.pop(stream, None)
        self._carriers.start_soon(self._carrier, stream, chunk, left)

    async def _carrier(self, stream: Stream, chunk: Chunk | None, left: int) -> None:
        try:
            if chunk is None:
                await self._catch_up(stream)
            else:
                self.counters.carried += 1
                await stream.sink.write_rest(chunk, left)
        except trio.BrokenResourceError:
            stream.end(Ending.BROKEN)
        except Exception:
            self._fail(stream)
        finally:
            self._put_down(stream)

    def _put_down(self, stream: Stream) -> None:
        stream.busy = False
        self.counters.busy -= 1
        if stream.sink.line is not None:
            self._pass_on(stream.sink.line)
        if stream.ending is None:
            stream.idle_since = trio.current_time()
            if stream.heartbeat is not None:
                self._silent[stream] = None
                self._resting.unpark()
            stream.wake()

    def _pass_on(self, line: Line) -> None:
        """Those that waited come before the stream that held them up."""
        line.busy = False
        waiting, line.waiting = line.waiting, {}
        for stream in waiting:
            stream.wake()

    async def _catch_up(self, stream: Stream) -> None:
        self.counters.caught_up += 1
        while stream.ending is None and (chunk := _read(stream)) is None:
            data, next_seq = await stream.source.read_log(stream.seq, stream.batch)
            if next_seq <= stream.seq:
                raise LookupError(f"frame {stream.seq} is neither in the tail nor in the log any more")
            chunk = Chunk(data, next_seq)
            await stream.sink.write_rest(chunk, stream.sink.write_nowait(chunk))
            stream.seq = next_seq
            stream.batch = _next_batch(stream.batch, len(data))
            self._count(chunk)
            if stream.sink.line is not None:
                return  # Others on the same line have their turn; this one is woken again.

    # -------------------------------------------------------------------------------------------- heartbeats

    async def _beats(self) -> None:
        # A task of its own: a deadline around the wait for each round would cost as much as a small round.
        while True:
            oldest = next(iter(self._silent), None)
            if oldest is None:
                await self._resting.park()
            else:
                # Until then the oldest may have spoken; whichever is the oldest then was silent for a shorter time.
                await trio.sleep_until(oldest.idle_since + self.heartbeat)
                self._beat()

    def _beat(self) -> None:
        now = trio.current_time()
        for stream in self._overdue(now):
            stream.idle_since = now
            self._silent.move_to_end(stream)
            line = stream.sink.line
            if line is None or not line.busy:  # What is on its way there is sign enough of life.
                self._ping(stream)

    def _ping(self, stream: Stream) -> None:
        ping = stream.heartbeat
        assert ping is not None, "it is not among the silent"
        try:
            left = stream.sink.write_nowait(ping)
        except trio.BrokenResourceError:
            stream.end(Ending.LEFT)
            self.discard(stream)
            return
        self.counters.heartbeats += 1
        if left:
            # A ping has no number: the stream stays where it is.
            self._carry(stream, ping, left)

    def _overdue(self, now: float) -> list[Stream]:
        overdue: list[Stream] = []
        for stream in self._silent:
            if stream.idle_since + self.heartbeat > now:
                break
            overdue.append(stream)
        return overdue


def _next_batch(batch: int, size: int) -> int:
    """How many frames to read next, when the last ``batch`` of them had ``size`` bytes: not many if they are large."""
    if size > _BATCH_BYTES:
        return max(1, batch // 4)
    return min(_MOST_FRAMES, batch * 2) if size < _BATCH_BYTES // 2 else batch


def _read(stream: Stream) -> Chunk | None:
    found = stream.source.read(stream.seq)
    return None if found is None else Chunk(*found)
