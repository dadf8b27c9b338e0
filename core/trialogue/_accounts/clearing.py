"""Clearing: removes what deleted accounts leave behind, and what of accounts is over: entries of the audit log,
invitations, sessions (``retention``).

An account is gone the moment it is deleted; its conversations may be many, and go one by one in the background. The store
lists the account until nothing is left, so that a process that ends in between goes on with it. It stays listed for a while
even then: a request that was under way may have begun a conversation after the account was gone.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import trio

from trialogue._accounts.account_values import Deletion
from trialogue._actors.node import Node
from trialogue._actors.retention import Retention
from trialogue._facts.errors import TrialogueError
from trialogue._supervision.child import Child

#: Seconds between two sweeps that nobody asked for.
EVERY = 60.0
#: Conversations looked for at a time, and the pause after each one removed: traffic goes first.
BATCH, PAUSE = 50, 0.01
#: Longer than any request takes.
SETTLED = timedelta(hours=1)
#: Seconds between two looks at what has a time.
OLD_EVERY = 3600.0

#: Removes for good what an account with this id had of one kind; again is no error. Raises ``TrialogueError``.
Purger = Callable[[str], Awaitable[None]]

_log = logging.getLogger("trialogue.clearing")


class Clearing:
    """The service of one node. ``purge`` removes a conversation, whatever goes on in it; ``retention`` what is over."""

    def __init__(self, node: Node, purge: Purger, retention: Retention) -> None:
        self._node = node
        self._accounts = node.store.accounts
        self._purge = purge
        self._retention = retention
        #: For what is not conversations: each is called with an account whose conversations are gone.
        self.also: list[Purger] = []
        self._asked = trio.Event()
        #: When what has a time is looked at next.
        self._old_due = 0.0

    def __repr__(self) -> str:
        return f"<Clearing kinds={1 + len(self.also)}>"

    def poke(self) -> None:
        """An account was deleted: begin now."""
        self._asked.set()

    async def run(self, child: Child) -> None:
        """Sweep at the start, when poked, and from time to time."""
        child.started()
        while True:
            self._asked = trio.Event()
            await self._done(self._look_for_deletions)
            if trio.current_time() >= self._old_due:
                self._old_due = trio.current_time() + OLD_EVERY
                await self._done(self._retention.audit)
                await self._done(self._retention.invitations)
                await self._done(self._retention.sessions)
            with trio.move_on_after(EVERY):
                await self._asked.wait()

    async def _done(self, chore: Callable[[], Awaitable[object]]) -> None:
        # A store in trouble is no reason for the node to fall: it is done another time.
        try:
            await chore()
        except TrialogueError as error:
            _log.warning("put off: %s", error)

    async def _look_for_deletions(self) -> None:
        for deletion in await self._accounts.deletions():
            # One that cannot be cleared now does not hold up the others.
            await self._done(partial(self._clear, deletion))

    async def _clear(self, deletion: Deletion) -> None:
        found = 0
        while names := await self._accounts.owned(deletion.user, BATCH):
            for name in names:
                await self._purge(name)
                await trio.sleep(PAUSE)
            found += len(names)
        for purge in self.also:
            await purge(deletion.user)
        if found:
            _log.info("removed %d conversations of a deleted account", found, extra={"account": deletion.user})
        elif self._node.now() - deletion.at > SETTLED:
            await self._accounts.forget_deletion(deletion.user)
