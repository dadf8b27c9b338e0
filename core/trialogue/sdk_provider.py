"""A provider over an SDK: opened in a thread soon after the start, its list of models remembered for a while.

Models are listed without the SDK, which takes seconds to import: whoever waits for a process to be ready waits for a list.

What an upstream's requests, answers and lists look like is the subclass's; connections are ``trialogue.upstreams``'
business. Importing this module is cheap: it imports neither an SDK nor an HTTP client.
"""

from __future__ import annotations

import gc
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import urlsplit

import trio

from trialogue._asking.provider import Provider, Request, ResponseStream
from trialogue._facts.values import Model
from trialogue.model_calls import check_allowed

if TYPE_CHECKING:
    from trialogue.upstreams import Questions, Upstream

#: How long a list of models is good for, and how long the absence of one.
_LIST_LASTS, _NOTHING_LASTS = 300.0, 30.0

UpstreamT = TypeVar("UpstreamT", bound="Upstream")
_T = TypeVar("_T")


def is_address(url: str) -> bool:
    """Whether an upstream can be asked there: an http or https address with a host. Never raises."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


class ClosableStream(ResponseStream):
    """A response stream that holds a connection."""

    @abstractmethod
    async def aclose(self) -> None:
        """Nobody reads any more: the connection is kept if the answer was read to its end, else closed."""


@asynccontextmanager
async def closed_in_time(stream: ClosableStream) -> AsyncGenerator[ResponseStream]:
    """Let go of the connection when the block is left, however it is left."""
    try:
        yield stream
    finally:
        # Closes the socket unless the answer was read to its end; nothing in it waits for the other side.
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 0.2):
            await stream.aclose()


class SdkProvider(Provider, Generic[UpstreamT]):
    """One upstream at ``base_url`` and its connections. ``model_calls`` can forbid that it is asked."""

    def __init__(self, base_url: str) -> None:
        self._address = base_url
        self._host = urlsplit(base_url).hostname or ""
        #: ``None`` until it is first wanted.
        self._upstream: UpstreamT | None = None
        self._opening = trio.Lock()
        self._models: Sequence[Model] = ()
        self._models_good_until = float("-inf")

    @abstractmethod
    def _open(self) -> UpstreamT:
        """Make the upstream. In a thread: importing an SDK takes long, and must not hold up the loop."""

    @abstractmethod
    def _headers(self) -> Mapping[str, str]:
        """What says who asks, where the SDK does not."""

    @abstractmethod
    def _import(self) -> None:
        """Import what ``_list`` needs, ``trialogue.upstreams`` too. In a thread, as that takes a moment."""

    @abstractmethod
    async def _list(self, questions: Questions) -> Sequence[Model]:
        """The models that the upstream lists. Raises ``ProviderError``."""

    @abstractmethod
    async def _ask(self, upstream: UpstreamT, request: Request) -> ClosableStream:
        """Send the request; the answer has begun. Raises ``ProviderError``."""

    async def models(self) -> Sequence[Model]:
        if trio.current_time() < self._models_good_until:
            await trio.lowlevel.checkpoint()
            return self._models
        check_allowed(self._host)
        await trio.to_thread.run_sync(self._import)
        from trialogue.upstreams import open_questions  # which ``_import`` has done

        async with open_questions(self._address, self._headers()) as questions:
            self._models = await self._list(questions)
        self._models_good_until = trio.current_time() + (_LIST_LASTS if self._models else _NOTHING_LASTS)
        return self._models

    @asynccontextmanager
    async def open_response(self, request: Request) -> AsyncGenerator[ResponseStream]:
        check_allowed(self._host)
        async with closed_in_time(await self._ask(await self._opened(), request)) as stream:
            yield stream

    async def prepare(self) -> None:
        check_allowed(self._host)
        await self._opened()

    async def aclose(self) -> None:
        if self._upstream is not None:
            await self._upstream.aclose()

    async def _opened(self) -> UpstreamT:
        if self._upstream is not None:
            return self._upstream
        async with self._opening:
            if self._upstream is None:
                # Who stops meanwhile need not wait for it: an upstream that nobody gets has no connections.
                upstream = await trio.to_thread.run_sync(_at_rest, self._open, abandon_on_cancel=True)
                await upstream.prepare()
                self._upstream = upstream
        return self._upstream


def _at_rest(make: Callable[[], _T]) -> _T:
    """Make something while the collector of garbage rests, and keep it from looking at it ever after.

    An SDK is a hundred thousand objects that stay. Going through them, again and again while they come, would hold up the
    loop for half a second.
    """
    gc.disable()
    try:
        made = make()
        gc.freeze()
        return made
    finally:
        gc.enable()
