"""Records into a database that has none: with the same functions that write them while serving, so that all that follows
from them (full text, places, sums) is there as well.
"""

from __future__ import annotations

from collections.abc import Iterable

from trialogue import (
    AboutRecord,
    AccountRecord,
    AuditRecord,
    BudgetRecord,
    ChargeRecord,
    ContentRecord,
    ConversationRecord,
    DeletionRecord,
    EntryRecord,
    FileRecord,
    IdentityRecord,
    ImportRecord,
    InvalidError,
    InvitationRecord,
    KeyRecord,
    MentionRecord,
    MessageRecord,
    ReceiptRecord,
    Record,
    ResetRecord,
    SessionRecord,
    ShareRecord,
)
from trialogue_sqlite import _accounts_sql, _ledger_sql, _sharing_sql, _sql
from trialogue_sqlite import _transfer_sql as sql
from trialogue_sqlite._accounts_writes import note
from trialogue_sqlite._driver import Connection, Value
from trialogue_sqlite._files import put_file, put_text
from trialogue_sqlite._ledger import put_charges
from trialogue_sqlite._rows import WAITS, add_done, add_entries, body_of, micros, put_header, put_messages


class Rows:
    """Writes records of all kinds through one connection; who calls sees to transactions."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        #: The conversation looked for last, its number and its owner: what belongs to one comes together.
        self._last = ("", 0, "")

    def put(self, records: Iterable[Record]) -> None:
        """Raises ``apsw.Error``, ``InvalidError``, ``ValueError``."""
        for record in records:
            self._put(record)

    def _put(self, record: Record) -> None:
        match record:
            case AboutRecord():
                raise InvalidError("a second beginning stands among the rows: name a backup that is whole")
            case ConversationRecord() | EntryRecord() | ReceiptRecord() | MessageRecord() | ShareRecord():
                self._put_talk(record)
            case FileRecord() | ContentRecord() | MentionRecord():
                self._put_file(record)
            case ImportRecord(job):
                self._run(_sharing_sql.PUT_IMPORT, job.id, job.owner, job.open, body_of(job))
            case ChargeRecord(charge, cost, tokens):
                put_charges(self._connection, [charge])
                if cost or tokens:
                    self._run(sql.SET_HELD, cost, tokens, charge.owner, charge.run)
            case BudgetRecord(kind, payer, month, day):
                self._run(_ledger_sql.PUT_BUDGET, kind, payer, month, day)
            case _:
                self._put_account(record)

    def _put_account(
        self,
        record: AccountRecord
        | SessionRecord
        | KeyRecord
        | InvitationRecord
        | ResetRecord
        | IdentityRecord
        | DeletionRecord
        | AuditRecord,
    ) -> None:
        match record:
            case AccountRecord(user, secret):
                self._run(_accounts_sql.ADD_ACCOUNT, user.id, user.email, secret, body_of(user))
            case SessionRecord(one):
                values = (one.id, one.token_hash, one.user, micros(one.expires_at), body_of(one))
                self._run(_accounts_sql.PUT_SESSION, *values)
            case KeyRecord(key):
                self._run(_accounts_sql.ADD_KEY, key.id, key.token_hash, key.user, body_of(key))
            case InvitationRecord(invitation):
                self._run(_accounts_sql.ADD_INVITATION, invitation.id, invitation.token_hash, body_of(invitation))
            case ResetRecord(reset):
                self._run(_accounts_sql.PUT_RESET, reset.user, reset.token_hash, micros(reset.expires_at))
            case IdentityRecord(user, identity):
                self._run(_accounts_sql.ADD_IDENTITY, identity.issuer, identity.subject, user)
            case DeletionRecord(user, at):
                self._run(sql.ADD_DELETION, user, micros(at))
            case AuditRecord(entry):
                note(self._connection, [entry])

    def _put_file(self, record: FileRecord | ContentRecord | MentionRecord) -> None:
        match record:
            case ContentRecord(digest, kept):
                self._run(sql.ADD_CONTENT, bytes.fromhex(digest), micros(kept))
            case FileRecord(file, text):
                n = put_file(self._connection, file)
                if text is not None:
                    put_text(self._connection, n, file.owner, text)
            case MentionRecord(message, file):
                self._run(sql.ADD_MENTION, message, file)

    def _put_talk(self, record: ConversationRecord | EntryRecord | ReceiptRecord | MessageRecord | ShareRecord) -> None:
        match record:
            case ConversationRecord():
                self._put_conversation(record)
            case EntryRecord():
                n, _ = self._number(record.conversation)
                add_entries(self._connection, n, [record.entry()])
            case ReceiptRecord(conversation, done):
                add_done(self._connection, self._number(conversation)[0], done)
            case MessageRecord(name, conversation, parent, message, waits):
                n, owner = self._number(conversation)
                if message is not None:
                    put_messages(self._connection, n, owner, [message])
                else:
                    self._run(sql.ADD_REMOVED, name, n, parent, WAITS if waits else 1)
            case ShareRecord(share):
                self._run(sql.ADD_SHARE, share.id, share.token, body_of(share), share.conversation)

    def _put_conversation(self, record: ConversationRecord) -> None:
        header = record.header
        numbers = (record.epoch, record.next_seq, record.flush, record.floor, record.unfinished)
        n: int = self._connection.execute(sql.ADD_LOG, (header.id, record.node, *numbers)).get
        put_header(self._connection, n, header)
        if record.snapshot is not None:
            self._run(_sql.PUT_SNAPSHOT, n, record.snapshot_seq, record.snapshot)

    def _number(self, conversation: str) -> tuple[int, str]:
        name, n, owner = self._last
        if name != conversation:
            n = self._connection.execute(_sql.NUMBER, (conversation,)).get
            if n is None:
                raise InvalidError(
                    f"rows of conversation {conversation[:64]!r} come without it: name a backup that is whole"
                )
            owner = self._connection.execute(_sql.OWNER, (n,)).get
            self._last = (conversation, n, owner)
        return n, owner

    def _run(self, statement: str, *values: Value) -> None:
        self._connection.execute(statement, values)
