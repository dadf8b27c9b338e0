"""Done by a running server, asked as any administrator's program asks it: what has to end, ends there at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, TypeVar
from urllib.parse import quote

import msgspec
import trio

from trialogue import ConfigurationError, ForbiddenError, UserRole, is_id, normal_email
from trialogue_server._administering.doing import Administration, no_account
from trialogue_server._top.reading import UnreachableError, ask
from trialogue_server.api._account_bodies import (
    InvitationBody,
    KeyList,
    Me,
    NewInvitation,
    OfferedReset,
    UpdateUserBody,
)
from trialogue_server.api.admin import Users

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class _Problem(msgspec.Struct, frozen=True):
    detail: str = ""


class Remote(Administration):
    """A server's address, and an administrator's API key. Raises ``ConfigurationError`` for what it answers else."""

    def __init__(self, address: str, token: str) -> None:
        self._address = address
        self._token = token

    def __repr__(self) -> str:
        return f"<Remote {self._address!r}>"

    async def users(self, text: str | None) -> Sequence[Me]:
        found: list[Me] = []
        query, cursor = f"limit=200&q={quote(text or '')}", ""
        while True:
            page = await self._ask("GET", f"/api/admin/users?{query}{cursor}", Users)
            found += page.users
            if page.cursor is None:
                return found
            cursor = f"&cursor={quote(page.cursor)}"

    async def create(self, email: str, name: str, role: UserRole) -> NoReturn:
        await trio.lowlevel.checkpoint()
        raise ForbiddenError("a running server makes accounts by invitation: `trialogue invite --email ...`")

    async def change(self, user: str, change: UpdateUserBody) -> Me:
        return await self._ask("PATCH", f"/api/admin/users/{await self._id(user)}", Me, change)

    async def reset(self, user: str) -> OfferedReset:
        return await self._ask("POST", f"/api/admin/users/{await self._id(user)}/password", OfferedReset)

    async def sign_out(self, user: str) -> None:
        # Who is disabled is signed out everywhere, and is not signed in again by being enabled.
        name = await self._id(user)
        before = next((one for one in await self.users(None) if one.id == name), None)
        if before is None:
            raise no_account(user)
        await self._ask("PATCH", f"/api/admin/users/{name}", Me, UpdateUserBody(disabled=True))
        if not before.disabled:
            await self._ask("PATCH", f"/api/admin/users/{name}", Me, UpdateUserBody(disabled=False))

    async def delete(self, user: str) -> None:
        await self._tell("DELETE", f"/api/admin/users/{await self._id(user)}")

    async def invite(self, body: InvitationBody) -> NewInvitation:
        return await self._ask("POST", "/api/admin/invitations", NewInvitation, body)

    async def keys(self, user: str) -> KeyList:
        return await self._ask("GET", f"/api/admin/users/{await self._id(user)}/keys", KeyList)

    async def revoke(self, key: str) -> None:
        await self._tell("DELETE", f"/api/admin/keys/{quote(key, safe='')}")

    async def _id(self, user: str) -> str:
        if is_id(user):
            return user
        address = normal_email(user)
        for found in await self.users(address):
            if found.email == address:
                return found.id
        raise no_account(user)

    async def _ask(self, method: str, path: str, kind: type[T], body: object = None) -> T:
        answer = await self._tell(method, path, body)
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.DecodeError as error:
            raise ConfigurationError(
                f"{self._address} answers something else ({error}): is it of this version?"
            ) from error

    async def _tell(self, method: str, path: str, body: object = None) -> bytes:
        data = None if body is None else _encode(body)
        try:
            status, answer = await trio.to_thread.run_sync(ask, self._address, method, path, self._token, data)
        except UnreachableError as error:
            raise ConfigurationError(f"{self._address} {error}") from error
        if status < 400:
            return answer
        try:
            detail = msgspec.json.decode(answer, type=_Problem).detail
        except msgspec.DecodeError:
            detail = "is this a Trialogue server?"
        raise ConfigurationError(f"{self._address} answers {status}: {detail}")
