"""Done by the server that has the data folder open, asked at its socket there: see ``desk``."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import trio

from trialogue import ConfigurationError, Pruned, UserRole
from trialogue_server._administering import asks
from trialogue_server._administering.desk import LONG, PATIENCE, short
from trialogue_server._administering.doing import Administration
from trialogue_server.api._account_bodies import (
    InvitationBody,
    KeyList,
    Me,
    NewInvitation,
    OfferedReset,
    UpdateUserBody,
)

T = TypeVar("T")


def find_local(data_dir: Path) -> Local | None:
    """The server that answers in this folder, if one does."""
    path = asks.place(data_dir)
    try:
        with _connected(path):
            return Local(path)
    except OSError:
        return None


class Local(Administration):
    """See ``Administration``. Raises ``ConfigurationError`` for what the server answers else."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __repr__(self) -> str:
        return f"<Local {str(self._path)!r}>"

    async def users(self, text: str | None) -> Sequence[Me]:
        return await self._ask(asks.Users(text), tuple[Me, ...])

    async def create(self, email: str, name: str, role: UserRole) -> tuple[Me, OfferedReset]:
        return await self._ask(asks.Create(email, name, role), tuple[Me, OfferedReset])

    async def change(self, user: str, change: UpdateUserBody) -> Me:
        return await self._ask(asks.Change(user, change), Me)

    async def reset(self, user: str) -> OfferedReset:
        return await self._ask(asks.OfferReset(user), OfferedReset)

    async def sign_out(self, user: str) -> None:
        await self._ask(asks.SignOut(user), type(None))

    async def delete(self, user: str) -> None:
        await self._ask(asks.Delete(user), type(None))

    async def invite(self, body: InvitationBody) -> NewInvitation:
        return await self._ask(asks.Invite(body), NewInvitation)

    async def keys(self, user: str) -> KeyList:
        return await self._ask(asks.Keys(user), KeyList)

    async def revoke(self, key: str) -> None:
        await self._ask(asks.Revoke(key), type(None))

    async def prune(self) -> Pruned:
        """Have everything removed whose time is over, as the server does it from time to time."""
        return await self._ask(asks.Prune(), Pruned, LONG)

    async def _ask(self, ask: asks.Ask, kind: type[T], patience: float = PATIENCE) -> T:
        said = await trio.to_thread.run_sync(self._asked, asks.encode(ask) + b"\n", patience)
        try:
            answer = asks.decode_answer(said)
            if answer.problem is None:
                return msgspec.json.decode(answer.value, type=kind)
        except msgspec.DecodeError as error:
            raise ConfigurationError(
                f"the server at {str(self._path)!r} answers nothing, or something else ({error}): is it of this version?"
            ) from error
        raise ConfigurationError(answer.problem)

    def _asked(self, line: bytes, patience: float) -> bytes:
        said = b""
        try:
            with _connected(self._path) as connection:
                connection.settimeout(patience + 5)
                connection.sendall(line)
                while (piece := connection.recv(65_536)) and len(said) < asks.MOST_ANSWERED:
                    said += piece
        except OSError as error:
            raise ConfigurationError(f"the server at {str(self._path)!r} cannot be asked: {error}") from error
        return said


def _connected(path: Path) -> socket.socket:
    """Raises ``OSError``."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(PATIENCE + 5)
        with short(path) as name:
            connection.connect(name)
    except BaseException:
        connection.close()
        raise
    return connection
