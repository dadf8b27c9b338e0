"""The store, put together: every call of the port. Also its opening and closing.

A facet is a file of its own, made here and reached by its property: ``_<facet>.py`` and ``_<facet>_sql.py``, with its
migration. What it has written with a flush stands in ``_rows``, and what goes with a conversation in ``_writes.purge``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

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
    Nodes,
    Shares,
    Store,
    StoreStatistics,
    TreeView,
    Verdict,
    View,
)
from trialogue_postgres import _lists as lists
from trialogue_postgres import _reads as reads
from trialogue_postgres import _sql as sql
from trialogue_postgres import _writes as writes
from trialogue_postgres._accounts import PostgresAccounts
from trialogue_postgres._append import append, words_by_message
from trialogue_postgres._database import Database
from trialogue_postgres._files import PostgresFiles
from trialogue_postgres._generation import Generation
from trialogue_postgres._ledger import PostgresLedger
from trialogue_postgres._nodes import PostgresNodes
from trialogue_postgres._opening import Opened, count_again, open_database
from trialogue_postgres._rows import decode_header, decode_message
from trialogue_postgres._search import PostgresIndex
from trialogue_postgres._sharing import PostgresImports, PostgresShares
from trialogue_postgres._url import Address


@asynccontextmanager
async def open_store(address: Address, data_dir: Path) -> AsyncGenerator[Store]:
    """The database at ``address``, migrated and verified. Raises ``ConfigurationError``."""
    del data_dir  # Nothing is kept beside the database.
    database = Database(address)
    try:
        yield PostgresStore(database, address, await open_database(database, str(address)))
    finally:
        database.close()


class PostgresStore(Store):
    """See ``trialogue.Store``."""

    def __init__(self, database: Database, address: Address, opened: Opened) -> None:
        self.generation = opened.generation
        self.has_vectors = opened.has_vectors
        self.database = database
        self._accounts = PostgresAccounts(database)
        self._files = PostgresFiles(database)
        self._index = PostgresIndex(database, has_vectors=opened.has_vectors, has_geography=opened.has_geography)
        self._ledger = PostgresLedger(database)
        self._shares = PostgresShares(database)
        self._imports = PostgresImports(database)
        generation = Generation(database, count_again, self._generation_is)
        database.examine(generation.look_on)
        self._nodes = PostgresNodes(database, address, opened.id, generation)
        self._entries = 0

    def __repr__(self) -> str:
        return f"<PostgresStore generation={self.generation} {self.database!r}>"

    def _generation_is(self, generation: int) -> None:
        self.generation = generation

    @property
    def nodes(self) -> Nodes:
        return self._nodes

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
        words = await words_by_message(history.messages if history else ())
        made = await writes.create(self.database, header, node, entry, done, history, words)
        self._entries += (1 + len(history.entries if history else ())) * (made is done)
        return made

    async def claim(self, conversation: str, node: str) -> Claim | None:
        return await writes.claim(self.database, conversation, node)

    async def append(self, flushes: Sequence[Flush]) -> Sequence[Verdict]:
        verdicts = await append(self.database, flushes, lambda: self.generation)
        self._entries += sum(len(f.entries) for f, v in zip(flushes, verdicts, strict=True) if v == "committed")
        return verdicts

    async def events(self, conversation: str, start: int, limit: int) -> Sequence[Entry]:
        return await reads.read_events(self.database, conversation, start, limit, self.page_bytes)

    async def position(self, conversation: str) -> tuple[int, int] | None:
        row = await self.database.first(sql.POSITION, {"id": conversation})
        return None if row is None else (row[0], row[1])

    async def receipt(self, conversation: str, command: str) -> Done | None:
        return await reads.read_receipt(self.database, conversation, command)

    async def unfinished(self, node: str) -> Sequence[str]:
        return [name for (name,) in await self.database.read(sql.UNFINISHED, {"node": node})]

    async def unfinished_of(self, owner: str, limit: int) -> Sequence[bytes]:
        values = {"owner": owner, "limit": max(limit, 0), "size": self.page_bytes}
        return [state for (state,) in await self.database.read(sql.UNFINISHED_OF, values)]

    async def prune(self, before: datetime, limit: int) -> int:
        return await writes.prune(self.database, before, limit)

    async def trash(self, before: datetime, limit: int) -> Sequence[str]:
        values = {"before": before, "limit": max(limit, 0)}
        return [name for (name,) in await self.database.read(sql.TRASH, values)]

    async def purge(self, conversation: str, before: datetime | None = None) -> bool:
        return await writes.purge(self.database, conversation, before)

    # --- reads ---------------------------------------------------------------------------------------------------

    async def header(self, conversation: str) -> Conversation | None:
        row = await self.database.first(sql.HEADER, {"id": conversation})
        return None if row is None else decode_header(row[0])

    async def view(self, conversation: str, limit: int) -> View | None:
        return await reads.read_view(self.database, conversation, limit, self.page_bytes)

    async def tree(self, conversation: str, limit: int, cursor: str | None = None) -> TreeView | None:
        return await reads.read_tree(self.database, conversation, limit, cursor, self.page_bytes)

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
        return await lists.read_list(
            self.database,
            owner,
            limit,
            cursor,
            archived=archived,
            pinned=pinned,
            folder=folder,
            text=text,
            trashed=trashed,
            size=self.page_bytes,
        )

    async def message(self, message: str) -> Message | None:
        row = await self.database.first(sql.MESSAGE, {"id": message})
        return None if row is None else decode_message(row[0])

    async def message_view(self, message: str) -> MessageView | None:
        return await reads.read_message_view(self.database, message)

    async def taken(self, message: str) -> bool:
        return bool(await self.database.read(sql.TAKEN, {"id": message}))

    async def path(self, conversation: str, leaf: str, limit: int) -> Sequence[Message]:
        return await reads.read_path(self.database, conversation, leaf, limit, self.page_bytes)

    async def onward(self, conversation: str, leaf: str, after: str | None, limit: int) -> Sequence[Message]:
        return await reads.read_onward(self.database, conversation, leaf, after, limit, self.page_bytes)

    async def is_above(self, conversation: str, message: str, leaf: str) -> bool:
        values = {"id": conversation, "message": message, "leaf": leaf}
        return bool(await self.database.read(sql.ABOVE, values))

    async def leaf(self, conversation: str, message: str) -> str:
        row = await self.database.first(sql.DOWN, {"id": conversation, "message": message})
        return message if row is None else str(row[0])

    async def siblings(self, conversation: str, messages: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return await reads.read_siblings(self.database, conversation, messages)

    # --- itself --------------------------------------------------------------------------------------------------

    async def check(self) -> None:
        await self.database.execute(sql.CHECK)

    def statistics(self) -> StoreStatistics:
        database, connections = self.database, self.database.connections()
        return StoreStatistics(database.waiting, database.commits, database.jobs, self._entries, *connections)
