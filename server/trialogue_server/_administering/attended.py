"""Done in the storage by the server that runs over it: what has ended, ends at once, on all nodes."""

from __future__ import annotations

from trialogue_server._administering.direct import Direct
from trialogue_server._serving.services import Services
from trialogue_server.api._account_bodies import Me, UpdateUserBody


class Attended(Direct):
    """See ``Administration``."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.store, services.trail.tell)
        self._services = services

    async def change(self, user: str, change: UpdateUserBody) -> Me:
        after = await super().change(user, change)
        self._services.endings.forget_user(after.id, close=after.disabled)
        return after

    async def sign_out(self, user: str) -> None:
        ended = await self.end_sessions(user)
        self._services.sessions.forget(ended)
        self._services.endings.close_streams(*ended)

    async def delete(self, user: str) -> None:
        found = await self.user(user)
        await super().delete(found.id)
        self._services.endings.forget_user(found.id, close=True)
        self._services.engine.clearing.poke()

    async def revoke(self, key: str) -> None:
        await super().revoke(key)
        self._services.keys.cache.forget_where(lambda kept, _: kept.id == key)
        self._services.endings.close_streams(key)
