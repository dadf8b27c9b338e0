"""What is said over the local socket: one ask and one answer for a connection, each a line of JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import msgspec

from trialogue import UserRole
from trialogue_server.api._account_bodies import InvitationBody, UpdateUserBody

#: The socket's name in the data folder.
NAME = "admin.sock"
#: Bytes of an ask, and of an answer: all accounts may be in that.
MOST_ASKED, MOST_ANSWERED = 64 * 1024, 64 * 1024**2


class Users(msgspec.Struct, frozen=True, tag="users"):
    text: str | None


class Create(msgspec.Struct, frozen=True, tag="create"):
    email: str
    name: str
    role: UserRole


class Change(msgspec.Struct, frozen=True, tag="change"):
    user: str
    change: UpdateUserBody


class OfferReset(msgspec.Struct, frozen=True, tag="reset"):
    user: str


class SignOut(msgspec.Struct, frozen=True, tag="sign_out"):
    user: str


class Delete(msgspec.Struct, frozen=True, tag="delete"):
    user: str


class Invite(msgspec.Struct, frozen=True, tag="invite"):
    body: InvitationBody


class Keys(msgspec.Struct, frozen=True, tag="keys"):
    user: str


class Revoke(msgspec.Struct, frozen=True, tag="revoke"):
    key: str


class Prune(msgspec.Struct, frozen=True, tag="prune"):
    """Of no account: have everything removed whose time is over."""


OfAccounts: TypeAlias = Users | Create | Change | OfferReset | SignOut | Delete | Invite | Keys | Revoke
Ask: TypeAlias = OfAccounts | Prune


class Answer(msgspec.Struct, frozen=True):
    """What came of it, as the API names it; or why nothing did, in words."""

    value: msgspec.Raw = msgspec.Raw(b"null")
    problem: str | None = None


encode = msgspec.json.Encoder().encode
decode_ask = msgspec.json.Decoder(Ask).decode
decode_answer = msgspec.json.Decoder(Answer).decode


def place(data_dir: Path) -> Path:
    """Where the socket is."""
    return data_dir / NAME
