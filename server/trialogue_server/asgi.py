"""The app for any ASGI server, as ``hypercorn -k trio trialogue_server.asgi:app`` wants it.

Configuration comes from the environment, as under ``trialogue serve``; storage and engine open with the server's lifespan
and close with it. Importing this puts the guard around Hypercorn in force, which must happen before it makes its servers.
"""

from __future__ import annotations

import logging
import os
from contextlib import AbstractAsyncContextManager
from importlib.metadata import entry_points, version

from trialogue_server._guard import adopt_limits, install_guard
from trialogue_server._http.call import Application, Receive, Scope, Send
from trialogue_server._process.notify import Notifier
from trialogue_server._settings.credentials import read_credentials
from trialogue_server._settings.settings import load_settings

install_guard()

log = logging.getLogger(__name__)


class Lifespan:
    """Opens the app when the server starts and closes it when the server stops; between the two it is the app."""

    def __init__(self) -> None:
        self._app: Application | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the lifespan itself."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is None:
            raise RuntimeError("the app is not open: the ASGI server must run the lifespan first")
        else:
            await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        phase = "startup"
        await receive()
        try:
            async with _opened() as self._app:
                await send({"type": "lifespan.startup.complete"})
                Notifier(os.environ, os.getpid()).ready(f"version {version('trialogue')}, under another server")
                phase = "serving"
                await receive()
                phase, self._app = "shutdown", None
        except Exception as error:
            # While serving there is nobody to be told; the server learns it from the exception and stops.
            if phase == "serving":
                raise
            log.error("%s failed: %s", phase, error)
            await send({"type": f"lifespan.{phase}.failed", "message": str(error)})
        else:
            await send({"type": "lifespan.shutdown.complete"})
        finally:
            self._app = None


def _opened() -> AbstractAsyncContextManager[Application]:
    from trialogue_server._process import logs
    from trialogue_server._process.connections import connection_limits
    from trialogue_server.serve import open_app

    read_credentials(os.environ)
    config = load_settings({}, os.environ, plugins=entry_points(group="trialogue").names).config
    logs.configure(config)
    adopt_limits(connection_limits(config))
    return open_app(config)


app = Lifespan()
