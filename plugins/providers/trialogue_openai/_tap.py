"""A tap on the HTTP client's connection: it gives the client the head of a response and keeps the body for us.

httpcore2 lets a network backend be brought along, and hands out a response's network stream; both are public. The tap
cuts what it reads where the head ends. Who wants the body quickly takes it from the tap, and when it was complete gives
back an empty one, so that the client sees a finished response and keeps the connection for the next request. Who
asks the client for the body instead gets it from the client as ever.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, cast

import httpcore2
import httpx2
import trio

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
#: h11 gives up on longer heads; so the tap passes them on for it to say so.
_LONGEST_HEAD = 100 * 1024
#: One read takes everything that has arrived; a socket's receive buffer seldom holds more.
_READ_SIZE = 65536


class Tap(httpcore2.AsyncNetworkStream):
    """A connection's stream; one request is under way at a time, as ever in HTTP/1.1."""

    def __init__(self, inner: httpcore2.AsyncNetworkStream) -> None:
        self._inner = inner
        #: A request was sent, and the head of its response has not been passed on.
        self._awaiting_head = False
        #: What was read beyond the head.
        self._held = b""
        #: The head was passed on and nothing of the body was: who takes the body from here gets all of it.
        self.untouched = False
        #: The socket, when no TLS stands between it and the body.
        self._socket: trio.socket.SocketType | None = None
        if inner.get_extra_info("ssl_object") is None:
            self._socket = inner.get_extra_info("socket")

    async def receive_body(self) -> bytes:
        """Some of the body, in the coding of the wire; ``b""`` at the end of the connection. Waits without a limit.

        Raises what httpcore2 raises, ``OSError`` and ``trio.ClosedResourceError``.
        """
        if self._held:
            return self._take_held()
        if self._socket is not None:
            # Straight from the socket: by way of the stream, its scopes and maps, it costs a fifth more. What is there
            # already is taken without a trip through the scheduler: who reads paces itself.
            with suppress(BlockingIOError):
                return os.read(self._socket.fileno(), _READ_SIZE)
            return await self._socket.recv(_READ_SIZE)
        return await self._inner.read(_READ_SIZE)

    def give_back(self, data: bytes) -> None:
        """``data`` is what the client shall read next."""
        self._held = data

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._awaiting_head:
            return await self._read_head(max_bytes, timeout)
        self.untouched = False
        return self._take_held() if self._held else await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._awaiting_head, self.untouched = True, False
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return Tap(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:  # Any: as the base class has it
        return self._inner.get_extra_info(info)

    async def _read_head(self, max_bytes: int, timeout: float | None) -> bytes:
        data = self._take_held()
        while not (end := _END_OF_HEAD.search(data)):
            more = await self._inner.read(max_bytes, timeout)
            data += more
            if not more or len(data) > _LONGEST_HEAD:
                self._awaiting_head = False
                return data
        head, self._held = data[: end.end()], data[end.end() :]
        # An informational response is followed by the one that counts.
        self._awaiting_head = re.match(rb"HTTP/1\.\d 1\d\d", head) is not None
        self.untouched = not self._awaiting_head
        return head

    def _take_held(self) -> bytes:
        held, self._held = self._held, b""
        return held


class TapBackend(httpcore2.AsyncNetworkBackend):
    """Trio's backend with a tap on every connection."""

    def __init__(self) -> None:
        # Without Trio the name stands for a class of another type, which type checkers cannot rule out.
        self._inner = cast("httpcore2.AsyncNetworkBackend", httpcore2.TrioBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        return Tap(await self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return Tap(await self._inner.connect_unix_socket(path, timeout, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def tapped_transport(limits: httpx2.Limits, tls: ssl.SSLContext) -> httpx2.AsyncHTTPTransport:
    """httpx2's transport over a pool with our backend, which its constructor has no parameter for."""
    transport = httpx2.AsyncHTTPTransport(limits=limits, verify=tls)
    # The one private name we touch. Were it to go, bodies would come by way of the client: slower, and not wrong.
    transport._pool = httpcore2.AsyncConnectionPool(
        ssl_context=tls,
        max_connections=limits.max_connections,
        max_keepalive_connections=limits.max_keepalive_connections,
        keepalive_expiry=limits.keepalive_expiry,
        network_backend=TapBackend(),
    )
    return transport
