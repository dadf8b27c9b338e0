"""The client: one supervised connection, which comes back by itself, and subscriptions that survive it.

Nobody waits for a connection. While there is none, or the one there is does not answer within ``DEADLINE``, calls fail at
once with ``RedisDown`` and their callers do without.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, cast

import msgspec
import trio

from trialogue_redis._connection import Argument, Connection, greet, pack
from trialogue_redis._errors import RedisDown, RedisError, RedisRefused
from trialogue_redis._script import Script
from trialogue_redis._subscription import Subscription, Subscriptions
from trialogue_redis._url import Address
from trialogue_redis._wire import connect

log = logging.getLogger("trialogue.redis")

#: Seconds after which a command is given up; when nothing else was answered meanwhile either, the connection is as well,
#: and whoever asks next is told at once.
DEADLINE = 0.25
#: Seconds for connecting and logging in.
CONNECT = 2.0
#: Seconds between attempts to come back: the first and the longest wait, each with jitter.
FIRST_WAIT, LONGEST_WAIT = 0.05, 2.0


class Statistics(msgspec.Struct, frozen=True):
    """What the client has done since it was opened, and what is under way."""

    connected: bool
    pending: int
    commands: int
    failures: int
    connections: int
    subscriptions: int


class Redis:
    """One server, as its users see it. Made by ``open_redis``."""

    def __init__(self, address: Address, name: str, deadline: float) -> None:
        self._address = address
        self._name = name
        self._deadline = deadline
        self._connection: Connection | None = None
        self._subscriptions = Subscriptions()
        self._commands = self._failures = self._connections = 0
        # Who waits for a connection.
        self._waiting = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return f"<Redis {self._address} {self._connection!r}>"

    # --- commands ------------------------------------------------------------------------------------------------

    async def ask(self, *command: Argument) -> Any:  # Any: what Redis answers; text comes as bytes
        """One command's answer. Raises ``RedisRefused`` (it answered with an error) and ``RedisDown``.

        A call that is cancelled, or that failed with ``RedisDown``, may have taken effect.
        """
        connection = self._connection
        self._commands += 1
        if connection is None or connection.closed:
            self._failures += 1
            raise RedisDown(f"there is no connection to Redis at {self._address}")
        try:
            with trio.fail_after(self._deadline):
                return await connection.ask(*command)
        except trio.TooSlowError as error:
            self._failures += 1
            # With many ahead of it, or a busy loop here, it may only have been slow.
            if connection.silent_for() >= self._deadline:
                connection.close()
            raise RedisDown(f"Redis at {self._address} did not answer within {self._deadline} seconds") from error
        except RedisDown:
            self._failures += 1
            raise

    def tell(self, *command: Argument) -> None:
        """Have one command done, if there is a connection; nobody hears what came of it."""
        if self._connection is not None and not self._connection.closed:
            self._commands += 1
            with suppress(RedisDown):
                self._connection.put(pack(command))

    @property
    def is_connected(self) -> bool:
        """Whether it is worth asking."""
        return self._connection is not None and not self._connection.closed

    async def wait_connected(self) -> None:
        """Wait until there is a connection. Calls do not: they fail at once."""
        while not self.is_connected:
            await self._waiting.park()

    async def run_script(self, script: Script, keys: Sequence[str], *arguments: Argument) -> Any:  # Any: as above
        """What ``script`` answers, which Redis runs at one moment. Raises as ``ask`` does."""
        try:
            return await self.ask("EVALSHA", script.digest, len(keys), *keys, *arguments)
        except RedisRefused as error:
            if "NOSCRIPT" not in error.detail:
                raise
        # A new server, or one that was flushed.
        return await self.ask("EVAL", script.text, len(keys), *keys, *arguments)

    @contextmanager
    def subscribe(self, channel: str) -> Generator[Subscription]:
        """The messages of a channel while the block lasts, and ``GAP`` wherever some may be missing."""
        with self._subscriptions.hold(channel) as (subscription, is_first):
            if is_first:
                self._say("SUBSCRIBE", channel)
            try:
                yield subscription
            finally:
                if self._subscriptions.is_last(channel):
                    self._say("UNSUBSCRIBE", channel)

    def _say(self, *command: Argument) -> None:
        if self._connection is not None:
            # A connection that cannot take it is about to end; the next one subscribes to what is wanted then.
            with suppress(RedisDown):
                self._connection.say(*command)

    def statistics(self) -> Statistics:
        """Figures for whoever looks."""
        connection = self._connection
        return Statistics(
            connected=self.is_connected,
            pending=0 if connection is None else connection.pending,
            commands=self._commands,
            failures=self._failures,
            connections=self._connections,
            subscriptions=len(self._subscriptions),
        )

    # --- its life ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        wait = FIRST_WAIT
        while True:
            since = trio.current_time()
            try:
                await self._serve()
                log.warning("the connection to Redis at %s ended", self._address)
            except* (
                OSError,
                trio.BrokenResourceError,
                trio.ClosedResourceError,
                trio.TooSlowError,
                RedisError,
            ) as errors:
                log.warning("no connection to Redis at %s: %s", self._address, _words(errors))
            # Who was connected for a while begins anew; who is refused at once waits longer each time.
            wait = FIRST_WAIT if trio.current_time() - since > LONGEST_WAIT else min(2 * wait, LONGEST_WAIT)
            await trio.sleep(wait * random.uniform(0.5, 1.0))

    async def _serve(self) -> None:
        with trio.fail_after(CONNECT):
            connection = Connection(await connect(self._address), self._subscriptions.deliver)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_run_then_cancel, connection, nursery.cancel_scope)
                with trio.fail_after(CONNECT):
                    await greet(connection, self._address, self._name)
                self._connections += 1
                self._connection = connection
                self._waiting.unpark_all()
                for channel in self._subscriptions.channels():
                    connection.say("SUBSCRIBE", channel)
                log.info("connected to Redis at %s", self._address)
        finally:
            self._connection = None
            connection.close()
            self._subscriptions.break_all()


async def _run_then_cancel(connection: Connection, scope: trio.CancelScope) -> None:
    await connection.run()
    scope.cancel()


def _words(errors: BaseExceptionGroup[BaseException]) -> str:
    """The first of them, in words."""
    first = errors.exceptions[0]
    if isinstance(first, BaseExceptionGroup):
        return _words(cast("BaseExceptionGroup[BaseException]", first))
    return str(first) or type(first).__name__


@asynccontextmanager
async def open_redis(
    address: Address, *, name: str = "trialogue", patience: float = 1.0, deadline: float = DEADLINE
) -> AsyncGenerator[Redis]:
    """A client for the block. It waits at most ``patience`` seconds for the first connection, and goes on without one."""
    redis = Redis(address, name, deadline)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(redis.run)
        with trio.move_on_after(patience):
            await redis.wait_connected()
        try:
            yield redis
        finally:
            nursery.cancel_scope.cancel()
