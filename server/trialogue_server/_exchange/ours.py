"""Reads a conversation of our own export.

It keeps its ids where they are free, so that what is taken in is what was given out; where one of them is taken, all of
them are made anew from the owner's and the old ones, the same each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from trialogue import (
    Beginning,
    FilePart,
    InvalidError,
    Message,
    MessageRevised,
    Part,
    ToolResultPart,
    files_of,
    is_id,
    settled,
)
from trialogue_server._exchange.document import ExportedConversation, ExportedMessage
from trialogue_server._exchange.tree import derived_id
from trialogue_server._http.json_limits import check_json

SOURCE = "trialogue"
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)

_decode = msgspec.json.Decoder(ExportedConversation).decode


def read_ours(piece: bytes, owner: str, now: datetime) -> Beginning:
    """The conversation in ``piece``, as ``owner``'s. Raises what msgspec does, and ``InvalidError``."""
    found = _decode(piece)
    header = found.conversation.header(owner)
    _check(found, now)
    messages = [_first(message, header.id) for message in found.messages]
    if header.head is not None and header.head not in {message.id for message in messages}:
        # Removed while it was given out.
        header = replace(header, head=messages[-1].id if messages else None)
    for waiting in found.waiting:
        # Their turn has come, as it would have, but nobody answers.
        messages.append(replace(waiting.message(header.id), parent=waiting.parent or header.head))
        header = replace(header, head=waiting.id)
    revisions = [revision for message in found.messages for revision in _corrections(message, header.id)]
    return Beginning(header, tuple(messages), tuple(revisions))


def _check(found: ExportedConversation, now: datetime) -> None:
    """Raises ``InvalidError`` for what the API would not have taken either."""
    header = found.conversation
    check_json(header.metadata, "/conversation/metadata")
    _check_times(now, header.created_at, header.updated_at, header.deleted_at)
    for message in (*found.messages, *found.waiting):
        _check_times(now, message.created_at, *(wording.at for wording in message.wordings))
        check_json(message.metadata, "/messages/metadata")
        for parts in (message.parts, *(wording.parts for wording in message.wordings)):
            check_json(parts, "/messages/parts")
    for name in (header.id, *(message.id for message in (*found.messages, *found.waiting))):
        if not is_id(name):
            raise InvalidError(f"{name[:64]!r} is not an id: a UUID in lower case is expected")


def _check_times(now: datetime, *times: datetime | None) -> None:
    for at in times:
        if at is not None and not _FIRST <= at <= now + timedelta(days=1):
            raise InvalidError(f"{at.isoformat()} cannot be the time of anything here")


def _first(message: ExportedMessage, conversation: str) -> Message:
    """The message as it was first said, as far as that is known."""
    present = settled(message.message(conversation))
    if not message.wordings:
        return present
    first = message.wordings[0]
    return replace(present, parts=first.parts, revision=first.revision)


def _corrections(message: ExportedMessage, conversation: str) -> Iterator[MessageRevised]:
    present = settled(message.message(conversation))
    # Where the first is a correction already, its event is kept all the same, for its time.
    known = 0 if message.wordings and message.wordings[0].revision else 1
    for wording in message.wordings[known:]:
        yield MessageRevised(replace(present, parts=wording.parts, revision=wording.revision), wording.at)


def renamed(beginning: Beginning, owner: str) -> Beginning:
    """The same with other ids: those of this owner's import of it."""
    header = beginning.header
    name = derived_id(owner, SOURCE, header.id)

    def other(message: str) -> str:
        return derived_id(name, message)

    def moved(message: Message) -> Message:
        parent = None if message.parent is None else other(message.parent)
        run = None if message.run is None else other(message.run)
        return replace(message, id=other(message.id), conversation=name, parent=parent, run=run)

    return Beginning(
        replace(header, id=name, head=None if header.head is None else other(header.head)),
        tuple(map(moved, beginning.messages)),
        tuple(MessageRevised(moved(revision.message), revision.at) for revision in beginning.revisions),
    )


def files_in(beginning: Beginning) -> set[str]:
    """Ids of the files that its messages name, in any wording."""
    messages = (*beginning.messages, *(revision.message for revision in beginning.revisions))
    return {part.file for message in messages for part in files_of(message.parts)}


def with_files(beginning: Beginning, other: Mapping[str, str]) -> Beginning:
    """The same, with files named by other ids."""

    def named(message: Message) -> Message:
        return replace(message, parts=tuple(_renamed(part, other) for part in message.parts))

    return Beginning(
        beginning.header,
        tuple(map(named, beginning.messages)),
        tuple(MessageRevised(named(revision.message), revision.at) for revision in beginning.revisions),
    )


def _renamed(part: Part, other: Mapping[str, str]) -> Part:
    match part:
        case FilePart():
            return replace(part, file=other.get(part.file, part.file))
        case ToolResultPart():
            return replace(
                part, files=tuple(replace(file, file=other.get(file.file, file.file)) for file in part.files)
            )
        case _:
            return part
