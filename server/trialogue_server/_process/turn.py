"""One time of serving, from opening everything to having closed it.

Mostly a process has one turn; it has another when it stepped back for a successor that then failed.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from importlib.metadata import version

import trio
from hypercorn.config import Config as ServerConfig
from hypercorn.config import Sockets

from trialogue_server._guard import serve_guarded
from trialogue_server._http.call import Application, Receive, Scope, Send
from trialogue_server._process.notify import Notifier
from trialogue_server._process.succession import Predecessor, Successor, start_successor
from trialogue_server.config import Config
from trialogue_server.serve import Opened, drain, open_all

#: Seconds after the grace for answers under way; then connections are broken off, those of stalled readers too.
LAST = 1.0
#: The same when a successor waits for our place: everybody else waits with it.
LAST_WORDS = 0.3
#: Share of the grace in which everything goes on as ever while a calm moment for a succession is waited for; in the rest no
#: run begins.
CALM = 2 / 3

log = logging.getLogger("trialogue.serve")


class Turn:
    """One time of serving."""

    def __init__(
        self,
        config: Config,
        settings: ServerConfig,
        sockets: Sequence[socket.socket],
        notifier: Notifier,
        *,
        shared: bool,
        in_terminal: bool,
    ) -> None:
        #: Whoever waits for us to have closed everything, to go on in our place.
        self.successor: Successor | None = None
        self._config = config
        self._settings = settings
        self._sockets = sockets
        self._notifier = notifier
        # Others accept connections on our sockets too, or hold them for the next process.
        self._shared = shared
        self._in_terminal = in_terminal
        self._opened: Opened
        self._traffic: Traffic
        # No connection is accepted any more, and those there are end.
        self._closing = trio.Event()
        # No run is waited for any more.
        self._drained = trio.Event()
        # Around a succession: an order to stop goes before it.
        self._succession: trio.CancelScope | None = None

    async def run(self, signals: AsyncIterator[int], predecessor: Predecessor | None) -> None:
        """Open, serve, and close. Raises ``ConfigurationError``."""
        async with open_all(self._config, _port(self._sockets)) as self._opened, trio.open_nursery() as beside:
            self._traffic = Traffic(self._opened.app)
            beside.start_soon(self._obey, signals)
            async with trio.open_nursery() as serving:
                addresses: list[str] = await serving.start(
                    partial(
                        serve_guarded,
                        self._traffic,
                        self._settings,
                        shutdown_trigger=self._closing.wait,
                        sockets=Sockets([], [sock.dup() for sock in self._sockets], []),
                    )
                )
                if predecessor is not None:
                    await predecessor.serving()
                self._welcome(addresses)
                beside.start_soon(self._notifier.keep_alive, self._opened.engine.store.check)
            await self._drained.wait()
            beside.cancel_scope.cancel()

    def _welcome(self, addresses: Sequence[str]) -> None:
        model = self._opened.engine.default_model or "no model as yet: see `trialogue plugins`"
        log.info("answering with %s", model)
        self._notifier.ready(f"version {version('trialogue')}, answering with {model}")
        with contextlib.suppress(OSError):  # Whoever read it may be gone, and the service is no worse for it.
            # The last line is the one to click.
            for address in addresses:
                print(f"Trialogue is at {address}", flush=True)

    async def _obey(self, signals: AsyncIterator[int]) -> None:
        async with trio.open_nursery() as nursery:
            async for number in signals:
                if number == signal.SIGUSR1:
                    log.info("what is alive:\n%s", self._opened.engine.tree())
                elif number == signal.SIGHUP and not self._in_terminal:
                    if self._succession is None and not self._opened.engine.draining:
                        nursery.start_soon(self._succeed)
                elif self._opened.engine.draining:
                    self._opened.hub.drain()
                    self._close(LAST)
                    self._drained.set()
                else:
                    if self._succession is not None:
                        self._succession.cancel()
                    nursery.start_soon(self._stop)

    # --- stopping ------------------------------------------------------------------------------------------------

    @property
    def _alone(self) -> bool:
        """Whether the store is ours alone, so that nobody else can do anything before we have closed it."""
        return self._opened.engine.store.nodes is None

    async def _stop(self) -> None:
        grace = self._config.shutdown_grace_seconds
        log.info("stopping: running answers have %g s", grace)
        self._notifier.stopping()
        await self._leave(grace, to_others=self._shared and not self._alone)

    async def _leave(self, grace: float, *, to_others: bool) -> None:
        """Let running answers end, then close. If others answer on our port, they do so from now on."""
        end = trio.current_time() + grace
        if to_others:
            self._opened.engine.draining = True
            self._close(grace + LAST)
            await self._opened.engine.drain(grace)
            self._opened.hub.drain(soon=True)
        else:
            await drain(self._opened, grace)
            self._close(max(0.0, end - trio.current_time()) + LAST)
        # Or the kernel would go on taking connections that nobody answers, until we are gone.
        for sock in self._sockets:
            sock.close()
        self._drained.set()

    def _close(self, grace: float) -> None:
        self._settings.graceful_timeout = grace
        self._closing.set()

    # --- succession ----------------------------------------------------------------------------------------------

    async def _succeed(self) -> None:
        """Start another process and, once it can take our place, give it that."""
        log.info("another process is to take over")
        self._notifier.status("starting the process that is to take over")
        with trio.CancelScope() as self._succession:
            successor = await self._start()
            if successor is not None and self._alone:
                await self._step_back(successor)
            elif successor is not None and await successor.takes_over():
                self._notifier.succeeded_by(successor.pid)
                await successor.confirm()
                await self._leave(self._config.shutdown_grace_seconds, to_others=True)
            else:
                self._notifier.status("serving; the process that was to take over failed, see the log")
        self._succession = None

    async def _start(self) -> Successor | None:
        try:
            environment = self._notifier.environment()
            successor = await start_successor(self._sockets, environment, shared=self._shared)
        except OSError as error:
            log.error("the process that was to take over cannot be started: %s", error)
            return None
        return successor if await successor.is_ready() else None

    async def _step_back(self, successor: Successor) -> None:
        """Find a moment at which nobody is in the midst of something, or make one, and close everything."""
        engine, hub, grace = self._opened.engine, self._opened.hub, self._config.shutdown_grace_seconds
        end = trio.current_time() + grace
        try:
            self._notifier.status("waiting for a moment to hand over")
            await engine.calm(grace * CALM)
            await engine.hold(max(0.0, end - trio.current_time()))
            with trio.move_on_at(end):
                await self._traffic.rests(lambda: hub.answering)
        except trio.Cancelled:
            await successor.dismiss()
            raise
        self.successor = successor
        hub.drain(soon=True)
        self._close(LAST_WORDS)
        self._drained.set()


def _port(sockets: Sequence[socket.socket]) -> int | None:
    """The port that is listened on; ``None`` where that is a file."""
    for sock in sockets:
        if sock.family != socket.AF_UNIX:
            port: int = sock.getsockname()[1]
            return port
    return None


class Traffic:
    """The app, and how many requests are under way in it."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One of them, or whatever else the ASGI server has to say."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._requests += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._requests -= 1

    async def rests(self, streams: Callable[[], int]) -> None:
        """Wait for a moment at which all requests that are under way are streams, which can be resumed anywhere."""
        while self._requests > streams():  # noqa: ASYNC110 - seldom, and nobody could tell more cheaply
            await trio.sleep(0.02)
