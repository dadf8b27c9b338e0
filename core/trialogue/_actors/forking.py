"""Forking: what a copy of a branch begins with, read as committed at one moment, the middle of an answer included."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import trio
from msgspec.structs import replace

from trialogue._actors.limits import Limits
from trialogue._actors.snapshot import written
from trialogue._deciding.commands import ForkConversation
from trialogue._deciding.history import FEW, Beginning, branch_copy
from trialogue._facts.errors import ConflictError, InvalidError, LimitError, NotFoundError
from trialogue._facts.values import Conversation, ForkedFrom, Message
from trialogue._storage.store import Store

#: Messages read at once.
PAGE = 500

_encode = msgspec.json.Encoder().encode


async def fork(store: Store, command: ForkConversation, new_id: Callable[[], str], limits: Limits) -> Beginning:
    """The conversation that ``command`` asks for. Files are named by it as by the original, not copied.

    Raises ``NotFoundError``, ``ConflictError`` (in the trash), ``InvalidError`` (``cut``), ``LimitError`` (longer than
    ``limits`` allow), ``StorageError``.
    """
    source = await store.header(command.source)
    if source is None:
        raise NotFoundError(f"there is no conversation {command.source!r}")
    if source.deleted_at is not None:
        raise ConflictError("the conversation is in the trash: restore it first")
    leaf = command.message or source.head
    path = [] if leaf is None else await _branch(store, source.id, leaf, limits)
    if command.cut is not None and not path:
        raise InvalidError("there is no message to cut: the conversation is empty", pointer="/at")
    ids = [new_id() for _ in path]
    copy = partial(branch_copy, path, command.id, ids, command.cut)
    copies = copy() if len(path) <= FEW else await trio.to_thread.run_sync(copy)
    return Beginning(_header(source, command, leaf, copies), copies)


async def _branch(store: Store, conversation: str, leaf: str, limits: Limits) -> list[Message]:
    """The whole branch, page by page from its end: one that is too long is not read to its beginning."""
    path: list[Message] = []  # newest first
    wanted: str | None = leaf
    size = 0
    while wanted is not None:
        page = await store.path(conversation, wanted, PAGE)
        if not page:  # Never was, or was removed meanwhile: then with all that hangs below it.
            raise NotFoundError(f"there is no message {leaf!r} in this conversation", pointer="/message")
        size += sum(len(_encode(message)) for message in page)
        path += [await written(store, m) if m.status == "in_progress" else m for m in reversed(page)]
        _check_length(len(path), size, limits)
        wanted = page[0].parent
    return path[::-1]


def _check_length(count: int, size: int, limits: Limits) -> None:
    if count > limits.history:
        detail = f"the branch has more than {limits.history} messages (history_messages)"
    elif size > limits.history_bytes:
        detail = f"the branch is longer than {limits.history_bytes} bytes (history_bytes)"
    else:
        return
    raise LimitError(f"{detail}: fork from an earlier message")


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
