"""Exports: everything of a conversation, or of all one has, as a document that is written while it is read.

Both routes stream: one conversation, and of that a page of messages, is held at a time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from trialogue import Conversation, ThrottledError
from trialogue_server._exchange.archive import write_zip
from trialogue_server._exchange.document import Export
from trialogue_server._exchange.export import Outlet, headers_of, sole, write_json, write_markdown
from trialogue_server._http.call import Call, Reply, WritePiece
from trialogue_server._http.queries import read_query
from trialogue_server._serving.expiry import held_reply
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Answer, Route

Format: TypeAlias = Literal["json", "markdown"]
AllFormat: TypeAlias = Literal["json", "markdown", "zip"]

_MEDIA_TYPES: dict[AllFormat, str] = {
    "json": "application/json",
    "markdown": "text/markdown; charset=utf-8",
    "zip": "application/zip",
}
_SUFFIXES: dict[AllFormat, str] = {"json": "json", "markdown": "md", "zip": "zip"}


class ExportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What kind of document."""

    format: Annotated[
        Format, Meta(description="`json` holds everything and can be imported; `markdown` is for people.")
    ] = "json"


class ExportAllQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What kind of document."""

    format: Annotated[
        AllFormat,
        Meta(description="As of one conversation; `zip` holds the JSON and all files, and can be imported as well."),
    ] = "json"


async def export_one(services: Services, call: Call) -> Reply:
    """``GET /api/conversations/{id}/export``: export a conversation with all its branches, as a document to keep."""
    principal, header = await services.conversation(call)
    kind = read_query(call, ExportQuery).format
    reply = _document(services, principal.user.id, kind, f"conversation-{header.id}", lambda: sole(header))
    return held_reply(services, call, principal, reply)


async def export_all(services: Services, call: Call) -> Reply:
    """``GET /api/export``: export all one's conversations, archive and trash included, as one document."""
    principal = await services.principal(call)
    kind = read_query(call, ExportAllQuery).format
    owner = principal.user.id
    reply = _document(services, owner, kind, "trialogue", lambda: headers_of(services.store, owner))
    return held_reply(services, call, principal, reply)


def _document(
    services: Services, owner: str, kind: AllFormat, name: str, headers: Callable[[], AsyncGenerator[Conversation]]
) -> Reply:
    async def write(piece: WritePiece) -> None:
        with services.held.exports.hold(owner):
            if kind == "zip":
                await write_zip(services.store, services.engine.library, owner, headers(), piece)
            else:
                writer = write_json if kind == "json" else write_markdown
                await writer(services.store, headers(), Outlet(piece))

    file = f"{name}-{datetime.now(UTC):%Y-%m-%d}.{_SUFFIXES[kind]}"
    disposition = ("Content-Disposition", f'attachment; filename="{file}"')
    return Reply(200, headers=(disposition,), media_type=_MEDIA_TYPES[kind], write=write)


_MARKDOWN = (Answer(200, "With `format=markdown`.", None, "text/markdown"),)

ROUTES = (
    Route(
        "GET",
        "/api/conversations/<id>/export",
        export_one,
        direct=True,
        query=ExportQuery,
        reply=Export,
        also=_MARKDOWN,
        headers=("Content-Disposition",),
        problems=(ThrottledError,),
    ),
    Route(
        "GET",
        "/api/export",
        export_all,
        direct=True,
        query=ExportAllQuery,
        reply=Export,
        also=(*_MARKDOWN, Answer(200, "With `format=zip`.", None, "application/zip")),
        headers=("Content-Disposition",),
        problems=(ThrottledError,),
    ),
)
