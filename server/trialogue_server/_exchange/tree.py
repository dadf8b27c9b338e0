"""What others' exports are turned into, and how that becomes a conversation here.

Ids are made of the owner's and the source's, so that the same export, taken in again, is found to be here already, and so
that nobody's import can name what belongs to somebody else. Whatever a source says about times, order and parents is made
sense of, not believed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from trialogue import Beginning, Conversation, FinishReason, Message, Part, Role, Status

#: The time before which there was nothing to export.
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
#: Code points of a title, as the API takes them.
LONGEST_TITLE = 500


class Node(msgspec.Struct, frozen=True):
    """A message of a source, by the source's ids. One without parts only holds together what is above and below it."""

    id: str
    parent: str | None
    role: Role
    parts: tuple[Part, ...]
    at: datetime | None = None
    model: str | None = None
    status: Status = "completed"
    finish_reason: FinishReason | None = None


class Foreign(msgspec.Struct, frozen=True):
    """A conversation of a source."""

    source: str
    id: str
    title: str | None
    created_at: datetime | None
    updated_at: datetime | None
    nodes: tuple[Node, ...]
    #: The leaf that was shown last.
    current: str | None = None
    archived: bool = False
    pinned: bool = False


def derived_id(*of: str) -> str:
    """The same id for the same words, and no other's."""
    digest = hashlib.sha256("\0".join((str(len(of)), *of)).encode(errors="surrogatepass")).digest()
    # Version 8 is RFC 9562's for ids made in a way of one's own.
    bits = int.from_bytes(digest[:16]) & ~(0xF << 76) & ~(0b11 << 62)
    return str(UUID(int=bits | 8 << 76 | 0b10 << 62))


def sensible_time(value: object, now: datetime) -> datetime | None:
    """A moment a source may mean, as such, in seconds since 1970 or by RFC 3339; ``None`` for one that cannot be."""
    found: datetime | None = None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            found = datetime.fromtimestamp(float(value), UTC)
        elif isinstance(value, str):
            value = datetime.fromisoformat(value[:64])
        if isinstance(value, datetime):
            found = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found is not None and _FIRST <= found <= now + timedelta(days=1) else None


def beginning_of(foreign: Foreign, owner: str, now: datetime) -> Beginning:
    """The conversation as it begins here. What hangs below nothing that is there, or in a ring, begins a branch."""
    name = derived_id(owner, foreign.source, foreign.id)
    began = foreign.created_at or next((node.at for node in foreign.nodes if node.at), None) or now
    messages: list[Message] = []
    # What stands for a node that has nothing to say: the nearest above it that has.
    stands: dict[str, str | None] = {}
    for node in parents_first(foreign.nodes):
        parent = stands.get(node.parent) if node.parent is not None else None
        if not node.parts:
            stands[node.id] = parent
            continue
        message = _message(node, name, derived_id(name, node.id), parent, node.at or began)
        stands[node.id] = message.id
        messages.append(message)
    head = stands.get(foreign.current) if foreign.current is not None else None
    header = Conversation(
        id=name,
        owner=owner,
        created_at=began,
        updated_at=foreign.updated_at or began,
        title=one_title(foreign.title),
        archived=foreign.archived,
        pinned=foreign.pinned,
        head=head or (messages[-1].id if messages else None),
    )
    return Beginning(header, tuple(messages))


def one_title(title: str | None) -> str | None:
    """A title as a line of a list has it."""
    return " ".join((title or "").split())[:LONGEST_TITLE] or None


def _message(node: Node, conversation: str, name: str, parent: str | None, at: datetime) -> Message:
    return Message(
        id=name,
        conversation=conversation,
        role=node.role,
        parts=node.parts,
        created_at=at,
        parent=parent,
        status=node.status,
        model=node.model,
        finish_reason=node.finish_reason,
    )


def parents_first(nodes: Sequence[Node]) -> Iterable[Node]:
    """Each node once, after its parent, otherwise in their order; the first of a ring comes as if it had no parent."""
    by_id: dict[str, Node] = {}
    for node in nodes:
        by_id.setdefault(node.id, node)
    done: set[str] = set()
    for node in by_id.values():
        above: list[Node] = []
        seen: set[str] = set()
        climbing: Node | None = node
        while climbing is not None and climbing.id not in done and climbing.id not in seen:
            seen.add(climbing.id)
            above.append(climbing)
            climbing = by_id.get(climbing.parent) if climbing.parent is not None else None
        for one in reversed(above):
            done.add(one.id)
            yield one
