"""The facet ``accounts`` of a ``MemoryStore``: tables as dictionaries, each call one effect at one instant."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from msgspec.structs import replace

from trialogue._accounts import (
    Accounts,
    Admission,
    Deletion,
    Identity,
    Invitation,
    InvitationPage,
    Reset,
    UserChange,
    UserPage,
)
from trialogue._audit import Action, AuditEntry, AuditPage
from trialogue._auth import ApiKey, Session, User
from trialogue._errors import ConflictError, InvalidError

T = TypeVar("T")


class Run(Protocol):
    """How the store runs a call: its faults come in between."""

    async def __call__(self, name: str, effect: Callable[[], T], *, writes: bool = False) -> T: ...


class MemoryAccounts(Accounts):
    """See ``trialogue.Accounts``. ``owners`` tells the owner of each conversation; ``now`` what has expired."""

    def __init__(self, run: Run, now: Callable[[], datetime], owners: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self._call = run
        self._now = now
        self._owners = owners
        self._users: dict[str, tuple[User, str | None]] = {}
        self._identities: dict[Identity, str] = {}
        self._sessions: dict[str, Session] = {}
        self._keys: dict[str, ApiKey] = {}
        self._invitations: dict[str, Invitation] = {}
        #: By account: it has one at a time.
        self._resets: dict[str, Reset] = {}
        #: In the order of writing.
        self._audit: list[AuditEntry] = []
        self._deletions: dict[str, Deletion] = {}

    # --- accounts ------------------------------------------------------------------------------------------------

    async def add_user(
        self,
        user: User,
        secret_hash: str | None,
        admission: Admission = Admission(),  # noqa: B008 - frozen
        identity: Identity | None = None,
    ) -> User:
        def effect() -> User:
            self._check_email(user)
            if identity in self._identities:
                raise _taken_identity()
            kept = self._invitations.get(admission.invitation.id) if admission.invitation else None
            stored = admission.admit(user, first=not self._users, kept=kept)
            self._users[user.id] = (stored, secret_hash)
            if identity is not None:
                self._identities[identity] = user.id
            if kept is not None:
                self._invitations[kept.id] = replace(kept, used_by=user.id, used_at=user.created_at)
            self._audit += admission.entries(stored)
            return stored

        return await self._call("add_user", effect, writes=True)

    async def has_users(self) -> bool:
        return await self._call("has_users", lambda: bool(self._users))

    async def user(self, user: str) -> User | None:
        return await self._call("user", lambda: self._user(user))

    async def user_by_email(self, email: str) -> User | None:
        return await self._call("user_by_email", lambda: next((u for u in self._known() if u.email == email), None))

    async def users(self, *, limit: int, cursor: str | None = None, text: str | None = None) -> UserPage:
        def effect() -> UserPage:
            sought, after = (text or "").casefold(), _parse(cursor) or ""
            found = [u for u in self._known() if sought in u.email or sought in u.name.casefold()]
            rows = sorted((user for user in found if user.email > after), key=lambda user: user.email)
            return UserPage(*_page(rows, limit, lambda user: user.email))

        return await self._call("users", effect)

    async def set_user(self, user: str, change: UserChange, audit: Sequence[AuditEntry] = ()) -> User | None:
        def effect() -> User | None:
            before = self._user(user)
            if before is None:
                return None
            after = change.apply(before)
            self._check_email(after)
            self._check_administrators(before, after)
            self._put(after)
            if after.disabled:
                self._end_sessions(user, None)
            self._audit += audit
            return after

        return await self._call("set_user", effect, writes=True)

    async def remove_user(self, user: str, audit: Sequence[AuditEntry] = ()) -> bool:
        def effect() -> bool:
            before = self._user(user)
            if before is None:
                return False
            self._check_administrators(before, None)
            del self._users[user]
            self._end_sessions(user, None)
            self._resets.pop(user, None)
            self._keys = {name: key for name, key in self._keys.items() if key.user != user}
            self._identities = {known: owner for known, owner in self._identities.items() if owner != user}
            self._deletions[user] = Deletion(user, self._now())
            self._audit += audit
            return True

        return await self._call("remove_user", effect, writes=True)

    def _user(self, user: str) -> User | None:
        return self._users[user][0] if user in self._users else None

    def _known(self) -> list[User]:
        return [user for user, _ in self._users.values()]

    def _put(self, user: User) -> None:
        self._users[user.id] = (user, self._users[user.id][1])

    def _check_email(self, user: User) -> None:
        if any(known.email == user.email and known.id != user.id for known in self._known()):
            raise ConflictError(f"{user.email!r} has an account already: log in with it", pointer="/email")

    def _check_administrators(self, before: User, after: User | None) -> None:
        others = [user for user in self._known() if user.id != before.id]
        if _rules(before) and not any(_rules(user) for user in [*others, *([after] if after else [])]):
            raise ConflictError("this is the last administrator: make another one first")

    # --- secrets -------------------------------------------------------------------------------------------------

    async def user_secret(self, email: str) -> tuple[User, str | None] | None:
        def effect() -> tuple[User, str | None] | None:
            return next((known for known in self._users.values() if known[0].email == email), None)

        return await self._call("user_secret", effect)

    async def renew_secret(self, user: str, old_hash: str, new_hash: str) -> None:
        def effect() -> None:
            known = self._users.get(user)
            if known is not None and known[1] == old_hash:
                self._users[user] = (known[0], new_hash)

        await self._call("renew_secret", effect, writes=True)

    async def change_secret(
        self, user: str, secret_hash: str, keep: str | None = None, audit: Sequence[AuditEntry] = ()
    ) -> Sequence[str] | None:
        return await self._call(
            "change_secret", lambda: self._change_secret(user, secret_hash, keep, audit), writes=True
        )

    async def add_reset(self, reset: Reset, audit: Sequence[AuditEntry] = ()) -> bool:
        def effect() -> bool:
            if reset.user not in self._users:
                return False
            self._resets[reset.user] = reset
            self._audit += audit
            return True

        return await self._call("add_reset", effect, writes=True)

    async def reset(self, token_hash: bytes) -> User | None:
        return await self._call("reset", lambda: self._reset(token_hash))

    async def use_reset(
        self, token_hash: bytes, secret_hash: str, audit: Sequence[AuditEntry] = ()
    ) -> tuple[User, Sequence[str]] | None:
        def effect() -> tuple[User, Sequence[str]] | None:
            user = self._reset(token_hash)
            if user is None:
                return None
            ended = self._change_secret(user.id, secret_hash, None, audit)
            return self._users[user.id][0], ended or ()

        return await self._call("use_reset", effect, writes=True)

    def _reset(self, token_hash: bytes) -> User | None:
        now = self._now()
        found = (r for r in self._resets.values() if r.token_hash == token_hash and r.expires_at > now)
        return next((self._user(reset.user) for reset in found), None)

    def _change_secret(
        self, user: str, secret_hash: str, keep: str | None, audit: Sequence[AuditEntry]
    ) -> Sequence[str] | None:
        before = self._user(user)
        if before is None:
            return None
        after = replace(before, epoch=before.epoch + 1)
        self._users[user] = (after, secret_hash)
        self._resets.pop(user, None)
        ended = self._end_sessions(user, keep)
        if keep in self._sessions:
            self._sessions[keep] = replace(self._sessions[keep], epoch=after.epoch)
        self._audit += audit
        return ended

    def _end_sessions(self, user: str, keep: str | None) -> list[str]:
        ended = [s.id for s in self._sessions.values() if s.user == user and s.id != keep]
        for name in ended:
            del self._sessions[name]
        return ended

    # --- identities ----------------------------------------------------------------------------------------------

    async def identity(self, issuer: str, subject: str) -> User | None:
        def effect() -> User | None:
            return self._user(self._identities.get(Identity(issuer, subject), ""))

        return await self._call("identity", effect)

    async def add_identity(self, user: str, identity: Identity, audit: Sequence[AuditEntry] = ()) -> bool:
        def effect() -> bool:
            if user not in self._users:
                return False
            owner = self._identities.get(identity)
            if owner not in (None, user):
                raise _taken_identity()
            if owner is None:
                self._identities[identity] = user
                self._audit += audit
            return True

        return await self._call("add_identity", effect, writes=True)

    # --- sessions ------------------------------------------------------------------------------------------------

    async def add_session(self, session: Session, most: int = 100, audit: Sequence[AuditEntry] = ()) -> Sequence[str]:
        def effect() -> Sequence[str]:
            self._sessions[session.id] = session
            theirs = [s for s in self._sessions.values() if s.user == session.user and s.id != session.id]
            theirs.sort(key=lambda s: (s.seen_at, s.id), reverse=True)
            ended = [s.id for s in theirs[max(most - 1, 0) :]]
            for name in ended:
                del self._sessions[name]
            self._audit += audit
            return ended

        return await self._call("add_session", effect, writes=True)

    async def session(self, token_hash: bytes) -> tuple[Session, User] | None:
        def effect() -> tuple[Session, User] | None:
            found = next((s for s in self._sessions.values() if s.token_hash == token_hash), None)
            user = None if found is None else self._user(found.user)
            if found is None or user is None or not found.admits(user, self._now()):
                return None
            return found, user

        return await self._call("session", effect)

    async def sessions(self, user: str) -> Sequence[Session]:
        def effect() -> Sequence[Session]:
            whose, now = self._user(user), self._now()
            theirs = [s for s in self._sessions.values() if whose and s.user == user and s.admits(whose, now)]
            return sorted(theirs, key=lambda s: (s.seen_at, s.id), reverse=True)

        return await self._call("sessions", effect)

    async def touch_session(self, session: str, seen_at: datetime, expires_at: datetime) -> None:
        def effect() -> None:
            if session in self._sessions:
                kept = self._sessions[session]
                self._sessions[session] = replace(kept, seen_at=seen_at, expires_at=expires_at)

        await self._call("touch_session", effect, writes=True)

    async def drop_session(self, session: str, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._call("drop_session", lambda: self._drop(self._sessions, session, audit), writes=True)

    def _drop(self, table: dict[str, T], name: str, audit: Sequence[AuditEntry]) -> bool:
        found = table.pop(name, None) is not None
        self._audit += audit if found else ()
        return found

    # --- keys ----------------------------------------------------------------------------------------------------

    async def add_key(self, key: ApiKey, most: int = 100, audit: Sequence[AuditEntry] = ()) -> None:
        def effect() -> None:
            if sum(known.user == key.user for known in self._keys.values()) >= most:
                raise _many_keys(most)
            self._keys[key.id] = key
            self._audit += audit

        await self._call("add_key", effect, writes=True)

    async def key(self, token_hash: bytes) -> tuple[ApiKey, User] | None:
        def effect() -> tuple[ApiKey, User] | None:
            found = next((key for key in self._keys.values() if key.token_hash == token_hash), None)
            user = None if found is None else self._user(found.user)
            return (found, user) if found and user and found.admits(user, self._now()) else None

        return await self._call("key", effect)

    async def key_by_id(self, key: str) -> ApiKey | None:
        return await self._call("key_by_id", lambda: self._keys.get(key))

    async def keys(self, user: str) -> Sequence[ApiKey]:
        def effect() -> Sequence[ApiKey]:
            theirs = (key for key in self._keys.values() if key.user == user)
            return sorted(theirs, key=lambda key: (key.created_at, key.id), reverse=True)

        return await self._call("keys", effect)

    async def touch_key(self, key: str, used_at: datetime) -> None:
        def effect() -> None:
            if key in self._keys:
                self._keys[key] = replace(self._keys[key], used_at=used_at)

        await self._call("touch_key", effect, writes=True)

    async def drop_key(self, key: str, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._call("drop_key", lambda: self._drop(self._keys, key, audit), writes=True)

    # --- invitations ---------------------------------------------------------------------------------------------

    async def add_invitation(self, invitation: Invitation, audit: Sequence[AuditEntry] = ()) -> None:
        def effect() -> None:
            self._invitations[invitation.id] = invitation
            self._audit += audit

        await self._call("add_invitation", effect, writes=True)

    async def invitation(self, token_hash: bytes) -> Invitation | None:
        def effect() -> Invitation | None:
            return next((found for found in self._invitations.values() if found.token_hash == token_hash), None)

        return await self._call("invitation", effect)

    async def invitations(self, *, limit: int, cursor: str | None = None) -> InvitationPage:
        def effect() -> InvitationPage:
            before = _parse(cursor)
            found = (one for one in self._invitations.values() if before is None or one.id < before)
            rows = sorted(found, key=lambda one: one.id, reverse=True)
            return InvitationPage(*_page(rows, limit, lambda one: one.id))

        return await self._call("invitations", effect)

    async def drop_invitation(self, invitation: str, audit: Sequence[AuditEntry] = ()) -> bool:
        def effect() -> bool:
            found = self._invitations.get(invitation)
            return found is not None and found.used_by is None and self._drop(self._invitations, invitation, audit)

        return await self._call("drop_invitation", effect, writes=True)

    # --- the audit log -------------------------------------------------------------------------------------------

    def record(self, audit: Sequence[AuditEntry]) -> None:
        """Write entries together with what another facet does."""
        self._audit.extend(audit)

    async def note(self, audit: Sequence[AuditEntry]) -> None:
        await self._call("note", lambda: self._audit.extend(audit), writes=True)

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
        def wanted(entry: AuditEntry) -> bool:
            return (
                action in (None, entry.action)
                and actor in (None, entry.actor)
                and subject in (None, entry.subject)
                and (since is None or entry.at >= since)
                and (until is None or entry.at < until)
            )

        def effect() -> AuditPage:
            before = _parse(cursor)
            place = len(self._audit) if before is None else _index(self._audit, before)
            rows = [entry for entry in reversed(self._audit[:place]) if wanted(entry)]
            return AuditPage(*_page(rows, limit, lambda entry: entry.id))

        return await self._call("audit", effect)

    async def drop_audit(self, before: datetime, limit: int) -> int:
        def effect() -> int:
            old = [entry.id for entry in self._audit if entry.at < before][: max(limit, 0)]
            self._audit = [entry for entry in self._audit if entry.id not in old]
            return len(old)

        return await self._call("drop_audit", effect, writes=True)

    # --- what deleted accounts leave -----------------------------------------------------------------------------

    async def deletions(self) -> Sequence[Deletion]:
        return await self._call("deletions", lambda: list(self._deletions.values()))

    async def owned(self, user: str, limit: int) -> Sequence[str]:
        def effect() -> Sequence[str]:
            return [name for name, owner in self._owners() if owner == user][: max(limit, 0)]

        return await self._call("owned", effect)

    async def forget_deletion(self, user: str) -> None:
        def effect() -> None:
            self._deletions.pop(user, None)

        await self._call("forget_deletion", effect, writes=True)


def _rules(user: User) -> bool:
    return user.role == "admin" and not user.disabled


def _taken_identity() -> ConflictError:
    return ConflictError("this identity belongs to another account: log in with that one")


def _many_keys(most: int) -> ConflictError:
    return ConflictError(f"there are {most} keys already (keys_per_user): revoke one first")


def _page(rows: Sequence[T], limit: int, place: Callable[[T], str]) -> tuple[tuple[T, ...], str | None]:
    shown = tuple(rows[: max(limit, 0)])
    more = base64.urlsafe_b64encode(place(shown[-1]).encode()).decode() if shown and len(shown) < len(rows) else None
    return shown, more


def _parse(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error) as error:
        raise InvalidError(f"{cursor[:64]!r} is not a cursor of this list: leave it out to start over") from error


def _index(entries: list[AuditEntry], entry: str) -> int:
    for place, known in enumerate(entries):
        if known.id == entry:
            return place
    raise InvalidError("the cursor is of an entry that is gone: leave it out to start over")
