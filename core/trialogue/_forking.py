"""Forking: what a copy of a branch begins with, read as committed at one moment, the middle of an answer included."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import trio
from msgspec.structs import replace

from trialogue._commands import ForkConversation
from trialogue._errors import ConflictError, InvalidError, LimitError, NotFoundError
from trialogue._history import FEW, Beginning, branch_copy
from trialogue._snapshot import written
from trialogue._store import Store
from trialogue._values import Conversation, ForkedFrom, Message


async def fork(store: Store, command: ForkConversation, new_id: Callable[[], str], most: int) -> Beginning:
    """The conversation that ``command`` asks for. Files are named by it as by the original, not copied.

    Raises ``NotFoundError``, ``ConflictError`` (in the trash), ``InvalidError`` (``cut``), ``LimitError`` (longer than
    ``most`` messages), ``StorageError``.
    """
    source = await store.header(command.source)
    if source is None:
        raise NotFoundError(f"there is no conversation {command.source!r}")
    if source.deleted_at is not None:
        raise ConflictError("the conversation is in the trash: restore it first")
    leaf = command.message or source.head
    path = [] if leaf is None else await _branch(store, source.id, leaf, most)
    if command.cut is not None and not path:
        raise InvalidError("there is no message to cut: the conversation is empty", pointer="/at")
    ids = [new_id() for _ in path]
    copy = partial(branch_copy, path, command.id, ids, command.cut)
    copies = copy() if len(path) <= FEW else await trio.to_thread.run_sync(copy)
    return Beginning(_header(source, command, leaf, copies), copies)


async def _branch(store: Store, conversation: str, leaf: str, most: int) -> list[Message]:
    path = await store.path(conversation, leaf, most + 1)
    if not path:
        raise NotFoundError(f"there is no message {leaf!r} in this conversation", pointer="/message")
    if len(path) > most:
        raise LimitError(f"the branch has more than {most} messages (history_messages): fork from an earlier one")
    return [await written(store, message) if message.status == "in_progress" else message for message in path]


def _header(
    source: Conversation, command: ForkConversation, leaf: str | None, copies: tuple[Message, ...]
) -> Conversation:
    origin = None if leaf is None else ForkedFrom(source.id, leaf, command.cut)
    return replace(
        source,
        id=command.id,
        owner=command.owner,
        created_at=command.at,
        updated_at=command.at,
        title=command.title or source.title,
        archived=False,
        pinned=False,
        head=copies[-1].id if copies else None,
        version=0,
        forked_from=origin,
    )
