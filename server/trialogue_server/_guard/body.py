"""A request's body, counted by us and waited for within reason.

What the framework limits is only what it buffers, so that a body sent in chunks and read in pieces passes any limit.
Decoding is the caller's: a body is bytes until somebody knows what they should be.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import trio

from trialogue import InvalidError, LimitError
from trialogue_server._guard.asgi import Receive


async def read_body(
    source: Receive | AsyncIterable[bytes], limit: int, *, declared: int | None = None, patience: float = 30.0
) -> bytes:
    """The whole body, from ASGI's ``receive`` or from Quart's ``request.body``.

    ``declared`` is the request's Content-Length, if it has one: what says that it is too large is not read at all.
    ``patience`` is how long the client may pause. Raises ``LimitError`` as soon as ``limit`` bytes are exceeded and
    ``InvalidError`` when the client pauses too long or leaves.
    """
    if declared is not None and declared > limit:
        raise _too_large(limit)
    next_piece = _received(source) if callable(source) else _iterated(aiter(source))
    body = bytearray()
    # One scope for all pieces: most bodies are one, and a scope costs more than such a body.
    with trio.move_on_after(patience) as watch:
        while (piece := await next_piece()) is not None:
            watch.deadline = trio.current_time() + patience
            body += piece
            if len(body) > limit:
                raise _too_large(limit)
        return bytes(body)
    raise InvalidError(f"the body stopped for {patience:g} s before its end: send it again")


#: The next piece, or ``None`` after the last.
_NextPiece: TypeAlias = Callable[[], Awaitable[bytes | None]]


def _received(receive: Receive) -> _NextPiece:
    more = True

    async def next_piece() -> bytes | None:
        nonlocal more
        if not more:
            return None
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidError("the body ended before its announced end: send it again")
        more = message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece

    return next_piece


def _iterated(pieces: AsyncIterator[bytes]) -> _NextPiece:
    async def next_piece() -> bytes | None:
        return await anext(pieces, None)

    return next_piece


def _too_large(limit: int) -> LimitError:
    return LimitError(f"the body is larger than {limit} bytes: send less at a time")
