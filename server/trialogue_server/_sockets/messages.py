"""What both sides of a WebSocket may say: one JSON object in one text message, told apart by its ``type``.

An ``id`` is the client's own. That of a subscription is in use until its ``end``; that of a command comes back in the answer
and means nothing else, so that a command is repeated safely by the ids in its body, or by its ``key``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trialogue_server._http.problems import Problem

Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, description="The client's own name for it.")]
_Name: TypeAlias = Annotated[str, Meta(max_length=100)]

#: What can be commanded; each is the request of the same name over HTTP.
Verb: TypeAlias = Literal[
    "create", "update", "trash", "restore", "post", "stop", "approve", "edit", "regenerate", "continue", "remove"
]


class Hello(msgspec.Struct, frozen=True, tag="hello", forbid_unknown_fields=True):
    """The first message. ``token`` is an API key, where neither a cookie nor a header says who is calling."""

    token: Annotated[str, Meta(max_length=200)] | None = None

    def __repr__(self) -> str:
        return f"Hello(token={'...' if self.token else None})"


class Subscribe(msgspec.Struct, frozen=True, tag="subscribe", forbid_unknown_fields=True):
    """Have the events of a conversation, or with ``null`` those of one's list, after the cursor or from a snapshot on."""

    id: Id
    conversation: _Name | None
    after: _Name | None = None


class Unsubscribe(msgspec.Struct, frozen=True, tag="unsubscribe", forbid_unknown_fields=True):
    """No more of it. Its ``end`` is the last message with this id."""

    id: Id


class SocketCommand(msgspec.Struct, frozen=True, tag="command", forbid_unknown_fields=True):
    """A request: ``body`` is that of the same request over HTTP, the path's ids stand beside it.

    ``key`` is its ``Idempotency-Key``, ``version`` its ``If-Match``.
    """

    id: Id
    command: Verb
    conversation: _Name | None = None
    message: _Name | None = None
    approval: _Name | None = None
    body: msgspec.Raw | UnsetType = UNSET
    key: Annotated[str, Meta(max_length=255)] | None = None
    version: _Name | None = None


class Ping(msgspec.Struct, frozen=True, tag="ping", omit_defaults=True, forbid_unknown_fields=True):
    """Whether the other side is there; either may ask."""

    id: Id | None = None


class Pong(msgspec.Struct, frozen=True, tag="pong", omit_defaults=True, forbid_unknown_fields=True):
    """It is. The server does not ask for this to be sent."""

    id: Id | None = None


#: What a client may say.
ClientMessage: TypeAlias = Hello | Subscribe | Unsubscribe | SocketCommand | Ping | Pong


class Bounds(msgspec.Struct, frozen=True):
    """What the server allows on this socket. What is beyond ``requests`` waits to be read."""

    subscriptions: int
    requests: int
    message_bytes: int


class SocketReady(msgspec.Struct, frozen=True, tag="ready"):
    """The answer to ``hello``. The server sends a ``ping`` at least so often; its absence means that the line is dead."""

    user: str
    heartbeat_ms: int
    limits: Bounds


class SocketEvent(msgspec.Struct, frozen=True, tag="event"):
    """An event of a subscription, as its stream over HTTP has it: ``token`` is its ``id`` there."""

    id: str
    event: str
    data: Any  # Whatever the stream carries; it is never made into an object here.
    token: str | None = None


class SocketAck(msgspec.Struct, frozen=True, tag="ack", omit_defaults=True):
    """A command was done, or a subscription stands. Of a command it has the HTTP answer's ``status`` and body, ``data``."""

    id: str
    status: int | UnsetType = UNSET
    location: str | None = None
    data: msgspec.Raw | UnsetType = UNSET


class SocketError(msgspec.Struct, frozen=True, tag="error"):
    """A command was not done, or a subscription could not be had: ``problem`` is what HTTP would have answered."""

    id: str
    problem: Problem


class SocketEnd(msgspec.Struct, frozen=True, tag="end"):
    """A subscription is over: ``unsubscribed``, or ``closed`` by the server, as when its conversation was purged."""

    id: str
    reason: Literal["unsubscribed", "closed"]


class GoingAway(msgspec.Struct, frozen=True, tag="reconnect"):
    """The server is going away, and closes next. Come back after ``after_ms``, from the last tokens."""

    after_ms: int


#: What the server may say.
ServerMessage: TypeAlias = SocketReady | SocketEvent | SocketAck | SocketError | SocketEnd | GoingAway | Ping | Pong

_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_encoder = msgspec.json.Encoder()


def decode_message(text: str) -> ClientMessage:
    """What a client said. Raises ``ValueError`` with words for its author."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:  # A validation error is one of the first.
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("the message is nested too deeply") from error


def encode_message(message: ServerMessage) -> bytes:
    """What the server says."""
    return _encoder.encode(message)


def error_message(name: str, problem: bytes) -> bytes:
    """A ``SocketError`` around a problem that is JSON already."""
    return b'{"type":"error","id":%b,"problem":%b}' % (_encoder.encode(name), problem)
