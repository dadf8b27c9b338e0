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

from trialogue import ClosedError, Principal, ThrottledError, TrialogueError, new_id
from trialogue_server._call import Receive, Send
from trialogue_server._expiry import close_when_it_ends
from trialogue_server._hub import (
    Chunk,
    Ending,
    Outlet,
    PulseSink,
    Silence,
    SocketSink,
    message_prefix,
)
from trialogue_server._problems import problem_reply
from trialogue_server._reading import Opening, open_conversation, open_list, tag_of
from trialogue_server._services import Services
from trialogue_server._sockets._closing import (
    BAD_MESSAGE,
    BROKEN,
    DUPLICATE,
    FORBIDDEN,
    GOING_AWAY,
    TIMEOUT,
    TOO_BIG,
    TOO_MANY,
    UNAUTHORIZED,
    Closing,
)
from trialogue_server._sockets._commands import Caller, Perform, handshake_of, perform_command
from trialogue_server._sockets._messages import (
    Bounds,
    ClientMessage,
    GoingAway,
    Hello,
    Ping,
    Pong,
    SocketAck,
    SocketCommand,
    SocketEnd,
    SocketReady,
    Subscribe,
    Unsubscribe,
    decode_message,
    encode_message,
    error_message,
)
from trialogue_server.api.socket import ROUTE

log = logging.getLogger(__name__)

Arguments = TypeVarTuple("Arguments")

#: Rows in the snapshot of a list.
ROWS = 50
#: Seconds within which subscriptions write what was committed last, before the server goes away.
FAREWELL = 2.0
#: Seconds for a Close frame to leave.
PARTING = 5.0


class Known:
    """Who is on the other side, and since when we know it."""

    __slots__ = ("began", "caller", "principal")

    def __init__(self, principal: Principal, caller: Caller, began: float) -> None:
        self.principal = principal
        self.caller = caller
        self.began = began


class Subscription:
    """One of a socket's, from its first moment on."""

    __slots__ = ("over", "scope")

    def __init__(self) -> None:
        #: Cancelled to unsubscribe.
        self.scope = trio.CancelScope()
        self.over = trio.Event()


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
        self._subscriptions: dict[str, Subscription] = {}
        # For what the client has asked for and we are about to do.
        self._room = trio.Semaphore(self._config.socket_requests)
        # Whether the client has left, and what is to be said to one that has not: nothing, when it cannot be reached.
        self._left = False
        self._closing: Closing | None = None

    def __repr__(self) -> str:
        return f"<Socket subscriptions={len(self._subscriptions)} left={self._left} closing={self._closing}>"

    async def run(self) -> None:
        """Until it is over. Raises nothing but cancellation."""
        with ExitStack() as held:
            async with trio.open_nursery() as self._nursery:
                self._nursery.start_soon(self._task, self._live, held)
            await self._part()

    async def _live(self, held: ExitStack) -> None:
        self._known = await self._greet()
        user = self._known.principal.user.id
        try:
            held.enter_context(self._services.sockets.hold(user))
        except ThrottledError as error:
            raise Closing(TOO_MANY, error.detail) from error
        await self._say_ready(user)
        self._begin(self._pulse)
        self._begin(close_when_it_ends, self._services, self._known.principal)
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
                await self._subscribe(message)
            case Unsubscribe(name):
                if name in self._subscriptions:  # One that has ended by itself was told so.
                    self._subscriptions[name].scope.cancel()
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
            for subscription in list(self._subscriptions.values()):
                await subscription.over.wait()
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

    # --- subscriptions -------------------------------------------------------------------------------------------

    async def _subscribe(self, message: Subscribe) -> None:
        most = self._config.subscriptions_per_socket
        if message.id in self._subscriptions:
            raise Closing(DUPLICATE, f"subscription {message.id!r} exists already")
        if len(self._subscriptions) >= most:
            detail = f"{most} subscriptions are open on this socket already (subscriptions_per_socket): end one first"
            await self._say_error(message.id, ThrottledError(detail))
            return
        await self._room.acquire()
        subscription = self._subscriptions[message.id] = Subscription()
        self._begin(self._follow, message, subscription)

    async def _follow(self, message: Subscribe, subscription: Subscription) -> None:
        closed = False
        try:
            with subscription.scope:
                closed = await self._carry(message)
        finally:
            del self._subscriptions[message.id]
            subscription.over.set()
        if subscription.scope.cancelled_caught:
            await self._outlet.send(encode_message(SocketEnd(message.id, "unsubscribed")))
        elif closed:
            await self._outlet.send(encode_message(SocketEnd(message.id, "closed")))

    async def _carry(self, message: Subscribe) -> bool:
        """Whether it ended on our side alone."""
        # The pulse sees to who the caller is, this to what becomes of the conversation meanwhile.
        prefix, began = message_prefix(message.id), trio.current_time()
        try:
            opening = await self._open(message)
            if opening is None:
                return False
            await self._outlet.send(encode_message(SocketAck(message.id)))
            for text in Chunk(opening.preface, 0).texts(prefix):
                await self._outlet.send(text)
        finally:
            self._room.release()
        source, _, seq, tag = opening
        sink = SocketSink(self._outlet, prefix)
        try:
            ending = await self._services.hub.carry(source, seq, sink, tag, began)
        except ClosedError:
            return False  # The pulse says goodbye.
        if ending in (Ending.LEFT, Ending.BROKEN):
            raise trio.BrokenResourceError(f"subscription {message.id!r} broke off")
        return ending is Ending.REVOKED

    async def _open(self, message: Subscribe) -> Opening | None:
        services, principal = self._services, self._known.principal
        try:
            # As over HTTP, where it is a request.
            await services.quotas.count(handshake_of(self._known.caller, ROUTE), principal)
            if message.conversation is None:
                return await open_list(services, principal, message.after, ROWS)
            return await open_conversation(services, principal, message.conversation, message.after)
        except Exception as error:
            await self._say_error(message.id, error)
            return None

    async def _say_error(self, name: str, error: Exception) -> None:
        await self._outlet.send(error_message(name, problem_reply(error, new_id()).body))
