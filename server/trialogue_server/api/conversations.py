"""Conversations: their list, one of them, and what can be changed about it. What is said in them is ``messages``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trialogue import (
    ConflictError,
    Conversation,
    CreateConversation,
    InvalidError,
    LimitError,
    Principal,
    Settings,
    Snapshot,
    Tree,
    UpdateConversation,
    is_id,
    merge_patch,
    new_id,
)
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.errors import VersionError
from trialogue_server._http.etags import etag_of, expected_version
from trialogue_server._http.json_limits import check_json
from trialogue_server._http.links import next_page
from trialogue_server._http.queries import Limit, PageCursor, read_query
from trialogue_server._http.requests import CreateBody, UpdateBody, checked_id, read_struct
from trialogue_server._serving.idempotency import command_id, told
from trialogue_server._serving.services import Services, no_conversation
from trialogue_server._surface.routes import Route
from trialogue_server.api._shapes import ShownSnapshot, ShownTree

#: Tries of a merge with what others change at the same time; each round of them, one comes through.
MERGES = 10


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which conversations, and how many of them."""

    limit: Limit = 20
    cursor: PageCursor | None = None
    archived: Annotated[
        bool | None, Meta(description="Those in the archive, or those that are not; of the trash, unset, all.")
    ] = None
    trashed: Annotated[bool, Meta(description="Those in the trash, instead of those that are not.")] = False
    pinned: Annotated[bool | None, Meta(description="Only those that are pinned, or only those that are not.")] = None
    folder: Annotated[str | None, Meta(description="Only those in this folder.")] = None
    q: Annotated[str | None, Meta(description="Only those with these words in the title or in a message.")] = None


class ConversationPage(msgspec.Struct, frozen=True):
    """Conversations without their messages, newest activity first; with ``has_more``, ``cursor`` leads to the next page."""

    conversations: tuple[Conversation, ...]
    cursor: str | None
    has_more: bool


class ShowQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many messages are shown, and of which branches."""

    limit: Limit = 50
    tree: Annotated[bool, Meta(description="Messages of all branches, in pages, instead of the active one's end.")] = (
        False
    )
    cursor: Annotated[str | None, Meta(description="With `tree`: where the page before ended.")] = None


class DeleteQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far it goes."""

    purge: Annotated[bool, Meta(description="Gone for good, instead of into the trash.")] = False


async def list_conversations(services: Services, call: Call) -> Reply:
    """``GET /api/conversations``: list conversations without their messages, newest activity first."""
    principal = await services.principal(call)
    query = read_query(call, ListQuery)
    page = await services.store.conversations(
        principal.user.id,
        limit=min(query.limit, 100),
        cursor=query.cursor or None,
        archived=query.archived if query.trashed or query.archived is not None else False,
        pinned=query.pinned,
        folder=query.folder,
        text=(query.q or "").strip() or None,
        trashed=query.trashed,
    )
    body = ConversationPage(tuple(page.conversations), page.cursor, page.cursor is not None)
    return json_reply(body, headers=next_page(call, page.cursor))


async def create(services: Services, call: Call) -> Reply:
    """``POST /api/conversations``: begin a conversation; again with the same ``id`` or key, the same one."""
    principal = await services.principal(call)
    body = await read_struct(call, CreateBody)
    name = checked_id(body.id, "/id") or command_id(call, principal.user.id, "create") or new_id()
    if body.model is not None:
        await services.engine.resolve(body.model)
    command = CreateConversation(
        id=name,
        owner=principal.user.id,
        at=datetime.now(UTC),
        title=body.title,
        model=body.model,
        system=body.system,
        settings=await _with_known_tools(services, body.settings or Settings()),
        metadata=body.metadata,
    )
    try:
        await services.engine.create(command)
    except ConflictError as error:
        raise await told(services, call, name, name, error) from error
    header = await services.owned(principal, name)
    return _conversation_reply(header, 201, (("Location", f"/api/conversations/{name}"),))


async def show(services: Services, call: Call) -> Reply:
    """``GET /api/conversations/{id}``: read a conversation: a snapshot, from which a stream goes on at its ``token``.

    The tag is the version that ``If-Match`` takes. It does not change with every token of a live answer, so the answer
    to this is never 304.
    """
    principal, name = await services.principal(call), call.arguments["id"]
    # Whose it is stands in the snapshot: another look at the store would cost as much again.
    query = read_query(call, ShowQuery)
    shown = await _shown(services, name, query, min(query.limit, 200)) if is_id(name) else None
    if shown is None or shown.conversation.owner != principal.user.id:
        raise no_conversation(name)
    headers = next_page(call, shown.cursor) if isinstance(shown, Tree) else ()
    return json_reply(shown, headers=(("ETag", etag_of(shown.conversation)), *headers))


async def _shown(services: Services, conversation: str, query: ShowQuery, limit: int) -> Snapshot | Tree:
    if query.tree:
        return await services.engine.all_branches(conversation, limit, query.cursor)
    if query.cursor is not None:
        raise InvalidError("query parameter cursor goes with tree=true: older messages of a branch are at .../messages")
    return await services.engine.snapshot(conversation, limit)


async def update(services: Services, call: Call) -> Reply:
    """``PATCH /api/conversations/{id}``: change a conversation by a merge patch; ``If-Match`` guards it."""
    principal, header = await services.conversation(call)
    body = await read_struct(call, UpdateBody)
    if isinstance(body.model, str):
        await services.engine.resolve(body.model)
    for _ in range(MERGES):
        try:
            await services.engine.submit(header.id, await _patch(services, call, header, body), fresh=True)
            break
        except ConflictError as error:
            if error.pointer != "/expected":
                raise
            # Others changed it between our look and our merge. A caller that named a version is told.
            if call.header("if-match"):
                raise VersionError(error.detail) from error
            header = await _settled(services, principal, header)
    else:
        raise ConflictError("the conversation is changed by too many at once: try again", retry_after=1.0)
    # As the change left it: the store need not be asked for what was just written.
    return _conversation_reply(await services.engine.header(header.id) or header)


async def delete(services: Services, call: Call) -> Reply:
    """``DELETE /api/conversations/{id}``: move a conversation to the trash, or with ``purge=true`` remove it for good."""
    _, header = await services.conversation(call)
    purge = read_query(call, DeleteQuery).purge
    if header.deleted_at is None:
        links = await services.store.shares.of(header.id)
        await _move(services, header, deleted=True)
        # A link to what is in the trash shows nothing, and what is being read by it ends.
        services.endings.close_streams(*(link.id for link in links))
    if purge:
        await services.engine.purge(header.id)
        services.hub.close_where(lambda tag: tag.conversation == header.id)
    return Reply(204)


async def restore(services: Services, call: Call) -> Reply:
    """``POST /api/conversations/{id}/restore``: take a conversation back from the trash."""
    principal, header = await services.conversation(call)
    await _move(services, header, deleted=False)
    return _conversation_reply(await services.owned(principal, header.id))


async def _settled(services: Services, principal: Principal, header: Conversation) -> Conversation:
    # What the conflict is with may not be in the store yet. A command that changes nothing is answered once it is.
    await services.engine.submit(header.id, UpdateConversation(id=new_id(), at=datetime.now(UTC)), fresh=True)
    return await services.owned(principal, header.id)


async def _move(services: Services, header: Conversation, *, deleted: bool) -> None:
    command = UpdateConversation(id=new_id(), at=datetime.now(UTC), deleted=deleted)
    await services.engine.submit(header.id, command, fresh=True)


async def _patch(services: Services, call: Call, header: Conversation, body: UpdateBody) -> UpdateConversation:
    expected = expected_version(call, header)
    if isinstance(body.settings, dict) or isinstance(body.metadata, dict):
        # A merge is only right upon what was read.
        expected = header.version
    return UpdateConversation(
        id=new_id(),
        at=datetime.now(UTC),
        title=body.title,
        model=body.model,
        system=body.system,
        settings=await _settings(services, header, body.settings),
        metadata=_metadata(header, body.metadata, services.config.max_body_bytes),
        archived=body.archived,
        pinned=body.pinned,
        folder=body.folder,
        head=UNSET if body.head is UNSET else await _leaf(services, header, body.head),
        expected=expected,
    )


async def _settings(
    services: Services, header: Conversation, patch: dict[str, Any] | None | UnsetType
) -> Settings | UnsetType:
    if patch is UNSET or patch is None:
        return UNSET if patch is UNSET else Settings()
    merged = merge_patch(msgspec.to_builtins(header.settings), patch)
    try:
        settings = msgspec.convert(merged, Settings)
    except msgspec.ValidationError as error:
        raise InvalidError(f"settings: {error}", pointer="/settings") from error
    # One that was there when it was named, and is not any more, is no reason to refuse another change.
    return await _with_known_tools(services, settings) if "tools" in patch else settings


async def _with_known_tools(services: Services, settings: Settings) -> Settings:
    if settings.tools:
        await services.engine.toolbox.look()
    services.engine.toolbox.check(settings, "/settings/tools")
    return settings


def _metadata(
    header: Conversation, patch: dict[str, Any] | None | UnsetType, most: int
) -> dict[str, Any] | None | UnsetType:
    if not isinstance(patch, dict):
        return patch
    merged: dict[str, Any] = merge_patch(header.metadata, patch)
    # What grows patch by patch is held to what could be sent at once: it goes with every look at the conversation.
    if len(msgspec.json.encode(merged)) > most:
        raise LimitError(f"metadata are larger than {most} bytes (max_body_bytes): remove some", pointer="/metadata")
    check_json(merged, "/metadata")
    return merged


async def _leaf(services: Services, header: Conversation, message: str) -> str:
    found = await services.store.message(message) if is_id(message) else None
    if found is None or found.conversation != header.id:
        raise InvalidError(f"there is no message {message[:64]!r} in this conversation", pointer="/head")
    return await services.store.leaf(header.id, message)


def _conversation_reply(header: Conversation, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    return json_reply(header, status, (("ETag", etag_of(header)), *headers))


ROUTES = (
    Route("GET", "/api/conversations", list_conversations, query=ListQuery, reply=ConversationPage, headers=("Link",)),
    Route(
        "POST",
        "/api/conversations",
        create,
        body=CreateBody,
        reply=Conversation,
        status=201,
        headers=("ETag", "Location"),
        takes=("Idempotency-Key",),
    ),
    Route(
        "GET",
        "/api/conversations/<id>",
        show,
        direct=True,
        query=ShowQuery,
        reply=ShownSnapshot | ShownTree,
        headers=("ETag", "Link"),
    ),
    Route(
        "PATCH",
        "/api/conversations/<id>",
        update,
        body=UpdateBody,
        reply=Conversation,
        headers=("ETag",),
        takes=("If-Match",),
        problems=(VersionError,),
    ),
    Route("DELETE", "/api/conversations/<id>", delete, query=DeleteQuery, status=204),
    Route("POST", "/api/conversations/<id>/restore", restore, reply=Conversation, headers=("ETag",)),
)
