"""Links and imports of a ``MemoryStore``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from trialogue._facts.errors import NotFoundError
from trialogue._lists.imports import ImportJob, Imports
from trialogue._lists.sharing import Share, Shares

T = TypeVar("T")

#: Imports of an owner that are kept when they are over.
KEPT = 100


class Calling(Protocol):
    """How a call of the store runs: see ``MemoryStore``."""

    def __call__(self, name: str, effect: Callable[[], T], *, writes: bool = False) -> Awaitable[T]: ...


class MemoryShares(Shares):
    """``alive`` says whether a conversation is there and not in the trash."""

    def __init__(self, call: Calling, alive: Callable[[str], bool]) -> None:
        self._call = call
        self._alive = alive
        self._shares: dict[str, Share] = {}

    def end(self, conversation: str) -> None:
        """Its conversation is gone, or in the trash."""
        self._shares = {name: share for name, share in self._shares.items() if share.conversation != conversation}

    async def add(self, share: Share) -> Share:
        def effect() -> Share:
            found = self._shares.get(share.id, share)
            if found.conversation != share.conversation or not self._alive(share.conversation):
                raise NotFoundError(f"there is no conversation {share.conversation!r}")
            return self._shares.setdefault(share.id, share)

        return await self._call("shares.add", effect, writes=True)

    async def of(self, conversation: str) -> Sequence[Share]:
        return await self._call(
            "shares.of", lambda: [share for share in self._shares.values() if share.conversation == conversation]
        )

    async def find(self, token: str) -> Share | None:
        return await self._call(
            "shares.find", lambda: next((share for share in self._shares.values() if share.token == token), None)
        )

    async def drop(self, conversation: str, share: str) -> bool:
        def effect() -> bool:
            found = self._shares.get(share)
            if found is None or found.conversation != conversation:
                return False
            del self._shares[share]
            return True

        return await self._call("shares.drop", effect, writes=True)


class MemoryImports(Imports):
    """In the order in which they were first stored."""

    def __init__(self, call: Calling) -> None:
        self._call = call
        self._jobs: dict[str, ImportJob] = {}

    async def put(self, job: ImportJob) -> bool:
        def effect() -> bool:
            known = self._jobs.get(job.id)
            if known is not None and known.state == "cancelled":
                return False
            self._jobs[job.id] = job
            over = [one.id for one in self._jobs.values() if one.owner == job.owner and not one.open]
            for name in over[:-KEPT]:
                del self._jobs[name]
            return True

        return await self._call("imports.put", effect, writes=True)

    async def get(self, job: str) -> ImportJob | None:
        return await self._call("imports.get", lambda: self._jobs.get(job))

    async def of(self, owner: str, limit: int) -> Sequence[ImportJob]:
        return await self._call(
            "imports.of", lambda: [job for job in reversed(self._jobs.values()) if job.owner == owner][: max(limit, 0)]
        )

    async def forget(self, owner: str) -> None:
        def effect() -> None:
            self._jobs = {name: job for name, job in self._jobs.items() if job.owner != owner}

        await self._call("imports.forget", effect, writes=True)

    async def unfinished(self) -> Sequence[ImportJob]:
        return await self._call("imports.unfinished", lambda: [job for job in self._jobs.values() if job.open])
