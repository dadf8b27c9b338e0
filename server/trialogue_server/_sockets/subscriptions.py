"""The subscriptions of one socket: how each begins, what it carries, and how it ends. Their tasks are the socket's."""

from __future__ import annotations

import trio

from trialogue import ClosedError, Principal, ThrottledError, new_id
from trialogue_server._http.problems import problem_reply
from trialogue_server._hub import Chunk, Ending, Outlet, SocketSink, message_prefix
from trialogue_server._serving.reading import Opening, open_conversation, open_list
from trialogue_server._serving.services import Services
from trialogue_server._sockets.closing import DUPLICATE, Closing
from trialogue_server._sockets.commands import Caller, handshake_of
from trialogue_server._sockets.messages import SocketAck, SocketEnd, Subscribe, encode_message, error_message
from trialogue_server.api.socket import ROUTE

#: Rows in the snapshot of a list.
ROWS = 50


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


class Subscriptions:
    """Those of one socket, by the names that its client gave them. ``room`` is taken while one is being opened."""

    def __init__(self, services: Services, outlet: Outlet, known: Known, room: trio.Semaphore) -> None:
        self._services = services
        self._outlet = outlet
        self._known = known
        self._room = room
        self._open: dict[str, Subscription] = {}
        # One is opened at a time: a snapshot may have megabytes, and a client that does not read would have us hold many.
        self._turn = trio.Lock()

    def __repr__(self) -> str:
        return f"<Subscriptions open={len(self._open)}>"

    async def begin(self, message: Subscribe) -> Subscription | None:
        """One more, for ``follow``; ``None`` when there are too many. Raises ``Closing`` for a name that is in use."""
        most = self._services.config.subscriptions_per_socket
        if message.id in self._open:
            raise Closing(DUPLICATE, f"subscription {message.id!r} exists already")
        if len(self._open) >= most:
            detail = f"{most} subscriptions are open on this socket already (subscriptions_per_socket): end one first"
            await self._say_error(message.id, ThrottledError(detail))
            return None
        await self._room.acquire()
        subscription = self._open[message.id] = Subscription()
        return subscription

    def end(self, name: str) -> None:
        """Unsubscribe. One that has ended by itself was told so."""
        if name in self._open:
            self._open[name].scope.cancel()

    async def over(self) -> None:
        """Wait until those that are open have ended."""
        for subscription in list(self._open.values()):
            await subscription.over.wait()

    async def follow(self, message: Subscribe, subscription: Subscription) -> None:
        """Carry what happens, until one of both sides ends it. Raises ``BrokenResourceError`` when it broke off."""
        closed = False
        try:
            with subscription.scope:
                closed = await self._carry(message)
        finally:
            del self._open[message.id]
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
            async with self._turn:
                opening = await self._find(message)
                if opening is None:
                    return False
                await self._outlet.send(encode_message(SocketAck(message.id)))
                await self._send_preface(opening, prefix)
        finally:
            self._room.release()
        sink = SocketSink(self._outlet, prefix)
        try:
            ending = await self._services.hub.carry(opening.source, opening.seq, sink, opening.tag, began)
        except ClosedError:
            return False  # The pulse says goodbye.
        if ending in (Ending.LEFT, Ending.BROKEN):
            raise trio.BrokenResourceError(f"subscription {message.id!r} broke off")
        return ending is Ending.REVOKED

    async def _find(self, message: Subscribe) -> Opening | None:
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

    async def _send_preface(self, opening: Opening, prefix: bytes) -> None:
        for text in Chunk(opening.preface(), 0).texts(prefix):
            await self._outlet.send(text)

    async def _say_error(self, name: str, error: Exception) -> None:
        await self._outlet.send(error_message(name, problem_reply(error, new_id()).body))
