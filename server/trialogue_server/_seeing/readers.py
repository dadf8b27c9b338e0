"""Who may read the metrics: who shows the token, asks from this machine, or is an administrator."""

from __future__ import annotations

import hmac

from trialogue_server._callers.keys import bearer_token
from trialogue_server._http.call import Call
from trialogue_server._serving.services import Services

#: What a proxy adds. A request that has none and comes from this machine was asked for on this machine.
_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip", "via")


async def check_reader(services: Services, call: Call) -> None:
    """Return for one who may. Raises as ``Services.principal`` does for an administrator's route."""
    token = services.config.metrics_token
    if token and hmac.compare_digest((bearer_token(call) or "").encode(), token.encode()):
        return
    if not token and is_local(services, call):
        return
    await services.principal(call)


def is_local(services: Services, call: Call) -> bool:
    """Whether it was asked on this machine, and not through a proxy on it."""
    if any(call.header(name) for name in _FORWARDED):
        return False
    address = services.peers.address(call)
    return address in ("local", "::1") or address.startswith("127.")
