"""Our own document: everything about conversations but who owns them. ``docs/export.md`` describes it for others.

How it may change: a field may be added with a default; nothing is renamed or removed while ``VERSION`` stays. A reader
ignores fields it does not know, and refuses a version that is newer than it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from trialogue import (
    Conversation,
    Failure,
    File,
    FinishReason,
    ForkedFrom,
    Location,
    Message,
    Part,
    Role,
    Settings,
    Status,
    Usage,
)
from trialogue_server._http.requests import ModelId, Name, Title

#: With its offset from UTC, as all times of ours.
Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]

#: How often something was done: every store can hold it.
Times: TypeAlias = Annotated[int, Meta(ge=0, lt=2**31)]

FORMAT: Literal["trialogue"] = "trialogue"
VERSION = 1


class Wording(msgspec.Struct, frozen=True):
    """What a message said before it was corrected, or, the last one, what it says. ``revision`` 0 is what was said first."""

    revision: Times
    at: Moment
    parts: tuple[Part, ...]


class ExportedMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A ``Message``, without the name of its conversation; ``wordings`` are there when it was corrected in place.

    The first wordings are missing when the single tokens they came in are no longer kept.
    """

    id: str
    role: Role
    parts: tuple[Part, ...]
    created_at: Moment
    parent: str | None = None
    status: Status = "completed"
    model: str | None = None
    run: str | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    failure: Failure | None = None
    attempt: Times = 1
    revision: Times = 0
    metadata: dict[str, Any] | None = None  # Any JSON value: the client's own.
    location: Location | None = None
    asked: str | None = None
    summary: str | None = None
    wordings: tuple[Wording, ...] = ()

    @classmethod
    def of(cls, message: Message, wordings: tuple[Wording, ...] = ()) -> ExportedMessage:
        """``message``, for a document."""
        values = msgspec.structs.asdict(message)
        del values["conversation"]
        return cls(**values, wordings=wordings)

    def message(self, conversation: str) -> Message:
        """The message, in ``conversation``."""
        values = msgspec.structs.asdict(self)
        del values["wordings"]
        return Message(conversation=conversation, **values)


class ExportedHeader(msgspec.Struct, frozen=True, omit_defaults=True):
    """A ``Conversation``, without its owner and without the number of its last change."""

    id: str
    created_at: Moment
    updated_at: Moment
    title: Title | None = None
    model: ModelId | None = None
    system: str | None = None
    settings: Settings = Settings()
    metadata: dict[str, Any] | None = None  # Any JSON value: the client's own.
    archived: bool = False
    pinned: bool = False
    folder: Name | None = None
    head: str | None = None
    deleted_at: Moment | None = None
    forked_from: ForkedFrom | None = None

    @classmethod
    def of(cls, header: Conversation) -> ExportedHeader:
        """``header``, for a document."""
        values = msgspec.structs.asdict(header)
        del values["owner"], values["version"]
        return cls(**values)

    def header(self, owner: str) -> Conversation:
        """The conversation, as ``owner``'s."""
        return Conversation(owner=owner, **msgspec.structs.asdict(self))


class ExportedConversation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A conversation with all its branches: messages in the order in which they were said, parents before children.

    ``waiting`` are messages that had not had their turn.
    """

    conversation: ExportedHeader
    messages: tuple[ExportedMessage, ...]
    waiting: tuple[ExportedMessage, ...] = ()


class Export(msgspec.Struct, frozen=True):
    """The whole document. It is written and read one conversation at a time, and never held."""

    format: Literal["trialogue"]
    version: int
    conversations: tuple[ExportedConversation, ...]


class ExportedFile(msgspec.Struct, frozen=True):
    """A file, in the index of a zip; its content is beside it, under its id."""

    id: str
    name: Annotated[str, Meta(max_length=1_000)]
    media_type: str
    size: Annotated[int, Meta(ge=0)]
    sha256: str
    created_at: Moment

    @classmethod
    def of(cls, file: File) -> ExportedFile:
        """``file``, for an index. What was read out of it is read again from its content."""
        return cls(file.id, file.name, file.media_type, file.size, file.sha256, file.created_at)
