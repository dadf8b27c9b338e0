"""Who may ask how often: an account, an API key, and an address from which somebody asks who has not said who it is.

A request counts once, when it is known who sends it: for the account and the key that it names, else for its address. What
was counted stays with the call and is told in the answer's headers (draft-ietf-httpapi-ratelimit-headers-10).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from trialogue import Limiter, Principal, Quota, Taken, ThrottledError
from trialogue_server._callers.peer import Peers
from trialogue_server._http.call import Call
from trialogue_server.config import Config


class Quotas:
    """The configured quotas, and what counts them."""

    def __init__(self, config: Config, limiter: Limiter, peers: Peers) -> None:
        self.limiter = limiter
        self._peers = peers
        self._user = _quota("user", config.rate_per_user, config.burst_per_user)
        self._key = _quota("key", config.rate_per_key, config.burst_per_key)
        self._address = _quota("address", config.rate_per_address, config.burst_per_address)

    def __repr__(self) -> str:
        return f"<Quotas {self.limiter!r}>"

    async def count(self, call: Call, principal: Principal | None) -> None:
        """Count the call, unless it was. Raises ``ThrottledError`` with the time after which it may be sent again."""
        if call.taken is None:
            asked = self._asked(call, principal)
            call.taken = await self.limiter.take(asked) if asked else ()
            for taken in call.taken:
                if taken.wait:
                    raise _too_many(taken)

    def _asked(self, call: Call, principal: Principal | None) -> Sequence[tuple[Quota, str]]:
        if principal is None:
            return [(self._address, self._peers.network(call))] if self._address is not None else []
        asked = [(self._user, principal.user.id)] if self._user is not None else []
        if principal.key is not None and self._key is not None:
            asked.append((self._key, principal.key))
        return asked


def quota_headers(taken: Sequence[Taken]) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that tell what was counted, in lower case, as ASGI wants them."""
    if not taken:
        return ()
    policies = ", ".join([_policy(one.quota) for one in taken])
    left = ", ".join([f'"{one.quota.name}";r={one.left};t={math.ceil(one.full_in)}' for one in taken])
    return ((b"ratelimit-policy", policies.encode()), (b"ratelimit", left.encode()))


@cache
def _policy(quota: Quota) -> str:
    return f'"{quota.name}";q={quota.requests};w={math.ceil(quota.seconds)}'


def _quota(name: str, per_minute: float, burst: int) -> Quota | None:
    return Quota(name, burst, burst * 60 / per_minute) if per_minute else None


def _too_many(taken: Taken) -> ThrottledError:
    wait, setting = math.ceil(taken.wait), f"rate_per_{taken.quota.name}"
    detail = f"too many requests ({setting}): the next one may come in {wait} second{'s' if wait > 1 else ''}"
    return ThrottledError(detail, retry_after=taken.wait)
