"""What one user has, as text, by the name that a citation has for it: ``file:<id>`` or ``message:<id>``.

For tools, which are asked by a model and so by anyone who can write what a model reads: whose it is is checked here, and
what is another user's, in the trash or gone is not there.
"""

from __future__ import annotations

import msgspec

from trialogue._facts.values import FilePart, Part, TextPart
from trialogue._storage.store import Store

#: Code points of a file's text beyond which nothing is read for a tool.
MOST = 1_000_000


class OwnedText(msgspec.Struct, frozen=True):
    """A text, and what it is called: the name of a file, or the title of a message's conversation."""

    text: str
    title: str | None = None


async def owned_text(store: Store, owner: str, source: str) -> OwnedText | None:
    """The text, or ``None`` when ``owner`` has none of that name. Raises ``StorageError``."""
    kind, _, name = source.partition(":")
    match kind:
        case "file":
            return await _of_file(store, owner, name)
        case "message":
            return await _of_message(store, owner, name)
        case _:
            return None


async def _of_file(store: Store, owner: str, name: str) -> OwnedText | None:
    file = await store.files.file(name)
    if file is None or file.owner != owner:
        return None
    text = await store.files.text(name, MOST)
    return None if text is None else OwnedText(text, file.name)


async def _of_message(store: Store, owner: str, name: str) -> OwnedText | None:
    message = await store.message(name)
    header = await store.header(message.conversation) if message is not None else None
    if message is None or header is None or header.owner != owner or header.deleted_at is not None:
        return None
    return OwnedText("\n".join(filter(None, map(_said, message.parts))), header.title)


def _said(part: Part) -> str:
    match part:
        case TextPart():
            return part.text
        case FilePart():
            return f"[{part.name}, file:{part.file}]"
        case _:
            return ""
