"""A bus made of notifications: what nodes tell each other where there is no Redis.

A notification in the transaction of an append would have all appends wait for each other; so they are sent by themselves,
after it, as many together as have piled up while the last ones were sent.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256

import psycopg
import trio

from trialogue import Bus, Ear, StorageError
from trialogue_postgres._connection import TrioConnection, open_connection
from trialogue_postgres._database import Database
from trialogue_postgres._url import Address

#: Messages that wait to be sent, and that wait for a listener; more are lost, and missed.
MOST = 500
#: Seconds between two attempts to listen, and after which a connection that says nothing is asked whether it is there.
AGAIN, ASK_AFTER = 1.0, 10.0

SAY = "SELECT pg_notify(%(channel)s, message) FROM unnest(%(messages)b::text[]) AS m (message)"

log = logging.getLogger("trialogue.postgres")


class PostgresBus(Bus):
    """See ``trialogue.Bus``. One connection listens, and is there while ``run`` lasts."""

    def __init__(self, database: Database, address: Address, cluster: str) -> None:
        self._database = database
        self._address = address
        # A name may have 63 bytes; ids of stores are longer together with what is before them in other systems.
        self._channel = "trialogue_" + sha256(cluster.encode()).hexdigest()[:32]
        self._waiting: deque[bytes] = deque(maxlen=MOST)
        self._wanted = trio.Event()
        # A dict for its order.
        self._ears: dict[PostgresEar, None] = {}

    def __repr__(self) -> str:
        return f"<PostgresBus {self._channel} waiting={len(self._waiting)} ears={len(self._ears)}>"

    @property
    def is_open(self) -> bool:
        return True

    def say(self, message: bytes) -> None:
        self._waiting.append(message)
        self._wanted.set()

    @contextmanager
    def listen(self) -> Generator[Ear]:
        ear = PostgresEar()
        self._ears[ear] = None
        try:
            yield ear
        finally:
            del self._ears[ear]

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._speak)
            nursery.start_soon(self._hear)

    # --- speaking ------------------------------------------------------------------------------------------------

    async def _speak(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            messages = [message.decode() for message in self._waiting]
            self._waiting.clear()
            try:
                await self._database.execute(SAY, {"channel": self._channel, "messages": messages})
            except StorageError as error:
                log.debug("%d messages to other nodes are lost: %s", len(messages), error)
                await trio.sleep(AGAIN)

    # --- hearing -------------------------------------------------------------------------------------------------

    async def _hear(self) -> None:
        while True:
            try:
                connection = await open_connection(self._address.conninfo)
                try:
                    await self._hear_on(connection)
                finally:
                    connection._finish()
            except (psycopg.Error, trio.TooSlowError) as error:
                log.info("notifications are not heard, trying again: %s", error)
                await trio.sleep(AGAIN)

    async def _hear_on(self, connection: TrioConnection) -> None:
        connection.add_notify_handler(self._deliver)
        await connection.execute(f'LISTEN "{self._channel}"'.encode())
        for ear in self._ears:
            ear.miss()  # From here on it hears.
        while True:
            with trio.move_on_after(ASK_AFTER):
                await trio.lowlevel.wait_readable(connection.pgconn.socket)
                connection.pgconn.consume_input()
                while (notification := connection.pgconn.notifies()) is not None:
                    self._pass_on(notification.extra)
                continue
            with trio.fail_after(ASK_AFTER):
                await connection.execute(b"SELECT 1")

    def _deliver(self, notification: psycopg.Notify) -> None:
        """One that came along with the answer to something else."""
        self._pass_on(notification.payload.encode())

    def _pass_on(self, message: bytes) -> None:
        for ear in self._ears:
            ear.deliver(message)


class PostgresEar(Ear):
    """A listener. What it is too slow for is a gap."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[bytes | None](MOST)
        self.miss()

    async def hear(self) -> bytes | None:
        return await self._receive.receive()

    def deliver(self, message: bytes) -> None:
        """A message came."""
        try:
            self._send.send_nowait(message)
        except trio.WouldBlock:
            self.miss()

    def miss(self) -> None:
        """Messages may be missing: what waits is dropped, since whoever looks for himself finds it."""
        while self._receive.statistics().current_buffer_used:
            self._receive.receive_nowait()
        self._send.send_nowait(None)
