"""Sends an answer without a framework: whole, or written in pieces as fast as the client takes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from trialogue_server._http.call import Call, Receive, Reply, Send, WritePiece
from trialogue_server._http.problems import problem_reply


async def send_reply(call: Call, reply: Reply, receive: Receive, send: Send) -> None:
    """Send ``reply``; to HEAD, without its body. Raises what breaks the connection: a failure in the midst of a body."""
    if reply.write is None or call.method == "HEAD":
        await send(_start(reply))
        await send({"type": "http.response.body", "body": b"" if call.method == "HEAD" else reply.body})
    elif (error := await _write(reply, reply.write, receive, send)) is not None:
        await send_reply(call, problem_reply(error, call.request_id), receive, send)


async def _write(
    reply: Reply, write: Callable[[WritePiece], Awaitable[None]], receive: Receive, send: Send
) -> Exception | None:
    """Write the body; returns what went wrong before anything was sent."""
    started = False

    async def piece(data: bytes) -> None:
        nonlocal started
        if not started:
            started = True
            await send(_start(reply))
        await send({"type": "http.response.body", "body": data, "more_body": True})

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch, receive, nursery.cancel_scope)
        try:
            await write(piece)
        except Exception as error:
            if started:
                raise
            return error
        finally:
            nursery.cancel_scope.cancel()
    if not started:
        await send(_start(reply))
    await send({"type": "http.response.body", "body": b""})
    return None


async def _watch(receive: Receive, scope: trio.CancelScope) -> None:
    """Until the client is gone: nothing need be read for it any more."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _start(reply: Reply) -> dict[str, object]:
    length = len(reply.body) if reply.write is None else reply.length
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers]
    # A body that is not sent has no length either.
    if reply.status != 304:
        headers.append((b"content-type", reply.media_type.encode()))
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
    return {"type": "http.response.start", "status": reply.status, "headers": headers}
