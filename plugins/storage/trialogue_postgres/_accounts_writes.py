"""The writes of the facet ``accounts``: each a function of a connection, within a transaction.

What is read to be changed is locked first. Whatever decides who is the first or the last administrator goes one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from trialogue import (
    Admission,
    ApiKey,
    AuditEntry,
    ConflictError,
    Identity,
    Invitation,
    Reset,
    Session,
    User,
    UserChange,
)
from trialogue_postgres import _accounts_sql as sql
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import first_row, rows, send
from trialogue_postgres._rows import body_of

#: Sessions that have expired, dropped with each new one, so that there are never many.
SOME = 100

decode_user = msgspec.json.Decoder(User).decode
decode_session = msgspec.json.Decoder(Session).decode
decode_key = msgspec.json.Decoder(ApiKey).decode
decode_invitation = msgspec.json.Decoder(Invitation).decode


async def note(connection: TrioConnection, audit: Sequence[AuditEntry]) -> None:
    """Write entries of the audit log."""
    if not audit:
        return
    columns = {
        "ats": [one.at for one in audit],
        "actions": [one.action for one in audit],
        "actors": [one.actor for one in audit],
        "subjects": [one.subject for one in audit],
        "bodies": [body_of(one) for one in audit],
    }
    await send(connection, sql.ADD_AUDIT, columns)


# --- accounts --------------------------------------------------------------------------------------------------------


async def add_user(
    connection: TrioConnection, user: User, secret_hash: str | None, admission: Admission, identity: Identity | None
) -> User:
    """An account, if it is admitted, and its invitation used up."""
    await send(connection, sql.ONE_AT_A_TIME)
    await _check_email(connection, user)
    kept = await _kept(connection, admission.invitation)
    is_first = not (await rows(connection, sql.ANY_ACCOUNT))[0][0]
    stored = admission.admit(user, first=is_first, kept=kept)
    await send(connection, sql.ADD_ACCOUNT, {**account_values(stored), "secret": secret_hash or ""})
    if identity is not None:
        await _link(connection, stored.id, identity)
    if kept is not None:
        used = replace(kept, used_by=stored.id, used_at=stored.created_at)
        await send(connection, sql.SET_INVITATION, {"id": kept.id, "body": body_of(used)})
    await note(connection, admission.entries(stored))
    return stored


async def set_user(
    connection: TrioConnection, user: str, change: UserChange, audit: Sequence[AuditEntry]
) -> User | None:
    """An account as it is after a change."""
    await send(connection, sql.ONE_AT_A_TIME)
    before = await _locked_user(connection, user)
    if before is None:
        return None
    after = change.apply(before)
    await _check_email(connection, after)
    await _check_administrators(connection, before, after)
    await send(connection, sql.SET_ACCOUNT, account_values(after))
    if after.disabled:
        await send(connection, sql.DROP_SESSIONS, {"id": user, "keep": ""})
    await note(connection, audit)
    return after


async def remove_user(connection: TrioConnection, user: str, now: datetime, audit: Sequence[AuditEntry]) -> bool:
    """Remove an account and what lets it in; what it owns is removed later."""
    await send(connection, sql.ONE_AT_A_TIME)
    before = await _locked_user(connection, user)
    if before is None:
        return False
    await _check_administrators(connection, before, None)
    for statement in (sql.DROP_ACCOUNT, sql.DROP_KEYS, sql.DROP_IDENTITIES, sql.DROP_RESET):
        await send(connection, statement, {"id": user})
    await send(connection, sql.DROP_SESSIONS, {"id": user, "keep": ""})
    await send(connection, sql.ADD_DELETION, {"id": user, "at": now})
    await note(connection, audit)
    return True


def account_values(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "email": user.email,
        "name": (user.name or "").casefold(),
        "rules": _rules(user),
        "body": body_of(user),
    }


def _rules(user: User) -> bool:
    return user.role == "admin" and not user.disabled


async def _locked_user(connection: TrioConnection, user: str) -> User | None:
    row = await first_row(connection, sql.LOCK_ACCOUNT, {"id": user})
    return None if row is None else decode_user(row[0])


async def _check_email(connection: TrioConnection, user: User) -> None:
    if await rows(connection, sql.EMAIL_TAKEN, {"email": user.email, "id": user.id}):
        raise ConflictError(f"{user.email!r} has an account already: log in with it", pointer="/email")


async def _check_administrators(connection: TrioConnection, before: User, after: User | None) -> None:
    if not _rules(before) or (after is not None and _rules(after)):
        return
    if not await rows(connection, sql.OTHER_RULER, {"id": before.id}):
        raise ConflictError("this is the last administrator: make another one first")


async def _kept(connection: TrioConnection, invitation: Invitation | None) -> Invitation | None:
    if invitation is None:
        return None
    row = await first_row(connection, sql.LOCK_INVITATION, {"id": invitation.id})
    return None if row is None else decode_invitation(row[0])


# --- secrets and identities ------------------------------------------------------------------------------------------


async def change_secret(
    connection: TrioConnection, user: str, secret_hash: str | None, keep: str | None, audit: Sequence[AuditEntry]
) -> list[str] | None:
    """Replace a secret; what was let in by the old one is not any longer."""
    before = await _locked_user(connection, user)
    if before is None:
        return None
    after = replace(before, epoch=before.epoch + 1)
    await send(connection, sql.CHANGE_SECRET, {"id": user, "secret": secret_hash or "", "body": body_of(after)})
    await send(connection, sql.DROP_RESET, {"id": user})
    ended = [name for (name,) in await rows(connection, sql.DROP_SESSIONS, {"id": user, "keep": keep or ""})]
    if keep is not None:
        await _set_session(connection, keep, epoch=after.epoch)
    await note(connection, audit)
    return ended


async def add_reset(connection: TrioConnection, reset: Reset, audit: Sequence[AuditEntry]) -> bool:
    """Offer a reset in place of any other."""
    if await _locked_user(connection, reset.user) is None:
        return False
    values = {"id": reset.user, "token": reset.token_hash, "expires": reset.expires_at}
    await send(connection, sql.PUT_RESET, values)
    await note(connection, audit)
    return True


async def use_reset(
    connection: TrioConnection, token_hash: bytes, secret_hash: str, now: datetime, audit: Sequence[AuditEntry]
) -> tuple[User, list[str]] | None:
    """Use a reset up."""
    row = await first_row(connection, sql.TAKE_RESET, {"token": token_hash, "now": now})
    if row is None:
        return None
    ended = await change_secret(connection, row[0], secret_hash, None, audit)
    if ended is None:
        return None
    after = await _locked_user(connection, row[0])
    assert after is not None, "locked in the same transaction"
    return after, ended


async def add_identity(connection: TrioConnection, user: str, identity: Identity, audit: Sequence[AuditEntry]) -> bool:
    """Let an account be known by an identity."""
    if await _locked_user(connection, user) is None:
        return False
    if await _link(connection, user, identity):
        await note(connection, audit)
    return True


async def _link(connection: TrioConnection, user: str, identity: Identity) -> bool:
    """Whether the identity is new; raises ``ConflictError`` when it is another account's."""
    values = {"issuer": identity.issuer, "subject": identity.subject, "id": user}
    if await rows(connection, sql.ADD_IDENTITY, values):
        return True
    if (await first_row(connection, sql.IDENTITY_OWNER, values) or (None,))[0] != user:
        raise ConflictError("this identity belongs to another account: log in with that one")
    return False


# --- sessions --------------------------------------------------------------------------------------------------------


async def add_session(
    connection: TrioConnection, session: Session, most: int, now: datetime, audit: Sequence[AuditEntry]
) -> list[str]:
    """A session; those that have expired go, so that the table does not grow, and of too many the oldest."""
    await send(connection, sql.DROP_EXPIRED, {"now": now, "limit": SOME})
    await _locked_user(connection, session.user)
    values = {
        "id": session.id,
        "token": session.token_hash,
        "account": session.user,
        "expires": session.expires_at,
        "body": body_of(session),
    }
    await send(connection, sql.PUT_SESSION, values)
    found = [decode_session(body) for (body,) in await rows(connection, sql.SESSION_BODIES, {"id": session.user})]
    theirs = sorted((one for one in found if one.id != session.id), key=_seen, reverse=True)
    ended = [one.id for one in theirs[max(most - 1, 0) :]]
    if ended:
        await send(connection, sql.DROP_SOME_SESSIONS, {"ids": ended})
    await note(connection, audit)
    return ended


def _seen(session: Session) -> tuple[datetime, str]:
    return session.seen_at, session.id


async def touch_session(connection: TrioConnection, session: str, seen_at: datetime, expires_at: datetime) -> None:
    """Keep a session alive that is there."""
    await _set_session(connection, session, seen_at=seen_at, expires_at=expires_at)


async def _set_session(connection: TrioConnection, session: str, **changes: object) -> None:
    row = await first_row(connection, sql.LOCK_SESSION, {"id": session})
    if row is not None:
        kept = replace(decode_session(row[0]), **changes)
        values = {"id": session, "expires": kept.expires_at, "body": body_of(kept)}
        await send(connection, sql.SET_SESSION, values)


async def drop(connection: TrioConnection, statement: str, name: str, audit: Sequence[AuditEntry]) -> bool:
    """Remove what ``statement`` says, a session or a key; recorded if it was there."""
    is_there = bool(await rows(connection, statement, {"id": name}))
    if is_there:
        await note(connection, audit)
    return is_there


# --- keys and invitations --------------------------------------------------------------------------------------------


async def add_key(connection: TrioConnection, key: ApiKey, most: int, audit: Sequence[AuditEntry]) -> None:
    """A key, unless its account has too many."""
    await _locked_user(connection, key.user)
    if (await rows(connection, sql.COUNT_KEYS, {"id": key.user}))[0][0] >= most:
        raise ConflictError(f"there are {most} keys already (keys_per_user): revoke one first")
    values = {"id": key.id, "token": key.token_hash, "account": key.user, "body": body_of(key)}
    await send(connection, sql.ADD_KEY, values)
    await note(connection, audit)


async def touch_key(connection: TrioConnection, key: str, used_at: datetime) -> None:
    """Note when a key was used."""
    row = await first_row(connection, sql.LOCK_KEY, {"id": key})
    if row is not None:
        await send(connection, sql.SET_KEY, {"id": key, "body": body_of(replace(decode_key(row[0]), used_at=used_at))})


async def add_invitation(connection: TrioConnection, invitation: Invitation, audit: Sequence[AuditEntry]) -> None:
    """An invitation."""
    values = {"id": invitation.id, "token": invitation.token_hash, "body": body_of(invitation)}
    await send(connection, sql.ADD_INVITATION, values)
    await note(connection, audit)


async def drop_invitation(connection: TrioConnection, invitation: str, audit: Sequence[AuditEntry]) -> bool:
    """Revoke an invitation that nobody has used."""
    row = await first_row(connection, sql.LOCK_INVITATION, {"id": invitation})
    if row is None or decode_invitation(row[0]).used_by is not None:
        return False
    await send(connection, sql.DROP_INVITATION, {"id": invitation})
    await note(connection, audit)
    return True
