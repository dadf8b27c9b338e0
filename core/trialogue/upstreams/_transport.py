"""The SDK's HTTP client over our connections, and how the SDK is given an answer that was asked for without it.

To the SDK a transport is what sends a request. Ours sends it over a ``Wire``, or, when the first attempt was already made,
hands out what came of that: the SDK then judges an error, waits and tries again as if it had asked itself.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TypeAlias

import h11
import httpx2
import trio

from trialogue.upstreams._wire import Origin, Wire
from trialogue.upstreams._wires import Wires

#: What came of the first attempt.
Outcome: TypeAlias = httpx2.Response | httpx2.TransportError

_in_hand: ContextVar[Outcome | None] = ContextVar("trialogue_in_hand", default=None)
#: Where a response keeps its wire, for who wants to read it quickly.
_WIRE = "trialogue.wire"


@asynccontextmanager
async def in_hand(outcome: Outcome) -> AsyncGenerator[None]:
    """The client's next request in this block, to the SDK its first attempt, comes to ``outcome``."""
    token = _in_hand.set(outcome)
    try:
        yield
    finally:
        left = _in_hand.get()
        _in_hand.reset(token)
        if isinstance(left, httpx2.Response):
            await left.aclose()


class WireTransport(httpx2.AsyncBaseTransport):
    """For one client. Redirects, content codings and the like are the client's."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.wires = Wires(tls)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        outcome = _in_hand.get()
        if outcome is not None:
            _in_hand.set(None)
            if isinstance(outcome, httpx2.TransportError):
                raise outcome
            return outcome
        patience = request.extensions.get("timeout", {})
        content = head_of(request) + await request.aread()
        wire = await self.send(origin_of(request), content, patience.get("connect"), patience.get("read"))
        return self.response(wire, patience.get("read"))

    async def send(self, origin: Origin, request: bytes, connect: float | None, read: float | None) -> Wire:
        """Send a whole request, and return its connection once the head of the answer is there.

        A connection that was kept may be closed by the upstream just when the request arrives: nothing comes back then. The
        request is sent again, once, on a new one. That it was read all the same and its answer lost is far less likely; a
        model has no harm of it, and the server asks again after such a failure anyhow.

        Raises ``httpx2.TransportError``.
        """
        wire = await self.wires.take(origin, connect)
        try:
            await wire.ask(request, read)
        except (httpx2.RemoteProtocolError, httpx2.ReadError):
            if not wire.kept or wire.heard:
                raise
            wire = await self.wires.make(origin, connect)
            await wire.ask(request, read)
        return wire

    def response(self, wire: Wire, patience: float | None) -> httpx2.Response:
        """The answer that has begun on ``wire``, for the client; each read may wait for ``patience`` seconds."""
        stream = _Stream(self.wires, wire, patience)
        return httpx2.Response(wire.status, headers=wire.headers, stream=stream, extensions={_WIRE: wire})

    async def aclose(self) -> None:
        await self.wires.aclose()


class _Stream(httpx2.AsyncByteStream):
    """A response's body, as the client reads it."""

    def __init__(self, wires: Wires, wire: Wire, patience: float | None) -> None:
        self._wires = wires
        self._wire = wire
        self._patience = math.inf if patience is None else patience

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self._read():
            yield data

    async def _read(self) -> bytes:
        with trio.move_on_after(self._patience):
            return await self._wire.read()
        raise httpx2.ReadTimeout("the upstream fell silent")

    async def aclose(self) -> None:
        await self._wires.put_back(self._wire)


def wire_of(response: httpx2.Response) -> Wire | None:
    """The connection under a response, if it is ours."""
    wire = response.extensions.get(_WIRE)
    return wire if isinstance(wire, Wire) else None


def origin_of(request: httpx2.Request) -> Origin:
    """Where a request goes."""
    url = request.url
    return Origin(url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80))


def head_of(request: httpx2.Request, *, without: bytes = b"") -> bytes:
    """A request's head as it is sent, perhaps without one header. Raises ``httpx2.LocalProtocolError``."""
    headers = [(name, value) for name, value in request.headers.raw if name.lower() != without]
    try:
        head = h11.Request(method=request.method, target=request.url.raw_path, headers=headers)
        return h11.Connection(h11.CLIENT).send(head) or b""
    except h11.LocalProtocolError as error:
        raise httpx2.LocalProtocolError(f"the request cannot be sent: {error}") from error
