"""A response that its provider keeps, in the place of the provider: asking it goes on with that, whatever is asked.

Whoever takes over a run from a process that is gone asks it as it would ask the provider, with the same patience and the
same bounds, and need not know the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from trialogue._asking.provider import Provider, Request, ResponseStream
from trialogue._facts.values import Model, Part


class Kept(Provider):
    """What ``provider`` keeps under ``handle``, from behind ``cursor``, of which ``said`` was heard."""

    def __init__(self, provider: Provider, handle: str, cursor: int, said: Sequence[Part]) -> None:
        self.name = provider.name
        self.vendor = provider.vendor
        self._provider = provider
        self._handle = handle
        self._cursor = cursor
        self._said = said

    def __repr__(self) -> str:
        return f"<Kept {self._handle!r} of {self._provider!r} from {self._cursor}>"

    async def models(self) -> Sequence[Model]:
        return await self._provider.models()

    def open_response(self, request: Request) -> AbstractAsyncContextManager[ResponseStream]:
        return self._provider.reopen(request.model, self._handle, self._cursor, self._said)


class LostError(Exception):
    """What a provider was said to keep cannot be taken up again."""
