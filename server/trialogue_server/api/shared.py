"""What public links show, to anyone who has one. When a link ends, so does what is being read by it.

What a link shows is said by ``Shared``: neither who owns it nor the system prompt, settings, metadata, thoughts or tools.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta, structs

from trialogue import (
    CitationPart,
    File,
    FilePart,
    InvalidError,
    Message,
    NotFoundError,
    Role,
    Share,
    Status,
    TextPart,
    ThrottledError,
    is_id,
    written,
)
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.queries import Limit, read_query
from trialogue_server._hub import Tag
from trialogue_server._serving.expiry import ending_reply
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route
from trialogue_server.api.files import (
    CONTENT_ALSO,
    CONTENT_HEADERS,
    CONTENT_PROBLEMS,
    CONTENT_TAKES,
    ContentQuery,
    file_content,
)

#: A public link is nobody's to keep, and no search engine's to find.
HIDDEN = (("X-Robots-Tag", "noindex, nofollow, noarchive"),)

#: What a reader from outside is shown of a message.
SharedPart: TypeAlias = TextPart | CitationPart | FilePart


class SharedMessage(msgspec.Struct, frozen=True):
    """A message as a link shows it; ``number`` counts from 1 along the branch."""

    number: int
    role: Role
    parts: tuple[SharedPart, ...]
    created_at: datetime
    status: Status
    model: str | None


class Shared(msgspec.Struct, frozen=True):
    """A page of what a link shows, oldest first; with ``has_more``, ``cursor`` leads to the next one."""

    title: str | None
    shared_at: datetime
    messages: tuple[SharedMessage, ...]
    cursor: str | None
    has_more: bool


class SharedQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of it."""

    limit: Limit = 100
    cursor: Annotated[str | None, Meta(description="Where to go on: the `cursor` of the page before.")] = None


class Found(NamedTuple):
    """A link that holds, and whose it is."""

    share: Share
    owner: str


async def shared(services: Services, call: Call) -> Reply:
    """``GET /api/shared/{token}``: read what a public link shows; anyone who has it may."""
    query = read_query(call, SharedQuery)
    found = (await find_share(services, call)).share
    path, start = await _page(services, found, query.cursor, min(query.limit, 200))
    whole = [await written(services.store, message) for message in path]
    shown = [_shown(found, start + place, message) for place, message in enumerate(whole, 1)]
    more = bool(path) and path[-1].id != found.message
    cursor = f"{start + len(path)}.{path[-1].id}" if more else None
    # A system message, if the branch has one, is not for others; it is counted all the same.
    page = tuple(message for message in shown if message.role != "system")
    body = Shared(found.title, found.created_at, page, cursor, more)
    return json_reply(body, headers=HIDDEN)


async def shared_file(services: Services, call: Call) -> Reply:
    """``GET /api/shared/{token}/files/{file}``: a file that the shared branch names, to anyone who has the link."""
    query = read_query(call, ContentQuery)
    found, owner = await find_share(services, call)
    file = await _shown_file(services, found, owner, call.arguments["file"])
    reply = await file_content(services, call, file, query)
    reply = structs.replace(reply, headers=(*reply.headers, *HIDDEN))
    return ending_reply(services, call, Tag(owner, found.id, found.conversation), found.expires_at, reply)


async def _shown_file(services: Services, found: Share, owner: str, name: str) -> File:
    file = await services.store.files.file(name) if is_id(name) else None
    # Whether it is the owner's is asked first: the branch is not gone through for whatever anyone makes up.
    if file is not None and file.owner == owner:
        async with services.branch_scan.of(owner):
            if (found.id, name) in services.shown_files or await _names_file(services, found, name):
                return file
    raise NotFoundError(f"there is no file {name[:64]!r} behind this link")


async def _names_file(services: Services, found: Share, file: str) -> bool:
    after: str | None = None
    while page := await services.store.onward(found.conversation, found.message, after, 200):
        for message in page:
            shown = found.as_shared(message) if message.id == found.message else message
            if message.role != "system" and any(isinstance(p, FilePart) and p.file == file for p in shown.parts):
                services.shown_files.add((found.id, file))
                return True
        after = page[-1].id
    return False


async def find_share(services: Services, call: Call) -> Found:
    """The link that the path names. Raises ``NotFoundError`` for one that has ended or never was, ``ThrottledError``."""
    services.tries.shared_views.take(services.peers.network(call))
    token = call.arguments["token"]
    found = await services.store.shares.find(token) if token.isascii() else None
    if found is None or (found.expires_at is not None and found.expires_at <= datetime.now(UTC)):
        raise _ended()
    header = await services.store.header(found.conversation)
    owner = None if header is None else await services.accounts.user(header.owner)
    # Whoever may say nothing here any more shows nothing either, from that moment on.
    if owner is None or owner.disabled:
        raise _ended()
    return Found(found, owner.id)


def _ended() -> NotFoundError:
    return NotFoundError("this link shows nothing: it has ended, or was cut when it was copied")


async def _page(services: Services, found: Share, cursor: str | None, limit: int) -> tuple[Sequence[Message], int]:
    """Messages after the cursor, and how many stand before them."""
    if cursor is None:
        path = await services.store.onward(found.conversation, found.message, None, limit)
        if not path:
            # The message it ended with was removed, and with it the branch.
            raise NotFoundError("this link shows nothing: what it showed was removed")
        return path, 0
    number, _, after = cursor.partition(".")
    if not (number.isascii() and number.isdigit() and len(number) < 10 and is_id(after)):
        raise InvalidError(f"{cursor[:64]!r} is not a cursor of this link: leave it out to start over")
    return await services.store.onward(found.conversation, found.message, after, limit), int(number)


def _shown(found: Share, number: int, message: Message) -> SharedMessage:
    if message.id == found.message:
        message = found.as_shared(message)
    parts = tuple(part for part in message.parts if isinstance(part, TextPart | CitationPart | FilePart))
    status: Status = "incomplete" if message.status == "in_progress" else message.status
    return SharedMessage(number, message.role, parts, message.created_at, status, message.model)


ROUTES = (
    Route(
        "GET",
        "/api/shared/<token>/files/<file>",
        shared_file,
        direct=True,
        access="public",
        query=ContentQuery,
        media_type="*/*",
        headers=CONTENT_HEADERS,
        takes=CONTENT_TAKES,
        also=CONTENT_ALSO,
        problems=(*CONTENT_PROBLEMS, ThrottledError),
    ),
    Route(
        "GET",
        "/api/shared/<token>",
        shared,
        access="public",
        query=SharedQuery,
        reply=Shared,
        problems=(NotFoundError, ThrottledError),
    ),
)
