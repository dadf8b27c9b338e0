"""The facet ``accounts`` of a ``MemoryStore``: tables as dictionaries, each call one effect at one instant.

Here are accounts, secrets, identities and sessions; what stands on them is in ``_memory_access``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from trialogue._accounts.account_values import Admission, Deletion, Identity, Reset, UserChange, UserPage
from trialogue._accounts.audit import AuditEntry
from trialogue._accounts.auth import Session, User
from trialogue._facts.errors import ConflictError
from trialogue._storage.places import place_in
from trialogue.testing._memory_access import MemoryAccess, Run, page_of


class MemoryAccounts(MemoryAccess):
    """See ``trialogue.Accounts``."""

    def __init__(self, run: Run, now: Callable[[], datetime], owners: Callable[[], Iterable[tuple[str, str]]]) -> None:
        super().__init__(run, now, owners)
        self._identities: dict[Identity, str] = {}
        self._sessions: dict[str, Session] = {}
        #: By account: it has one at a time.
        self._resets: dict[str, Reset] = {}

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
            sought, after = (text or "").casefold(), "" if cursor is None else place_in(cursor)
            found = [u for u in self._known() if sought in u.email or sought in u.name.casefold()]
            rows = sorted((user for user in found if user.email > after), key=lambda user: user.email)
            return UserPage(*page_of(rows, limit, lambda user: user.email))

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
        self, user: str, secret_hash: str | None, keep: str | None = None, audit: Sequence[AuditEntry] = ()
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
        self, user: str, secret_hash: str | None, keep: str | None, audit: Sequence[AuditEntry]
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

    async def drop_expired_sessions(self, limit: int) -> int:
        def effect() -> int:
            now = self._now()
            old = [name for name, one in self._sessions.items() if one.expires_at <= now][: max(limit, 0)]
            for name in old:
                del self._sessions[name]
            return len(old)

        return await self._call("drop_expired_sessions", effect, writes=True)

    async def drop_session(self, session: str, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._call("drop_session", lambda: self._drop(self._sessions, session, audit), writes=True)


def _rules(user: User) -> bool:
    return user.role == "admin" and not user.disabled


def _taken_identity() -> ConflictError:
    return ConflictError("this identity belongs to another account: log in with that one")
