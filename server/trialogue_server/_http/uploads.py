"""Uploads: a ``multipart/form-data`` body, handed on while it arrives, at no less than a certain pace.

Nothing is held back: what the library cannot write yet, the client is not asked for. Cut off, too slow or malformed, the
upload raises, and its block takes away what it had written.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import trio

from trialogue import File, InvalidError, LimitError, Upload
from trialogue_server._http.call import Call, Receive
from trialogue_server._http.errors import MalformedError, MediaTypeError, SlowBodyError

multipart: Any = import_module("multipart")  # Any: it brings no types

#: Parts of a form, however many files are allowed: an empty one costs a client six bytes.
PARTS = 1_000
#: Seconds before the pace is looked at.
START = 30.0


class Pace:
    """How slowly a body may come: a pause, bytes per second all in all, and its whole time."""

    def __init__(self, stall: float, rate: float, longest: float) -> None:
        self._stall, self._rate = stall, rate
        self._began = trio.current_time()
        self._end = self._began + longest
        self._longest = longest
        self._received = 0

    async def next(self, receive: Receive) -> tuple[bytes, bool]:
        """The next piece, and whether more follow. Raises ``SlowBodyError``, ``InvalidError`` (the client left)."""
        with trio.move_on_at(min(trio.current_time() + self._stall, self._end)):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise InvalidError("the body ended before its announced end: send it again")
            piece: bytes = message.get("body", b"")
            self._received += len(piece)
            self._check()
            return piece, message.get("more_body", False)
        if trio.current_time() >= self._end:
            raise SlowBodyError(
                f"the upload took longer than {self._longest:g} s (upload_max_seconds): send less at a time"
            )
        raise SlowBodyError(f"the upload stopped for {self._stall:g} s (upload_stall_seconds): send it again")

    def _check(self) -> None:
        spent = trio.current_time() - self._began
        if spent > START and self._received < (spent - START) * self._rate:
            raise SlowBodyError(f"the upload is slower than {self._rate:g} bytes/s (upload_min_rate): send it again")


def boundary_of(call: Call) -> str:
    """The boundary that the request's type names. Raises ``MediaTypeError``."""
    media_type, options = multipart.parse_options_header(call.header("content-type"))
    if media_type != "multipart/form-data":
        raise MediaTypeError(f"the body must be multipart/form-data, not {media_type[:64] or 'untyped'!r}")
    boundary: str = options.get("boundary", "")
    if not 1 <= len(boundary) <= 200:
        raise MediaTypeError("the body's boundary must have 1 to 200 characters: let your HTTP library choose it")
    if call.header("content-encoding").strip().lower() not in ("", "identity"):
        raise MediaTypeError("the body must not be compressed")
    return boundary


async def read_files(call: Call, upload: Upload, pace: Pace) -> tuple[File, ...]:
    """Read the form in the body of ``call`` into ``upload``, and commit it.

    Raises ``MediaTypeError``, ``MalformedError``, ``InvalidError``, ``SlowBodyError``, and what the upload raises.
    """
    parser = multipart.PushMultipartParser(boundary_of(call), max_segment_count=PARTS)
    length = call.header("content-length")
    if length.isdecimal():
        await upload.expect(int(length))
    try:
        await _read(call.receive, parser, upload, pace)
    except multipart.ParserLimitReached as error:
        raise LimitError(f"the form is refused: {error}") from error
    except multipart.MultipartError as error:
        raise MalformedError(f"the body is not multipart/form-data: {error}") from error
    files = await upload.commit()
    if not files:
        raise InvalidError("the form holds no file: send one or more parts with a filename")
    return files


async def _read(receive: Receive, parser: Any, upload: Upload, pace: Pace) -> None:
    more = True
    while more:
        piece, more = await pace.next(receive)
        if piece:
            for event in parser.parse(piece):
                await _take(event, upload)
    parser.close()


async def _take(event: Any, upload: Upload) -> None:
    if event is None:
        await upload.end()
    elif isinstance(event, multipart.MultipartSegment):
        if event.filename is None:
            raise InvalidError(f"the form's field {str(event.name)[:64]!r} is no file: send parts with a filename")
        await upload.begin(event.filename)
    else:
        await upload.write(bytes(event))
