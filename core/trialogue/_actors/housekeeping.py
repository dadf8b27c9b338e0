"""Housekeeping: lists the models, takes up unfinished work at the start, has providers prepared, lets idle cells rest,
prunes old deltas, empties the trash of what has been in it for too long.

Runs beside the traffic and never holds anything; when it fails, it is simply begun again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

import trio

from trialogue._actors.node import Node
from trialogue._actors.retention import Retention
from trialogue._facts.errors import TrialogueError
from trialogue._supervision.child import Child

#: Conversations taken up at a time after a crash: enough to be quick, few enough to leave room for clients.
TAKE_UP = 16
#: Seconds that a start waits for lists of models: models of our own are there at once, and others have to be asked for.
AT_ONCE = 0.1
#: Seconds after which what an earlier process left is asked for again, when the store would not say.
AGAIN = 1.0

_log = logging.getLogger("trialogue.housekeeping")


class Housekeeping:
    """The service that tidies one node: ``wake`` activates a conversation, ``rest`` drops those idle for so many seconds,
    ``retention`` removes what is over.
    """

    def __init__(
        self,
        node: Node,
        wake: Callable[[str], None],
        rest: Callable[[float], int],
        retention: Retention,
    ) -> None:
        self._node = node
        self._activate = wake
        self._rest = rest
        self._retention = retention
        #: What earlier processes left, until it is ours or finished.
        self._left: set[str] = set()

    async def run(self, child: Child) -> None:
        """List the models, so that recovery knows them; then take up what is unfinished, and sweep from time to time."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._node.catalog.models)
            await self._node.catalog.settle(None, AT_ONCE)
            child.started()
        await self._begin()
        await self._go_on()

    async def _begin(self) -> None:
        # Where there are several nodes, what nobody has is found, and shared out, by the cluster's sweeper.
        while self._node.claiming is None and not await self._done(self._take_up):  # noqa: ASYNC110 - nobody can tell when the store is well again
            await trio.sleep(AGAIN)
        await self._node.catalog.prepare()

    async def _go_on(self) -> None:
        while True:
            await trio.sleep(max(self._node.limits.idle / 4, 1.0))
            if self._node.catalog.wanting:
                await self._node.catalog.models()
            self._rest(self._node.limits.idle)
            self._node.awake.sweep()
            await self._done(self._look_after)
            await self._done(self._retention.events)
            await self._done(self._retention.trash)

    async def _done(self, chore: Callable[[], Awaitable[object]]) -> bool:
        """Whether the chore was done. A store in trouble is no reason for the node to fall: it is done another time."""
        try:
            await chore()
        except TrialogueError as error:
            _log.warning("put off: %s", error)
            return False
        return True

    async def _look_after(self) -> None:
        """Wake what is unfinished and ours, or left to us. Mostly it is awake; but the store may have failed when it was to
        wake, or an older claim of ours may have come late, fenced it off and left it to nobody.
        """
        unfinished = await self._node.store.unfinished("")
        # Asked second: what another node has just taken is not taken back.
        others = set(await self._node.store.unfinished(self._node.id))
        self._left &= others
        self._wake([name for name in unfinished if name not in others or name in self._left])

    async def _take_up(self) -> None:
        unfinished = await self._node.store.unfinished(self._node.id)
        if unfinished:
            _log.info("taking up %d conversations that an earlier process left unfinished", len(unfinished))
        self._left.update(unfinished)
        for start in range(0, len(unfinished), TAKE_UP):
            self._wake(unfinished[start : start + TAKE_UP])
            await trio.lowlevel.checkpoint()

    def _wake(self, conversations: Sequence[str]) -> None:
        for conversation in conversations:
            try:
                self._activate(conversation)
            except TrialogueError as error:
                _log.warning("cannot take up conversation %s: %s", conversation, error)
