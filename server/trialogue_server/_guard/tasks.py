"""One app call: what it raises stays here, and it never leaves an answer half open.

Hypercorn recycles a connection inside the app's last ``send``, and Quart-Trio cancels that send on the disconnect which
the very same send has just announced: the connection then neither times out nor closes. Under the guard nothing between
the last byte and the connection's next state waits, so there is nothing to cancel; keep it so.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.typing import AppWrapper

from trialogue_server._guard.asgi import Message, Scope
from trialogue_server._guard.inbox import Inbox
from trialogue_server._guard.link import Link

_log = logging.getLogger("trialogue.guard")

#: Where the hub finds the connection in a scope's extensions.
EXTENSION = "trialogue.connection"

_Send = Callable[[Message | None], Awaitable[None]]


class AppTasks:
    """What Hypercorn calls a task group: starts app calls in the connection's nursery."""

    def __init__(self, nursery: trio.Nursery, link: Link) -> None:
        self._nursery = nursery
        self._link = link

    async def spawn_app(
        self, app: AppWrapper, config: Config, scope: Scope, send: _Send
    ) -> Callable[[Message], Awaitable[None]]:
        """Start the app for one request; returns where its messages go."""
        scope["extensions"][EXTENSION] = self._link
        inbox = Inbox(config.max_app_queue_size)
        self._nursery.start_soon(self._run_app, app, scope, inbox, send)
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
