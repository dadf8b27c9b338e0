"""A file's content as an answer: conditions, ranges, and the headers that keep a browser from running what it is sent.

Only pictures that cannot hold a script are shown in place; everything else is saved. All of it comes with a policy under
which a page of it could do nothing, should a browser show it all the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from trialogue import Library, Reader, new_id
from trialogue_server._http.call import Call, Reply, WritePiece
from trialogue_server._http.errors import VersionError
from trialogue_server._http.ranges import Parts, Span, parse_ranges

#: Bytes read and sent at a time; one such piece is what a download holds in memory.
PIECE = 256 * 1024
#: What browsers show as a picture and nothing else: no script, no markup.
SAFE_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
_TAG = re.compile(r'(W/)?"([^"]*)"')


class Content(NamedTuple):
    """What is to be sent: bytes by their digest, and how they are called."""

    sha256: str
    size: int
    media_type: str
    name: str


def content_reply(call: Call, library: Library, content: Content) -> Reply:
    """The answer to a GET or HEAD of ``content``. Raises ``VersionError`` and ``RangeError``."""
    tag = f'"{content.sha256}"'
    headers = _headers(content, tag)
    _check_match(call, content.sha256)
    if _names(call.header("if-none-match"), content.sha256, weakly=True):
        return Reply(304, headers=headers, media_type=content.media_type)
    spans = _spans(call, content, tag)
    if spans is None:
        return _sent(library, content, 200, headers, [(b"", Span(0, content.size))])
    if len(spans) == 1:
        headers += (("Content-Range", spans[0].content_range(content.size)),)
        return _sent(library, content, 206, headers, [(b"", spans[0])])
    parts = Parts(spans, content.size, content.media_type, new_id())
    reply = _sent(library, content, 206, headers, list(parts), parts.end)
    return Reply(206, b"", headers, parts.media_type, reply.write, parts.length)


def disposition(kind: str, name: str) -> str:
    """``Content-Disposition`` of a clean name (RFC 6266): in ASCII for old clients, and as it is."""
    plain = name.encode("ascii", "replace").decode()
    plain = re.sub(r'["\\%;]', "_", plain)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _headers(content: Content, tag: str) -> tuple[tuple[str, str], ...]:
    kind = "inline" if content.media_type in SAFE_IMAGES else "attachment"
    return (
        ("ETag", tag),
        ("Accept-Ranges", "bytes"),
        ("Content-Disposition", disposition(kind, content.name)),
        ("Content-Security-Policy", _POLICY),
        # It never changes, but who may see it does: a browser asks again, and is told that it has it.
        ("Cache-Control", "private, no-cache"),
    )


def _check_match(call: Call, digest: str) -> None:
    wanted = call.header("if-match")
    if wanted and not _names(wanted, digest, weakly=False):
        raise VersionError("the file is another one than If-Match names: it never changes, so look at the id")


def _names(header: str, digest: str, *, weakly: bool) -> bool:
    if header.strip() == "*":
        return True
    return any(tag == digest and (weakly or not weak) for weak, tag in _TAG.findall(header))


def _spans(call: Call, content: Content, tag: str) -> Sequence[Span] | None:
    asked = call.header("range")
    # A date never matches: none was ever given.
    if call.method != "GET" or not asked or call.header("if-range").strip() not in ("", tag):
        return None
    return parse_ranges(asked, content.size)


def _sent(
    library: Library,
    content: Content,
    status: int,
    headers: tuple[tuple[str, str], ...],
    pieces: Sequence[tuple[bytes, Span]],
    end: bytes = b"",
) -> Reply:
    async def write(send: WritePiece) -> None:
        async with library.blobs.open(content.sha256, content.size) as reader:
            for head, span in pieces:
                if head:
                    await send(head)
                await _send_span(reader, span, send)
        if end:
            await send(end)

    media_type = content.media_type + ("; charset=utf-8" if content.media_type == "text/plain" else "")
    return Reply(status, b"", headers, media_type, write, sum(len(span) for _, span in pieces))


async def _send_span(reader: Reader, span: Span, send: WritePiece) -> None:
    for start in range(span.start, span.stop, PIECE):
        await send(await reader.read(start, min(PIECE, span.stop - start)))
