"""Bodies of requests: read whole, counted, and waited for only so long, however the bytes get here."""

from __future__ import annotations

from collections.abc import AsyncIterable

import trio
from werkzeug.exceptions import RequestEntityTooLarge

from trialogue import LimitError
from trialogue_server._guard import read_body
from trialogue_server._http.call import BodyReader, Call, Receive
from trialogue_server._http.errors import SlowBodyError

#: How long a body may take to arrive, all of it.
SECONDS = 60.0


def body_reader(call: Call, source: Receive | AsyncIterable[bytes], limit: int) -> BodyReader:
    """Reads the body of ``call`` from ASGI's ``receive`` or from Quart's ``request.body``.

    It raises ``LimitError``, ``SlowBodyError``, ``InvalidError`` (cut off).
    """

    async def read() -> bytes:
        length = call.header("content-length")
        declared = int(length) if length.isdecimal() else None
        with trio.move_on_after(SECONDS):
            try:
                return await read_body(source, limit, declared=declared)
            except (LimitError, RequestEntityTooLarge) as error:
                # Quart counts what it buffers, and may be the first to find out.
                detail = f"the body is larger than {limit} bytes (max_body_bytes): send less at a time"
                raise LimitError(detail) from error
        raise SlowBodyError(f"the body did not arrive within {SECONDS:g} seconds: send it again")

    return read
