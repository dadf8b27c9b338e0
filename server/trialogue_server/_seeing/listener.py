"""An address of its own for metrics and health, where the usual one is shared by several processes or open to the world."""

from __future__ import annotations

import errno
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio
from hypercorn.config import Config, Sockets

from trialogue import ConfigurationError, NotFoundError
from trialogue_server._guard import make_config, open_sockets, serve_guarded
from trialogue_server._http.call import Application, Call, Receive, Scope, Send
from trialogue_server._http.problems import problem_reply
from trialogue_server._http.sending import send_reply

log = logging.getLogger("trialogue.serve")

#: Seconds between two attempts to listen where something else does.
AGAIN = 0.5
PATHS = frozenset({"/metrics", "/healthz", "/readyz"})


class Narrow:
    """Lets requests for a few paths through to the app."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; the lifespan is the app's as well."""
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"] in PATHS):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            call = Call(scope)
            lost = NotFoundError(f"here are {', '.join(sorted(PATHS))} only")
            await send_reply(call, problem_reply(lost, call.request_id), receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})


@asynccontextmanager
async def open_apart(app: Application, listen: str) -> AsyncGenerator[None]:
    """Serve metrics at ``listen`` (``host:port``, or ``unix:/path``) while the block lasts; an empty one serves none.

    Where something else listens, such as the process that this one is about to replace, it is tried again until it is free.
    Raises ``ConfigurationError``: nothing can listen there.
    """
    if not listen:
        yield
        return
    config = _config(listen)
    sockets, stopped = _sockets(config), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_serve, app, config, sockets, stopped)
        try:
            yield
        finally:
            stopped.set()
            if sockets is None:
                nursery.cancel_scope.cancel()


async def _serve(app: Application, config: Config, sockets: Sockets | None, stopped: trio.Event) -> None:
    if sockets is None:
        log.warning("metrics wait for %s, where something else listens", config.bind[0])
    while sockets is None:
        await trio.sleep(AGAIN)
        sockets = _sockets(config)
    await serve_guarded(Narrow(app), config, shutdown_trigger=stopped.wait, sockets=sockets)


def _config(listen: str) -> Config:
    host, port = (listen, "0") if listen.startswith("unix:") else listen.rsplit(":", 1)
    if int(port) > 65_535:  # Which the system would take for another one.
        raise ConfigurationError(f"metrics cannot be served at {listen!r}: name a port up to 65535 in metrics_listen")
    config = make_config(host.strip("[]"), int(port), fds=(), grace=1.0)
    config.errorlog = logging.getLogger("hypercorn.error")
    return config


def _sockets(config: Config) -> Sockets | None:
    try:
        return open_sockets(config)
    except ConfigurationError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE:
            return None
        raise
