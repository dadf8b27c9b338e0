"""From the store to a document: a page of messages at a time, so that no size of an account fills the memory.

What is read is committed. A conversation that changes meanwhile is read as it is at each page: its messages always make a
tree, and what was there when the export began and is there when it ends is in it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from trialogue import Conversation, Message, NotFoundError, Store, take_snapshot, written
from trialogue_server._exchange.document import FORMAT, VERSION, ExportedHeader, ExportedMessage, Wording
from trialogue_server._exchange.markdown import markdown
from trialogue_server._exchange.wordings import wordings_of
from trialogue_server._http.call import WritePiece

#: Messages, and headers, that are held at a time. A message may be some megabytes.
PAGE = 20
#: Bytes that leave together.
PIECE = 65_536

_encode = msgspec.json.Encoder().encode


class Outlet:
    """Gathers small pieces into larger ones, which leave as fast as their reader takes them."""

    def __init__(self, write: WritePiece) -> None:
        self._write = write
        self._pieces: list[bytes] = []
        self._size = 0

    async def put(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= PIECE:
            await self.flush()

    async def flush(self) -> None:
        piece, self._pieces, self._size = b"".join(self._pieces), [], 0
        if piece:
            await self._write(piece)


async def write_json(store: Store, headers: AsyncGenerator[Conversation], outlet: Outlet) -> None:
    """The document of these conversations, one a line."""
    await outlet.put(b'{"format":"%b","version":%d,"conversations":[' % (FORMAT.encode(), VERSION))
    between = b"\n"
    async with aclosing(headers):
        async for header in headers:
            await outlet.put(between)
            between = b",\n"
            await _write_one(store, header, outlet)
    await outlet.put(b"\n]}\n")
    await outlet.flush()


async def _write_one(store: Store, header: Conversation, outlet: Outlet) -> None:
    await outlet.put(b'{"conversation":%b,"messages":[' % _encode(ExportedHeader.of(header)))
    between = b""
    async with aclosing(messages_of(store, header.id)) as found:
        async for message in found:
            await outlet.put(between + _encode(message))
            between = b",\n"
    waiting = await waiting_in(store, header.id)
    await outlet.put(b"]" + (b',"waiting":' + _encode(waiting) if waiting else b"") + b"}")


async def write_markdown(store: Store, headers: AsyncGenerator[Conversation], outlet: Outlet) -> None:
    """The same for people, one conversation after the other."""
    between = ""
    async with aclosing(headers):
        async for header in headers:
            await outlet.put(between.encode())
            between = "\n\n"
            async with aclosing(markdown(store, header)) as pieces:
                async for piece in pieces:
                    await outlet.put(piece.encode())
    await outlet.flush()


async def headers_of(store: Store, owner: str) -> AsyncGenerator[Conversation]:
    """All of an owner's conversations: newest activity first, those in the trash last."""
    for trashed in (False, True):
        cursor: str | None = None
        while True:
            page = await store.conversations(owner, limit=PAGE, cursor=cursor, archived=None, trashed=trashed)
            for header in page.conversations:
                yield header
            cursor = page.cursor
            if cursor is None:
                break


async def sole(header: Conversation) -> AsyncGenerator[Conversation]:
    """One conversation."""
    yield header


async def messages_of(store: Store, conversation: str) -> AsyncGenerator[ExportedMessage]:
    """All messages of a conversation, in the order in which they were said."""
    wordings: dict[str, tuple[Wording, ...]] | None = None
    cursor: str | None = None
    while (page := await store.tree(conversation, PAGE, cursor)) is not None:
        for message in page.messages:
            if message.revision and wordings is None:
                wordings = await wordings_of(store, conversation)
            whole = await written(store, message)
            yield ExportedMessage.of(whole, _ending(whole, (wordings or {}).get(message.id, ())))
        cursor = page.cursor
        if cursor is None:
            return


async def waiting_in(store: Store, conversation: str) -> tuple[ExportedMessage, ...]:
    """Messages that have not had their turn."""
    try:
        snapshot = await take_snapshot(store, conversation, 0)
    except NotFoundError:  # Removed since.
        return ()
    return tuple(ExportedMessage.of(queued.message) for queued in snapshot.inbox)


def _ending(message: Message, wordings: tuple[Wording, ...]) -> tuple[Wording, ...]:
    """The wordings, of which the last one is what the message says, as its row knows best."""
    if not message.revision or not wordings:
        return ()
    return (*wordings[:-1], Wording(message.revision, wordings[-1].at, message.parts))
