"""The transport over Streamable HTTP: the package's own, with an HTTP client that sends our headers and has bounds."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import trio
from mcp.client._transport import TransportStreams  # What it yields has no other name.
from mcp.client.streamable_http import streamable_http_client

from trialogue_mcp._specs import McpServer

#: Seconds to tell a server that its session ends.
_FAREWELL = 2.0


@asynccontextmanager
async def open_web(server: McpServer) -> AsyncGenerator[TransportStreams]:
    """Messages in and out. Nothing is asked of the server before the first message."""
    assert server.url is not None
    # A stream of events is silent for as long as there is none; calls have deadlines of their own.
    timeout = httpx2.Timeout(10.0, read=None)
    transport = _Bounded(httpx2.AsyncHTTPTransport(), server.message_bytes)
    async with (
        httpx2.AsyncClient(headers=server.headers, timeout=timeout, transport=transport) as client,
        streamable_http_client(server.url, http_client=client, max_sse_event_size=server.message_bytes) as streams,
    ):
        yield streams


class _Bounded(httpx2.AsyncBaseTransport):
    """Lets no answer be longer than a message may be, but for streams of events, whose events are measured."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, limit: int) -> None:
        self._inner = inner
        self._limit = limit

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        # What is measured is what is read: a few bytes may unpack to any number.
        request.headers["accept-encoding"] = "identity"
        if request.method == "DELETE":
            # The end of a session, which nobody waits for long.
            request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), _FAREWELL)
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx2.ReadError("the answer is compressed, and was asked not to be", request=request)
        is_events = response.headers.get("content-type", "").startswith("text/event-stream")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Counted(response.stream, math.inf if is_events else self._limit, request)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    """A stream that is left alone beyond a limit.

    Whoever stops reading closes the innermost stream first, and then reads on to the end that this makes: the client's own
    streams are generators of which the inner one would be left to the garbage collector, which Trio complains of.
    """

    def __init__(self, inner: httpx2.AsyncByteStream, limit: float, request: httpx2.Request) -> None:
        self._inner = inner
        self._left = limit
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = self._inner.__aiter__()
        try:
            async for chunk in chunks:
                self._left -= len(chunk)
                if self._left < 0:
                    raise httpx2.ReadError("the answer is longer than message_bytes", request=self._request)
                yield chunk
        finally:
            await self._inner.aclose()
            with contextlib.suppress(StopAsyncIteration, httpx2.HTTPError, trio.ClosedResourceError):
                await anext(chunks)

    async def aclose(self) -> None:
        await self._inner.aclose()
