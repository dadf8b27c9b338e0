"""What a client sent, on its way to the app: bounded while the app listens, gone as soon as it does not.

Hypercorn's channel keeps the reader waiting for an app that has already answered, and the word that the client left
waits behind the body that nobody reads. Here the end always gets through, and what comes after the app is dropped.
"""

from __future__ import annotations

from collections import deque

import trio

from trialogue_server._guard.asgi import Message

_ENDS = frozenset({"http.disconnect", "websocket.disconnect"})


class Inbox:
    """The ``receive`` of one app call."""

    def __init__(self, bound: int) -> None:
        # Body pieces of at most 64 KiB: ten of them are what one upload may hold in memory.
        self._bound = bound
        self._messages: deque[Message] = deque()
        # The disconnect; repeated for ever once everything before it was received.
        self._end: Message | None = None
        self._closed = False
        self._listeners = trio.lowlevel.ParkingLot()
        self._senders = trio.lowlevel.ParkingLot()

    async def put(self, message: Message) -> None:
        """Waits while the app has ``bound`` messages to read. Never waits with the end, nor once there is one."""
        if message["type"] in _ENDS:
            self._end = message
            self._release()
            return
        while len(self._messages) >= self._bound and not self._over:
            await self._senders.park()
        if not self._over:
            self._messages.append(message)
            self._listeners.unpark()

    async def receive(self) -> Message:
        """The next message."""
        while not self._messages:
            if self._end is not None:
                await trio.lowlevel.checkpoint()
                return self._end
            await self._listeners.park()
        self._senders.unpark()
        return self._messages.popleft()

    def close(self) -> None:
        """The app is gone: drop what it did not read, and what will still come."""
        self._closed = True
        self._messages.clear()
        self._release()

    @property
    def _over(self) -> bool:
        return self._closed or self._end is not None

    def _release(self) -> None:
        self._senders.unpark_all()
        self._listeners.unpark_all()
