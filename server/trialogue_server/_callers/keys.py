"""API keys: a random token in ``Authorization: Bearer``, for programs.

A wrong one costs a token of the address's bucket; what is in the cache costs nobody anything.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import trio
from msgspec.structs import replace

from trialogue import Accounts, ApiKey, Principal, TrialogueError, User
from trialogue_server._callers.throttle import Throttle
from trialogue_server._callers.tokens import Cache, hash_of
from trialogue_server._http.call import Call
from trialogue_server._http.errors import WrongKeyError

log = logging.getLogger(__name__)

#: What our keys begin with, so that one that got about is recognised: by people, by scanners, by our own masking.
PREFIX = "tl_"
#: That a key is used is written down once an hour, not with every request.
TOUCHED = timedelta(hours=1)


class Keys:
    """The API keys of one store. ``failures`` slows down whoever guesses."""

    def __init__(self, accounts: Accounts, failures: Throttle) -> None:
        self._accounts = accounts
        self._failures = failures
        self.cache: Cache[ApiKey] = Cache(accounts.key)
        # Those that are being looked for. A good one that is used by many requests at once is no guess of them all.
        self._looking: dict[bytes, trio.Event] = {}

    def __repr__(self) -> str:
        return f"<Keys cached={len(self.cache)}>"

    async def find(self, token: str, network: str) -> Principal:
        """Whose key this is that came from ``network``. Raises ``WrongKeyError``, ``ThrottledError``, ``StorageError``."""
        key = hash_of(token)
        found = self.cache.fresh(key)
        while found is None and key in self._looking:
            await self._looking[key].wait()
            found = self.cache.fresh(key)
        found = found or await self._guess(token, key, network)
        now = datetime.now(UTC)
        if found is None or not found[0].admits(found[1], now):
            raise WrongKeyError(
                "this API key is not, or no longer, good: make a new one in the settings of your account"
            )
        kept, user = found
        if kept.used_at is None or now - kept.used_at > TOUCHED:
            await self._touch(key, kept, now)
        return Principal(user, key=kept.id, scopes=kept.scopes, until=kept.expires_at)

    async def _guess(self, token: str, key: bytes, network: str) -> tuple[ApiKey, User] | None:
        self._failures.take(network)
        looking = self._looking[key] = trio.Event()
        is_wrong = False
        try:
            # What cannot be a key is not looked for.
            found = await self.cache.find(key) if token.startswith(PREFIX) and len(token) < 100 else None
            is_wrong = found is None
        finally:
            del self._looking[key]
            looking.set()
            if not is_wrong:  # Nor is it when the store did not say.
                self._failures.give_back(network)
        return found

    async def _touch(self, key: bytes, kept: ApiKey, now: datetime) -> None:
        # First of all, so that requests that come meanwhile do not do it as well.
        self.cache.change(key, replace(kept, used_at=now))
        try:
            await self._accounts.touch_key(kept.id, now)
        except TrialogueError as error:
            log.warning("API key %s was used, which could not be stored: %s", kept.id, error)


def bearer_token(call: Call) -> str | None:
    """The token that the call shows, ``None`` when it shows none: other schemes are for others, such as a proxy."""
    scheme, _, token = call.header("authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
