"""What was opened with an API key ends with it, also when it ends by itself. Sessions live on while they are used."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import trio
from msgspec.structs import replace

from trialogue import Principal
from trialogue_server._http.call import Call, Reply, WritePiece
from trialogue_server._serving.reading import tag_of
from trialogue_server._serving.services import Services


@asynccontextmanager
async def until_it_ends(services: Services, principal: Principal) -> AsyncGenerator[None]:
    """Watch the clock for as long as the block lasts, where there is a time at which the caller's key ends."""
    if principal.until is None:
        yield
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(close_when_it_ends, services, principal)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def while_it_holds(services: Services, call: Call, principal: Principal) -> AsyncGenerator[None]:
    """Around a request that takes long: it ends with the caller's session or key. Raises ``UnauthenticatedError`` then."""
    with services.hub.hold(tag_of(principal), call.began):
        async with until_it_ends(services, principal):
            yield


def held_reply(services: Services, call: Call, principal: Principal, reply: Reply) -> Reply:
    """``reply``, whose writing ends with the caller's session or key."""
    write = reply.write
    if write is None:
        return reply

    async def held(piece: WritePiece) -> None:
        async with while_it_holds(services, call, principal):
            await write(piece)

    return replace(reply, write=held)


async def close_when_it_ends(services: Services, principal: Principal) -> None:
    """Wait for that time, and end the key's streams then."""
    if principal.until is not None:
        await trio.sleep(max(0.0, (principal.until - datetime.now(UTC)).total_seconds()))
        services.endings.close_streams(principal.credential)
