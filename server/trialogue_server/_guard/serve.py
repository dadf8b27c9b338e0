"""One guarded server in this process, under the caller's nursery."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config, Sockets

from trialogue_server._guard.install import install_guard, worker_serve_guarded
from trialogue_server._guard.sockets import close_sockets, open_sockets


async def serve_guarded(
    app: Any,  # An ASGI application; Hypercorn's type for it is narrower than ASGI.
    config: Config,
    *,
    shutdown_trigger: Callable[[], Awaitable[None]],
    sockets: Sockets | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve ``app`` until ``shutdown_trigger`` returns; started with the addresses once connections are accepted.

    ``sockets`` come from ``open_sockets`` if the caller took the port earlier. After the trigger, idle connections close
    at once, answers under way have ``config.graceful_timeout``, and what is left then is cancelled and broken off.
    Raises ``ConfigurationError`` when a port cannot be had, before the application is started.
    """
    install_guard()
    opened = sockets if sockets is not None else open_sockets(config)
    try:
        await worker_serve_guarded(
            ASGIWrapper(app), config, sockets=opened, shutdown_trigger=shutdown_trigger, task_status=task_status
        )
    finally:
        close_sockets(opened)
