"""What administrators can have done. Accounts are named by id or address, in the answers as the API names them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from trialogue import NotFoundError, UserRole
from trialogue_server.api._account_bodies import (
    InvitationBody,
    KeyList,
    Me,
    NewInvitation,
    OfferedReset,
    UpdateUserBody,
)


class Administration(ABC):
    """Each raises ``TrialogueError``, and ``NotFoundError`` for an account or a key that is not there."""

    @abstractmethod
    async def users(self, text: str | None) -> Sequence[Me]:
        """All accounts, or those with this in the address or the name, by address."""

    @abstractmethod
    async def create(self, email: str, name: str, role: UserRole) -> tuple[Me, OfferedReset]:
        """An account without a password, and what sets one."""

    @abstractmethod
    async def change(self, user: str, change: UpdateUserBody) -> Me:
        """Another role, or whether it is disabled: then it is logged out everywhere at once."""

    @abstractmethod
    async def reset(self, user: str) -> OfferedReset:
        """What sets a new password, once."""

    @abstractmethod
    async def sign_out(self, user: str) -> None:
        """End all its sessions; its keys stay."""

    @abstractmethod
    async def delete(self, user: str) -> None:
        """Remove it; what it owns goes when a server runs."""

    @abstractmethod
    async def invite(self, body: InvitationBody) -> NewInvitation:
        """Leave to make one account."""

    @abstractmethod
    async def keys(self, user: str) -> KeyList:
        """Its API keys, without their tokens."""

    @abstractmethod
    async def revoke(self, key: str) -> None:
        """End a key, given by id."""


def no_account(name: str) -> NotFoundError:
    """What is raised for an account that is not there."""
    return NotFoundError(f"there is no account {name[:64]!r}: `trialogue users list` shows them")
