"""The reads of the facet ``accounts``: each a function of a connection that cannot write."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from trialogue import (
    ApiKey,
    AuditEntry,
    AuditPage,
    Deletion,
    Invitation,
    InvitationPage,
    Session,
    User,
    UserPage,
    no_cursor,
    place_cursor,
    place_in,
)
from trialogue_sqlite import _accounts_sql as sql
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._rows import moment

decode_user = msgspec.json.Decoder(User).decode
decode_session = msgspec.json.Decoder(Session).decode
decode_key = msgspec.json.Decoder(ApiKey).decode
decode_invitation = msgspec.json.Decoder(Invitation).decode
_decode_entry = msgspec.json.Decoder(AuditEntry).decode

#: Greater than any number of a row.
_NO_END = 2**63 - 1


def read_has_users(connection: Connection) -> bool:
    """Whether there is any account."""
    return bool(connection.execute(sql.ANY_ACCOUNT).get)


def read_user(connection: Connection, user: str) -> User | None:
    """An account."""
    return _user(connection.execute(sql.ACCOUNT, (user,)).get)


def read_user_by_email(connection: Connection, email: str) -> User | None:
    """An account by its address."""
    return _user(connection.execute(sql.ACCOUNT_BY_EMAIL, (email,)).get)


def read_users(connection: Connection, limit: int, cursor: str | None, text: str | None) -> UserPage:
    """A page of accounts."""
    values: dict[str, int | str] = {"after": "" if cursor is None else place_in(cursor), "limit": max(limit, 0) + 1}
    if text:
        rows = connection.execute(sql.SEARCH_ACCOUNTS, {**values, "sought": text.casefold()}).fetchall()
    else:
        rows = connection.execute(sql.ACCOUNTS, values).fetchall()
    page, more = _page(rows, limit)
    return UserPage(tuple(decode_user(body) for _, body in page), more)


def read_secret(connection: Connection, email: str) -> tuple[User, str | None] | None:
    """An account and its secret's hash."""
    row = connection.execute(sql.SECRET, (email,)).fetchone()
    return None if row is None else (decode_user(row[0]), row[1] or None)


def read_reset(connection: Connection, token_hash: bytes, now: int) -> User | None:
    """Whose secret may be reset."""
    return _user(connection.execute(sql.RESET, (token_hash, now)).get)


def read_identity(connection: Connection, issuer: str, subject: str) -> User | None:
    """The account of an identity."""
    return _user(connection.execute(sql.IDENTITY, (issuer, subject)).get)


def read_session(connection: Connection, token_hash: bytes) -> tuple[Session, User] | None:
    """A session and its account."""
    row = connection.execute(sql.SESSION, (token_hash,)).fetchone()
    return None if row is None else (decode_session(row[0]), decode_user(row[1]))


def read_sessions(connection: Connection, user: str, now: datetime) -> list[Session]:
    """The sessions that let an account in, the one seen last first."""
    rows = [(decode_session(body), decode_user(whose)) for body, whose in connection.execute(sql.SESSIONS, (user,))]
    theirs = [session for session, whose in rows if session.admits(whose, now)]
    return sorted(theirs, key=lambda session: (session.seen_at, session.id), reverse=True)


def read_key(connection: Connection, token_hash: bytes) -> tuple[ApiKey, User] | None:
    """A key and its account."""
    row = connection.execute(sql.KEY, (token_hash,)).fetchone()
    return None if row is None else (decode_key(row[0]), decode_user(row[1]))


def read_key_by_id(connection: Connection, key: str) -> ApiKey | None:
    """A key."""
    body = connection.execute(sql.KEY_BODY, (key,)).get
    return None if body is None else decode_key(body)


def read_keys(connection: Connection, user: str) -> list[ApiKey]:
    """The keys of an account, newest first."""
    keys = [decode_key(body) for (body,) in connection.execute(sql.KEYS, (user,))]
    return sorted(keys, key=lambda key: (key.created_at, key.id), reverse=True)


def read_invitation(connection: Connection, token_hash: bytes) -> Invitation | None:
    """An invitation by its token."""
    body = connection.execute(sql.INVITATION, (token_hash,)).get
    return None if body is None else decode_invitation(body)


def read_invitations(connection: Connection, limit: int, cursor: str | None) -> InvitationPage:
    """A page of invitations."""
    before = "~" if cursor is None else place_in(cursor)  # After every id.
    rows = connection.execute(sql.INVITATIONS, (before, max(limit, 0) + 1)).fetchall()
    page, more = _page(rows, limit)
    return InvitationPage(tuple(decode_invitation(body) for _, body in page), more)


def audit_statement(wanted: Sequence[str]) -> str:
    """The statement of a list that is filtered as ``wanted`` says, by names of ``AUDIT_FILTERS``."""
    return sql.AUDIT_LIST + "".join(sql.AUDIT_FILTERS[name] for name in wanted) + sql.AUDIT_END


def read_audit(
    connection: Connection, limit: int, cursor: str | None, filters: dict[str, str | int | None]
) -> AuditPage:
    """A page of the audit log. ``filters`` are named as in ``AUDIT_FILTERS``, ``None`` for those that are not wanted."""
    wanted = {name: value for name, value in filters.items() if value is not None}
    before = _NO_END if cursor is None else _number(place_in(cursor))
    values = {**wanted, "before": before, "limit": max(limit, 0) + 1}
    rows = connection.execute(audit_statement(list(wanted)), values).fetchall()
    page, more = _page(rows, limit)
    return AuditPage(tuple(_decode_entry(body) for _, body in page), more)


def read_deletions(connection: Connection) -> list[Deletion]:
    """Accounts that are gone, the oldest first."""
    rows = connection.execute(sql.DELETIONS)
    return sorted((Deletion(user, moment(at)) for user, at in rows), key=lambda deletion: deletion.at)


def read_owned(connection: Connection, user: str, limit: int) -> list[str]:
    """Conversations of an account."""
    return [name for (name,) in connection.execute(sql.OWNED, (user, max(limit, 0)))]


def _user(body: str | None) -> User | None:
    return None if body is None else decode_user(body)


# --- pages -----------------------------------------------------------------------------------------------------------


def _page(rows: list[tuple[str | int, str]], limit: int) -> tuple[list[tuple[str | int, str]], str | None]:
    page = rows[: max(limit, 0)]
    more = place_cursor(str(page[-1][0])) if page and len(rows) > len(page) else None
    return page, more


def _number(place: str) -> int:
    if not (place.isascii() and place.isdigit() and len(place) < 19):
        raise no_cursor(place)
    return int(place)


def now() -> datetime:
    """The clock that decides what has expired."""
    return datetime.now(UTC)
