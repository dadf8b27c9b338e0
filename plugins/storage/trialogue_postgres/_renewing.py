"""Renewing a lease by blocking calls, on a connection of the thread's own. Nothing that the loop does can hold it up."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from trialogue import Load, NodeInfo, Renewal, Renewer
from trialogue_postgres import _nodes_sql as sql
from trialogue_postgres._drive import ready_within
from trialogue_postgres._errors import storage_error
from trialogue_postgres._rows import body_of

T = TypeVar("T")

#: Seconds that a renewal may take, connecting included: later, another attempt is better than an answer.
PATIENCE = 2


class Hurried(psycopg.Connection[tuple[Any, ...]]):  # Any: columns are what RENEW gives
    """A connection on which no answer is waited for longer than ``PATIENCE``: a server that is silent, or a network that
    has forgotten the connection, must not keep the thread for ever.
    """

    def wait(self, gen: PQGen[T], interval: float = 0.0, timeout: float | None = None) -> T:
        del interval, timeout
        end = time.monotonic() + PATIENCE
        try:
            wanted = next(gen)
            while True:
                ready = ready_within(self.pgconn.socket, wanted, max(0.0, end - time.monotonic()))
                if ready is None:
                    raise psycopg.OperationalError(f"the server did not answer within {PATIENCE} seconds")
                wanted = gen.send(ready)
        except StopIteration as done:
            result: T = done.value
            return result


class Renewing(Renewer):
    """See ``trialogue.Renewer``. The connection is made when it is wanted, and closed when it fails."""

    def __init__(self, conninfo: str, node: NodeInfo, seconds: float) -> None:
        self._conninfo = conninfo
        self._node = node
        self._seconds = seconds
        self._connection: Hurried | None = None

    def __repr__(self) -> str:
        return f"<Renewing {self._node.id} connected={self._connection is not None}>"

    def renew(self, load: Load) -> Renewal:
        try:
            connection = self._connection or self._connect()
            values = {"id": self._node.id, "seconds": self._seconds, "body": body_of(self._node), "load": body_of(load)}
            row = connection.execute(sql.RENEW.encode(), values).fetchone()
        except psycopg.Error as error:
            self.close()
            raise storage_error(error) from error
        assert row is not None, "RENEW returns the row it wrote"
        return Renewal(*row)

    def _connect(self) -> Hurried:
        self._connection = connection = Hurried.connect(
            self._conninfo, autocommit=True, connect_timeout=PATIENCE, tcp_user_timeout=1000 * PATIENCE
        )
        # What a crash of the server takes back of this, it takes from everybody.
        connection.execute(f"SET synchronous_commit = off; SET statement_timeout = '{PATIENCE}s'".encode())
        return connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
