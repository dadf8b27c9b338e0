"""A reply that is filled in later by someone else, once, and waited for by one caller."""

from __future__ import annotations

from typing import Generic, TypeVar

import trio

T = TypeVar("T")


class Reply(Generic[T]):
    """An outcome on its way. A caller that is cancelled leaves it behind; filling it in is then harmless."""

    __slots__ = ("_error", "_ready", "_value")

    def __init__(self) -> None:
        self._ready = trio.Event()
        self._value: T | None = None
        self._error: BaseException | None = None

    def set(self, value: T) -> None:
        """The outcome is ``value``; only the first outcome counts."""
        if not self._ready.is_set():
            self._value = value
            self._ready.set()

    def fail(self, error: BaseException) -> None:
        """The outcome is ``error``; only the first outcome counts."""
        if not self._ready.is_set():
            self._error = error
            self._ready.set()

    async def wait(self) -> T:
        """The value, or the error raised."""
        await self._ready.wait()
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # set together with _ready
