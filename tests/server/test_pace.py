"""How slowly an upload may come, in virtual time."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trialogue import InvalidError
from trialogue_server._http.errors import SlowBodyError
from trialogue_server._http.uploads import Pace


def drip(size: int, every: float) -> Any:  # An ASGI receive.
    async def receive() -> MutableMapping[str, Any]:
        await trio.sleep(every)
        return {"type": "http.request", "body": b"x" * size, "more_body": True}

    return receive


async def read(pace: Pace, receive: Any, seconds: float) -> None:
    with trio.move_on_after(seconds):
        while True:
            await pace.next(receive)


async def test_steady_upload_goes_on(autojump_clock: MockClock) -> None:
    await read(Pace(30, 1_000, 100_000), drip(20_000, 10), 10_000)


async def test_pause_that_is_too_long(autojump_clock: MockClock) -> None:
    with pytest.raises(SlowBodyError, match="upload_stall_seconds"):
        await read(Pace(30, 0, 100_000), drip(1, 31), 1_000)


async def test_byte_now_and_then_is_too_slow(autojump_clock: MockClock) -> None:
    began = trio.current_time()
    with pytest.raises(SlowBodyError, match="upload_min_rate"):
        await read(Pace(30, 1_000, 100_000), drip(1, 5), 1_000)
    assert trio.current_time() - began < 60


async def test_upload_has_its_time(autojump_clock: MockClock) -> None:
    with pytest.raises(SlowBodyError, match="upload_max_seconds"):
        await read(Pace(30, 1_000, 600), drip(100_000, 10), 1_000)


async def test_client_that_leaves(autojump_clock: MockClock) -> None:
    async def gone() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    with pytest.raises(InvalidError, match="ended before"):
        await Pace(30, 1_000, 600).next(gone)
