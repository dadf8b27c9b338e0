"""The metrics, as Prometheus reads them. Who may read them is told in ``_seeing._readers``."""

from __future__ import annotations

import trio

from trialogue import ThrottledError
from trialogue_server._http.call import Call, Reply
from trialogue_server._seeing.exposition import MEDIA_TYPE, encode
from trialogue_server._seeing.families import families
from trialogue_server._seeing.readers import check_reader
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route


async def show_metrics(services: Services, call: Call) -> Reply:
    """``GET /metrics``: read the figures of this process in Prometheus' text format.

    For who shows ``metrics_token`` as bearer token; without such a token, for who asks on the machine itself; and for
    administrators.
    """
    await check_reader(services, call)
    pieces: list[bytes] = []
    for piece in encode(families(services)):
        pieces.append(piece)
        await trio.lowlevel.checkpoint()  # Others have their turn between two families.
    return Reply(200, b"".join(pieces), media_type=MEDIA_TYPE)


ROUTES = (
    Route(
        "GET",
        "/metrics",
        show_metrics,
        direct=True,
        access="admin",
        nameless=True,
        media_type=MEDIA_TYPE.partition(";")[0],
        limited=False,
        # Whoever shows the token or asks on the machine is not counted; who has to prove who he is, is.
        problems=(ThrottledError,),
    ),
)
