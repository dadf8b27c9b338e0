"""What was closed lately, so that a stream that was just being opened is closed as well.

Between the moment its caller is found out and the moment it is registered, a stream is in nobody's list: a session that ends
then would leave it open. So a closing is remembered for as long as an opening can take, and each opening is held against the
closings that came after it began.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

from trialogue_server._hub.stream import Tag

#: Seconds; longer than opening a stream takes, with the message that is posted on the way.
REMEMBERED = 120.0


class Closings:
    """The closings of the last minutes, oldest first."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, Callable[[Tag], bool]]] = deque()

    def __len__(self) -> int:
        return len(self._recent)

    def add(self, matches: Callable[[Tag], bool]) -> None:
        """What matches is being closed now."""
        now = trio.current_time()
        while self._recent and self._recent[0][0] < now - REMEMBERED:
            self._recent.popleft()
        self._recent.append((now, matches))

    def concern(self, tag: Tag, began: float) -> bool:
        """Whether one that came after ``began`` means a stream with this tag."""
        if began < trio.current_time() - REMEMBERED:
            return True  # Nobody knows; its client asks again.
        for at, matches in reversed(self._recent):
            if at < began:
                return False
            if matches(tag):
                return True
        return False
