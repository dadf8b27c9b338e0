"""The port to storage. One store holds logs, projections and receipts, and facets for what has a port of its own.

A store knows nothing of what events mean: it is handed encoded entries and, in the same call, the rows that follow from
them, and writes both in one transaction. ``trialogue.testing`` has a store in memory and the checks that every store runs.

Every method raises ``StorageError`` when the storage cannot take or give data; what was not acknowledged by a normal
return may or may not have happened, and ``append`` may then be repeated as it was.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from trialogue._accounts.accounts import Accounts
from trialogue._cluster.nodes import Nodes
from trialogue._deciding.commands import Receipt
from trialogue._facts.events import Entry
from trialogue._facts.values import Conversation, Message
from trialogue._files.files import Files
from trialogue._lists.imports import Imports
from trialogue._lists.sharing import Shares
from trialogue._paying.ledger import Charge, Ledger
from trialogue._search.search import Index

#: Bytes of a page's rows, as they are stored, unless the store is told otherwise.
PAGE_BYTES = 1024 * 1024
#: Siblings that are listed before a message, and behind it.
SIBLINGS = 100

#: What became of a flush: ``committed`` (now, or by an earlier attempt with its number) or ``fenced``.
Verdict: TypeAlias = Literal["committed", "fenced"]


class Done(msgspec.Struct, frozen=True):
    """A command that took effect: its id, a digest of what it asked for, and its receipt."""

    command: str
    digest: bytes
    receipt: Receipt


class Flush(msgspec.Struct, frozen=True):
    """One conversation's share of a group commit. All of it happens, or nothing.

    It happens only if the row is owned by ``node`` at ``epoch``, its next sequence number is that of the first entry (or
    ``next_seq``, without one) and its stored flush number is below ``number``; then ``number`` is stored and the next
    sequence number advanced. After the store has gone backwards another row may look just like that: a flush of another
    ``generation`` than the store's is fenced whatever it says.
    """

    conversation: str
    node: str
    epoch: int
    #: Grows by one with each flush of the conversation; a retry carries the same one.
    number: int
    entries: tuple[Entry, ...]
    #: The conversation as it is after the entries, when they changed it.
    header: Conversation | None = None
    #: The actor's own state after the entries, opaque to the store; ``None`` leaves the stored one.
    snapshot: bytes | None = None
    #: Whether a run is live or a message waits, when that changed: what recovery looks for.
    unfinished: bool | None = None
    #: Rows to write, whole; an id that exists is replaced.
    messages: tuple[Message, ...] = ()
    #: Roots of subtrees to remove from every read.
    removed: tuple[str, ...] = ()
    #: Ids of messages that wait for their turn: no read finds them until they are among ``messages``, and nobody else may
    #: have them from now on.
    waiting: tuple[str, ...] = ()
    done: tuple[Done, ...] = ()
    #: Runs that started, as ``reserved``, and runs that ended, settled. One that ends was mostly told of before; if not,
    #: it is only settled.
    charges: tuple[Charge, ...] = ()
    #: The next sequence number that the row must have where no entry says so: a command that changed nothing leaves its
    #: receipt only in the log that it was decided on. ``None``: whichever it has.
    next_seq: int | None = None
    #: The store's generation when the conversation was claimed; ``None``: whichever it is.
    generation: int | None = None

    def is_of(self, generation: int) -> bool:
        """Whether it continues what a store of that generation holds."""
        return self.generation is None or self.generation == generation


class History(msgspec.Struct, frozen=True):
    """What a new conversation begins with besides its entry 0: entries from 1 on, and the rows and snapshot after them."""

    entries: tuple[Entry, ...]
    messages: tuple[Message, ...]
    snapshot: bytes


class Claim(msgspec.Struct, frozen=True):
    """What a new owner starts from. ``snapshot`` is as of ``snapshot_seq``: entries from there on are to be folded in."""

    epoch: int
    next_seq: int
    flush: int
    header: Conversation
    snapshot: bytes | None
    snapshot_seq: int


class View(msgspec.Struct, frozen=True):
    """A conversation as committed at ``next_seq``, read in one transaction.

    ``messages`` is the end of the active branch, oldest first, as rows (the text of a live answer stands in the log).
    ``siblings`` lists, for each of them, the ids that share its parent, as ``Store.siblings`` does.
    """

    header: Conversation
    next_seq: int
    snapshot: bytes | None
    messages: tuple[Message, ...]
    siblings: dict[str, tuple[str, ...]]
    has_more: bool
    #: Epoch of the last entry, and the first entries after the snapshot, so that a reader need not ask again; without
    #: them it does.
    last_epoch: int | None = None
    entries: tuple[Entry, ...] = ()


class TreeView(msgspec.Struct, frozen=True):
    """A conversation as committed at ``next_seq``, as in ``View``, with messages of all its branches.

    ``messages`` are in the order in which they were first said, so that a parent stands before its children; ``cursor``
    continues after the last one, ``None`` at the end.
    """

    header: Conversation
    next_seq: int
    snapshot: bytes | None
    messages: tuple[Message, ...]
    siblings: dict[str, tuple[str, ...]]
    cursor: str | None


class MessageView(msgspec.Struct, frozen=True):
    """One message, the conversation it stands in, and the ids that share its parent, read in one transaction.

    As rows: the text of a live answer stands in the log. ``siblings`` are as ``Store.siblings`` has them.
    """

    header: Conversation
    message: Message
    siblings: tuple[str, ...]


class ConversationPage(msgspec.Struct, frozen=True):
    """Headers, newest activity first; ``cursor`` continues after the last one, ``None`` at the end."""

    conversations: tuple[Conversation, ...]
    cursor: str | None


class StoreStatistics(msgspec.Struct, frozen=True):
    """What a store has queued and done since it was opened."""

    waiting: int
    commits: int
    jobs: int
    entries: int
    #: Connections to a database server that are open, and those among them that nobody uses; none for an embedded one.
    connections: int = 0
    idle: int = 0


class Store(ABC):
    """One database, open.

    What says "a page" below gives at most ``limit`` rows, and of them no more than ``page_bytes`` hold; but the first one
    whatever its size, so that who reads on comes to an end. A page that is shorter than ``limit`` may have others behind it.
    """

    #: Changes when the storage may have gone backwards; part of every resume token. 1 to 9999.
    generation: int
    #: Bound of a page besides its rows. Whoever opens the store may set it.
    page_bytes: int = PAGE_BYTES

    @property
    @abstractmethod
    def accounts(self) -> Accounts:
        """The facet for accounts, what lets one in, and the audit log."""

    @property
    @abstractmethod
    def files(self) -> Files:
        """The facet for uploaded files."""

    @property
    @abstractmethod
    def index(self) -> Index:
        """The facet for searches."""

    @property
    @abstractmethod
    def ledger(self) -> Ledger:
        """The facet for what runs cost."""

    @property
    @abstractmethod
    def shares(self) -> Shares:
        """The facet for public links."""

    @property
    @abstractmethod
    def imports(self) -> Imports:
        """The facet for uploads that are being taken in."""

    @property
    def nodes(self) -> Nodes | None:
        """The facet for several nodes over this store; ``None`` for one that belongs to a single process."""
        return None

    # --- the log -------------------------------------------------------------------------------------------------

    @abstractmethod
    async def create(
        self, header: Conversation, node: str, entry: Entry, done: Done, history: History | None = None
    ) -> Done:
        """A new conversation, owned by ``node`` at epoch 1, with entry 0 and ``history``, all of it or nothing.

        Returns ``done``. If the id exists, nothing is written and the ``Done`` of its creation is returned. Raises
        ``ConflictError`` when a message of the history has the id of one that is stored.
        """

    @abstractmethod
    async def claim(self, conversation: str, node: str) -> Claim | None:
        """Make ``node`` the owner and raise the epoch by one, durably; ``None`` when there is no such conversation."""

    @abstractmethod
    async def append(self, flushes: Sequence[Flush]) -> Sequence[Verdict]:
        """Commit the flushes, durably, together; one verdict each, in order. At most one flush per conversation."""

    @abstractmethod
    async def events(self, conversation: str, start: int, limit: int) -> Sequence[Entry]:
        """A page of entries, from the one numbered ``start`` on, in order. Empty at the end alone."""

    @abstractmethod
    async def position(self, conversation: str) -> tuple[int, int] | None:
        """``(floor, next_seq)``: the lowest number a cursor may resume at, and the next to be written."""

    @abstractmethod
    async def receipt(self, conversation: str, command: str) -> Done | None:
        """What a command did, if it took effect."""

    @abstractmethod
    async def unfinished(self, node: str) -> Sequence[str]:
        """Conversations with a live run or a waiting message that ``node`` does not own; all of them for ``""``."""

    @abstractmethod
    async def unfinished_of(self, owner: str, limit: int) -> Sequence[bytes]:
        """The stored states (``Flush.snapshot``) of ``owner``'s conversations with a live run or a waiting message.

        A page of them, in no order that means anything.
        """

    @abstractmethod
    async def prune(self, before: datetime, limit: int) -> int:
        """Remove the ``part.*`` entries of at most ``limit`` finished conversations last changed before ``before``.

        Raises each one's floor to its next sequence number; returns how many conversations were pruned.
        """

    @abstractmethod
    async def trash(self, before: datetime, limit: int) -> Sequence[str]:
        """At most ``limit`` conversations in the trash that were last changed before ``before``, oldest first."""

    @abstractmethod
    async def purge(self, conversation: str, before: datetime | None = None) -> bool:
        """Remove a conversation and all that belongs to it, for good, with the files that only its messages name.

        Returns whether it was there. With ``before`` only if it still is in the trash and was last changed before then.
        """

    # --- reads ---------------------------------------------------------------------------------------------------

    @abstractmethod
    async def header(self, conversation: str) -> Conversation | None:
        """One conversation, without messages; one in the trash is found too."""

    @abstractmethod
    async def view(self, conversation: str, limit: int) -> View | None:
        """The conversation and a page of its active branch, the end of it, as of one moment."""

    @abstractmethod
    async def tree(self, conversation: str, limit: int, cursor: str | None = None) -> TreeView | None:
        """The conversation and a page of all its messages, as of one moment.

        Raises ``InvalidError`` for a cursor that is not ours.
        """

    @abstractmethod
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
        """A page of ``owner``'s conversations that are not in the trash, or of those that are. ``None`` does not filter.

        ``text`` keeps those with a matching title or message. Raises ``InvalidError`` for a cursor that is not ours.
        """

    @abstractmethod
    async def message(self, message: str) -> Message | None:
        """One message that is not removed, whatever its conversation."""

    @abstractmethod
    async def message_view(self, message: str) -> MessageView | None:
        """One message that is not removed, and where it stands, as of one moment; one in the trash is found too."""

    @abstractmethod
    async def taken(self, message: str) -> bool:
        """Whether any message has this id, or had it: one that waits for its turn, or was removed, too."""

    @abstractmethod
    async def path(self, conversation: str, leaf: str, limit: int) -> Sequence[Message]:
        """A page of ``leaf`` and what is above it, oldest first; empty when there is no such leaf.

        What stands above a message is there as long as it is: there is more when the first one has a parent.
        """

    @abstractmethod
    async def onward(self, conversation: str, leaf: str, after: str | None, limit: int) -> Sequence[Message]:
        """A page of the branch that ends at ``leaf``: what follows ``after``, or from its root for ``None``, oldest first.

        Empty when there is no such leaf, or ``after`` is not above it. There is more unless the last one is ``leaf``.
        """

    @abstractmethod
    async def is_above(self, conversation: str, message: str, leaf: str) -> bool:
        """Whether ``message`` is ``leaf`` or one of its ancestors."""

    @abstractmethod
    async def leaf(self, conversation: str, message: str) -> str:
        """The newest leaf below ``message`` (the newest child, and so on down), or itself."""

    @abstractmethod
    async def siblings(self, conversation: str, messages: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """For each of ``messages`` that is there, the ids that share its parent, oldest first, itself included.

        Of many those nearest to it: at most ``SIBLINGS`` before it, and as many behind.
        """

    # --- itself --------------------------------------------------------------------------------------------------

    @abstractmethod
    async def check(self) -> None:
        """Raise ``StorageError`` unless it can be written now: a write of no consequence goes through to the disk."""

    @abstractmethod
    def statistics(self) -> StoreStatistics:
        """What it has queued and done."""
