"""All rows as records, out of one read transaction."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

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
from trialogue_sqlite import _sql
from trialogue_sqlite import _transfer_sql as sql
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._rows import WAITS, decode_header, decode_message, decode_receipt, moment

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


def read_all(connection: Connection) -> Iterator[Record]:
    """Every record, in the order of ``Record``; read as they are asked for."""
    return chain(_about(connection), _accounts(connection), _files(connection), _talk(connection), _rest(connection))


def _about(connection: Connection) -> Iterator[Record]:
    facts: dict[str, str | int] = dict(connection.execute(_sql.FACTS).fetchall())
    folder = facts.get("files")
    yield AboutRecord(FORMAT, str(facts["id"]), int(facts["generation"]), None if folder is None else str(folder))


def _accounts(connection: Connection) -> Iterator[Record]:
    read = connection.execute
    for body, secret in read(sql.ACCOUNTS):
        yield AccountRecord(_user(body), secret)
    for (body,) in read(sql.SESSIONS):
        yield SessionRecord(_session(body))
    for (body,) in read(sql.KEYS):
        yield KeyRecord(_key(body))
    for (body,) in read(sql.INVITATIONS):
        yield InvitationRecord(_invitation(body))
    for account, token, expires in read(sql.RESETS):
        yield ResetRecord(Reset(account, token, moment(expires)))
    for account, issuer, subject in read(sql.IDENTITIES):
        yield IdentityRecord(account, Identity(issuer, subject))
    for account, at in read(sql.DELETIONS):
        yield DeletionRecord(account, moment(at))
    for (body,) in read(sql.AUDIT):
        yield AuditRecord(_audit(body))


def _files(connection: Connection) -> Iterator[Record]:
    for digest, kept in connection.execute(sql.CONTENTS):
        yield ContentRecord(digest.hex(), moment(kept))
    for body, text in connection.execute(sql.FILES):
        yield FileRecord(_file(body), text)


def _talk(connection: Connection) -> Iterator[Record]:
    read = connection.execute
    for body, node, epoch, next_seq, flush, floor, unfinished, state, seq in read(sql.CONVERSATIONS):
        numbers = (epoch, next_seq, abs(flush), floor)
        yield ConversationRecord(decode_header(body), node, *numbers, bool(unfinished), state, seq)
    for conversation, seq, epoch, kind, data in read(sql.ENTRIES):
        yield EntryRecord(conversation, seq, epoch, kind, data.decode())
    for conversation, command, digest, receipt in read(sql.RECEIPTS):
        yield ReceiptRecord(conversation, Done(command, digest, decode_receipt(receipt)))
    for name, conversation, parent, removed, body in read(sql.MESSAGES):
        message = None if removed else decode_message(body)
        yield MessageRecord(name, conversation, parent or None, message, removed == WAITS)
    for message, file in read(sql.MENTIONS):
        yield MentionRecord(message, file)


def _rest(connection: Connection) -> Iterator[Record]:
    read = connection.execute
    for (body,) in read(sql.SHARES):
        yield ShareRecord(_share(body))
    for (body,) in read(sql.IMPORTS):
        yield ImportRecord(_job(body))
    for body, cost, tokens in read(sql.OPEN_CHARGES):
        yield ChargeRecord(_charge(body), cost, tokens)
    for (body,) in read(sql.CHARGES):
        yield ChargeRecord(_charge(body))
    for kind, payer, month, day in read(sql.BUDGETS):
        yield BudgetRecord(kind, payer, month, day)
