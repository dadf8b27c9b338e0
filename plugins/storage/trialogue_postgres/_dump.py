"""All rows as records, out of one transaction, some at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import UTC

import msgspec

from trialogue import (
    AboutRecord,
    AccountRecord,
    ApiKey,
    AuditEntry,
    AuditRecord,
    BudgetRecord,
    Charge,
    ChargeRecord,
    ContentRecord,
    ConversationRecord,
    DeletionRecord,
    Done,
    EntryRecord,
    File,
    FileRecord,
    Identity,
    IdentityRecord,
    ImportJob,
    ImportRecord,
    Invitation,
    InvitationRecord,
    KeyRecord,
    MentionRecord,
    MessageRecord,
    ReceiptRecord,
    Record,
    Reset,
    ResetRecord,
    Session,
    SessionRecord,
    Share,
    ShareRecord,
    User,
)
from trialogue_postgres import _transfer_sql as sql
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import Row, rows, send
from trialogue_postgres._rows import decode_header, decode_message, decode_receipt

FORMAT = 1

_user = msgspec.json.Decoder(User).decode
_session = msgspec.json.Decoder(Session).decode
_key = msgspec.json.Decoder(ApiKey).decode
_invitation = msgspec.json.Decoder(Invitation).decode
_audit = msgspec.json.Decoder(AuditEntry).decode
_file = msgspec.json.Decoder(File).decode
_share = msgspec.json.Decoder(Share).decode
_job = msgspec.json.Decoder(ImportJob).decode
_charge = msgspec.json.Decoder(Charge).decode


def _message(row: Row) -> Record:
    name, conversation, parent, removed, waits, body = row
    return MessageRecord(name, conversation, parent or None, None if removed else decode_message(body), waits)


#: What is read, in the order of ``Record``, and what each row is.
_TABLES: tuple[tuple[str, Callable[[Row], Record]], ...] = (
    (sql.ACCOUNTS, lambda row: AccountRecord(_user(row[0]), row[1])),
    (sql.SESSIONS, lambda row: SessionRecord(_session(row[0]))),
    (sql.KEYS, lambda row: KeyRecord(_key(row[0]))),
    (sql.INVITATIONS, lambda row: InvitationRecord(_invitation(row[0]))),
    (sql.RESETS, lambda row: ResetRecord(Reset(row[0], row[1], row[2].astimezone(UTC)))),
    (sql.IDENTITIES, lambda row: IdentityRecord(row[0], Identity(row[1], row[2]))),
    (sql.DELETIONS, lambda row: DeletionRecord(row[0], row[1].astimezone(UTC))),
    (sql.AUDIT, lambda row: AuditRecord(_audit(row[0]))),
    (sql.CONTENTS, lambda row: ContentRecord(row[0].hex(), row[1].astimezone(UTC))),
    (sql.FILES, lambda row: FileRecord(_file(row[0]), row[1])),
    (sql.CONVERSATIONS, lambda row: ConversationRecord(decode_header(row[0]), *row[1:])),
    (sql.ENTRIES, lambda row: EntryRecord(row[0], row[1], row[2], row[3], row[4].decode())),
    (sql.RECEIPTS, lambda row: ReceiptRecord(row[0], Done(row[1], row[2], decode_receipt(row[3])))),
    (sql.MESSAGES, _message),
    (sql.MENTIONS, lambda row: MentionRecord(row[0], row[1])),
    (sql.SHARES, lambda row: ShareRecord(_share(row[0]))),
    (sql.IMPORTS, lambda row: ImportRecord(_job(row[0]))),
    (sql.OPEN_CHARGES, lambda row: ChargeRecord(_charge(row[0]), row[1], row[2])),
    (sql.CHARGES, lambda row: ChargeRecord(_charge(row[0]))),
    (sql.BUDGETS, lambda row: BudgetRecord(*row)),
)


async def read_all(connection: TrioConnection) -> AsyncGenerator[list[Record]]:
    """Every record, a few at a time, within a transaction."""
    facts: dict[str, str] = dict(await rows(connection, sql.FACTS))
    yield [AboutRecord(FORMAT, facts["id"], int(facts["generation"]), facts.get("files"))]
    for statement, record in _TABLES:
        await send(connection, sql.DECLARE.format(statement))
        while found := await rows(connection, sql.FETCH):
            yield [record(row) for row in found]
        await send(connection, sql.CLOSE)
