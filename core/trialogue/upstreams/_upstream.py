"""The upstream as it is asked for an answer: by us first, and by the SDK whenever that does not go smoothly.

What the SDK would send is found out once, by having it make a request that goes nowhere: its credentials, address and
headers then serve every request, each with a body of its own. An answer that begins well is read from its connection.
Anything else is handed to the SDK as its own first attempt, and what an error means is its business. Further attempts are
nobody's here: the server makes them, and counts them once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import ClassVar, Final, TypeAlias

import httpx2

from trialogue.upstreams._body import Body, PlainBody, WireBody
from trialogue.upstreams._client import make_client
from trialogue.upstreams._errors import translated
from trialogue.upstreams._transport import Outcome, head_of, in_hand, origin_of, wire_of
from trialogue.upstreams._wire import Origin

#: Seconds for a connection to be made, and, where the SDK waits for it, for the head of an answer to come.
_CONNECT, _READ = 5.0, 600.0
#: For the SDK. How long an answer may take to begin where we ask is the caller's to say, and every later silence too.
TIMEOUT: Final = httpx2.Timeout(_READ, connect=_CONNECT)
#: As the SDK sends them.
_NONE: Final[Mapping[str, str]] = {}
#: A path, and headers.
_Way: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]


class Upstream(ABC):
    """One upstream. Made in a thread (trust in certificates takes long to load); ``prepare`` it before it is asked.

    A subclass makes its SDK over ``client``, which is to ask once (``max_retries=0``), says in ``errors`` what that
    raises, and how it is told to ask (``post``).
    """

    #: The root of what the SDK raises.
    errors: ClassVar[type[Exception]]

    def __init__(self) -> None:
        #: The HTTP client that the SDK is to use.
        self.client: httpx2.AsyncClient
        self.client, self._transport = make_client()
        #: Where requests go, and their head up to its last header, the length, by the path and the headers they are asked
        #: with; ``None`` where the SDK has to ask.
        self._templates: dict[_Way, tuple[Origin, bytes] | None] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._transport.wires if self._transport else 'by proxy'!r}>"

    @abstractmethod
    async def post(self, content: bytes, headers: Mapping[str, str] = _NONE, path: str = "") -> httpx2.Response:
        """Have the SDK ask, with this body as it stands, for an answer that is streamed and in no content coding.

        ``headers`` take the place of what the SDK would send. Without a ``path`` it asks where it usually does. Raises what
        the SDK raises.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close the SDK and with it all connections."""

    async def prepare(self, headers: Mapping[str, str] = _NONE, path: str = "") -> None:
        """Find out what the SDK would send. What it cannot send, it will say when it is to send it."""
        template: tuple[Origin, bytes] | None = None
        if self._transport is not None:
            with suppress(self.errors, httpx2.HTTPError):
                async with in_hand(httpx2.Response(200)):
                    request = (await self.post(b"{}", headers, path)).request
                template = origin_of(request), head_of(request, without=b"content-length")[: -len(b"\r\n")]
        self._templates[path, tuple(headers.items())] = template

    async def ask(self, content: bytes, headers: Mapping[str, str] = _NONE, path: str = "") -> Body:
        """The body of the answer to a request. Raises ``ProviderError``.

        There are few different ``headers`` and paths: what is sent with each is remembered.
        """
        outcome: Outcome
        way = path, tuple(headers.items())
        if way not in self._templates:
            await self.prepare(headers, path)
        template = self._templates[way]
        if self._transport is None or template is None:
            return await self.body_of(self.post(content, headers, path))
        origin, head = template
        try:
            request = b"%bcontent-length: %d\r\n\r\n%b" % (head, len(content), content)
            wire = await self._transport.send(origin, request, _CONNECT, None)
        except httpx2.TransportError as error:
            outcome = error
        else:
            if wire.status == 200 and not wire.encoded:
                return WireBody(self._transport.wires, wire)
            outcome = self._transport.response(wire, _READ)
        async with in_hand(outcome):
            return await self.body_of(self.post(content, headers, path))

    async def body_of(self, asked: Awaitable[httpx2.Response]) -> Body:
        """The body of what the SDK was asked for in a stream. Raises ``ProviderError``."""
        try:
            response = await asked
        except self.errors as error:
            raise translated(error) from error
        wire = wire_of(response)
        if self._transport is None or wire is None or wire.encoded:
            return PlainBody(response)
        return WireBody(self._transport.wires, wire)
