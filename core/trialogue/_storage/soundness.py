"""Whether the rows of a store agree with one another: what a dump is held against, line by line.

Every rule here is one that reading relies on. Nothing is mended; what is found is counted, and the first
few of a kind are named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from trialogue._deciding.state import State, begin, decode_state, evolve
from trialogue._facts.errors import TrialogueError
from trialogue._facts.events import ConversationCreated, decode_event
from trialogue._storage.checkup import Finding
from trialogue._storage.transfer import (
    AboutRecord,
    AccountRecord,
    ContentRecord,
    ConversationRecord,
    DeletionRecord,
    EntryRecord,
    FileRecord,
    KeyRecord,
    MentionRecord,
    MessageRecord,
    ReceiptRecord,
    Record,
    SessionRecord,
    ShareRecord,
)

#: Places that are named for each kind of trouble.
NAMED = 3
#: Conversations whose log is folded and compared with their snapshot.
FOLDED = 1_000


class Soundness:
    """Takes records in the order of a dump; ``findings`` says what is wrong with them, when they all were taken."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        #: Contents that must be in the folder for files, with their sizes.
        self.contents: dict[str, int] = {}
        self._troubles: dict[str, list[str]] = {}
        self._accounts: set[str] = set()
        self._kept: set[str] = set()
        self._files: set[str] = set()
        #: The conversation of each message, both by the hashes of their ids: there may be millions, of which nothing else is
        #: asked. Two that are alike by chance would only hide a trouble.
        self._messages: dict[int, int] = {}
        #: Messages whose parents had not come yet; in the order of a dump there are few.
        self._parents: list[tuple[str, str]] = []
        self._logs = _Logs(self._note)

    def take(self, records: Iterable[Record]) -> None:
        """The next ones."""
        for record in records:
            self.counts[str(record.__struct_config__.tag)] += not isinstance(record, AboutRecord)
            self._take(record)

    def findings(self) -> Iterator[Finding]:
        """One for each kind of trouble, or one that says that there is none."""
        self._logs.end()
        for message, parent in self._parents:
            if not self._is_below(message, parent):
                self._note("messages below one that is not there", message)
        for what, places in self._troubles.items():
            detail = f"{what}: {len(places)}, such as {', '.join(places[:NAMED])}"
            yield Finding("rows", "wrong", detail, "keep a copy of what there is, restore a backup, and report it")
        if not self._troubles:
            yield Finding("rows", "right", f"{self.counts.total()} rows agree with one another")

    def _note(self, what: str, place: str) -> None:
        self._troubles.setdefault(what, []).append(place)

    def _take(self, record: Record) -> None:
        match record:
            case AccountRecord(user):
                self._accounts.add(user.id)
            case DeletionRecord(user):
                self._accounts.add(user)
            case SessionRecord(one) | KeyRecord(one):
                if one.user not in self._accounts:
                    self._note("sessions and keys without an account", one.id)
            case ContentRecord(digest):
                self._kept.add(digest)
            case FileRecord() | MentionRecord():
                self._take_file(record)
            case ConversationRecord() | EntryRecord():
                self._logs.take(record)
            case ReceiptRecord(conversation):
                self._logs.must_know(conversation, "receipts")
            case ShareRecord(share):
                self._logs.must_know(share.conversation, "links")
            case MessageRecord(name, conversation, parent):
                self._logs.must_know(conversation, "messages")
                self._messages[hash(name)] = self._logs.number(conversation)
                if parent is not None and not self._is_below(name, parent):
                    self._parents.append((name, parent))
            case _:
                pass

    def _is_below(self, message: str, parent: str) -> bool:
        return self._messages.get(hash(parent)) == self._messages[hash(message)]

    def _take_file(self, record: FileRecord | MentionRecord) -> None:
        if isinstance(record, MentionRecord):
            if hash(record.message) not in self._messages or record.file not in self._files:
                self._note("mentions of what is not there", f"{record.file} in {record.message}")
            return
        file = record.file
        self._files.add(file.id)
        self.contents |= {file.sha256: file.size, **{one.sha256: one.size for one in file.variants}}
        if not {file.sha256, *(one.sha256 for one in file.variants)} <= self._kept:
            self._note("files whose content nobody keeps", file.id)


class _Logs:
    """Each log gapless from its floor to its end, its epochs never falling, its snapshot the fold of its entries."""

    def __init__(self, note: Callable[[str, str], None]) -> None:
        self._note = note
        self._known: dict[str, ConversationRecord] = {}
        self._unread: set[str] = set()
        self._numbers: dict[str, int] = {}
        #: Of the log that is being read: whose it is, its last entry, and the fold of it as far as it is of use.
        self._now: ConversationRecord | None = None
        self._last = EntryRecord("", -1, 0, "", "")
        self._state: State | None = None
        self._folded = 0

    def must_know(self, conversation: str, what: str) -> None:
        if conversation not in self._known:
            self._note(f"{what} without their conversation", conversation)

    def number(self, conversation: str) -> int:
        """What stands for it, the same object each time."""
        return self._numbers.setdefault(conversation, hash(conversation))

    def take(self, record: ConversationRecord | EntryRecord) -> None:
        if isinstance(record, ConversationRecord):
            self._begin(record)
        elif record.conversation not in self._known:
            self._note("entries without their conversation", record.conversation)
        else:
            self._read(record)

    def _begin(self, record: ConversationRecord) -> None:
        name = record.header.id
        keeps = record.snapshot is not None and record.floor == 0 and self._folded < FOLDED
        self._folded += keeps
        self._unread.add(name)
        # What need not be compared is not kept in memory.
        bare = (record.next_seq, record.flush, record.floor, record.unfinished)
        state = (record.snapshot, record.snapshot_seq) if keeps else (None, 0)
        self._known[name] = ConversationRecord(record.header, record.node, record.epoch, *bare, *state)

    def _read(self, entry: EntryRecord) -> None:
        if self._now is None or self._now.header.id != entry.conversation:
            self._finish()
            self._now = self._known[entry.conversation]
            self._unread.discard(entry.conversation)
            self._last, self._state = EntryRecord(entry.conversation, -1, 0, "", ""), None
        if entry.seq > self._last.seq + 1 and entry.seq > self._now.floor:
            self._note("logs with a hole", f"{entry.conversation} before {entry.seq}")
        if entry.epoch < self._last.epoch:
            self._note("logs whose epoch falls", f"{entry.conversation} at {entry.seq}")
        if self._now.snapshot is not None and entry.seq < self._now.snapshot_seq:
            self._fold(entry)
        self._last = entry

    def _fold(self, entry: EntryRecord) -> None:
        try:
            event = decode_event(entry.data.encode())
            if self._state is not None:
                self._state = evolve(self._state, event)
            elif isinstance(event, ConversationCreated):
                self._state = begin(event)
        except (TrialogueError, ValueError) as error:
            self._note("entries that cannot be read", f"{entry.conversation} at {entry.seq} ({error})")

    def _finish(self) -> None:
        record = self._now
        if record is None:
            return
        # What was pruned may have been the end.
        if self._last.seq >= record.next_seq or (
            record.floor < record.next_seq and self._last.seq < record.next_seq - 1
        ):
            self._note("logs that end too early or too late", record.header.id)
        if record.snapshot is not None and self._state is not None and decode_state(record.snapshot) != self._state:
            self._note("snapshots that are not what their log says", record.header.id)

    def end(self) -> None:
        """All was read."""
        self._finish()
        self._now = None
        for name in sorted(self._unread):
            self._note("conversations without a log", name)
