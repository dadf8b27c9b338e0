"""The WebSocket's address, as a request without an upgrade sees it. What is said over one is ``_sockets``' business."""

from __future__ import annotations

from trialogue_server._http.call import Call, Reply
from trialogue_server._http.errors import UpgradeError
from trialogue_server._serving.services import Services
from trialogue_server._sockets.messages import ClientMessage, ServerMessage
from trialogue_server._surface.routes import Route

PATH = "/api/ws"


async def upgrade(services: Services, call: Call) -> Reply:
    """``GET /api/ws``: a WebSocket for many conversations, in both directions. Subprotocol `trialogue.v1`.

    The first message is `{"type":"hello"}`, answered by `ready`; an API key is the `token` of it, where no cookie or header
    says who is calling. `subscribe` gives the events of a conversation, or with `"conversation":null` of one's list, as
    their streams have them; `command` is any of the requests on conversations and messages.
    """
    await services.principal(call)
    raise UpgradeError("this is a WebSocket: ask for it with an upgrade, subprotocol trialogue.v1")


ROUTE = Route("GET", PATH, upgrade, status=101, says=(ClientMessage, ServerMessage), problems=(UpgradeError,))
ROUTES = (ROUTE,)
