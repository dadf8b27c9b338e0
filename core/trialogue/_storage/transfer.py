"""The port for taking a store's rows out, and in: what backups, restores and moves between stores are made of.

All rows go as lines of JSON, in the same order and spelling whatever store they come from, so that two stores with the same
content give the same bytes. What follows from other rows is left out and made anew where they go in: full text, places,
sums, vectors. So is what ends with a process: nodes, uploads under way, commands kept for another node. Contents of files
are not rows; whoever needs them finds their digests in the ``File`` and ``Content`` records.

A plugin offers this next to its store, not as a part of it: rows are taken out while a server has the store open.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TypeAlias

import msgspec

from trialogue._accounts.account_values import Identity, Invitation, Reset
from trialogue._accounts.audit import AuditEntry
from trialogue._accounts.auth import ApiKey, Session, User
from trialogue._facts.errors import InvalidError
from trialogue._facts.events import Entry
from trialogue._facts.values import Conversation, Message
from trialogue._files.files import File
from trialogue._lists.imports import ImportJob
from trialogue._lists.sharing import Share
from trialogue._paying.ledger import Charge, PayerKind
from trialogue._storage.checkup import Finding
from trialogue._storage.store import Done

#: What the lines are spelled as; another number is refused.
FORMAT = 1
#: Bytes after which a chunk of lines is full.
CHUNK = 256 * 1024
#: Generations are 1 to this, and begin again after it.
MOST = 9999


class AboutRecord(msgspec.Struct, frozen=True, tag="about", tag_field="kind"):
    """The first line: where the others come from. The only one that is not content."""

    format: int
    store: str
    generation: int
    #: Which folder for files the store knows; ``None`` when it never had one.
    folder: str | None


class AccountRecord(msgspec.Struct, frozen=True, tag="account", tag_field="kind"):
    """An account and its secret's hash, '' without one."""

    user: User
    secret: str

    def __repr__(self) -> str:
        return f"AccountRecord({self.user.id!r})"


class SessionRecord(msgspec.Struct, frozen=True, tag="session", tag_field="kind"):
    """A device that is logged in."""

    session: Session


class KeyRecord(msgspec.Struct, frozen=True, tag="key", tag_field="kind"):
    """A program's way in."""

    key: ApiKey


class InvitationRecord(msgspec.Struct, frozen=True, tag="invitation", tag_field="kind"):
    """An invitation, used or not."""

    invitation: Invitation


class ResetRecord(msgspec.Struct, frozen=True, tag="reset", tag_field="kind"):
    """Leave to set a secret anew."""

    reset: Reset


class IdentityRecord(msgspec.Struct, frozen=True, tag="identity", tag_field="kind"):
    """Who an account's owner is elsewhere."""

    user: str
    identity: Identity


class DeletionRecord(msgspec.Struct, frozen=True, tag="deletion", tag_field="kind"):
    """An account that is gone, whose belongings may not be yet."""

    user: str
    at: datetime


class AuditRecord(msgspec.Struct, frozen=True, tag="audit", tag_field="kind"):
    """A fact of the audit log."""

    entry: AuditEntry


class ContentRecord(msgspec.Struct, frozen=True, tag="content", tag_field="kind"):
    """Content that the folder for files holds, or is about to, and until when it stays without a name."""

    sha256: str
    kept: datetime


class FileRecord(msgspec.Struct, frozen=True, tag="file", tag_field="kind"):
    """A file, and what was read out of it."""

    file: File
    text: str | None


class ConversationRecord(msgspec.Struct, frozen=True, tag="conversation", tag_field="kind"):
    """A conversation's fence, the end of its log, its header and its snapshot."""

    header: Conversation
    node: str
    epoch: int
    next_seq: int
    flush: int
    floor: int
    unfinished: bool
    snapshot: bytes | None
    snapshot_seq: int


class EntryRecord(msgspec.Struct, frozen=True, tag="entry", tag_field="kind"):
    """An entry of the log; its bytes, which are JSON, as text."""

    conversation: str
    seq: int
    epoch: int
    type: str
    data: str

    def entry(self) -> Entry:
        return Entry(self.seq, self.epoch, self.type, self.data.encode())


class ReceiptRecord(msgspec.Struct, frozen=True, tag="receipt", tag_field="kind"):
    """What a command did."""

    conversation: str
    done: Done


class MessageRecord(msgspec.Struct, frozen=True, tag="message", tag_field="kind"):
    """A message, or with ``None`` an id that was removed, or ``waits`` for its turn."""

    id: str
    conversation: str
    parent: str | None
    message: Message | None
    waits: bool = False


class MentionRecord(msgspec.Struct, frozen=True, tag="mention", tag_field="kind"):
    """A message names a file, or did before it was corrected."""

    message: str
    file: str


class ShareRecord(msgspec.Struct, frozen=True, tag="share", tag_field="kind"):
    """A public link."""

    share: Share


class ImportRecord(msgspec.Struct, frozen=True, tag="import", tag_field="kind"):
    """An upload that is being taken in, or was."""

    job: ImportJob


class ChargeRecord(msgspec.Struct, frozen=True, tag="charge", tag_field="kind"):
    """A charge, with what is set aside for it while it is reserved."""

    charge: Charge
    cost: int = 0
    tokens: int = 0


class BudgetRecord(msgspec.Struct, frozen=True, tag="budget", tag_field="kind"):
    """What a user or a key may spend."""

    payer_kind: PayerKind
    payer: str
    month_micro_dollars: int | None
    day_tokens: int | None


#: In the order in which they come: each after what it refers to. Within a kind by id, or in the order of writing where that
#: is an order of its own (audit, files, messages, links, imports).
Record: TypeAlias = (
    AboutRecord
    | AccountRecord
    | SessionRecord
    | KeyRecord
    | InvitationRecord
    | ResetRecord
    | IdentityRecord
    | DeletionRecord
    | AuditRecord
    | ContentRecord
    | FileRecord
    | ConversationRecord
    | EntryRecord
    | ReceiptRecord
    | MessageRecord
    | MentionRecord
    | ShareRecord
    | ImportRecord
    | ChargeRecord
    | BudgetRecord
)

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Record)


def chunks_of(records: Iterable[Record]) -> Iterator[bytes]:
    """Records as lines, some at a time; at least one, however long."""
    lines, size = list[bytes](), 0
    for record in records:
        line = _encode(record)
        lines.append(line)
        size += len(line)
        if size >= CHUNK:
            yield b"\n".join(lines) + b"\n"
            lines, size = [], 0
    if lines:
        yield b"\n".join(lines) + b"\n"


def decode_records(chunk: bytes) -> list[Record]:
    """What ``chunks_of`` made of records. Raises ``InvalidError`` for anything else."""
    try:
        return _decoder.decode_lines(chunk)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidError(f"these are no rows of a store ({error}): name a backup that is whole") from error


def next_generation(*known: int) -> int:
    """A generation that neither those places had, nor, most likely, another place into which the same rows were put."""
    return (max(known) + secrets.randbelow(40)) % MOST + 1


class Loader(ABC):
    """A place that is being filled. What it was given counts when its block ends well; else nothing has happened."""

    #: Known when the block has ended: what clients are told by, and where the rows are kept that were there before.
    generation: int = 0
    kept: str | None = None

    @abstractmethod
    async def put(self, chunk: bytes) -> None:
        """The next lines of a dump. Raises ``InvalidError`` (they cannot be meant), ``StorageError``."""


class Transfer(ABC):
    """Rows out of one store, or into it. All raise ``ConfigurationError`` and ``StorageError``."""

    @abstractmethod
    def dump(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """All rows as of one moment, in chunks of whole lines. It changes nothing, whoever has the store open meanwhile."""

    async def examine(self) -> Sequence[Finding]:
        """What the database itself has to say of its own soundness; it may take as long as reading all of it."""
        return ()

    @abstractmethod
    def load(self, folder: str | None, *, replace: bool = False) -> AbstractAsyncContextManager[Loader]:
        """Fill a place that is empty, or with ``replace`` one whose rows are kept aside; no server may have it open.

        ``folder`` is the identity of the folder for files that belongs to it. The generation becomes another one, so that
        clients begin anew (I12).
        """
