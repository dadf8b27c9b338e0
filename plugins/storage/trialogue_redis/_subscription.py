"""Who listens to which channel. A listener is told where messages may be missing, so that it looks for itself."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, TypeAlias

import trio


class Gap:
    """Messages may be missing here: there was no connection, or the listener was too slow."""

    def __repr__(self) -> str:
        return "GAP"


GAP: Final = Gap()
Item: TypeAlias = bytes | Gap
#: Messages that wait for a slow listener; it is then told of a gap, and looks for itself, which is cheaper.
MOST_WAITING = 1_000


class Subscription:
    """One listener. Begins with ``GAP``: what was said before it listened, it did not hear."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Item](MOST_WAITING)
        self._send.send_nowait(GAP)

    def __repr__(self) -> str:
        return f"<Subscription {self._receive.statistics()}>"

    async def receive(self) -> Item:
        """The next message, or ``GAP``."""
        return await self._receive.receive()

    def deliver(self, message: bytes) -> None:
        """A message came. It never waits."""
        try:
            self._send.send_nowait(message)
        except trio.WouldBlock:
            self.miss()

    def miss(self) -> None:
        """Messages may be missing. What is queued is dropped: whoever looks for itself finds it."""
        with suppress(trio.WouldBlock):
            while True:
                self._receive.receive_nowait()
        self._send.send_nowait(GAP)


class Subscriptions:
    """All listeners of one client, by channel."""

    def __init__(self) -> None:
        self._by_channel: dict[str, set[Subscription]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_channel.values()))

    def __repr__(self) -> str:
        return f"<Subscriptions {len(self)} to {len(self._by_channel)} channels>"

    @contextmanager
    def hold(self, channel: str) -> Generator[tuple[Subscription, bool]]:
        """One more listener, and whether it is the channel's first."""
        subscription = Subscription()
        is_first = channel not in self._by_channel
        listeners = self._by_channel.setdefault(channel, set())
        listeners.add(subscription)
        try:
            yield subscription, is_first
        finally:
            listeners.remove(subscription)
            if not listeners:
                del self._by_channel[channel]

    def is_last(self, channel: str) -> bool:
        """Whether nobody but one listens."""
        return len(self._by_channel.get(channel, ())) == 1

    def channels(self) -> Sequence[str]:
        """Those that are listened to."""
        return list(self._by_channel)

    def deliver(self, push: Sequence[object]) -> None:
        """What the server said of itself."""
        match push:
            case [b"message", bytes() as channel, bytes() as message]:
                for subscription in self._by_channel.get(channel.decode(errors="replace"), ()):
                    subscription.deliver(message)
            case [b"subscribe", bytes() as channel, *_]:
                # From here on it hears; what was said before may be missing.
                for subscription in self._by_channel.get(channel.decode(errors="replace"), ()):
                    subscription.miss()
            case _:
                pass

    def break_all(self) -> None:
        """The connection is gone, and with it whatever is said now."""
        for listeners in self._by_channel.values():
            for subscription in listeners:
                subscription.miss()
