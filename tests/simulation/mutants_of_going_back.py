"""Mutants of a store that goes backwards: what was read, written or kept of the history that is lost must not go on."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from unittest.mock import patch

from simulation.mutants_of_clusters import mutant
from simulation.node_store import NodeStore

from trialogue._actors.tail import Tail

#: Where reads that belong together are said to be of one history.
READ_TOGETHER = ("_actors.activate", "_actors.snapshot", "_cluster.follower", "_engine.engine", "_engine.resuming")


@mutant
def nobody_notices_that_it_went_back() -> AbstractContextManager[object]:
    """A node goes on with the generation that it began with, so that cursors of what is lost count."""
    return patch.object(NodeStore, "_arrived", lambda store, effect: store._audited(effect))


@mutant
def tails_outlive_the_store() -> AbstractContextManager[object]:
    """What is written of the new history follows in the tails of the old one, until somebody looks around."""
    return patch.object(Tail, "is_past", False)


@mutant
def reads_of_two_histories() -> AbstractContextManager[object]:
    """A beginning is put together of what was read before and after."""

    @contextmanager
    def whatever(store: object) -> Generator[None]:
        yield

    @contextmanager
    def everywhere() -> Generator[None]:
        with ExitStack() as stack:
            for module in READ_TOGETHER:
                stack.enter_context(patch(f"trialogue.{module}.one_history", whatever))
            yield

    return everywhere()
