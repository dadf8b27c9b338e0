"""One app call: what it raises stays here, and its last send comes to its end.

Hypercorn recycles a connection inside the app's last ``send``, and Quart-Trio cancels that send on the disconnect which
the very same send has just announced: the connection then neither times out nor closes. Shielding the last send, which
is bounded by the writer's deadline, gives every connection its end.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import trio
from hypercorn.config import Config
from hypercorn.typing import AppWrapper

from trialogue_server._guard._asgi import Message, Scope
from trialogue_server._guard._inbox import Inbox

if TYPE_CHECKING:
    from trialogue_server._guard._connection import Connection

_log = logging.getLogger("trialogue.guard")

#: Where the hub finds the connection in a scope's extensions.
EXTENSION = "trialogue.connection"

_Send = Callable[[Message | None], Awaitable[None]]


class AppTasks:
    """What Hypercorn calls a task group: starts app calls in the connection's nursery."""

    def __init__(self, nursery: trio.Nursery, connection: Connection) -> None:
        self._nursery = nursery
        self.connection = connection

    async def spawn_app(
        self, app: AppWrapper, config: Config, scope: Scope, send: _Send
    ) -> Callable[[Message], Awaitable[None]]:
        """Start the app for one request; returns where its messages go."""
        scope["extensions"][EXTENSION] = self.connection
        inbox = Inbox(config.max_app_queue_size)
        self._nursery.start_soon(self._run_app, app, scope, inbox, self._to_the_end(send))
        return inbox.put

    # The signature is Hypercorn's: it starts WebSocket pings with it.
    def spawn(self, func: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Start ``func`` beside the apps."""
        self._nursery.start_soon(func, *args)

    async def _run_app(self, app: Any, scope: Scope, inbox: Inbox, send: _Send) -> None:
        try:
            await app(scope, inbox.receive, send, trio.to_thread.run_sync, trio.from_thread.run)
        except* Exception:
            # Not an answer's worth: the client gets a 500, or a stream that breaks.
            _log.exception("the application failed on %s", scope["path"])
        finally:
            inbox.close()
            await send(None)  # Ends what the app did not end.

    def _to_the_end(self, send: _Send) -> _Send:
        bound = self.connection.limits.send_deadline + 5

        async def guarded(message: Message | None) -> None:
            if message is not None and (message["type"] != "http.response.body" or message.get("more_body", False)):
                await send(message)
                return
            with trio.CancelScope(shield=True, deadline=trio.current_time() + bound):
                await send(message)

        return guarded
