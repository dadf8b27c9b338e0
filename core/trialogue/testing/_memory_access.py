"""Half of the facet ``accounts`` of a ``MemoryStore``: keys, invitations, the audit log, and deleted accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from msgspec.structs import replace

from trialogue._accounts.account_values import Deletion, Invitation, InvitationPage
from trialogue._accounts.accounts import Accounts
from trialogue._accounts.audit import Action, AuditEntry, AuditPage
from trialogue._accounts.auth import ApiKey, User
from trialogue._facts.errors import ConflictError, InvalidError
from trialogue._storage.places import place_cursor, place_in

T = TypeVar("T")


class Run(Protocol):
    """How the store runs a call: its faults come in between."""

    async def __call__(self, name: str, effect: Callable[[], T], *, writes: bool = False) -> T: ...


class MemoryAccess(Accounts):
    """What stands on accounts, without them. ``owners`` tells the owner of each conversation; ``now`` what has expired."""

    def __init__(self, run: Run, now: Callable[[], datetime], owners: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self._call = run
        self._now = now
        self._owners = owners
        self._users: dict[str, tuple[User, str | None]] = {}
        self._keys: dict[str, ApiKey] = {}
        self._invitations: dict[str, Invitation] = {}
        #: In the order of writing.
        self._audit: list[AuditEntry] = []
        self._deletions: dict[str, Deletion] = {}

    def _user(self, user: str) -> User | None:
        return self._users[user][0] if user in self._users else None

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
            before = None if cursor is None else place_in(cursor)
            found = (one for one in self._invitations.values() if before is None or one.id < before)
            rows = sorted(found, key=lambda one: one.id, reverse=True)
            return InvitationPage(*page_of(rows, limit, lambda one: one.id))

        return await self._call("invitations", effect)

    async def drop_invitation(self, invitation: str, audit: Sequence[AuditEntry] = ()) -> bool:
        def effect() -> bool:
            found = self._invitations.get(invitation)
            return found is not None and found.used_by is None and self._drop(self._invitations, invitation, audit)

        return await self._call("drop_invitation", effect, writes=True)

    async def drop_old_invitations(self, before: datetime, limit: int) -> int:
        def effect() -> int:
            old = [name for name, one in sorted(self._invitations.items()) if one.over_at < before][: max(limit, 0)]
            for name in old:
                del self._invitations[name]
            return len(old)

        return await self._call("drop_old_invitations", effect, writes=True)

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
            before = None if cursor is None else place_in(cursor)
            place = len(self._audit) if before is None else _index(self._audit, before)
            rows = [entry for entry in reversed(self._audit[:place]) if wanted(entry)]
            return AuditPage(*page_of(rows, limit, lambda entry: entry.id))

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


def _many_keys(most: int) -> ConflictError:
    return ConflictError(f"there are {most} keys already (keys_per_user): revoke one first")


def page_of(rows: Sequence[T], limit: int, place: Callable[[T], str]) -> tuple[tuple[T, ...], str | None]:
    shown = tuple(rows[: max(limit, 0)])
    more = place_cursor(place(shown[-1])) if shown and len(shown) < len(rows) else None
    return shown, more


def _index(entries: list[AuditEntry], entry: str) -> int:
    for place, known in enumerate(entries):
        if known.id == entry:
            return place
    raise InvalidError("the cursor is of an entry that is gone: leave it out to start over")
