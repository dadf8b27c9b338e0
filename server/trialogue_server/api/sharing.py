"""Public links: a branch as it was when the link was made, for anyone who has its token, until its owner ends it.

What a link shows is said by ``Shared``: neither who owns it nor the system prompt, settings, metadata, thoughts or tools.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, structs

from trialogue import (
    CitationPart,
    ConflictError,
    Conversation,
    File,
    FilePart,
    InvalidError,
    LimitError,
    Message,
    NotFoundError,
    Role,
    Share,
    Status,
    TextPart,
    ThrottledError,
    is_id,
    lengths_of,
    new_id,
    written,
)
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.queries import Limit, read_query
from trialogue_server._http.requests import ShareBody, checked_id, read_struct
from trialogue_server._serving.idempotency import command_id
from trialogue_server._serving.services import Services, no_message
from trialogue_server._surface.routes import Route
from trialogue_server.api.files import (
    CONTENT_ALSO,
    CONTENT_HEADERS,
    CONTENT_PROBLEMS,
    CONTENT_TAKES,
    ContentQuery,
    file_content,
)

#: Random bytes of a token: as many as a session's.
TOKEN_BYTES = 24
#: A public link is nobody's to keep, and no search engine's to find.
HIDDEN = (("X-Robots-Tag", "noindex, nofollow, noarchive"),)

#: What a reader from outside is shown of a message.
SharedPart: TypeAlias = TextPart | CitationPart | FilePart


class Link(msgspec.Struct, frozen=True):
    """A public link, as its owner sees it; ``path`` is the page that shows it, below the server's own address."""

    id: str
    token: str
    path: str
    conversation: str
    message: str
    title: str | None
    created_at: datetime
    expires_at: datetime | None


class Links(msgspec.Struct, frozen=True):
    """The links of a conversation, oldest first."""

    shares: tuple[Link, ...]


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


# --- for the owner -----------------------------------------------------------------------------------------------


async def share(services: Services, call: Call) -> Reply:
    """``POST /api/conversations/{id}/share``: make a public link; again with the same ``id`` or key, the same one.

    It shows the branch as it is now: what is said or written later does not show, a correction does.
    """
    principal, header = await services.conversation(call)
    body = await read_struct(call, ShareBody, optional=True)
    now = datetime.now(UTC)
    if body.expires is not None and body.expires <= now:
        raise InvalidError("this is in the past: name a time to come, or leave it out", pointer="/expires")
    name = checked_id(body.id, "/id") or command_id(call, principal.user.id, header.id, "share") or new_id()
    leaf = await _leaf(services, header, body.message, name)
    made = await services.store.shares.add(
        Share(
            id=name,
            token=secrets.token_urlsafe(TOKEN_BYTES),
            conversation=header.id,
            message=leaf.id,
            created_at=now,
            title=body.title or header.title,
            expires_at=body.expires,
            lengths=lengths_of(leaf.parts),
            revision=leaf.revision,
        )
    )
    return json_reply(_link(made), 201, (("Location", f"/api/conversations/{header.id}/share"),))


async def links(services: Services, call: Call) -> Reply:
    """``GET /api/conversations/{id}/share``: list the public links of a conversation, with their tokens."""
    _, header = await services.conversation(call)
    found = await services.store.shares.of(header.id)
    return json_reply(Links(tuple(map(_link, found))))


async def unshare(services: Services, call: Call) -> Reply:
    """``DELETE /api/conversations/{id}/share/{share}``: end a link, named by its id or token: it opens nothing any more."""
    _, header = await services.conversation(call)
    name = call.arguments["share"]
    for found in await services.store.shares.of(header.id):
        if name in (found.id, found.token):
            await services.store.shares.drop(header.id, found.id)
            return Reply(204)
    raise NotFoundError("there is no such link to this conversation: see GET .../share")


async def _leaf(services: Services, header: Conversation, named: str | None, share: str) -> Message:
    if header.deleted_at is not None:
        raise ConflictError("the conversation is in the trash: restore it first")
    others = [one for one in await services.store.shares.of(header.id) if one.id != share]
    if len(others) >= services.config.shares_per_conversation:
        raise LimitError(f"it has {len(others)} links already (shares_per_conversation): end one of them first")
    name = named or header.head
    if name is None:
        raise InvalidError("there is nothing to share yet: say something first")
    message = await services.store.message(name) if is_id(name) else None
    if message is None or message.conversation != header.id:
        raise no_message(name)
    return await written(services.store, message)


def _link(one: Share) -> Link:
    return Link(
        id=one.id,
        token=one.token,
        path=f"/s/{one.token}",
        conversation=one.conversation,
        message=one.message,
        title=one.title,
        created_at=one.created_at,
        expires_at=one.expires_at,
    )


# --- for anyone --------------------------------------------------------------------------------------------------


async def shared(services: Services, call: Call) -> Reply:
    """``GET /api/shared/{token}``: read what a public link shows; anyone who has it may."""
    query = read_query(call, SharedQuery)
    found = await find_share(services, call)
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
    found = await find_share(services, call)
    reply = await file_content(services, call, await _shown_file(services, found, call.arguments["file"]), query)
    return structs.replace(reply, headers=(*reply.headers, *HIDDEN))


async def _shown_file(services: Services, found: Share, name: str) -> File:
    header = await services.store.header(found.conversation)
    file = await services.store.files.file(name) if is_id(name) else None
    # Whether it is the owner's is asked first: the branch is not gone through for whatever anyone makes up.
    if file is not None and header is not None and file.owner == header.owner:
        async with services.branch_scan:
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


async def find_share(services: Services, call: Call) -> Share:
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
    return found


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
    Route("GET", "/api/conversations/<id>/share", links, reply=Links),
    Route(
        "POST",
        "/api/conversations/<id>/share",
        share,
        body=ShareBody,
        body_optional=True,
        reply=Link,
        status=201,
        headers=("Location",),
        takes=("Idempotency-Key",),
        problems=(ConflictError, LimitError),
    ),
    Route("DELETE", "/api/conversations/<id>/share/<share>", unshare, status=204),
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
