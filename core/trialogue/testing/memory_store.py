"""A store in memory: the whole port, deterministic, without threads, and failing on request.

Any number of engines may share one. It outlives them, so a simulation restarts an engine and keeps the store. A call
takes effect at one instant, after at least one checkpoint; a call that is cancelled before that instant did nothing.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import trio

from trialogue._accounts.accounts import Accounts
from trialogue._facts.errors import ConflictError, StorageError, TrialogueError
from trialogue._facts.events import Entry
from trialogue._facts.values import Conversation, Message
from trialogue._lists.imports import Imports
from trialogue._lists.sharing import Shares
from trialogue._search.search import Index
from trialogue._storage.store import (
    Claim,
    ConversationPage,
    Done,
    Flush,
    History,
    MessageView,
    Store,
    StoreStatistics,
    TreeView,
    Verdict,
    View,
)
from trialogue.testing._memory_accounts import MemoryAccounts
from trialogue.testing._memory_files import MemoryFiles
from trialogue.testing._memory_ledger import MemoryLedger
from trialogue.testing._memory_nodes import MemoryNodes
from trialogue.testing._memory_rows import Row, page, within, words_of
from trialogue.testing._memory_search import MemoryIndex
from trialogue.testing._memory_sharing import MemoryImports, MemoryShares
from trialogue.testing.memory_faults import Fault, Faults

T = TypeVar("T")


def system_now() -> datetime:
    """The system's clock."""
    return datetime.now(UTC)


class MemoryStore(Store):
    """See the module. ``now`` says when a session has expired."""

    def __init__(self, *, generation: int = 1, now: Callable[[], datetime] = system_now) -> None:
        self.generation: int = generation
        #: Who decides what fails; replace it or plan with it.
        self.faults: Faults = Faults()
        self._rows: dict[str, Row] = {}
        #: Message id -> conversation id: the ids of messages are unique in the whole store.
        self._homes: dict[str, str] = {}
        self._accounts = MemoryAccounts(self._call, now, lambda: ((n, r.header.owner) for n, r in self._rows.items()))
        self._files = MemoryFiles(
            self._call, lambda name: self._rows[name].header.owner if name in self._rows else None
        )
        self._index = MemoryIndex(self._call, lambda: self._rows.values(), self._files)
        self._shares = MemoryShares(
            self._call, lambda name: name in self._rows and not self._rows[name].header.deleted_at
        )
        self._imports = MemoryImports(self._call)
        self._ledger = MemoryLedger(self._call, self._accounts.record)
        self._nodes = MemoryNodes(self._call, lambda: self._rows, lambda: self.generation, now)
        self._now = now
        #: Requests on their way whose callers have given up: due time and effect.
        self._late: list[tuple[float, Callable[[], object]]] = []
        self._commits = self._jobs = self._entries = 0

    def __repr__(self) -> str:
        return f"<MemoryStore generation={self.generation} conversations={len(self._rows)} entries={self._entries}>"

    @property
    def accounts(self) -> Accounts:
        return self._accounts

    @property
    def files(self) -> MemoryFiles:
        """The facet for files."""
        return self._files

    @property
    def index(self) -> Index:
        return self._index

    @property
    def nodes(self) -> MemoryNodes:
        """The facet for several nodes."""
        return self._nodes

    # --- how a call runs -----------------------------------------------------------------------------------------

    async def _call(self, name: str, effect: Callable[[], T], *, writes: bool = False) -> T:
        await trio.lowlevel.checkpoint()
        fault = self.faults.choose(name) or Fault()
        if fault.delay:
            await trio.sleep(fault.delay)
        self._land()
        if fault.fail == "before":
            raise StorageError(f"{name}: refused by a planned fault; try again", retry_after=0.1)
        if writes and self.faults.full:
            raise StorageError(f"{name}: the disk is full; make room", retry_after=1.0)
        if fault.fail == "late":
            self._late.append((trio.current_time() + fault.lag, effect))
            raise StorageError(f"{name}: no answer, by a planned fault; try again", retry_after=0.1)
        self._jobs += writes
        result = effect()
        if fault.lag:
            await trio.sleep(fault.lag)
        if fault.fail == "after":
            raise StorageError(f"{name}: the acknowledgement was lost by a planned fault; try again", retry_after=0.1)
        return result

    def _land(self) -> None:
        """Let the late requests that are due take effect, in the order of their times."""
        now = trio.current_time()
        due = sorted((late for late in self._late if late[0] <= now), key=lambda late: late[0])
        self._late = [late for late in self._late if late[0] > now]
        for _, effect in due:
            with contextlib.suppress(TrialogueError):  # Nobody is left to be told.
                effect()

    def backup(self) -> dict[str, Row]:
        """The conversations as they are, for ``restore``."""
        return copy.deepcopy(self._rows)

    def restore(self, backup: dict[str, Row]) -> None:
        """Go back to ``backup``, as a restored database does: the generation rises, so that clients start over."""
        self._rows = copy.deepcopy(backup)
        self._homes = {message: name for name, row in self._rows.items() for message in row.messages}
        self._ledger.book.clear()
        self.generation += 1

    @property
    def ledger(self) -> MemoryLedger:
        """The facet for what runs cost."""
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
        def effect() -> Done:
            if header.id not in self._rows:
                self._add(Row(header, node, entry, done), history)
            return self._rows[header.id].created

        return await self._call("create", effect, writes=True)

    def _add(self, row: Row, history: History | None) -> None:
        for message in history.messages if history else ():
            if message.id in self._homes:
                raise ConflictError(f"the id {message.id!r} is taken by another message: choose a new one")
        if history is not None:
            row.begin_with(history)
            self._homes.update((message.id, row.header.id) for message in history.messages)
        self._rows[row.header.id] = row
        self._files.mention(history.messages if history else ())
        self._entries += len(row.entries)

    async def claim(self, conversation: str, node: str) -> Claim | None:
        def effect() -> Claim | None:
            row = self._rows.get(conversation)
            return None if row is None else row.claim(node)

        return await self._call("claim", effect, writes=True)

    async def append(self, flushes: Sequence[Flush]) -> Sequence[Verdict]:
        def effect() -> Sequence[Verdict]:
            self._commits += 1
            return [self._flush(flush) for flush in flushes]

        return await self._call("append", effect, writes=True)

    def _flush(self, flush: Flush) -> Verdict:
        if not flush.is_of(self.generation):
            return "fenced"
        row = self._rows.get(flush.conversation)
        given = (*(message.id for message in flush.messages), *flush.waiting)
        homes = {self._homes.get(name, flush.conversation) for name in given}
        if row is None or homes - {flush.conversation}:
            return "fenced"
        if not row.accepts(flush) or not self._ledger.book.accepts(flush.charges):
            return "committed" if row.holds(flush) else "fenced"
        row.apply(flush)
        self._ledger.book.write(flush.charges)
        if row.header.deleted_at is not None:
            self._shares.end(flush.conversation)
        self._files.mention(flush.messages)
        self._homes.update((name, flush.conversation) for name in given)
        self._entries += len(flush.entries)
        return "committed"

    async def events(self, conversation: str, start: int, limit: int) -> Sequence[Entry]:
        def effect() -> Sequence[Entry]:
            row = self._rows.get(conversation)
            return [] if row is None else row.events(start, limit, self.page_bytes)

        return await self._call("events", effect)

    async def position(self, conversation: str) -> tuple[int, int] | None:
        def effect() -> tuple[int, int] | None:
            row = self._rows.get(conversation)
            return None if row is None else (row.floor, row.next_seq)

        return await self._call("position", effect)

    async def receipt(self, conversation: str, command: str) -> Done | None:
        def effect() -> Done | None:
            row = self._rows.get(conversation)
            return None if row is None else row.done.get(command)

        return await self._call("receipt", effect)

    async def unfinished(self, node: str) -> Sequence[str]:
        return await self._call(
            "unfinished", lambda: [name for name, row in self._rows.items() if row.unfinished and row.node != node]
        )

    async def unfinished_of(self, owner: str, limit: int) -> Sequence[bytes]:
        def effect() -> Sequence[bytes]:
            rows = (row for row in self._rows.values() if row.unfinished and row.header.owner == owner)
            return within((row.snapshot for row in rows if row.snapshot is not None), limit, self.page_bytes)

        return await self._call("unfinished_of", effect)

    async def prune(self, before: datetime, limit: int) -> int:
        def effect() -> int:
            ripe = [row for row in self._rows.values() if row.prunable(before)][: max(limit, 0)]
            for row in ripe:
                row.prune()
            return len(ripe)

        return await self._call("prune", effect, writes=True)

    async def trash(self, before: datetime, limit: int) -> Sequence[str]:
        def effect() -> Sequence[str]:
            old = [row.header for row in self._rows.values() if row.ripe(before)]
            return [header.id for header in sorted(old, key=lambda header: header.updated_at)[: max(limit, 0)]]

        return await self._call("trash", effect)

    async def purge(self, conversation: str, before: datetime | None = None) -> bool:
        def effect() -> bool:
            row = self._rows.get(conversation)
            if row is None or (before is not None and not row.ripe(before)):
                return False
            del self._rows[conversation]
            self._shares.end(conversation)
            self._files.purge(conversation)
            self._ledger.book.close(conversation, self._now())
            for message in [name for name, home in self._homes.items() if home == conversation]:
                del self._homes[message]
            return True

        return await self._call("purge", effect, writes=True)

    # --- reads ---------------------------------------------------------------------------------------------------

    async def header(self, conversation: str) -> Conversation | None:
        def effect() -> Conversation | None:
            row = self._rows.get(conversation)
            return None if row is None else row.header

        return await self._call("header", effect)

    async def view(self, conversation: str, limit: int) -> View | None:
        def effect() -> View | None:
            row = self._rows.get(conversation)
            return None if row is None else row.view(limit, self.page_bytes)

        return await self._call("view", effect)

    async def tree(self, conversation: str, limit: int, cursor: str | None = None) -> TreeView | None:
        def effect() -> TreeView | None:
            row = self._rows.get(conversation)
            return None if row is None else row.tree(limit, cursor, self.page_bytes)

        return await self._call("tree", effect)

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
        def wanted(row: Row) -> bool:
            header = row.header
            return (
                header.owner == owner
                and (header.deleted_at is not None) is trashed
                and archived in (None, header.archived)
                and pinned in (None, header.pinned)
                and folder in (None, header.folder)
                and (text is None or row.mentions(words_of(text)))
            )

        return await self._call(
            "conversations",
            lambda: page([row.header for row in self._rows.values() if wanted(row)], limit, cursor, self.page_bytes),
        )

    async def message(self, message: str) -> Message | None:
        def effect() -> Message | None:
            return self._rows[self._homes[message]].message(message) if message in self._homes else None

        return await self._call("message", effect)

    async def message_view(self, message: str) -> MessageView | None:
        def effect() -> MessageView | None:
            row = self._rows.get(self._homes.get(message, ""))
            found = None if row is None else row.message(message)
            return None if row is None or found is None else MessageView(row.header, found, row.siblings(found))

        return await self._call("message_view", effect)

    async def taken(self, message: str) -> bool:
        return await self._call("taken", lambda: message in self._homes)

    async def path(self, conversation: str, leaf: str, limit: int) -> Sequence[Message]:
        def effect() -> Sequence[Message]:
            row = self._rows.get(conversation)
            return [] if row is None else within(row.path(leaf)[::-1], limit, self.page_bytes)[::-1]

        return await self._call("path", effect)

    async def onward(self, conversation: str, leaf: str, after: str | None, limit: int) -> Sequence[Message]:
        def effect() -> Sequence[Message]:
            row = self._rows.get(conversation)
            return [] if row is None else within(row.onward(leaf, after), limit, self.page_bytes)

        return await self._call("onward", effect)

    async def is_above(self, conversation: str, message: str, leaf: str) -> bool:
        def effect() -> bool:
            row = self._rows.get(conversation)
            return row is not None and any(found.id == message for found in row.path(leaf))

        return await self._call("is_above", effect)

    async def leaf(self, conversation: str, message: str) -> str:
        def effect() -> str:
            row = self._rows.get(conversation)
            return message if row is None else row.leaf(message)

        return await self._call("leaf", effect)

    async def siblings(self, conversation: str, messages: Sequence[str]) -> dict[str, tuple[str, ...]]:
        def effect() -> dict[str, tuple[str, ...]]:
            row = self._rows.get(conversation)
            found = [] if row is None else [row.message(name) for name in messages]
            return {} if row is None else {m.id: row.siblings(m) for m in found if m is not None}

        return await self._call("siblings", effect)

    # --- itself --------------------------------------------------------------------------------------------------

    async def check(self) -> None:
        await self._call("check", lambda: None, writes=True)

    def statistics(self) -> StoreStatistics:
        return StoreStatistics(waiting=len(self._late), commits=self._commits, jobs=self._jobs, entries=self._entries)
