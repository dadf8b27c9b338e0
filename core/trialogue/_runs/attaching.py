"""What a model is shown of the files that messages name: images if it sees them, text where there is some, else a note.

A file's text stands in the message as text, under its name, so that a provider need know nothing of files; only for a model
that cites, it stays a part of the message, and its text goes with the request as a document. An image stays a part too,
and its picture goes with the request: the preview, which is small and tells nothing of where and with what it was taken. A
model that sees no images, and one whose request is full, gets a note in their place. Files that a tool returned are shown
in its result in the same way, and never as documents.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import msgspec

from trialogue._asking.provider import RequestDocument, RequestImage
from trialogue._facts.errors import NotFoundError
from trialogue._facts.values import FilePart, Message, Part, TextPart, ToolResultPart, files_of
from trialogue._files.files import File, Variant

if TYPE_CHECKING:
    from trialogue._files.library import Library

#: Images in one request, and what they may take of it in bytes, coded.
MOST_IMAGES, MOST_BYTES = 20, 24 * 1024 * 1024
#: Of the room that a request has, what the files of one message may take.
SHARE = 0.7


class Attaching:
    """For one request of ``owner``'s: ``room`` is what texts may take in code points, ``patience`` in seconds per file.

    Messages come newest first, so that what is old finds no room.
    """

    def __init__(
        self, library: Library | None, owner: str, *, sees: bool, room: int, patience: float, cites: bool = False
    ) -> None:
        #: Pictures and documents that go with the request, by the id of their file.
        self.images: dict[str, RequestImage] = {}
        self.documents: dict[str, RequestDocument] = {}
        self._library = library
        self._owner = owner
        self._sees = sees
        self._cites = cites
        self._room = room
        self._patience = patience
        self._bytes = 0
        #: Of the room, what is left for the message at hand.
        self._share = 0

    async def __call__(self, message: Message) -> Message:
        """The message as the model is shown it; the same one when it names no file. Raises ``StorageError``."""
        if next(files_of(message.parts), None) is None:
            return message
        self._share = int(self._room * SHARE)
        parts = [await self._part(part) for part in message.parts]
        return msgspec.structs.replace(message, parts=tuple(parts))

    async def _part(self, part: Part) -> Part:
        match part:
            case FilePart():
                return await self._taken(part, cites=self._cites)
            case ToolResultPart() if part.files:
                return await self._result(part)
            case _:
                return part

    async def _result(self, part: ToolResultPart) -> ToolResultPart:
        """A result with its pictures. It has no room for documents: other files stand in its text."""
        shown = [await self._taken(file, cites=False) for file in part.files]
        text = part.text + "".join(one.text for one in shown if isinstance(one, TextPart))
        files = tuple(one for one in shown if isinstance(one, FilePart))
        return msgspec.structs.replace(part, text=text, files=files)

    async def _taken(self, part: FilePart, *, cites: bool) -> Part:
        """What is shown of a file, which takes of the room."""
        shown = await self._shown(part, self._share, cites=cites)
        self._share -= self._length(shown)
        self._room -= self._length(shown)
        return shown

    def _length(self, shown: Part) -> int:
        """What a file takes of the room for texts."""
        if isinstance(shown, FilePart):
            document = self.documents.get(shown.file)
            return 0 if document is None else len(document.text)
        return len(shown.text) if isinstance(shown, TextPart) else 0

    async def _shown(self, part: FilePart, room: int, *, cites: bool) -> Part:
        file = None if self._library is None else await self._library.reading.settled(part.file, self._patience)
        if self._library is None or file is None or file.owner != self._owner:
            return _note(part, "it was removed")
        if file.media_type.startswith("image/") and (picture := file.variant("preview")):
            return await self._image(self._library, part, picture)
        match file.text.state:
            case "done":
                return await self._text(self._library, part, file, room, cites=cites)
            case "failed":
                return _note(part, f"it could not be read: {file.text.detail}")
            case "pending":
                return _note(part, "it has not been read yet")
            case "none":
                return _note(part, file.text.detail or "nothing in it can be shown to you")

    async def _image(self, library: Library, part: FilePart, picture: Variant) -> Part:
        if part.file in self.images:
            return part
        if not self._sees:
            return _note(part, "an image, and you see none")
        if len(self.images) >= MOST_IMAGES or self._bytes + picture.size * 4 // 3 > MOST_BYTES:
            return _note(part, "an image, for which this request has no room")
        try:
            async with library.open(picture) as reader:
                data = await reader.read(0, picture.size)
        except NotFoundError:
            return _note(part, "it was removed")
        coded = await library.blobs.run(b64encode, data)
        self._bytes += len(coded)
        self.images[part.file] = RequestImage(picture.media_type, coded.decode())
        return part

    async def _text(self, library: Library, part: FilePart, file: File, room: int, *, cites: bool) -> Part:
        if part.file in self.documents:
            return _note(part, "its text follows further down")
        text = await library.files.text(file.id, max(room, 0)) or ""
        if room <= 0 or not text:
            return _note(part, "there is no room for its text" if file.text.characters else "it is empty")
        cut = "" if len(text) >= file.text.characters else f"\n[{file.text.characters - len(text)} characters left out]"
        if cites:
            self.documents[part.file] = RequestDocument(part.name, text + cut)
            return part
        name = part.name.replace('"', "'")
        return TextPart(f'\n<file name="{name}">\n{text}{cut}\n</file>\n')


def _note(part: FilePart, why: str) -> TextPart:
    return TextPart(f"\n[file {part.name!r}, {part.media_type}: {why}]\n")
