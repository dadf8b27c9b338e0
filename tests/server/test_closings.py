"""What was closed while a stream was being opened concerns it; what was closed before does not. In virtual time."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from trialogue_server._hub import Tag
from trialogue_server._hub.closings import REMEMBERED, Closings

TAG = Tag("user", "session", "conversation")


async def test_closing_concerns_what_began_before_it(mock_clock: MockClock) -> None:
    closings, before = Closings(), trio.current_time()
    mock_clock.jump(1)
    closings.add(lambda tag: tag.session == "session")
    mock_clock.jump(1)
    after = trio.current_time()
    assert closings.concern(TAG, before)
    assert not closings.concern(TAG._replace(session="other"), before)
    assert not closings.concern(TAG, after)


async def test_closing_at_the_same_moment_concerns_it(mock_clock: MockClock) -> None:
    closings = Closings()
    closings.add(lambda tag: True)
    assert closings.concern(TAG, trio.current_time())


async def test_opening_that_took_too_long_is_closed(mock_clock: MockClock) -> None:
    """Nobody remembers what happened since; its client asks again."""
    closings, began = Closings(), trio.current_time()
    mock_clock.jump(REMEMBERED + 1)
    assert closings.concern(TAG, began)


async def test_old_closings_are_forgotten(mock_clock: MockClock) -> None:
    closings = Closings()
    for _ in range(100):
        closings.add(lambda tag: False)
        mock_clock.jump(REMEMBERED / 10)
    assert len(closings) <= 11
