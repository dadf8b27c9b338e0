"""The shared tail: the last committed frames of one conversation, kept once however many read them.

A subscriber is an integer, the number of the next event it wants, and a wake-up call. It reads from the tail as fast as it
likes and, when it has fallen behind the tail's beginning, from the log. Nothing is queued per subscriber, so a slow one
costs nothing and never touches the owner. Only what is committed enters a tail: this is the output gate (I5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trialogue._facts.cursor import cursor_in, frame
from trialogue._facts.errors import StorageError
from trialogue._storage.store import Store


class Frames:
    """Frames ``base`` to ``next_seq - 1``, kept in memory, and who wants to hear of the next ones."""

    __slots__: tuple[str, ...] = ("__weakref__", "_frames", "_size", "_wakers", "base", "limit", "next_seq")

    def __init__(self, next_seq: int, limit: int) -> None:
        self.base: int = next_seq
        self.next_seq: int = next_seq
        #: Bytes kept.
        self.limit: int = limit
        self._frames: list[bytes] = []
        self._size = 0
        # A dict for its order: subscribers are woken in the order in which they came.
        self._wakers: dict[Callable[[], None], None] = {}

    @property
    def watched(self) -> bool:
        """Whether anyone is attached."""
        return bool(self._wakers)

    @property
    def is_past(self) -> bool:
        """Whether nothing comes any more, and whoever reads has to begin again elsewhere."""
        return False

    def publish(self, frames: Sequence[bytes]) -> None:
        """Add frames, numbered from ``next_seq`` on, and wake every subscriber."""
        self._frames.extend(frames)
        self._size += sum(map(len, frames))
        self.next_seq += len(frames)
        if self._size > self.limit:
            self._trim()
        for wake in tuple(self._wakers):
            wake()

    def restart(self, next_seq: int) -> None:
        """Forget the frames and go on at ``next_seq``: the log has moved on without this tail."""
        self._frames.clear()
        self._size = 0
        self.base = self.next_seq = next_seq
        for wake in tuple(self._wakers):
            wake()

    def _trim(self) -> None:
        # Half at a time, so that the cost per frame stays constant.
        kept, size = len(self._frames), 0
        while kept and size + len(self._frames[kept - 1]) <= self.limit // 2:
            kept -= 1
            size += len(self._frames[kept])
        del self._frames[:kept]
        self.base += kept
        self._size = size

    def attach(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Have ``wake`` called, synchronously, whenever something was published; returns what undoes it.

        ``wake`` must be cheap, must not raise, and each attached one must be a distinct object.
        """
        self._wakers[wake] = None

        def detach() -> None:
            self._wakers.pop(wake, None)

        return detach

    def read(self, seq: int, limit: int = 65_536) -> tuple[bytes, int] | None:
        """Frames from number ``seq`` on, joined, and the number after them.

        At least one frame if there is one, then up to ``limit`` bytes; ``(b"", seq)`` when there is nothing new;
        ``None`` when ``seq`` lies before them.
        """
        if seq < self.base:
            return None
        start, frames = seq - self.base, self._frames
        if start == len(frames) - 1:
            return frames[start], seq + 1  # The newest alone: what a reader that keeps up comes for, each time.
        count, size = start, 0
        while count < len(frames) and (count == start or size + len(frames[count]) <= limit):
            size += len(frames[count])
            count += 1
        return b"".join(frames[start:count]), self.base + count


class Tail(Frames):
    """Committed frames of one conversation. The flusher publishes; subscribers read and attach.

    ``read`` says ``None`` to who is to read from the log. A tail is of one generation of the store: once that is over,
    nothing of the next one enters it, and whoever comes is given another one.
    """

    __slots__: tuple[str, ...] = ("_store", "conversation", "generation")

    def __init__(self, store: Store, conversation: str, next_seq: int, limit: int = 262_144) -> None:
        # Twenty events a second of 300 bytes fill a quarter of a megabyte in forty seconds.
        super().__init__(next_seq, limit)
        self.conversation: str = conversation
        self.generation: int = store.generation
        self._store = store

    def __repr__(self) -> str:
        return f"<Tail {self.conversation} {self.base}..{self.next_seq} readers={len(self._wakers)}>"

    @property
    def is_past(self) -> bool:
        """Whether the store has gone backwards since: the log may tell of something else now."""
        return self.generation != self._store.generation

    def cursor(self, seq: int) -> str | None:
        """The cursor just after event ``seq``; ``None`` when that is not kept here."""
        if not self.base <= seq < self.next_seq:
            return None
        return cursor_in(self._frames[seq - self.base])

    async def read_log(self, seq: int, limit: int = 500) -> tuple[bytes, int]:
        """Like ``read``, from the store, at most ``limit`` frames. Raises ``StorageError``."""
        entries = await self._store.events(self.conversation, seq, limit)
        if self.is_past:
            raise StorageError("the storage was replaced since: begin again", retry_after=1)
        frames: list[bytes] = []
        for entry in entries:
            if entry.seq != seq + len(frames):
                break  # Never a hole (I7); the caller tries again and, below the floor, is told to start over.
            frames.append(frame(self.generation, entry))
        return b"".join(frames), seq + len(frames)
