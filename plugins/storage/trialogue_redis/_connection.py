"""One connection that everybody shares. Commands go out as they come, answers come back in the same order.

A caller that is cancelled leaves its place in the line behind: its answer is dropped when it arrives, and nobody else
notices. So there is nothing to lend and give back, and nothing that a storm of cancelled calls could use up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import hiredis
import trio

from trialogue_redis._errors import RedisDown, RedisRefused
from trialogue_redis._url import Address
from trialogue_redis._wire import Wire

#: Commands that may wait for their answers: a second's worth.
MOST_PENDING = 20_000

Argument: TypeAlias = str | bytes | int | float
#: Told what the server says of itself: messages of channels.
OnPush = Callable[[Sequence[object]], None]
#: A command as it is sent. The package's own types say that it takes one argument, which is not so.
pack = cast("Callable[[tuple[Argument, ...]], bytes]", hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]


class Pending:
    """A place in the line: whose answer comes next."""

    __slots__ = ("_task", "error", "value")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self.value: Any = None  # Whatever Redis answers.
        self.error: Exception | None = None

    async def wait(self) -> None:
        """Wait until it is answered; cancelled, it is nobody's any more."""
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abandon)

    def _abandon(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def answer(self, value: object, error: Exception | None = None) -> None:
        """Hand over what came."""
        if self._task is not None:
            self.value, self.error = value, error
            trio.lowlevel.reschedule(self._task)
            self._task = None


class Connection:
    """See the module. ``run`` reads until the connection ends; the rest may be called by anyone meanwhile."""

    def __init__(self, wire: Wire, on_push: OnPush) -> None:
        self._wire = wire
        self._on_push = on_push
        self._line: deque[Pending] = deque()
        self._reader = hiredis.Reader()
        self._heard_at = trio.current_time()

    def __repr__(self) -> str:
        return f"<Connection pending={len(self._line)} {self._wire!r}>"

    @property
    def pending(self) -> int:
        """Commands that are not answered."""
        return len(self._line)

    @property
    def closed(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._wire.closed

    def silent_for(self) -> float:
        """Seconds since anything was read."""
        return trio.current_time() - self._heard_at

    async def ask(self, *command: Argument) -> Any:  # Any: what Redis answers
        """One command's answer. Raises ``RedisRefused`` and ``RedisDown``."""
        pending = self.put(pack(command))
        await pending.wait()
        if pending.error is not None:
            raise pending.error
        return pending.value

    def put(self, packed: bytes) -> Pending:
        """Have one packed command sent; who waits for its answer does so at once. Raises ``RedisDown``."""
        if len(self._line) >= MOST_PENDING:
            raise RedisDown(f"{len(self._line)} commands wait for Redis already")
        self._wire.send(packed)
        pending = Pending()
        self._line.append(pending)
        return pending

    def say(self, *command: Argument) -> None:
        """Send a command whose answer comes as a push, as those of subscribing do. Raises ``RedisDown``."""
        self._wire.send(pack(command))

    async def run(self) -> None:
        """Read answers until the connection ends or ``run`` is cancelled; whoever still waits is told.

        Raises ``RedisDown`` when what it reads are no answers, and ``OSError`` and ``trio.BrokenResourceError``.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._wire.run)
                while data := await self._wire.receive():
                    self._feed(data)
                nursery.cancel_scope.cancel()
        finally:
            self.close()

    def close(self) -> None:
        """End it at once."""
        self._wire.close()
        while self._line:
            self._line.popleft().answer(None, RedisDown("the connection to Redis was lost"))

    def _feed(self, data: bytes) -> None:
        self._heard_at = trio.current_time()
        self._reader.feed(data)
        while (said := self._next()) is not False:
            if isinstance(said, hiredis.PushNotification):
                self._on_push(said)
            elif self._line:
                refused = RedisRefused(f"Redis: {said}") if isinstance(said, hiredis.ReplyError) else None
                self._line.popleft().answer(said, refused)

    def _next(self) -> object:
        try:
            return self._reader.gets()
        except hiredis.HiredisError as error:
            raise RedisDown(f"what answers does not speak as Redis does ({error})") from error


async def greet(connection: Connection, address: Address, name: str) -> None:
    """Log in, in the protocol's third version. Raises ``RedisRefused`` and ``RedisDown``."""
    login: list[Argument] = []
    if address.password is not None:
        login = ["AUTH", address.user or "default", address.password]
    await connection.ask("HELLO", 3, *login, "SETNAME", name)
    if address.database:
        await connection.ask("SELECT", address.database)
