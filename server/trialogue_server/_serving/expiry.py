"""What was opened with an API key or by a public link ends with it, also when it ends by itself.

Sessions live on while they are used.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import trio
from msgspec.structs import replace

from trialogue import Principal
from trialogue_server._http.call import Call, Reply, WritePiece
from trialogue_server._hub import Tag
from trialogue_server._serving.reading import tag_of
from trialogue_server._serving.services import Services


@asynccontextmanager
async def until_it_ends(services: Services, credential: str, until: datetime | None) -> AsyncGenerator[None]:
    """Watch the clock for as long as the block lasts, where there is a time at which the credential ends by itself."""
    if until is None:
        yield
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(close_when_it_ends, services, credential, until)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def while_it_holds(services: Services, call: Call, principal: Principal) -> AsyncGenerator[None]:
    """Around a request that takes long: it ends with the caller's session or key. Raises ``UnauthenticatedError`` then."""
    async with _held(services, call, tag_of(principal), principal.until):
        yield


@asynccontextmanager
async def _held(services: Services, call: Call, tag: Tag, until: datetime | None) -> AsyncGenerator[None]:
    with services.hub.hold(tag, call.began):
        async with until_it_ends(services, tag.session, until):
            yield


def held_reply(services: Services, call: Call, principal: Principal, reply: Reply) -> Reply:
    """``reply``, whose writing ends with the caller's session or key."""
    return ending_reply(services, call, tag_of(principal), principal.until, reply)


def ending_reply(services: Services, call: Call, tag: Tag, until: datetime | None, reply: Reply) -> Reply:
    """``reply``, whose writing ends when what has this tag is closed, or at its time."""
    write = reply.write
    if write is None:
        return reply

    async def held(piece: WritePiece) -> None:
        async with _held(services, call, tag, until):
            await write(piece)

    return replace(reply, write=held)


async def close_when_it_ends(services: Services, credential: str, until: datetime) -> None:
    """Wait for that time, and end then what was opened by the credential."""
    await trio.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()))
    services.endings.close_streams(credential)
