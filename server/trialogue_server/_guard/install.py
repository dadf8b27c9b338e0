"""Puts the guard in place of Hypercorn's own parts, in this process, once.

It works for ``serve_guarded`` and for ``hypercorn -k trio trialogue_server.asgi:app`` alike, because Hypercorn's worker
loads the application before it looks up, by name in its own module, what it serves with. Whoever imported
``worker_serve`` from Hypercorn before is not covered, and is told so at the first context that is made.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import hypercorn.trio
import hypercorn.trio.run
import trio
from hypercorn.config import Config

from trialogue import ConfigurationError
from trialogue_server._guard.connection import Connection
from trialogue_server._guard.context import GuardedContext, open_guard

_SUPPORTED = "0.18."
_stock_worker_serve = hypercorn.trio.run.worker_serve


def install_guard() -> None:
    """Idempotent. Raises ``ConfigurationError`` if this is not the Hypercorn that the guard was written for."""
    if hypercorn.trio.run.worker_serve is worker_serve_guarded:
        return
    found = version("hypercorn")
    if not found.startswith(_SUPPORTED):
        raise ConfigurationError(f"hypercorn {found} is installed and the guard knows {_SUPPORTED}x: install that one")
    # Hypercorn does not expect anything else here, and says so to a type checker.
    run: Any = hypercorn.trio.run
    run.TCPServer = Connection
    run.WorkerContext = GuardedContext
    run.worker_serve = worker_serve_guarded
    package: Any = hypercorn.trio
    package.worker_serve = worker_serve_guarded
    Config.alpn_protocols = ["http/1.1"]


async def worker_serve_guarded(
    app: Any,  # Hypercorn's wrapper around an ASGI or a WSGI application; passed on unseen.
    config: Config,
    *,
    sockets: Any = None,
    shutdown_trigger: Any = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Hypercorn's ``worker_serve``, with its reaper beside it."""
    async with open_guard(config):
        await _stock_worker_serve(
            app, config, sockets=sockets, shutdown_trigger=shutdown_trigger, task_status=task_status
        )
