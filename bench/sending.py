"""``trialogue serve`` whose WebSockets leave through ASGI's ``send``: the way that was not taken, to be measured."""

from __future__ import annotations

import sys

from trialogue_server._hub.socket_sink import AsgiOutlet, Outlet
from trialogue_server._sockets import opening
from trialogue_server.cli import main


def _sending(scope: object, send: object, deadline: float) -> Outlet:
    return AsgiOutlet(send, None, deadline)  # type: ignore[arg-type]  # handed on as it comes


if __name__ == "__main__":
    setattr(opening, "outlet_for", _sending)  # noqa: B010 - not ours to assign to
    sys.exit(main(["serve"]))
