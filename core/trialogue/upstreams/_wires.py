"""Connections to upstreams: made over TCP and TLS, and kept for the next request."""

from __future__ import annotations

import math
import ssl
from collections import deque

import httpx2
import trio

from trialogue.upstreams._wire import Origin, Transport, Wire

#: Seconds that a connection is kept.
KEPT = 30.0


class Wires:
    """As many connections as there are answers under way, and those of the last ones, unless they were left early."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        # By when they were put back. The last one is taken first, so that those that are not needed grow old.
        self._idle: dict[Origin, deque[tuple[float, Wire]]] = {}

    def __repr__(self) -> str:
        return f"<Wires idle={sum(map(len, self._idle.values()))}>"

    async def take(self, origin: Origin, patience: float | None) -> Wire:
        """A connection, kept or made; making it may take ``patience`` seconds. Raises ``httpx2.TransportError``."""
        idle = self._idle.get(origin)
        while idle:
            _, wire = idle.pop()
            if not wire.stale:
                return wire
            await wire.aclose()
        return await self.make(origin, patience)

    async def make(self, origin: Origin, patience: float | None) -> Wire:
        """A new connection. Raises ``httpx2.TransportError``."""
        return Wire(origin, await self._connect(origin, patience))

    async def put_back(self, wire: Wire) -> None:
        """Keep it if it can be used again, else close it; close also what has been kept for too long."""
        idle, now = self._idle.setdefault(wire.origin, deque()), trio.current_time()
        if wire.reusable:
            wire.prepare()
            idle.append((now, wire))
        else:
            await wire.aclose()
        while idle and idle[0][0] < now - KEPT:
            await idle.popleft()[1].aclose()

    async def aclose(self) -> None:
        """Close those that are kept."""
        for idle in self._idle.values():
            while idle:
                await idle.pop()[1].aclose()

    async def _connect(self, origin: Origin, patience: float | None) -> Transport:
        try:
            with trio.fail_after(math.inf if patience is None else patience):
                stream = await trio.open_tcp_stream(origin.host, origin.port)
                return await self._encrypt(stream, origin.host) if origin.scheme == "https" else stream
        except trio.TooSlowError as error:
            raise httpx2.ConnectTimeout(f"{origin.host!r} took no connection in time") from error
        except (OSError, trio.BrokenResourceError) as error:
            raise httpx2.ConnectError(f"{origin.host!r} cannot be reached: {error}") from error

    async def _encrypt(self, stream: trio.SocketStream, host: str) -> Transport:
        encrypted = trio.SSLStream(stream, self._tls, server_hostname=host, https_compatible=True)
        try:
            await encrypted.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return encrypted
