"""Retention: what goes when its time is over, a little at a time, and how much of it went.

A node has it done from time to time (``housekeeping``, ``clearing``), and its operator whenever he likes. Receipts have no
time of their own: a command sent twice takes effect once for as long as its conversation stays.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import msgspec
import trio

from trialogue._actors.limits import Limits
from trialogue._storage.store import Store

#: Conversations pruned or removed at a time, and the pause before the next ones: traffic goes first.
BATCH, PAUSE = 20, 0.1
#: Rows of accounts removed in one transaction, and the pause before the next ones.
ROWS, SHORT = 500, 0.01


class Pruned(msgspec.Struct, frozen=True):
    """How much went, or would."""

    #: Conversations whose pieces of text went; their messages stay.
    events: int = 0
    #: Conversations that went from the trash for good.
    trash: int = 0
    #: Entries of the audit log, invitations, and sessions that nobody can use any more.
    audit: int = 0
    invitations: int = 0
    sessions: int = 0
    #: Contents of files that nobody needs.
    contents: int = 0


class Retention:
    """The settings' times, held against a store. Everything raises ``StorageError``; begun again, it goes on.

    ``purge`` removes a conversation for good that has been in the trash since then.
    """

    def __init__(
        self,
        store: Store,
        limits: Limits,
        now: Callable[[], datetime],
        purge: Callable[[str, datetime], Awaitable[object]],
    ) -> None:
        self._store = store
        self._limits = limits
        self._now = now
        self._purge = purge

    def __repr__(self) -> str:
        return f"<Retention {self._store!r}>"

    async def all(self, sweep: Callable[[], Awaitable[int]] | None = None) -> Pruned:
        """Everything that has a time; ``sweep`` removes contents of files, last: what went may have named them."""
        return Pruned(
            await self.events(),
            await self.trash(),
            await self.audit(),
            await self.invitations(),
            await self.sessions(),
            0 if sweep is None else await sweep(),
        )

    async def events(self) -> int:
        """Prune pieces of text of answers that are over; returns of how many conversations."""
        before = self._before(self._limits.retention)
        return await _all(lambda: self._store.prune(before, BATCH), BATCH, PAUSE)

    async def trash(self) -> int:
        """Remove for good what has been in the trash for too long; returns how many conversations."""
        before = self._before(self._limits.trash)

        async def some() -> int:
            found = await self._store.trash(before, BATCH)
            for name in found:
                await self._purge(name, before)
                await trio.sleep(PAUSE)
            return len(found)

        return await _all(some, BATCH, PAUSE)

    async def audit(self) -> int:
        """Drop old entries of the audit log; returns how many."""
        before = self._before(self._limits.audit)
        return await _all(lambda: self._store.accounts.drop_audit(before, ROWS), ROWS, SHORT)

    async def invitations(self) -> int:
        """Drop invitations that were over long ago; returns how many."""
        before = self._before(self._limits.invitations)
        return await _all(lambda: self._store.accounts.drop_old_invitations(before, ROWS), ROWS, SHORT)

    async def sessions(self) -> int:
        """Drop sessions that have ended by themselves; returns how many."""
        return await _all(lambda: self._store.accounts.drop_expired_sessions(ROWS), ROWS, SHORT)

    def _before(self, seconds: float) -> datetime:
        return self._now() - timedelta(seconds=seconds)


async def _all(some: Callable[[], Awaitable[int]], most: int, pause: float) -> int:
    """Do ``some`` until there is less to do than ``most``."""
    done = last = await some()
    while last == most:
        await trio.sleep(pause)
        last = await some()
        done += last
    return done
