"""Done in the storage, by the process that has it: alone, or as ``attended`` says, the server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from trialogue import (
    Admission,
    AuditEntry,
    ConfigurationError,
    Invitation,
    NotFoundError,
    Origin,
    Reset,
    Store,
    User,
    UserChange,
    UserRole,
    checked_email,
    checked_name,
    is_id,
    load_plugins,
    new_id,
    normal_email,
)
from trialogue_server._administering.doing import Administration, no_account
from trialogue_server._callers.tokens import hash_of, new_token
from trialogue_server.api._account_bodies import (
    InvitationBody,
    KeyList,
    Me,
    NewInvitation,
    OfferedReset,
    UpdateUserBody,
    shown_invitation,
    shown_key,
    shown_user,
)
from trialogue_server.api.admin import RESET, changes_of
from trialogue_server.config import Config

#: What the audit log says of where it was done.
ORIGIN = Origin(None, "command line")
PAGE = 200


@asynccontextmanager
async def open_direct(config: Config) -> AsyncGenerator[Administration]:
    """The storage, held: no server may run over it, which would not be told what has ended.

    Raises ``ConfigurationError``: it is in use, or cannot be used.
    """
    plugins = load_plugins(disabled=config.disabled_plugins)
    async with plugins.open_store(config.storage_url, config.data_dir) as store:
        if store.nodes is not None and any(node.alive for node in (await store.nodes.members()).nodes):
            raise ConfigurationError("servers run over this storage: name one with --server, and --token-file")
        yield Direct(store)


def _nobody(*_: AuditEntry) -> None:
    pass


class Direct(Administration):
    """See ``Administration``. ``tell`` is given what has been recorded."""

    def __init__(self, store: Store, tell: Callable[..., None] = _nobody) -> None:
        self._accounts = store.accounts
        self._tell = tell

    async def users(self, text: str | None) -> Sequence[Me]:
        found: list[Me] = []
        page = await self._accounts.users(limit=PAGE, text=text)
        found += map(shown_user, page.users)
        while page.cursor is not None:
            page = await self._accounts.users(limit=PAGE, text=text, cursor=page.cursor)
            found += map(shown_user, page.users)
        return found

    async def create(self, email: str, name: str, role: UserRole) -> tuple[Me, OfferedReset]:
        address = checked_email(email)
        user = User(new_id(), address, checked_name(name, address), role, datetime.now(UTC))
        made = await self._accounts.add_user(user, None, Admission(ORIGIN))
        return shown_user(made), await self.reset(made.id)

    async def change(self, user: str, change: UpdateUserBody) -> Me:
        before = await self.user(user)
        wanted = UserChange(role=change.role, disabled=change.disabled)
        entries = changes_of(ORIGIN, before, wanted)
        after = await self._accounts.set_user(before.id, wanted, entries)
        if after is None:
            raise no_account(user)
        self._tell(*entries)
        return shown_user(after)

    async def reset(self, user: str) -> OfferedReset:
        found = await self.user(user)
        token, until = new_token("tl_reset_"), datetime.now(UTC) + RESET
        entry = ORIGIN.entry("password.reset_offered", found.id)
        await self._accounts.add_reset(Reset(found.id, hash_of(token), until), (entry,))
        self._tell(entry)
        return OfferedReset(token, until)

    async def sign_out(self, user: str) -> None:
        await self.end_sessions(user)

    async def end_sessions(self, user: str) -> list[str]:
        """End them; returns which there were. Raises ``NotFoundError``."""
        found = await self.user(user)
        ended: list[str] = []
        for session in await self._accounts.sessions(found.id):
            entry = ORIGIN.entry("session.revoked", found.id, thing=session.id)
            if await self._accounts.drop_session(session.id, (entry,)):
                self._tell(entry)
            ended.append(session.id)
        return ended

    async def delete(self, user: str) -> None:
        found = await self.user(user)
        entry = ORIGIN.entry("account.deleted", found.id)
        if await self._accounts.remove_user(found.id, (entry,)):
            self._tell(entry)

    async def invite(self, body: InvitationBody) -> NewInvitation:
        token, now = new_token("tl_invite_"), datetime.now(UTC)
        email = None if body.email is None else checked_email(body.email)
        until = now + timedelta(days=body.days)
        # It holds for as long as whoever made it may make one.
        maker = next((one.id for one in await self.users(None) if one.role == "admin" and not one.disabled), None)
        if maker is None:
            raise ConfigurationError("there is no administrator yet: `trialogue users create EMAIL` makes one")
        invitation = Invitation(new_id(), hash_of(token), body.role, maker, now, until, email)
        entry = ORIGIN.entry("invitation.made", thing=invitation.id, detail=body.role)
        await self._accounts.add_invitation(invitation, (entry,))
        self._tell(entry)
        return NewInvitation(shown_invitation(invitation), token)

    async def keys(self, user: str) -> KeyList:
        found = await self.user(user)
        return KeyList(tuple(map(shown_key, await self._accounts.keys(found.id))))

    async def revoke(self, key: str) -> None:
        found = await self._accounts.key_by_id(key) if is_id(key) else None
        if found is None:
            raise NotFoundError(f"there is no API key {key[:64]!r}: `trialogue keys list` shows them")
        entry = ORIGIN.entry("key.revoked", found.user, thing=found.id)
        if await self._accounts.drop_key(found.id, (entry,)):
            self._tell(entry)

    async def user(self, name: str) -> User:
        """By an address or an id. Raises ``NotFoundError``."""
        find = self._accounts.user if is_id(name) else self._accounts.user_by_email
        found = await find(name if is_id(name) else normal_email(name))
        if found is None:
            raise no_account(name)
        return found
