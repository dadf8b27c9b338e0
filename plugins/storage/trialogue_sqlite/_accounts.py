"""The facet ``accounts``, put together: every call of its port, and where it runs. Reads are small and done in the loop."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

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
)
from trialogue_sqlite import _accounts_reads as reads
from trialogue_sqlite import _accounts_sql as sql
from trialogue_sqlite import _accounts_writes as writes
from trialogue_sqlite._accounts_reads import now
from trialogue_sqlite._readers import Readers
from trialogue_sqlite._rows import micros
from trialogue_sqlite._writer import Writer


class SQLiteAccounts(Accounts):
    """See ``trialogue.Accounts``."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._write = writer.run
        self._near = readers.near
        self._far = readers.far

    # --- accounts ------------------------------------------------------------------------------------------------

    async def add_user(
        self,
        user: User,
        secret_hash: str | None,
        admission: Admission = Admission(),  # noqa: B008 - frozen
        identity: Identity | None = None,
    ) -> User:
        return await self._write(
            partial(writes.add_user, user=user, secret_hash=secret_hash, admission=admission, identity=identity)
        )

    async def has_users(self) -> bool:
        return await self._near(reads.read_has_users)

    async def user(self, user: str) -> User | None:
        return await self._near(partial(reads.read_user, user=user))

    async def user_by_email(self, email: str) -> User | None:
        return await self._near(partial(reads.read_user_by_email, email=email))

    async def users(self, *, limit: int, cursor: str | None = None, text: str | None = None) -> UserPage:
        return await self._far(partial(reads.read_users, limit=limit, cursor=cursor, text=text))

    async def set_user(self, user: str, change: UserChange, audit: Sequence[AuditEntry] = ()) -> User | None:
        return await self._write(partial(writes.set_user, user=user, change=change, audit=audit))

    async def remove_user(self, user: str, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._write(partial(writes.remove_user, user=user, now=now(), audit=audit))

    # --- secrets and identities ----------------------------------------------------------------------------------

    async def user_secret(self, email: str) -> tuple[User, str | None] | None:
        return await self._near(partial(reads.read_secret, email=email))

    async def renew_secret(self, user: str, old_hash: str, new_hash: str) -> None:
        await self._write(lambda connection: connection.execute(sql.RENEW_SECRET, (new_hash, user, old_hash)))

    async def change_secret(
        self, user: str, secret_hash: str | None, keep: str | None = None, audit: Sequence[AuditEntry] = ()
    ) -> Sequence[str] | None:
        change = partial(writes.change_secret, user=user, secret_hash=secret_hash, keep=keep, audit=audit)
        return await self._write(change)

    async def add_reset(self, reset: Reset, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._write(partial(writes.add_reset, reset=reset, audit=audit))

    async def reset(self, token_hash: bytes) -> User | None:
        return await self._near(partial(reads.read_reset, token_hash=token_hash, now=micros(now())))

    async def use_reset(
        self, token_hash: bytes, secret_hash: str, audit: Sequence[AuditEntry] = ()
    ) -> tuple[User, Sequence[str]] | None:
        return await self._write(
            partial(writes.use_reset, token_hash=token_hash, secret_hash=secret_hash, now=now(), audit=audit)
        )

    async def identity(self, issuer: str, subject: str) -> User | None:
        return await self._near(partial(reads.read_identity, issuer=issuer, subject=subject))

    async def add_identity(self, user: str, identity: Identity, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._write(partial(writes.add_identity, user=user, identity=identity, audit=audit))

    # --- sessions ------------------------------------------------------------------------------------------------

    async def add_session(self, session: Session, most: int = 100, audit: Sequence[AuditEntry] = ()) -> Sequence[str]:
        return await self._write(partial(writes.add_session, session=session, most=most, now=now(), audit=audit))

    async def session(self, token_hash: bytes) -> tuple[Session, User] | None:
        found = await self._near(partial(reads.read_session, token_hash=token_hash))
        return found if found is not None and found[0].admits(found[1], now()) else None

    async def sessions(self, user: str) -> Sequence[Session]:
        return await self._near(partial(reads.read_sessions, user=user, now=now()))

    async def touch_session(self, session: str, seen_at: datetime, expires_at: datetime) -> None:
        await self._write(partial(writes.touch_session, session=session, seen_at=seen_at, expires_at=expires_at))

    async def drop_session(self, session: str, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._write(partial(writes.drop_session, session=session, audit=audit))

    # --- keys ----------------------------------------------------------------------------------------------------

    async def add_key(self, key: ApiKey, most: int = 100, audit: Sequence[AuditEntry] = ()) -> None:
        await self._write(partial(writes.add_key, key=key, most=most, audit=audit))

    async def key(self, token_hash: bytes) -> tuple[ApiKey, User] | None:
        found = await self._near(partial(reads.read_key, token_hash=token_hash))
        return found if found is not None and found[0].admits(found[1], now()) else None

    async def key_by_id(self, key: str) -> ApiKey | None:
        return await self._near(partial(reads.read_key_by_id, key=key))

    async def keys(self, user: str) -> Sequence[ApiKey]:
        return await self._near(partial(reads.read_keys, user=user))

    async def touch_key(self, key: str, used_at: datetime) -> None:
        await self._write(partial(writes.touch_key, key=key, used_at=used_at))

    async def drop_key(self, key: str, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._write(partial(writes.drop_key, key=key, audit=audit))

    # --- invitations ---------------------------------------------------------------------------------------------

    async def add_invitation(self, invitation: Invitation, audit: Sequence[AuditEntry] = ()) -> None:
        await self._write(partial(writes.add_invitation, invitation=invitation, audit=audit))

    async def invitation(self, token_hash: bytes) -> Invitation | None:
        return await self._near(partial(reads.read_invitation, token_hash=token_hash))

    async def invitations(self, *, limit: int, cursor: str | None = None) -> InvitationPage:
        return await self._near(partial(reads.read_invitations, limit=limit, cursor=cursor))

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
        filters: dict[str, str | int | None] = {
            "action": action,
            "actor": actor,
            "subject": subject,
            "since": None if since is None else micros(since),
            "until": None if until is None else micros(until),
        }
        # Filters may skip any number of rows before a page is full.
        return await self._far(partial(reads.read_audit, limit=limit, cursor=cursor, filters=filters))

    async def drop_expired_sessions(self, limit: int) -> int:
        return await self._write(partial(writes.drop_expired, limit=limit, now=now()))

    async def drop_old_invitations(self, before: datetime, limit: int) -> int:
        return await self._write(partial(writes.drop_old_invitations, before=before, limit=limit))

    async def drop_audit(self, before: datetime, limit: int) -> int:
        return await self._write(partial(writes.drop_audit, before=before, limit=limit))

    # --- what deleted accounts leave -----------------------------------------------------------------------------

    async def deletions(self) -> Sequence[Deletion]:
        return await self._near(reads.read_deletions)

    async def owned(self, user: str, limit: int) -> Sequence[str]:
        return await self._near(partial(reads.read_owned, user=user, limit=limit))

    async def forget_deletion(self, user: str) -> None:
        await self._write(lambda connection: connection.execute(sql.DROP_DELETION, (user,)))
