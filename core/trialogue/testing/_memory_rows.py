"""One conversation of a ``MemoryStore``, and how lists and texts are looked through. No I/O, no clock."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from trialogue._facts.errors import InvalidError
from trialogue._facts.events import Entry
from trialogue._facts.values import Conversation, Message, text_of
from trialogue._storage.places import moment_cursor, moment_in
from trialogue._storage.store import (
    PAGE_BYTES,
    SIBLINGS,
    Claim,
    ConversationPage,
    Done,
    Flush,
    History,
    TreeView,
    View,
)

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class Row:
    """Everything stored of one conversation."""

    def __init__(self, header: Conversation, node: str, entry: Entry, done: Done) -> None:
        self.header = header
        self.node = node
        self.epoch = 1
        self.next_seq = entry.seq + 1
        #: Number of the last flush that happened.
        self.flush = 0
        self.floor = 0
        self.snapshot: bytes | None = None
        self.snapshot_seq = 0
        self.unfinished = False
        self.entries: dict[int, Entry] = {entry.seq: entry}
        #: In the order in which they were first stored, which is what "oldest first" means.
        self.messages: dict[str, Message] = {}
        self.removed: set[str] = set()
        self.created = done
        self.done: dict[str, Done] = {done.command: done}

    def begin_with(self, history: History) -> None:
        """What a new conversation brings along."""
        self.entries.update((entry.seq, entry) for entry in history.entries)
        self.next_seq += len(history.entries)
        self.snapshot, self.snapshot_seq = history.snapshot, self.next_seq
        self.messages.update((message.id, message) for message in history.messages)

    def ripe(self, before: datetime) -> bool:
        """Whether it is in the trash, and was when ``before`` came."""
        return self.header.deleted_at is not None and self.header.updated_at < before

    def claim(self, node: str) -> Claim:
        self.node = node
        self.epoch += 1
        return Claim(self.epoch, self.next_seq, self.flush, self.header, self.snapshot, self.snapshot_seq)

    # --- the fence -----------------------------------------------------------------------------------------------

    def accepts(self, flush: Flush) -> bool:
        """Whether the flush is to happen; one that contradicts what is stored is not."""
        numbers = [entry.seq for entry in flush.entries]
        return (
            (self.node, self.epoch) == (flush.node, flush.epoch)
            and self.flush < flush.number
            and numbers == list(range(self.next_seq, self.next_seq + len(numbers)))
            and (bool(numbers) or flush.next_seq in (None, self.next_seq))
            and all(entry.epoch == flush.epoch for entry in flush.entries)
            and not any(done.command in self.done for done in flush.done)
        )

    def holds(self, flush: Flush) -> bool:
        """Whether the flush happened before: its owner goes on to the next number only once it knows that."""
        return (self.node, self.epoch) == (flush.node, flush.epoch) and self.flush >= flush.number

    def apply(self, flush: Flush) -> None:
        self.flush = flush.number
        self.next_seq += len(flush.entries)
        self.entries.update((entry.seq, entry) for entry in flush.entries)
        self.header = flush.header or self.header
        if flush.snapshot is not None:
            self.snapshot, self.snapshot_seq = flush.snapshot, self.next_seq
        if flush.unfinished is not None:
            self.unfinished = flush.unfinished
        self.messages.update((message.id, message) for message in flush.messages)
        for root in flush.removed:
            self._remove(root)
        self.done.update((done.command, done) for done in flush.done)

    def _remove(self, root: str) -> None:
        below = [root]
        while below:
            parent = below.pop()
            self.removed.add(parent)
            below += [m.id for m in self.messages.values() if m.parent == parent and m.id not in self.removed]

    # --- the log -------------------------------------------------------------------------------------------------

    def events(self, start: int, limit: int, size: int = PAGE_BYTES) -> Sequence[Entry]:
        numbers = (number for number in range(max(start, 0), self.next_seq) if number in self.entries)
        return within((self.entries[number] for number in numbers), limit, size)

    def prunable(self, before: datetime) -> bool:
        return not self.unfinished and self.floor < self.next_seq and self.header.updated_at < before

    def prune(self) -> None:
        self.entries = {seq: entry for seq, entry in self.entries.items() if not entry.type.startswith("part.")}
        self.floor = self.next_seq

    # --- the tree ------------------------------------------------------------------------------------------------

    def message(self, message: str) -> Message | None:
        return None if message in self.removed else self.messages.get(message)

    def path(self, leaf: str) -> list[Message]:
        path: list[Message] = []
        message = self.message(leaf)
        while message is not None:
            path.append(message)
            message = None if message.parent is None else self.message(message.parent)
        return path[::-1]

    def children(self, parent: str | None) -> tuple[str, ...]:
        return tuple(m.id for m in self.messages.values() if m.parent == parent and m.id not in self.removed)

    def siblings(self, message: Message) -> tuple[str, ...]:
        beside = self.children(message.parent)
        place = beside.index(message.id)
        return beside[max(place - SIBLINGS, 0) : place + SIBLINGS + 1]

    def leaf(self, message: str) -> str:
        while children := self.children(message):
            message = children[-1]
        return message

    def onward(self, leaf: str, after: str | None) -> list[Message]:
        path = self.path(leaf)
        if after is None:
            return path
        places = [place for place, message in enumerate(path) if message.id == after]
        return path[places[0] + 1 :] if places else []

    def tree(self, limit: int, cursor: str | None, size: int) -> TreeView:
        start = 0 if cursor is None else place_of(cursor)
        places = [(place, name) for place, name in enumerate(self.messages) if name not in self.removed]
        left = [(place, self.messages[name]) for place, name in places if place >= start]
        shown = within((message for _, message in left), limit, size)
        more = str(left[len(shown)][0]) if len(shown) < len(left) else None
        siblings = {message.id: self.siblings(message) for message in shown}
        return TreeView(self.header, self.next_seq, self.snapshot, tuple(shown), siblings, more)

    def view(self, limit: int, size: int) -> View:
        path = [] if self.header.head is None else self.path(self.header.head)
        shown = within(path[::-1], limit, size)[::-1]
        siblings = {message.id: self.siblings(message) for message in shown}
        more = len(shown) < len(path)
        last, entries = self.entries[self.next_seq - 1].epoch, tuple(self.events(self.snapshot_seq, 100))
        return View(self.header, self.next_seq, self.snapshot, tuple(shown), siblings, more, last, entries)

    # --- texts ---------------------------------------------------------------------------------------------------

    def texts(self) -> Iterator[tuple[Message, str]]:
        """What a search looks through."""
        for message in self.messages.values():
            if message.id not in self.removed and message.role in ("user", "assistant"):
                yield message, text_of(message.parts)

    def mentions(self, words: Sequence[str]) -> bool:
        """Whether the title, or one message, has all the words."""
        return bool(matches(words, self.header.title or "")) or any(matches(words, said) for _, said in self.texts())


def words_of(text: str) -> list[str]:
    """The words of a text, without case and accents."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.findall(r"[^\W_]+", plain.casefold())


def matches(words: Sequence[str], text: str) -> int:
    """How often the words stand in the text, 0 unless all of them do; the last one may be a beginning."""
    if not words:
        return 0
    said = words_of(text)
    counts = [said.count(word) for word in words[:-1]]
    counts.append(sum(word.startswith(words[-1]) for word in said))
    return sum(counts) if all(counts) else 0


def within(values: Iterable[T], limit: int, size: int) -> list[T]:
    """The first of ``values``: at most ``limit``, and of them no more than ``size`` bytes hold; but one in any case."""
    page: list[T] = []
    for value in values:
        size -= len(value.data if isinstance(value, Entry) else value if isinstance(value, bytes) else _encode(value))
        if len(page) >= limit or (page and size < 0):
            break
        page.append(value)
    return page


def page(headers: list[Conversation], limit: int, cursor: str | None, size: int) -> ConversationPage:
    """The headers after ``cursor``, newest activity first."""
    keyed = sorted(((micros(header.updated_at), header.id, header) for header in headers), reverse=True)
    if cursor is not None:
        after = moment_in(cursor)
        keyed = [key for key in keyed if key[:2] < after]
    shown = keyed[: len(within((header for _, _, header in keyed), limit, size))]
    more = moment_cursor(*shown[-1][:2]) if shown and len(shown) < len(keyed) else None
    return ConversationPage(tuple(header for _, _, header in shown), more)


def place_of(cursor: str) -> int:
    """Where a tree goes on."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise InvalidError(f"{cursor[:64]!r} is not a cursor of this tree: leave it out to start over")
    return int(cursor)


def micros(at: datetime) -> int:
    """A moment as whole microseconds since 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=at.tzinfo)) // timedelta(microseconds=1)
