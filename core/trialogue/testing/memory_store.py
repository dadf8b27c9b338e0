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
from msgspec.structs import replace

from trialogue._auth import Session, User
from trialogue._errors import ConflictError, StorageError
from trialogue._events import Entry
from trialogue._store import Claim, ConversationPage, Done, Flush, Hit, Store, StoreStatistics, Verdict, View
from trialogue._values import Conversation, Message
from trialogue.testing._memory_rows import Row, matches, page, snippet_of, words_of
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
        self._now = now
        self._rows: dict[str, Row] = {}
        #: Message id -> conversation id: the ids of messages are unique in the whole store.
        self._homes: dict[str, str] = {}
        self._users: dict[str, tuple[User, str]] = {}
        self._sessions: dict[str, Session] = {}
        #: Requests on their way whose callers have given up: due time and effect.
        self._late: list[tuple[float, Callable[[], object]]] = []
        self._commits = self._jobs = self._entries = 0

    def __repr__(self) -> str:
        return f"<MemoryStore generation={self.generation} conversations={len(self._rows)} entries={self._entries}>"

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
            with contextlib.suppress(ConflictError):  # Nobody is left to be told.
                effect()

    def backup(self) -> dict[str, Row]:
        """The conversations as they are, for ``restore``."""
        return copy.deepcopy(self._rows)

    def restore(self, backup: dict[str, Row]) -> None:
        """Go back to ``backup``, as a restored database does: the generation rises, so that clients start over."""
        self._rows = copy.deepcopy(backup)
        self._homes = {message: name for name, row in self._rows.items() for message in row.messages}
        self.generation += 1

    # --- the log -------------------------------------------------------------------------------------------------

    async def create(self, header: Conversation, node: str, entry: Entry, done: Done) -> Done:
        def effect() -> Done:
            if header.id not in self._rows:
                self._rows[header.id] = Row(header, node, entry, done)
                self._entries += 1
            return self._rows[header.id].created

        return await self._call("create", effect, writes=True)

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
        row = self._rows.get(flush.conversation)
        homes = {self._homes.get(message.id, message.conversation) for message in flush.messages}
        if row is None or homes - {flush.conversation}:
            return "fenced"
        if not row.accepts(flush):
            return "committed" if row.holds(flush) else "fenced"
        row.apply(flush)
        self._homes.update((message.id, flush.conversation) for message in flush.messages)
        self._entries += len(flush.entries)
        return "committed"

    async def events(self, conversation: str, start: int, limit: int) -> Sequence[Entry]:
        def effect() -> Sequence[Entry]:
            row = self._rows.get(conversation)
            return [] if row is None else row.events(start, limit)

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
            return [row.snapshot for row in rows if row.snapshot is not None][:limit]

        return await self._call("unfinished_of", effect)

    async def prune(self, before: datetime, limit: int) -> int:
        def effect() -> int:
            ripe = [row for row in self._rows.values() if row.prunable(before)][: max(limit, 0)]
            for row in ripe:
                row.prune()
            return len(ripe)

        return await self._call("prune", effect, writes=True)

    async def purge(self, conversation: str) -> None:
        def effect() -> None:
            row = self._rows.pop(conversation, None)
            for message in () if row is None else row.messages:
                del self._homes[message]

        await self._call("purge", effect, writes=True)

    # --- reads ---------------------------------------------------------------------------------------------------

    async def header(self, conversation: str) -> Conversation | None:
        def effect() -> Conversation | None:
            row = self._rows.get(conversation)
            return None if row is None else row.header

        return await self._call("header", effect)

    async def view(self, conversation: str, limit: int) -> View | None:
        def effect() -> View | None:
            row = self._rows.get(conversation)
            return None if row is None else row.view(limit)

        return await self._call("view", effect)

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
    ) -> ConversationPage:
        def wanted(row: Row) -> bool:
            header = row.header
            return (
                header.owner == owner
                and header.deleted_at is None
                and archived in (None, header.archived)
                and pinned in (None, header.pinned)
                and folder in (None, header.folder)
                and (text is None or row.mentions(words_of(text)))
            )

        return await self._call(
            "conversations", lambda: page([row.header for row in self._rows.values() if wanted(row)], limit, cursor)
        )

    async def message(self, message: str) -> Message | None:
        def effect() -> Message | None:
            return self._rows[self._homes[message]].message(message) if message in self._homes else None

        return await self._call("message", effect)

    async def path(self, conversation: str, leaf: str, limit: int) -> Sequence[Message]:
        def effect() -> Sequence[Message]:
            row = self._rows.get(conversation)
            return [] if row is None else row.path(leaf)[-limit:] if limit > 0 else []

        return await self._call("path", effect)

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
            return {} if row is None else {m.id: row.children(m.parent) for m in found if m is not None}

        return await self._call("siblings", effect)

    async def search(self, owner: str, text: str, limit: int) -> Sequence[Hit]:
        def effect() -> Sequence[Hit]:
            words = words_of(text)
            rows = [r for r in self._rows.values() if r.header.owner == owner and r.header.deleted_at is None]
            found = [(matches(words, said), message, said) for row in rows for message, said in row.texts()]
            best = sorted((hit for hit in found if hit[0]), key=lambda hit: (hit[0], hit[1].created_at), reverse=True)
            return [Hit(m.conversation, m.id, snippet_of(words, said)) for _, m, said in best[: max(limit, 0)]]

        return await self._call("search", effect)

    # --- accounts ------------------------------------------------------------------------------------------------

    async def add_user(self, user: User, secret_hash: str) -> User:
        def effect() -> User:
            if any(known.email == user.email for known, _ in self._users.values()):
                raise ConflictError(f"{user.email!r} has an account already: log in with it", pointer="/email")
            stored = user if self._users else User(user.id, user.email, user.name, "admin", user.created_at)
            self._users[user.id] = (stored, secret_hash)
            return stored

        return await self._call("add_user", effect, writes=True)

    async def has_users(self) -> bool:
        return await self._call("has_users", lambda: bool(self._users))

    async def user(self, user: str) -> User | None:
        def effect() -> User | None:
            return self._users[user][0] if user in self._users else None

        return await self._call("user", effect)

    async def user_secret(self, email: str) -> tuple[User, str] | None:
        def effect() -> tuple[User, str] | None:
            return next((known for known in self._users.values() if known[0].email == email), None)

        return await self._call("user_secret", effect)

    async def set_secret(self, user: str, secret_hash: str) -> None:
        def effect() -> None:
            if user in self._users:
                self._users[user] = (self._users[user][0], secret_hash)

        await self._call("set_secret", effect, writes=True)

    async def add_session(self, session: Session) -> None:
        def effect() -> None:
            self._sessions[session.id] = session

        await self._call("add_session", effect, writes=True)

    async def session(self, token_hash: bytes) -> tuple[Session, User] | None:
        def effect() -> tuple[Session, User] | None:
            now = self._now()
            found = (s for s in self._sessions.values() if s.token_hash == token_hash and s.expires_at > now)
            return next(((s, self._users[s.user][0]) for s in found if s.user in self._users), None)

        return await self._call("session", effect)

    async def touch_session(self, session: str, seen_at: datetime, expires_at: datetime) -> None:
        def effect() -> None:
            if session in self._sessions:
                kept = self._sessions[session]
                self._sessions[session] = replace(kept, seen_at=seen_at, expires_at=expires_at)

        await self._call("touch_session", effect, writes=True)

    async def drop_session(self, session: str) -> None:
        def effect() -> None:
            self._sessions.pop(session, None)

        await self._call("drop_session", effect, writes=True)

    # --- itself --------------------------------------------------------------------------------------------------

    async def check(self) -> None:
        await self._call("check", lambda: None, writes=True)

    def statistics(self) -> StoreStatistics:
        return StoreStatistics(waiting=len(self._late), commits=self._commits, jobs=self._jobs, entries=self._entries)
