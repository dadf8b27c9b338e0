"""The store, put together: every call of the port, and where it runs. Also its opening and closing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from trialogue import (
    Accounts,
    Claim,
    Conversation,
    ConversationPage,
    Done,
    Entry,
    Files,
    Flush,
    History,
    Imports,
    Index,
    Ledger,
    Message,
    MessageView,
    Shares,
    Store,
    StoreStatistics,
    TreeView,
    Verdict,
    View,
)
from trialogue_sqlite import _reads as reads
from trialogue_sqlite import _sql as sql
from trialogue_sqlite import _writes as writes
from trialogue_sqlite._accounts import SQLiteAccounts
from trialogue_sqlite._append import Append
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._files import SQLiteFiles
from trialogue_sqlite._folder import hold_folder
from trialogue_sqlite._history import Rows, rows_of
from trialogue_sqlite._ledger import SQLiteLedger
from trialogue_sqlite._opening import open_database
from trialogue_sqlite._readers import Readers
from trialogue_sqlite._rows import micros
from trialogue_sqlite._search import SQLiteIndex
from trialogue_sqlite._sharing import SQLiteImports, SQLiteShares
from trialogue_sqlite._writer import Writer

T = TypeVar("T")

#: Up to so many rows are read in the loop; more in a thread.
FEW = 100
#: Bytes of rows up to which a page is read in the loop; one that has more is read again in a thread, as long as it may be.
NEAR_BYTES = 256 * 1024
#: Before every moment, in microseconds.
NEVER = -(2**63)
#: Up to so many messages are made ready to be written in the loop.
SOME = 10


@asynccontextmanager
async def open_store(path: Path, data_dir: Path) -> AsyncGenerator[Store]:
    """The database at ``path``, migrated and verified, held by this process until the block ends.

    Raises ``ConfigurationError``.
    """
    with ExitStack() as held:
        # Not abandoned when cancelled: the lock and the connection must come back to be let go.
        connection, generation = await trio.to_thread.run_sync(_open, held, path, data_dir)
        try:
            readers = Readers(path)
        except BaseException:
            connection.close()
            raise
        store = SQLiteStore(generation, Writer(connection, path), readers)
        try:
            yield store
        finally:
            readers.close()
            # What is queued is done first; a disk that hangs is not waited for longer than this.
            with trio.move_on_after(30, shield=True):
                await store.writer.close()


def _open(held: ExitStack, path: Path, data_dir: Path) -> tuple[Connection, int]:
    identity = held.enter_context(hold_folder(data_dir, path))
    return open_database(path, data_dir, identity)


class SQLiteStore(Store):
    """See ``trialogue.Store``. Writes go to ``writer``; reads are ``near`` (in the loop) or ``far`` (in a thread)."""

    def __init__(self, generation: int, writer: Writer, readers: Readers) -> None:
        self.generation = generation
        self.writer = writer
        self._readers = readers
        self._accounts = SQLiteAccounts(writer, readers)
        self._files = SQLiteFiles(writer, readers)
        self._index = SQLiteIndex(writer, readers)
        self._ledger = SQLiteLedger(writer, readers)
        self._entries = 0
        # What was last changed before this is pruned, and is not looked through again: whatever changes is younger. What is
        # imported may be older, and has nothing to prune.
        self._pruned = NEVER
        self._shares = SQLiteShares(writer, readers)
        self._imports = SQLiteImports(writer, readers)

    def __repr__(self) -> str:
        return f"<SQLiteStore generation={self.generation} {self.writer!r} {self._readers!r}>"

    @property
    def accounts(self) -> Accounts:
        return self._accounts

    @property
    def files(self) -> Files:
        return self._files

    @property
    def index(self) -> Index:
        return self._index

    @property
    def ledger(self) -> Ledger:
        return self._ledger

    @property
    def shares(self) -> Shares:
        return self._shares

    @property
    def imports(self) -> Imports:
        return self._imports

    # --- the log -------------------------------------------------------------------------------------------------

    async def create(
        self, header: Conversation, node: str, entry: Entry, done: Done, history: History | None = None
    ) -> Done:
        rows = None if history is None else await self._rows(history, header.owner)
        write = partial(writes.create, header=header, node=node, entry=entry, done=done, rows=rows)
        made = await self.writer.run(write)
        self._entries += (1 + len(history.entries if history else ())) * (made is done)
        return made

    async def _rows(self, history: History, owner: str) -> Rows:
        if len(history.messages) <= SOME:
            return rows_of(history, owner)
        return await trio.to_thread.run_sync(rows_of, history, owner)

    async def claim(self, conversation: str, node: str) -> Claim | None:
        return await self.writer.run(partial(writes.claim, conversation=conversation, node=node))

    async def append(self, flushes: Sequence[Flush]) -> Sequence[Verdict]:
        job = Append(flushes, self.generation)
        verdicts = await self.writer.run(job, job.alone)
        self._entries += job.entries
        return verdicts

    async def events(self, conversation: str, start: int, limit: int) -> Sequence[Entry]:
        near = limit <= 5 * FEW
        # Whoever wants more comes again: a shorter page in the loop is as good as a long one from a thread.
        size = min(self.page_bytes, NEAR_BYTES) if near else self.page_bytes
        read = partial(reads.read_events, conversation=conversation, start=start, limit=limit, size=size)
        return await (self._readers.near(read) if near else self._readers.far(read))

    async def position(self, conversation: str) -> tuple[int, int] | None:
        return await self._readers.near(partial(reads.read_position, conversation=conversation))

    async def receipt(self, conversation: str, command: str) -> Done | None:
        return await self._readers.near(partial(reads.read_receipt, conversation=conversation, command=command))

    async def unfinished(self, node: str) -> Sequence[str]:
        return await self._readers.far(partial(reads.read_unfinished, node=node))

    async def unfinished_of(self, owner: str, limit: int) -> Sequence[bytes]:
        read = partial(reads.read_unfinished_of, owner=owner, limit=limit, size=self.page_bytes)
        return await self._readers.near(read)

    async def prune(self, before: datetime, limit: int) -> int:
        pruned = 0
        # Found by a scan that holds nobody up, then done one by one, so that no commit waits for all of them.
        read = partial(reads.read_ripe, since=self._pruned, before=micros(before), limit=limit)
        ripe = await self._readers.far(read)
        for name in ripe:
            pruned += await self.writer.run(partial(writes.prune, conversation=name, before=micros(before)))
        if len(ripe) < limit:
            self._pruned = max(self._pruned, micros(before))
        return pruned

    async def trash(self, before: datetime, limit: int) -> Sequence[str]:
        return await self._readers.far(partial(reads.read_trash, before=micros(before), limit=limit))

    async def purge(self, conversation: str, before: datetime | None = None) -> bool:
        ripe = None if before is None else micros(before)
        return await self.writer.run(partial(writes.purge, conversation=conversation, before=ripe))

    # --- reads ---------------------------------------------------------------------------------------------------

    async def header(self, conversation: str) -> Conversation | None:
        return await self._readers.near(partial(reads.read_header, conversation=conversation))

    async def view(self, conversation: str, limit: int) -> View | None:
        def is_whole(view: View | None) -> bool:
            return view is None or not view.has_more or len(view.messages) >= limit

        return await self._page(partial(reads.read_view, conversation=conversation, limit=limit), limit, is_whole)

    async def tree(self, conversation: str, limit: int, cursor: str | None = None) -> TreeView | None:
        read = partial(reads.read_tree, conversation=conversation, limit=limit, cursor=cursor, size=self.page_bytes)
        return await self._readers.far(read)

    async def conversations(
        self,
        owner: str,
        *,
        limit: int,
        cursor: str | None = None,
        archived: bool | None = False,
        pinned: bool | None = None,
        folder: str | None = None,
        text: str | None = None,
        trashed: bool = False,
    ) -> ConversationPage:
        filters = {"archived": archived, "pinned": pinned, "folder": folder, "text": text, "trashed": trashed or None}
        read = partial(reads.read_list, owner=owner, limit=limit, cursor=cursor, filters=filters)
        if pinned is False or folder is not None or text is not None:
            # These filters may skip any number of rows before a page is full.
            return await self._readers.far(partial(read, size=self.page_bytes))
        return await self._page(read, limit, lambda page: page.cursor is None or len(page.conversations) >= limit)

    async def message(self, message: str) -> Message | None:
        return await self._readers.near(partial(reads.read_message, message=message))

    async def message_view(self, message: str) -> MessageView | None:
        return await self._readers.near(partial(reads.read_message_view, message=message))

    async def taken(self, message: str) -> bool:
        return await self._readers.near(partial(reads.read_taken, message=message))

    async def path(self, conversation: str, leaf: str, limit: int) -> Sequence[Message]:
        def is_whole(page: Sequence[Message]) -> bool:
            return not page or page[0].parent is None or len(page) >= limit

        return await self._page(
            partial(reads.read_path, conversation=conversation, leaf=leaf, limit=limit), limit, is_whole
        )

    async def onward(self, conversation: str, leaf: str, after: str | None, limit: int) -> Sequence[Message]:
        read = partial(reads.read_onward, conversation=conversation, leaf=leaf, after=after, limit=limit)
        return await self._readers.far(partial(read, size=self.page_bytes))

    async def is_above(self, conversation: str, message: str, leaf: str) -> bool:
        return await self._readers.far(
            partial(reads.read_is_above, conversation=conversation, message=message, leaf=leaf)
        )

    async def leaf(self, conversation: str, message: str) -> str:
        return await self._readers.far(partial(reads.read_leaf, conversation=conversation, message=message))

    async def siblings(self, conversation: str, messages: Sequence[str]) -> dict[str, tuple[str, ...]]:
        read = partial(reads.read_siblings, conversation=conversation, messages=messages)
        return await (self._readers.near(read) if len(messages) <= FEW else self._readers.far(read))

    async def _page(self, read: Callable[..., T], limit: int, is_whole: Callable[[T], bool]) -> T:
        """A page as ``read`` gives it, told how many bytes it may take: in the loop, if that has no more than a few."""
        if limit <= FEW:
            size = min(self.page_bytes, NEAR_BYTES)
            page = await self._readers.near(partial(read, size=size))
            if size == self.page_bytes or is_whole(page):
                return page
        return await self._readers.far(partial(read, size=self.page_bytes))

    # --- itself --------------------------------------------------------------------------------------------------

    async def check(self) -> None:
        await self.writer.run(lambda connection: connection.execute(sql.CHECK))

    def statistics(self) -> StoreStatistics:
        return StoreStatistics(self.writer.waiting, self.writer.commits, self.writer.jobs, self._entries)
