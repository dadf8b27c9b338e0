"""Housekeeping: lists the models, takes up unfinished work at the start, lets idle cells rest, prunes old deltas.

Runs beside the traffic and never holds anything; when it fails, it is simply begun again.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import trio

from trialogue._child import Child
from trialogue._errors import TrialogueError
from trialogue._node import Node

if TYPE_CHECKING:
    from trialogue._engine import Engine

#: Conversations taken up at a time after a crash: enough to be quick, few enough to leave room for clients.
TAKE_UP = 16
#: Conversations pruned at a time, and the pause before the next ones: traffic goes first.
PRUNE = 20
PAUSE = 0.1

_log = logging.getLogger("trialogue.housekeeping")


class Housekeeping:
    """The service that tidies one node."""

    def __init__(self, engine: Engine, node: Node) -> None:
        self._engine = engine
        self._node = node

    async def run(self, child: Child) -> None:
        """List the models, so that recovery knows them; then take up what is unfinished, and sweep from time to time."""
        await self._node.catalog.models()
        child.started()
        await self._take_up()
        while True:
            await trio.sleep(max(self._node.limits.idle / 4, 1.0))
            self._engine.rest(self._node.limits.idle)
            await self._prune()

    async def _prune(self) -> None:
        before = self._node.now() - timedelta(seconds=self._node.limits.retention)
        while await self._node.store.prune(before, PRUNE) == PRUNE:  # noqa: ASYNC110 - a pause between jobs
            await trio.sleep(PAUSE)

    async def _take_up(self) -> None:
        unfinished = await self._node.store.unfinished(self._node.id)
        if unfinished:
            _log.info("taking up %d conversations that an earlier process left unfinished", len(unfinished))
        for count, conversation in enumerate(unfinished, 1):
            try:
                self._engine.wake(conversation)
            except TrialogueError as error:
                _log.warning("cannot take up conversation %s: %s", conversation, error)
            if count % TAKE_UP == 0:
                await trio.lowlevel.checkpoint()
