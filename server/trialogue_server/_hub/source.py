"""What a stream reads from. ``trialogue.Tail`` is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Source(Protocol):
    """Frames, numbered without gaps, of which the last ones are in memory and all are in the log."""

    @property
    def next_seq(self) -> int:
        """The number that the next frame will get."""
        ...

    @property
    def is_past(self) -> bool:
        """Whether nothing comes any more, and whoever reads has to begin again elsewhere."""
        ...

    def read(self, seq: int, limit: int = ...) -> tuple[bytes, int] | None:
        """Frames from ``seq`` on, joined, and the number after them; ``None`` if ``seq`` is only in the log."""
        ...

    def attach(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Have ``wake`` called whenever there is more; returns what undoes it."""
        ...

    async def read_log(self, seq: int, limit: int = ...) -> tuple[bytes, int]:
        """Like ``read``, from the log; ``limit`` counts frames."""
        ...


class Silence:
    """Where nothing ever happens: what is read by a stream that is there for its heartbeat and its end."""

    @property
    def next_seq(self) -> int:
        """Always the same."""
        return 0

    @property
    def is_past(self) -> bool:
        """Never."""
        return False

    def read(self, seq: int, limit: int = 0) -> tuple[bytes, int]:
        """Nothing."""
        return b"", seq

    def attach(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Nobody will be woken."""
        return _nothing

    async def read_log(self, seq: int, limit: int = 0) -> tuple[bytes, int]:
        """Nothing."""
        return b"", seq


def _nothing() -> None:
    pass
