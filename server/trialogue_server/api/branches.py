"""What was said in a conversation, page by page of a branch, or one message. How something is said: ``messages``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from trialogue import Conversation, InvalidError, Message, NotFoundError, is_id, with_siblings, written
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.queries import Limit, read_query
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route
from trialogue_server.api._shapes import ShownMessage


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of which branch. ``before`` and ``after`` exclude each other."""

    limit: Limit = 50
    branch: Annotated[
        str | None, Meta(description="Id of a message: the branch that goes through it, to its newest leaf.")
    ] = None
    before: Annotated[str | None, Meta(description="Id of a message: what stands above it.")] = None
    after: Annotated[
        str | None, Meta(description="Id of a message of the branch: what follows it; empty: from the root on.")
    ] = None


class MessagePage(msgspec.Struct, frozen=True):
    """Messages of one branch, oldest first; ``has_more`` says whether others stand above them (below, with ``after``).

    A page ends after ``page_bytes`` as well as after ``limit`` messages: that it is short does not mean that it is the last.
    """

    messages: tuple[ShownMessage, ...]
    has_more: bool


async def list_messages(services: Services, call: Call) -> Reply:
    """``GET /api/conversations/{id}/messages``: a branch, oldest first: its end, or above ``before``, or below ``after``.

    The text of an answer that is being written is in the snapshot and in the stream, not here.
    """
    _, header = await services.conversation(call)
    query = read_query(call, ListQuery)
    shown, more = await _page(services, header, query, min(query.limit, 200))
    siblings = await services.store.siblings(header.id, [message.id for message in shown])
    messages = [with_siblings(message, siblings.get(message.id, (message.id,))) for message in shown]
    return json_reply({"messages": messages, "has_more": more})


async def show_message(services: Services, call: Call) -> Reply:
    """``GET /api/messages/{id}``: read one message, wherever it stands; ``conversation`` says in which.

    Of an answer that is being written, what is written so far.
    """
    found = await services.message(call)
    return json_reply(with_siblings(await written(services.store, found.message), found.siblings))


async def _page(
    services: Services, header: Conversation, query: ListQuery, limit: int
) -> tuple[Sequence[Message], bool]:
    """A page, and whether there is more in its direction."""
    if query.before is not None and query.after is not None:
        raise InvalidError("before and after exclude each other: send one of them")
    leaf = header.head
    if query.branch is not None:
        leaf = await services.store.leaf(header.id, (await _named(services, header, "branch", query.branch)).id)
    if query.after is not None and leaf is not None:
        after = (await _named(services, header, "after", query.after)).id if query.after else None
        page = await services.store.onward(header.id, leaf, after, limit)
        return page, bool(page) and page[-1].id != leaf
    if query.before is not None:
        leaf = (await _named(services, header, "before", query.before)).parent
    page = await services.store.path(header.id, leaf, limit) if leaf is not None else ()
    return page, bool(page) and page[0].parent is not None


async def _named(services: Services, header: Conversation, parameter: str, name: str) -> Message:
    message = await services.store.message(name) if is_id(name) else None
    if message is None or message.conversation != header.id:
        raise NotFoundError(f"{parameter}={name[:64]!r} is no message of this conversation")
    return message


ROUTES = (
    Route("GET", "/api/conversations/<id>/messages", list_messages, query=ListQuery, reply=MessagePage),
    Route("GET", "/api/messages/<id>", show_message, reply=ShownMessage),
)
