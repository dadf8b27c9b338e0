"""What ends: sessions, keys and accounts, and with them what they had open, on this node and on the others.

A node that may have missed a word of the others asks the store who is still let in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from trialogue import Ended, Engine, Item, Purged, StorageError, UserChanged
from trialogue_server._callers.keys import Keys
from trialogue_server._callers.sessions import Sessions
from trialogue_server._hub import Hub, Tag


class Endings:
    """Holds nothing itself: it tells caches, the hub and the other nodes."""

    def __init__(self, engine: Engine, sessions: Sessions, keys: Keys, hub: Hub) -> None:
        self._accounts = engine.store.accounts
        self._shares = engine.store.shares
        self._cluster = engine.cluster
        self._sessions = sessions
        self._keys = keys
        self._hub = hub
        #: Sessions may have ended elsewhere that we were not told of.
        self._suspect = False
        if self._cluster is not None:
            self._cluster.observers.append(self._told)
            self._cluster.sweeper.chores.append(self._look_after_streams)
            self._cluster.sweeper.starting_over.append(hub.break_off)

    def close_streams(self, *credentials: str) -> None:
        """End the streams of these sessions and keys at once."""
        if credentials:
            self._hub.close_where(lambda tag: tag.session in credentials)
            self._tell(Ended(credentials))

    def forget_user(self, user: str, *, close: bool) -> None:
        """An account has changed, or is gone: read it anew; with ``close``, end all its streams."""
        self._forget_user(user, close=close)
        self._tell(UserChanged(user, close))

    def _forget_user(self, user: str, *, close: bool) -> None:
        self._sessions.cache.forget_where(lambda _, owner: owner.id == user)
        self._keys.cache.forget_where(lambda _, owner: owner.id == user)
        if close:
            self._hub.close_where(lambda tag: tag.user == user)

    def _tell(self, item: Ended | UserChanged) -> None:
        if self._cluster is not None:
            self._cluster.news.say(item, everywhere=True)

    def _told(self, item: Item | None) -> None:
        """Another node says what has ended there, or something that it said may have been missed."""
        match item:
            case Ended(credentials):
                self._sessions.forget(credentials)
                self._keys.cache.forget_where(lambda key, _: key.id in credentials)
                self._hub.close_where(lambda tag: tag.session in credentials)
            case UserChanged(user, close):
                self._forget_user(user, close=close)
            case Purged(_, conversation):
                self._hub.close_where(lambda tag: tag.conversation == conversation)
            case None:
                self._sessions.cache.clear()
                self._keys.cache.clear()
                self._suspect = True
            case _:
                pass

    async def _look_after_streams(self) -> None:
        """End what is open by sessions, keys and links that have ended, if we may have missed that.

        Raises ``StorageError``.
        """
        if not self._suspect:
            return
        self._suspect = False
        try:
            by_user: dict[str, list[Tag]] = {}
            for tag in self._hub.tags():
                by_user.setdefault(tag.user, []).append(tag)
            for user, tags in by_user.items():
                self._hub.close_where(partial(_has_ended, user, await self._good_credentials(user, tags)))
        except StorageError:
            self._suspect = True  # It is looked for again.
            raise

    async def _good_credentials(self, user: str, tags: Sequence[Tag]) -> frozenset[str]:
        """Of those that ``tags`` name, and others."""
        found, now = await self._accounts.user(user), datetime.now(UTC)
        if found is None or found.disabled:
            return frozenset()
        sessions = [one.id for one in await self._accounts.sessions(user) if one.admits(found, now)]
        keys = [one.id for one in await self._accounts.keys(user) if one.admits(found, now)]
        # Whom a proxy vouches for has neither.
        good = {*sessions, *keys, ""}
        for conversation in {tag.conversation for tag in tags if tag.session not in good}:
            good |= {link.id for link in await self._shares.of(conversation)}
        return frozenset(good)


def _has_ended(user: str, good: frozenset[str], tag: Tag) -> bool:
    return tag.user == user and tag.session not in good
