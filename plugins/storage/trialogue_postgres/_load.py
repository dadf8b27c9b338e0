"""Records into a database that has none: with the statements that write them while serving, so that all that follows from
them (words, sums) is there as well. Vectors are made anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import trio

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
from trialogue_postgres import _accounts_sql, _ledger_sql, _sharing_sql
from trialogue_postgres import _transfer_sql as sql
from trialogue_postgres._accounts_writes import account_values, note
from trialogue_postgres._charges import Charges
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import rows, send
from trialogue_postgres._files import put_files, put_text
from trialogue_postgres._rows import Rows, body_of, words_of
from trialogue_postgres._text import lexemes


async def put_records(connection: TrioConnection, records: Sequence[Record]) -> None:
    """Write records, within a transaction. Raises ``psycopg.Error``, ``InvalidError``."""
    for kind, some in groupby(records, type):
        if kind is AboutRecord:
            raise InvalidError("a second beginning stands among the rows: name a backup that is whole")
        found = list(some)
        if kind is ConversationRecord:
            await _put_conversations(connection, [one for one in found if isinstance(one, ConversationRecord)])
        elif kind in (EntryRecord, ReceiptRecord, MessageRecord):
            await _put_talk(connection, found)
        else:
            async with connection.pipeline():
                for record in found:
                    await _put(connection, record)


async def _put_conversations(connection: TrioConnection, records: Sequence[ConversationRecord]) -> None:
    values = {
        "ids": [one.header.id for one in records],
        "nodes": [one.node for one in records],
        "epochs": [one.epoch for one in records],
        "seqs": [one.next_seq for one in records],
        "flushes": [one.flush for one in records],
        "floors": [one.floor for one in records],
        "unfinished": [one.unfinished for one in records],
    }
    numbers: dict[str, int] = dict(await rows(connection, sql.ADD_LOGS, values))
    more = Rows({})
    for one in records:
        more.add_header(numbers[one.header.id], one.header)
        if one.snapshot is not None:
            more.add_snapshot(numbers[one.header.id], one.snapshot_seq, one.snapshot)
    await more.write(connection)


async def _put_talk(connection: TrioConnection, records: Sequence[Record]) -> None:
    """Entries, receipts and messages, as many together as keep their order."""
    talk = [one for one in records if isinstance(one, EntryRecord | ReceiptRecord | MessageRecord)]
    ids = list({one.conversation for one in talk})
    numbers = {name: n for name, n, _ in await rows(connection, sql.NUMBERS, {"ids": ids})}
    if lacking := [name for name in ids if name not in numbers]:
        raise InvalidError(f"rows of conversation {lacking[0][:64]!r} come without it: name a backup that is whole")
    for is_stone, some in groupby(talk, lambda one: isinstance(one, MessageRecord) and one.message is None):
        if is_stone:
            for one in some:
                await _put_stone(connection, one, numbers)
        else:
            more = await trio.to_thread.run_sync(_rows_of, list(some), numbers)
            await more.write(connection)


async def _put_stone(connection: TrioConnection, record: Record, numbers: dict[str, int]) -> None:
    assert isinstance(record, MessageRecord)
    values = {"id": record.id, "n": numbers[record.conversation], "parent": record.parent or "", "waits": record.waits}
    await send(connection, sql.ADD_STONE, values)


def _rows_of(records: Sequence[EntryRecord | ReceiptRecord | MessageRecord], numbers: dict[str, int]) -> Rows:
    messages = [one.message for one in records if isinstance(one, MessageRecord) and one.message is not None]
    more = Rows({message.id: words_of(message) for message in messages})
    for one in records:
        n = numbers[one.conversation]
        match one:
            case EntryRecord():
                more.add_entries(n, [one.entry()])
            case ReceiptRecord():
                more.add_done(n, one.done)
            case MessageRecord():
                more.add_messages(n, [one.message] if one.message is not None else [])
    return more


async def _put(connection: TrioConnection, record: Record) -> None:
    match record:
        case ContentRecord(digest, kept):
            await send(connection, sql.ADD_CONTENT, {"digest": bytes.fromhex(digest), "kept": kept})
        case FileRecord(file, text):
            await put_files(connection, [file])
            if text is not None:
                await put_text(connection, file.id, text, await trio.to_thread.run_sync(lexemes, text))
        case MentionRecord(message, file):
            await send(connection, sql.ADD_MENTION, {"message": message, "file": file})
        case ShareRecord(share):
            values = {"id": share.id, "token": share.token, "body": body_of(share), "conversation": share.conversation}
            await send(connection, sql.ADD_SHARE, values)
        case ImportRecord(job):
            about = {"id": job.id, "owner": job.owner, "open": job.open, "cancelled": job.state == "cancelled"}
            await send(connection, _sharing_sql.PUT_IMPORT, {**about, "body": body_of(job)})
        case ChargeRecord():
            await _put_charge(connection, record)
        case BudgetRecord(kind, payer, month, day):
            budget = {"kind": kind, "payer": payer, "month": month, "day": day}
            await send(connection, _ledger_sql.PUT_BUDGET, budget)
        case _:
            await _put_account(connection, record)


async def _put_charge(connection: TrioConnection, record: ChargeRecord) -> None:
    charges, charge = Charges(), record.charge
    charges.add(charge)
    for statement, columns in charges.statements():
        if next(iter(columns.values())):
            await send(connection, statement, columns)
    if record.cost or record.tokens:
        held = {"cost": record.cost, "tokens": record.tokens, "owner": charge.owner, "run": charge.run}
        await send(connection, sql.SET_HELD, held)


async def _put_account(connection: TrioConnection, record: Record) -> None:
    match record:
        case AccountRecord(user, secret):
            await send(connection, _accounts_sql.ADD_ACCOUNT, {**account_values(user), "secret": secret})
        case SessionRecord(one):
            about = {"id": one.id, "token": one.token_hash, "account": one.user, "expires": one.expires_at}
            await send(connection, _accounts_sql.PUT_SESSION, {**about, "body": body_of(one)})
        case KeyRecord(key):
            about = {"id": key.id, "token": key.token_hash, "account": key.user}
            await send(connection, _accounts_sql.ADD_KEY, {**about, "body": body_of(key)})
        case InvitationRecord(invitation):
            about = {"id": invitation.id, "token": invitation.token_hash}
            await send(connection, _accounts_sql.ADD_INVITATION, {**about, "body": body_of(invitation)})
        case ResetRecord(reset):
            values = {"id": reset.user, "token": reset.token_hash, "expires": reset.expires_at}
            await send(connection, _accounts_sql.PUT_RESET, values)
        case IdentityRecord(user, identity):
            values = {"issuer": identity.issuer, "subject": identity.subject, "id": user}
            await send(connection, _accounts_sql.ADD_IDENTITY, values)
        case DeletionRecord(user, at):
            await send(connection, _accounts_sql.ADD_DELETION, {"id": user, "at": at})
        case AuditRecord(entry):
            await note(connection, [entry])
        case _:
            raise InvalidError(f"{type(record).__name__} stands where it cannot: name a backup that is whole")
