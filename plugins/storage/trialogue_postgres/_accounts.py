"""The facet ``accounts``, put together: its reads, and which transaction each of its writes is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import msgspec

from trialogue import (
    Accounts,
    Action,
    Admission,
    ApiKey,
    AuditEntry,
    AuditPage,
    Deletion,
    Identity,
    Invitation,
    InvitationPage,
    Reset,
    Session,
    User,
    UserChange,
    UserPage,
    no_cursor,
    place_cursor,
    place_in,
)
from trialogue_postgres import _accounts_sql as sql
from trialogue_postgres import _accounts_writes as writes
from trialogue_postgres._accounts_writes import decode_invitation, decode_key, decode_session, decode_user
from trialogue_postgres._database import Database, Row

_decode_entry = msgspec.json.Decoder(AuditEntry).decode

#: Greater than any number of a row, and after every id.
_NO_END, _LAST = 2**63 - 1, "~"


class PostgresAccounts(Accounts):
    """See ``trialogue.Accounts``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._write = database.write
        self._execute = database.execute

    # --- accounts ------------------------------------------------------------------------------------------------

    async def add_user(
        self,
        user: User,
        secret_hash: str | None,
        admission: Admission = Admission(),  # noqa: B008 - frozen
        identity: Identity | None = None,
    ) -> User:
        add = partial(writes.add_user, user=user, secret_hash=secret_hash, admission=admission, identity=identity)
        return await self._write(add)

    async def has_users(self) -> bool:
        return bool((await self._database.read(sql.ANY_ACCOUNT))[0][0])

    async def user(self, user: str) -> User | None:
        return await self._user(sql.ACCOUNT, id=user)

    async def user_by_email(self, email: str) -> User | None:
        return await self._user(sql.ACCOUNT_BY_EMAIL, email=email)

    async def _user(self, statement: str, **values: object) -> User | None:
        row = await self._database.first(statement, values)
        return None if row is None else decode_user(row[0])

    async def users(self, *, limit: int, cursor: str | None = None, text: str | None = None) -> UserPage:
        values: dict[str, object] = {"after": "" if cursor is None else place_in(cursor), "limit": max(limit, 0) + 1}
        if text:
            found = await self._database.read(sql.SEARCH_ACCOUNTS, {**values, "sought": text.casefold()})
        else:
            found = await self._database.read(sql.ACCOUNTS, values)
        page, more = _page(found, limit)
        return UserPage(tuple(decode_user(body) for _, body in page), more)

    async def set_user(self, user: str, change: UserChange, audit: Sequence[AuditEntry] = ()) -> User | None:
        return await self._write(partial(writes.set_user, user=user, change=change, audit=audit))

    async def remove_user(self, user: str, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._write(partial(writes.remove_user, user=user, now=_now(), audit=audit))

    # --- secrets and identities ----------------------------------------------------------------------------------

    async def user_secret(self, email: str) -> tuple[User, str | None] | None:
        row = await self._database.first(sql.SECRET, {"email": email})
        return None if row is None else (decode_user(row[0]), row[1] or None)

    async def renew_secret(self, user: str, old_hash: str, new_hash: str) -> None:
        await self._execute(sql.RENEW_SECRET, {"id": user, "old": old_hash, "new": new_hash})

    async def change_secret(
        self, user: str, secret_hash: str | None, keep: str | None = None, audit: Sequence[AuditEntry] = ()
    ) -> Sequence[str] | None:
        change = partial(writes.change_secret, user=user, secret_hash=secret_hash, keep=keep, audit=audit)
        return await self._write(change)

    async def add_reset(self, reset: Reset, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._write(partial(writes.add_reset, reset=reset, audit=audit))

    async def reset(self, token_hash: bytes) -> User | None:
        return await self._user(sql.RESET, token=token_hash, now=_now())

    async def use_reset(
        self, token_hash: bytes, secret_hash: str, audit: Sequence[AuditEntry] = ()
    ) -> tuple[User, Sequence[str]] | None:
        use = partial(writes.use_reset, token_hash=token_hash, secret_hash=secret_hash, now=_now(), audit=audit)
        return await self._write(use)

    async def identity(self, issuer: str, subject: str) -> User | None:
        return await self._user(sql.IDENTITY, issuer=issuer, subject=subject)

    async def add_identity(self, user: str, identity: Identity, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._write(partial(writes.add_identity, user=user, identity=identity, audit=audit))

    # --- sessions ------------------------------------------------------------------------------------------------

    async def add_session(self, session: Session, most: int = 100, audit: Sequence[AuditEntry] = ()) -> Sequence[str]:
        return await self._write(partial(writes.add_session, session=session, most=most, now=_now(), audit=audit))

    async def session(self, token_hash: bytes) -> tuple[Session, User] | None:
        row = await self._database.first(sql.SESSION, {"token": token_hash})
        if row is None:
            return None
        session, user = decode_session(row[0]), decode_user(row[1])
        return (session, user) if session.admits(user, _now()) else None

    async def sessions(self, user: str) -> Sequence[Session]:
        found = await self._database.read(sql.SESSIONS, {"id": user})
        pairs, now = [(decode_session(body), decode_user(whose)) for body, whose in found], _now()
        theirs = [session for session, whose in pairs if session.admits(whose, now)]
        return sorted(theirs, key=lambda session: (session.seen_at, session.id), reverse=True)

    async def touch_session(self, session: str, seen_at: datetime, expires_at: datetime) -> None:
        await self._write(partial(writes.touch_session, session=session, seen_at=seen_at, expires_at=expires_at))

    async def drop_session(self, session: str, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._write(partial(writes.drop, statement=sql.DROP_SESSION, name=session, audit=audit))

    # --- keys ----------------------------------------------------------------------------------------------------

    async def add_key(self, key: ApiKey, most: int = 100, audit: Sequence[AuditEntry] = ()) -> None:
        await self._write(partial(writes.add_key, key=key, most=most, audit=audit))

    async def key(self, token_hash: bytes) -> tuple[ApiKey, User] | None:
        row = await self._database.first(sql.KEY, {"token": token_hash})
        if row is None:
            return None
        key, user = decode_key(row[0]), decode_user(row[1])
        return (key, user) if key.admits(user, _now()) else None

    async def key_by_id(self, key: str) -> ApiKey | None:
        row = await self._database.first(sql.KEY_BODY, {"id": key})
        return None if row is None else decode_key(row[0])

    async def keys(self, user: str) -> Sequence[ApiKey]:
        keys = [decode_key(body) for (body,) in await self._database.read(sql.KEYS, {"id": user})]
        return sorted(keys, key=lambda key: (key.created_at, key.id), reverse=True)

    async def touch_key(self, key: str, used_at: datetime) -> None:
        await self._write(partial(writes.touch_key, key=key, used_at=used_at))

    async def drop_key(self, key: str, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._write(partial(writes.drop, statement=sql.DROP_KEY, name=key, audit=audit))

    # --- invitations ---------------------------------------------------------------------------------------------

    async def add_invitation(self, invitation: Invitation, audit: Sequence[AuditEntry] = ()) -> None:
        await self._write(partial(writes.add_invitation, invitation=invitation, audit=audit))

    async def invitation(self, token_hash: bytes) -> Invitation | None:
        row = await self._database.first(sql.INVITATION, {"token": token_hash})
        return None if row is None else decode_invitation(row[0])

    async def invitations(self, *, limit: int, cursor: str | None = None) -> InvitationPage:
        before = _LAST if cursor is None else place_in(cursor)
        found = await self._database.read(sql.INVITATIONS, {"before": before, "limit": max(limit, 0) + 1})
        page, more = _page(found, limit)
        return InvitationPage(tuple(decode_invitation(body) for _, body in page), more)

    async def drop_invitation(self, invitation: str, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._write(partial(writes.drop_invitation, invitation=invitation, audit=audit))

    # --- the audit log -------------------------------------------------------------------------------------------

    async def note(self, audit: Sequence[AuditEntry]) -> None:
        await self._write(partial(writes.note, audit=audit))

    async def audit(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        action: Action | None = None,
        actor: str | None = None,
        subject: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AuditPage:
        filters = {"action": action, "actor": actor, "subject": subject, "since": since, "until": until}
        wanted: dict[str, object] = {name: value for name, value in filters.items() if value is not None}
        before = _NO_END if cursor is None else _number(place_in(cursor))
        values = {**wanted, "before": before, "limit": max(limit, 0) + 1}
        page, more = _page(await self._database.read(audit_statement(list(wanted)), values), limit)
        return AuditPage(tuple(_decode_entry(body) for _, body in page), more)

    async def drop_expired_sessions(self, limit: int) -> int:
        return len(await self._execute(sql.DROP_EXPIRED, {"now": _now(), "limit": max(limit, 0)}))

    async def drop_old_invitations(self, before: datetime, limit: int) -> int:
        made = f"{max(0, int(before.timestamp() * 1000)):012x}"
        values = {"made": f"{made[:8]}-{made[8:]}", "before": before, "limit": max(limit, 0)}
        return len(await self._execute(sql.DROP_OLD_INVITATIONS, values))

    async def drop_audit(self, before: datetime, limit: int) -> int:
        return len(await self._execute(sql.DROP_AUDIT, {"before": before, "limit": max(limit, 0)}))

    # --- what deleted accounts leave -----------------------------------------------------------------------------

    async def deletions(self) -> Sequence[Deletion]:
        return [Deletion(user, at) for user, at in await self._database.read(sql.DELETIONS)]

    async def owned(self, user: str, limit: int) -> Sequence[str]:
        values = {"id": user, "limit": max(limit, 0)}
        return [name for (name,) in await self._database.read(sql.OWNED, values)]

    async def forget_deletion(self, user: str) -> None:
        await self._execute(sql.DROP_DELETION, {"id": user})


def audit_statement(wanted: Sequence[str]) -> str:
    """The statement of a list that is filtered as ``wanted`` says, by names of ``AUDIT_FILTERS``."""
    return sql.AUDIT_LIST + "".join(sql.AUDIT_FILTERS[name] for name in wanted) + sql.AUDIT_END


# --- pages -----------------------------------------------------------------------------------------------------------


def _page(found: list[Row], limit: int) -> tuple[list[Row], str | None]:
    page = found[: max(limit, 0)]
    more = place_cursor(str(page[-1][0])) if page and len(found) > len(page) else None
    return page, more


def _number(place: str) -> int:
    if not (place.isascii() and place.isdigit() and len(place) < 19):
        raise no_cursor(place)
    return int(place)


def _now() -> datetime:
    """The clock that decides what has expired."""
    return datetime.now(UTC)
