"""The writes of the facet ``accounts``: each a function of the writer's connection, within a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

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
from trialogue_sqlite import _accounts_sql as sql
from trialogue_sqlite._accounts_reads import (
    decode_invitation,
    decode_key,
    decode_session,
    read_has_users,
    read_reset,
    read_user,
)
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._rows import body_of, micros

#: Sessions that have expired, dropped with each new one, so that there are never many.
SOME = 100


def note(connection: Connection, audit: Sequence[AuditEntry]) -> None:
    """Write entries of the audit log."""
    rows = [(micros(one.at), one.action, one.actor, one.subject, body_of(one)) for one in audit]
    connection.executemany(sql.ADD_AUDIT, rows)


# --- accounts --------------------------------------------------------------------------------------------------------


def add_user(
    connection: Connection, user: User, secret_hash: str | None, admission: Admission, identity: Identity | None
) -> User:
    """An account, if it is admitted, and its invitation used up."""
    _check_email(connection, user)
    kept = _kept(connection, admission.invitation)
    stored = admission.admit(user, first=not read_has_users(connection), kept=kept)
    connection.execute(sql.ADD_ACCOUNT, (stored.id, stored.email, secret_hash or "", body_of(stored)))
    if identity is not None:
        _link(connection, stored.id, identity)
    if kept is not None:
        used = replace(kept, used_by=stored.id, used_at=stored.created_at)
        connection.execute(sql.SET_INVITATION, (body_of(used), kept.id))
    note(connection, admission.entries(stored))
    return stored


def set_user(connection: Connection, user: str, change: UserChange, audit: Sequence[AuditEntry]) -> User | None:
    """An account as it is after a change."""
    before = read_user(connection, user)
    if before is None:
        return None
    after = change.apply(before)
    _check_email(connection, after)
    _check_administrators(connection, before, after)
    connection.execute(sql.SET_ACCOUNT, (after.email, body_of(after), user))
    if after.disabled:
        connection.execute(sql.DROP_SESSIONS, (user, ""))
    note(connection, audit)
    return after


def remove_user(connection: Connection, user: str, now: datetime, audit: Sequence[AuditEntry]) -> bool:
    """Remove an account and what lets it in; what it owns is removed later."""
    before = read_user(connection, user)
    if before is None:
        return False
    _check_administrators(connection, before, None)
    for statement in (sql.DROP_ACCOUNT, sql.DROP_KEYS, sql.DROP_IDENTITIES, sql.DROP_RESET):
        connection.execute(statement, (user,))
    connection.execute(sql.DROP_SESSIONS, (user, ""))
    connection.execute(sql.ADD_DELETION, (user, micros(now)))
    note(connection, audit)
    return True


def _check_email(connection: Connection, user: User) -> None:
    if connection.execute(sql.EMAIL_TAKEN, (user.email, user.id)).get:
        raise ConflictError(f"{user.email!r} has an account already: log in with it", pointer="/email")


def _check_administrators(connection: Connection, before: User, after: User | None) -> None:
    if _rules(before) and not (after and _rules(after)) and not connection.execute(sql.OTHER_RULER, (before.id,)).get:
        raise ConflictError("this is the last administrator: make another one first")


def _rules(user: User) -> bool:
    return user.role == "admin" and not user.disabled


def _kept(connection: Connection, invitation: Invitation | None) -> Invitation | None:
    body = None if invitation is None else connection.execute(sql.INVITATION_BODY, (invitation.id,)).get
    return None if body is None else decode_invitation(body)


# --- secrets and identities ------------------------------------------------------------------------------------------


def change_secret(
    connection: Connection, user: str, secret_hash: str | None, keep: str | None, audit: Sequence[AuditEntry]
) -> list[str] | None:
    """Replace a secret; what was let in by the old one is not any longer."""
    before = read_user(connection, user)
    if before is None:
        return None
    after = replace(before, epoch=before.epoch + 1)
    connection.execute(sql.CHANGE_SECRET, (secret_hash or "", body_of(after), user))
    connection.execute(sql.DROP_RESET, (user,))
    ended = [name for (name,) in connection.execute(sql.DROP_SESSIONS, (user, keep or "")).fetchall()]
    if keep is not None:
        _set_session(connection, keep, epoch=after.epoch)
    note(connection, audit)
    return ended


def add_reset(connection: Connection, reset: Reset, audit: Sequence[AuditEntry]) -> bool:
    """Offer a reset in place of any other."""
    if read_user(connection, reset.user) is None:
        return False
    connection.execute(sql.PUT_RESET, (reset.user, reset.token_hash, micros(reset.expires_at)))
    note(connection, audit)
    return True


def use_reset(
    connection: Connection, token_hash: bytes, secret_hash: str, now: datetime, audit: Sequence[AuditEntry]
) -> tuple[User, list[str]] | None:
    """Use a reset up."""
    user = read_reset(connection, token_hash, micros(now))
    if user is None:
        return None
    ended = change_secret(connection, user.id, secret_hash, None, audit)
    after = read_user(connection, user.id)
    assert after is not None, "read in the same transaction"
    return after, ended or []


def add_identity(connection: Connection, user: str, identity: Identity, audit: Sequence[AuditEntry]) -> bool:
    """Let an account be known by an identity."""
    if read_user(connection, user) is None:
        return False
    if _link(connection, user, identity):
        note(connection, audit)
    return True


def _link(connection: Connection, user: str, identity: Identity) -> bool:
    owner = connection.execute(sql.IDENTITY_OWNER, (identity.issuer, identity.subject)).get
    if owner not in (None, user):
        raise ConflictError("this identity belongs to another account: log in with that one")
    if owner is None:
        connection.execute(sql.ADD_IDENTITY, (identity.issuer, identity.subject, user))
    return owner is None


# --- sessions --------------------------------------------------------------------------------------------------------


def add_session(
    connection: Connection, session: Session, most: int, now: datetime, audit: Sequence[AuditEntry]
) -> list[str]:
    """A session; those that have expired go, so that the table does not grow, and of too many the oldest."""
    drop_expired(connection, SOME, now)
    values = (session.id, session.token_hash, session.user, micros(session.expires_at), body_of(session))
    connection.execute(sql.PUT_SESSION, values)
    rows = [decode_session(body) for (body,) in connection.execute(sql.SESSION_BODIES, (session.user,))]
    theirs = sorted((one for one in rows if one.id != session.id), key=lambda one: (one.seen_at, one.id), reverse=True)
    ended = [one.id for one in theirs[max(most - 1, 0) :]]
    for name in ended:
        connection.execute(sql.DROP_SESSION, (name,))
    note(connection, audit)
    return ended


def touch_session(connection: Connection, session: str, seen_at: datetime, expires_at: datetime) -> None:
    """Keep a session alive that is there."""
    _set_session(connection, session, seen_at=seen_at, expires_at=expires_at)


def drop_session(connection: Connection, session: str, audit: Sequence[AuditEntry]) -> bool:
    """End a session."""
    return _drop(connection, sql.DROP_SESSION, session, audit)


def _set_session(connection: Connection, session: str, **changes: object) -> None:
    body = connection.execute(sql.SESSION_BODY, (session,)).get
    if body is not None:
        kept = replace(decode_session(body), **changes)
        connection.execute(sql.SET_SESSION, (micros(kept.expires_at), body_of(kept), session))


def _drop(connection: Connection, statement: str, name: str, audit: Sequence[AuditEntry]) -> bool:
    found = connection.execute(statement, (name,)).get is not None
    if found:
        note(connection, audit)
    return found


# --- keys and invitations --------------------------------------------------------------------------------------------


def add_key(connection: Connection, key: ApiKey, most: int, audit: Sequence[AuditEntry]) -> None:
    """A key, unless its account has too many."""
    if connection.execute(sql.COUNT_KEYS, (key.user,)).get >= most:
        raise ConflictError(f"there are {most} keys already (keys_per_user): revoke one first")
    connection.execute(sql.ADD_KEY, (key.id, key.token_hash, key.user, body_of(key)))
    note(connection, audit)


def touch_key(connection: Connection, key: str, used_at: datetime) -> None:
    """Note when a key was used."""
    body = connection.execute(sql.KEY_BODY, (key,)).get
    if body is not None:
        connection.execute(sql.SET_KEY, (body_of(replace(decode_key(body), used_at=used_at)), key))


def drop_key(connection: Connection, key: str, audit: Sequence[AuditEntry]) -> bool:
    """Revoke a key."""
    return _drop(connection, sql.DROP_KEY, key, audit)


def add_invitation(connection: Connection, invitation: Invitation, audit: Sequence[AuditEntry]) -> None:
    """An invitation."""
    connection.execute(sql.ADD_INVITATION, (invitation.id, invitation.token_hash, body_of(invitation)))
    note(connection, audit)


def drop_invitation(connection: Connection, invitation: str, audit: Sequence[AuditEntry]) -> bool:
    """Revoke an invitation that nobody has used."""
    body = connection.execute(sql.INVITATION_BODY, (invitation,)).get
    if body is None or decode_invitation(body).used_by is not None:
        return False
    connection.execute(sql.DROP_INVITATION, (invitation,))
    note(connection, audit)
    return True


def drop_expired(connection: Connection, limit: int, now: datetime) -> int:
    """Remove sessions that nobody can use any more."""
    known = connection.total_changes()
    connection.execute(sql.DROP_EXPIRED, (micros(now), max(limit, 0)))
    return connection.total_changes() - known


def drop_old_invitations(connection: Connection, before: datetime, limit: int) -> int:
    """Remove what was over before then."""
    known = connection.total_changes()
    made = f"{max(0, micros(before) // 1000):012x}"
    # As bodies have it, to the microsecond or without: a second's fraction sorts among its neighbours.
    moment = before.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    connection.execute(sql.DROP_OLD_INVITATIONS, (f"{made[:8]}-{made[8:]}", moment, max(limit, 0)))
    return connection.total_changes() - known


def drop_audit(connection: Connection, before: datetime, limit: int) -> int:
    """Remove what is older."""
    known = connection.total_changes()
    connection.execute(sql.DROP_AUDIT, (micros(before), max(limit, 0)))
    return connection.total_changes() - known
