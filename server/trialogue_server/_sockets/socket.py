"""One WebSocket, from its greeting to its end.

A task reads and acts, one keeps the pulse, and there is one for each subscription and for each command under way. What the
client asks for beyond its bounds is not read until there is room; what it does not read is held back at its connection,
and ends it after a while. So nothing queues here. Whatever one of the tasks cannot go on after is the end of the socket.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import TypeVarTuple, assert_never

import trio

from trialogue import ClosedError, ThrottledError, TrialogueError
from trialogue_server._http.call import Receive, Send
from trialogue_server._hub import (
    Ending,
    Outlet,
    PulseSink,
    Silence,
)
from trialogue_server._serving.expiry import close_when_it_ends
from trialogue_server._serving.reading import tag_of
from trialogue_server._serving.services import Services
from trialogue_server._sockets.closing import (
    BAD_MESSAGE,
    BROKEN,
    FORBIDDEN,
    GOING_AWAY,
    TIMEOUT,
    TOO_BIG,
    TOO_MANY,
    UNAUTHORIZED,
    Closing,
)
from trialogue_server._sockets.commands import Perform, perform_command
from trialogue_server._sockets.messages import (
    Bounds,
    ClientMessage,
    GoingAway,
    Hello,
    Ping,
    Pong,
    SocketCommand,
    SocketReady,
    Subscribe,
    Unsubscribe,
    decode_message,
    encode_message,
)
from trialogue_server._sockets.subscriptions import Known, Subscriptions

log = logging.getLogger(__name__)

Arguments = TypeVarTuple("Arguments")

#: Seconds within which subscriptions write what was committed last, before the server goes away.
FAREWELL = 2.0
#: Seconds for a Close frame to leave.
PARTING = 5.0


class Socket:
    """See the module. ``identify`` finds out who said hello."""

    def __init__(
        self,
        services: Services,
        perform: Perform,
        receive: Receive,
        send: Send,
        outlet: Outlet,
        identify: Callable[[Hello], Awaitable[Known]],
    ) -> None:
        self._services = services
        self._perform = perform
        self._receive = receive
        self._send = send
        self._outlet = outlet
        self._identify = identify
        self._config = services.config
        self._known: Known
        self._nursery: trio.Nursery | None = None
        self._subscriptions: Subscriptions
        # For what the client has asked for and we are about to do.
        self._room = trio.Semaphore(self._config.socket_requests)
        # Whether the client has left, and what is to be said to one that has not: nothing, when it cannot be reached.
        self._left = False
        self._closing: Closing | None = None

    def __repr__(self) -> str:
        return f"<Socket left={self._left} closing={self._closing}>"

    async def run(self) -> None:
        """Until it is over. Raises nothing but cancellation."""
        with ExitStack() as held:
            async with trio.open_nursery() as self._nursery:
                self._nursery.start_soon(self._task, self._live, held)
            await self._part()

    async def _live(self, held: ExitStack) -> None:
        self._known = await self._greet()
        user = self._known.principal.user.id
        self._subscriptions = Subscriptions(self._services, self._outlet, self._known, self._room)
        try:
            held.enter_context(self._services.held.sockets.hold(user))
        except ThrottledError as error:
            raise Closing(TOO_MANY, error.detail) from error
        await self._say_ready(user)
        self._begin(self._pulse)
        principal = self._known.principal
        if principal.until is not None:
            self._begin(close_when_it_ends, self._services, principal.credential, principal.until)
        while True:
            await self._act(await self._next())

    def _begin(self, work: Callable[[*Arguments], Awaitable[None]], *arguments: *Arguments) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(self._task, work, *arguments)

    async def _task(self, work: Callable[[*Arguments], Awaitable[None]], *arguments: *Arguments) -> None:
        try:
            await work(*arguments)
        except Closing as closing:
            self._end(closing)
        except trio.BrokenResourceError:
            self._end(None)
        except Exception:
            log.exception("a WebSocket failed; its client will resume")
            self._end(Closing(BROKEN, "this failed on our side: come back, from the last tokens"))

    # --- the end -------------------------------------------------------------------------------------------------

    def _end(self, closing: Closing | None) -> None:
        """Once; the first reason stands, as everything else is cancelled."""
        assert self._nursery is not None
        if not self._nursery.cancel_scope.cancel_called:
            self._closing = closing
            self._nursery.cancel_scope.cancel()

    async def _part(self) -> None:
        if self._left:
            return
        # A client that takes nothing learns more from a reset than from a Close frame that it would have to fetch.
        if (self._closing is None or self._outlet.stuck) and self._outlet.abort():
            return
        code, reason = (BROKEN, "") if self._closing is None else (self._closing.code, self._closing.reason)
        with trio.move_on_after(PARTING):
            await self._send({"type": "websocket.close", "code": code, "reason": reason})

    # --- reading -------------------------------------------------------------------------------------------------

    async def _greet(self) -> Known:
        seconds = self._config.socket_hello_seconds
        with trio.move_on_after(seconds):
            message = await self._next()
            if not isinstance(message, Hello):
                raise Closing(UNAUTHORIZED, 'say hello first: {"type":"hello"}')
            try:
                return await self._identify(message)
            except TrialogueError as error:
                codes = {401: UNAUTHORIZED, 403: FORBIDDEN, 429: TOO_MANY}
                raise Closing(codes.get(error.status, BROKEN), error.detail) from error
        raise Closing(TIMEOUT, f"no hello within {seconds:g} seconds (socket_hello_seconds)")

    async def _next(self) -> ClientMessage:
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            self._left = True
            raise trio.BrokenResourceError("the client has left")
        text = event.get("text")
        if text is None:
            raise Closing(BAD_MESSAGE, "messages are text, not binary")
        self._measure(text)
        try:
            return decode_message(text)
        except ValueError as error:
            raise Closing(BAD_MESSAGE, str(error)) from error

    def _measure(self, text: str) -> None:
        most = self._config.socket_message_bytes
        if len(text) > most or (not text.isascii() and len(text.encode(errors="replace")) > most):
            raise Closing(TOO_BIG, f"a message has at most {most} bytes (socket_message_bytes)")

    async def _act(self, message: ClientMessage) -> None:
        match message:
            case Subscribe():
                subscription = await self._subscriptions.begin(message)
                if subscription is not None:
                    self._begin(self._subscriptions.follow, message, subscription)
            case Unsubscribe(name):
                self._subscriptions.end(name)
            case SocketCommand():
                await self._room.acquire()
                self._begin(self._command, message)
            case Ping(name):
                await self._outlet.send(encode_message(Pong(name)))
            case Pong():
                pass
            case Hello():
                raise Closing(TOO_MANY, "hello was said before")
            case _:
                assert_never(message)

    # --- what goes on --------------------------------------------------------------------------------------------

    async def _say_ready(self, user: str) -> None:
        config = self._config
        bounds = Bounds(config.subscriptions_per_socket, config.socket_requests, config.socket_message_bytes)
        heartbeat = round(self._services.hub.heartbeat * 1000)
        await self._outlet.send(encode_message(SocketReady(user, heartbeat, bounds)))

    async def _pulse(self) -> None:
        """The signs of life, and the end that comes from our side: of the session, or of the server."""
        known = self._known
        tag = tag_of(known.principal)
        try:
            ending = await self._services.hub.carry(Silence(), 0, PulseSink(self._outlet), tag, known.began)
        except ClosedError:
            ending = Ending.DRAINED
        if ending is Ending.REVOKED:
            raise Closing(UNAUTHORIZED, "the session or the key has ended")
        if ending is not Ending.DRAINED:
            raise trio.BrokenResourceError("the client took nothing")
        with trio.move_on_after(FAREWELL):
            await self._subscriptions.over()
        if not self._outlet.stuck:
            await self._outlet.send(encode_message(GoingAway(self._services.hub.retry_hint())))
        raise Closing(GOING_AWAY, "the server is going away: come back, from the last tokens")

    async def _command(self, command: SocketCommand) -> None:
        try:
            status, answer = await perform_command(self._perform, self._known.caller, command)
            await self._outlet.send(answer)
        finally:
            self._room.release()
        if status == 401:
            raise Closing(UNAUTHORIZED, "the session or the key has ended")
