"""argon2id in worker threads: the loop never waits for a hash, and a flood of logins never takes the machine.

Parameters are RFC 9106's second recommended option (section 4), the one for hosts that share their memory: 64 MiB, three
passes, four lanes. Two hashes at a time bound the memory to 128 MiB; who comes when ``waiting`` are already in line is
told to come back, because a hash that starts a minute later helps nobody.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from typing import TypeVar

import argon2
import trio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from trialogue import ThrottledError

T = TypeVar("T")

MEMORY_KIB, PASSES, LANES = 65_536, 3, 4


class Hasher:
    """Hashes and verifies. One per authenticator."""

    def __init__(
        self, *, memory_kib: int = MEMORY_KIB, passes: int = PASSES, lanes: int = LANES, waiting: int = 64
    ) -> None:
        self._argon2 = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes, type=argon2.Type.ID)
        #: Of our own, so that hashing never takes the threads that the store works in.
        self._threads = trio.CapacityLimiter(2)
        self._waiting = waiting
        #: Verified in place of the hash of an account that does not exist; nothing matches it.
        self.decoy = _decoy(memory_kib, passes, lanes)

    async def hash(self, secret: bytes) -> str:
        """A new hash, with a new salt. Raises ``ThrottledError``."""
        return await self._in_thread(lambda: self._argon2.hash(secret))

    async def verify(self, kept: str, secret: bytes) -> bool:
        """Whether ``kept`` was made of ``secret``; a hash that cannot be read matches nothing. Raises ``ThrottledError``."""
        return await self._in_thread(lambda: self._matches(kept, secret))

    def is_outdated(self, kept: str) -> bool:
        """Whether ``kept`` was made with other parameters than ours."""
        return self._argon2.check_needs_rehash(kept)

    def statistics(self) -> dict[str, int]:
        """Hashes being made, and callers in line for one."""
        threads = self._threads.statistics()
        return {"hashing": threads.borrowed_tokens, "waiting": threads.tasks_waiting}

    def _matches(self, kept: str, secret: bytes) -> bool:
        try:
            return self._argon2.verify(kept, secret)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._threads.statistics().tasks_waiting >= self._waiting:
            raise ThrottledError("too many people are logging in: try again in a few seconds", retry_after=5.0)
        return await trio.to_thread.run_sync(work, limiter=self._threads)


def _decoy(memory_kib: int, passes: int, lanes: int) -> str:
    # Random in place of a salt and a digest: as costly to verify as a real one, and made without the cost of a real one.
    salt, digest = (base64.b64encode(secrets.token_bytes(size)).rstrip(b"=").decode() for size in (16, 32))
    return f"$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${digest}"
