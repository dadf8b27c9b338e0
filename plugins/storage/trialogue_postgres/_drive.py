"""psycopg's generators, driven by Trio. They say what they wait for, readable or writable, and are told when it is so."""

from __future__ import annotations

import select
from typing import TypeVar

import psycopg
import trio
from psycopg.abc import PQGen, PQGenConn
from psycopg.waiting import Ready, Wait

T = TypeVar("T")


async def drive(generator: PQGen[T], fd: int) -> T:
    """Run a generator of an open connection to its end. Raises what it does, and ``OperationalError`` for a lost socket."""
    try:
        wanted = next(generator)
        while True:
            if wanted == Wait.R:
                await trio.lowlevel.wait_readable(fd)
                ready = Ready.R
            else:
                ready = await _ready(fd, wanted)
            wanted = generator.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result
    except (OSError, trio.ClosedResourceError) as error:
        raise psycopg.OperationalError("the connection's socket was closed") from error


async def drive_connecting(generator: PQGenConn[T]) -> T:
    """As ``drive``, for generators that say with each wait which socket they mean: it may change."""
    try:
        fd, wanted = next(generator)
        while True:
            fd, wanted = generator.send(await _ready(fd, wanted))
    except StopIteration as end:
        result: T = end.value
        return result
    except (OSError, trio.ClosedResourceError) as error:
        raise psycopg.OperationalError("the connection's socket was closed") from error


async def _ready(fd: int, wanted: Wait) -> Ready:
    # Who asks for writable nearly always has it already.
    found = ready_within(fd, wanted)
    if found is None:
        await _wait(fd, wanted)
        found = ready_within(fd, wanted)
    return found if found is not None else Ready.NONE


async def _wait(fd: int, wanted: Wait) -> None:
    if wanted == Wait.R:
        await trio.lowlevel.wait_readable(fd)
    elif wanted == Wait.W:
        await trio.lowlevel.wait_writable(fd)
    else:
        async with trio.open_nursery() as nursery:

            async def either(wait: object) -> None:
                await wait(fd)  # type: ignore[operator]  # one of the two below
                nursery.cancel_scope.cancel()

            nursery.start_soon(either, trio.lowlevel.wait_readable)
            nursery.start_soon(either, trio.lowlevel.wait_writable)


def ready_within(fd: int, wanted: Wait, seconds: float = 0.0) -> Ready | None:
    """Which of what is wanted is so, now or, for a thread that may wait, within ``seconds``."""
    events = (select.POLLIN if wanted & Wait.R else 0) | (select.POLLOUT if wanted & Wait.W else 0)
    poll = select.poll()
    poll.register(fd, events)
    seen = poll.poll(seconds * 1000)
    if not seen:
        return None
    found = seen[0][1]
    broken = found & (select.POLLERR | select.POLLHUP | select.POLLNVAL)
    ready = Ready.NONE
    if wanted & Wait.R and (found & select.POLLIN or broken):
        ready = Ready(ready | Ready.R)
    if wanted & Wait.W and (found & select.POLLOUT or broken):
        ready = Ready(ready | Ready.W)
    return ready


def is_readable(fd: int) -> bool:
    """Whether something has arrived, or the other side is gone. Nobody writes to an idle connection unless it is over."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
