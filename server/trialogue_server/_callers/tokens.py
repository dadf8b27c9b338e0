"""Tokens: random, shown once, stored as a hash; and a small cache of what was found by one, in front of the store.

A token is 256 random bits, so its plain hash is as good as a slow one. The cache spares the store a read per request. It is
left out of account when a token ends in this process, and for at most ``FRESH`` seconds when it ends in another.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

from trialogue import ApiKey, Session, User

T = TypeVar("T", Session, ApiKey)

FRESH = 10.0
CACHED = 4_096


def new_token(prefix: str = "") -> str:
    """A token that nobody guesses."""
    return prefix + secrets.token_urlsafe(32)


def hash_of(token: str) -> bytes:
    """What is stored of it. Any text has one."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class Cache(Generic[T]):
    """What was found by tokens, with whose it is, most recently used last."""

    def __init__(self, look: Callable[[bytes], Awaitable[tuple[T, User] | None]]) -> None:
        self._look: Callable[[bytes], Awaitable[tuple[T, User] | None]] = look
        # token hash -> (what was found, whose it is, when it was read)
        self._found: OrderedDict[bytes, tuple[T, User, float]] = OrderedDict()
        #: Grows when something ends: what was read from the store before that is not to be remembered.
        self._ended = 0

    def __len__(self) -> int:
        return len(self._found)

    def fresh(self, key: bytes) -> tuple[T, User] | None:
        """What is remembered, if that was read just now."""
        cached = self._found.get(key)
        if cached is None or trio.current_time() - cached[2] >= FRESH:
            return None
        self._found.move_to_end(key)
        return cached[0], cached[1]

    async def find(self, key: bytes) -> tuple[T, User] | None:
        """What this is the hash of the token of. Raises ``StorageError``."""
        return self.fresh(key) or await self._read(key)

    def change(self, key: bytes, found: T) -> None:
        """It has changed a little; if it is remembered, then so from now on."""
        if key in self._found:
            self._found[key] = (found, *self._found[key][1:])

    def forget_where(self, matches: Callable[[T, User], bool]) -> None:
        """Something has ended, or changed for its worse: what matches counts no longer, from now on."""
        self._ended += 1
        for key in [key for key, (found, user, _) in self._found.items() if matches(found, user)]:
            del self._found[key]

    def clear(self) -> None:
        """Anything may have ended: all is read anew."""
        self._ended += 1
        self._found.clear()

    async def _read(self, key: bytes) -> tuple[T, User] | None:
        now, ended = trio.current_time(), self._ended
        found: tuple[T, User] | None = await self._look(key)
        # What does not exist is not remembered: guesses would fill the cache.
        self._found.pop(key, None)
        if found is not None and ended == self._ended:
            self._found[key] = (found[0], found[1], now)
            if len(self._found) > CACHED:
                self._found.popitem(last=False)
        return found
