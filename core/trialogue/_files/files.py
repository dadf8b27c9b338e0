"""Files that people upload: the values, and the facet of the store that keeps their rows.

Bytes are not kept here but by content (``blobs``); a row names them by their SHA-256, and so may any number of rows. The
store is where it is known which bytes somebody still needs: they get their name after ``keep`` and lose it between
``doomed`` and ``forget``, so that an upload never names what is just being removed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

#: Of a file's text: still to be read, read, not to be read (``detail`` says why), or none to be expected.
TextState: TypeAlias = Literal["pending", "done", "failed", "none"]
#: Smaller pictures made from an image: for a list, and for a model.
VariantKind: TypeAlias = Literal["thumbnail", "preview"]


class FileText(msgspec.Struct, frozen=True):
    """How far reading a file has come, and how many code points of text were found."""

    state: TextState = "pending"
    characters: int = 0
    detail: str | None = None


class Variant(msgspec.Struct, frozen=True):
    """A picture made from a file, by its own content; nothing of the original's metadata is in it."""

    kind: VariantKind
    sha256: str
    size: int
    media_type: str
    width: int
    height: int


class File(msgspec.Struct, frozen=True):
    """An uploaded file. Its content never changes; what is read out of it is added when it is known."""

    id: str
    owner: str
    #: For people: without folders, control characters and tricks of direction.
    name: str
    #: By content, never by name.
    media_type: str
    size: int
    #: Of the content, as lower-case hexadecimal digits; so are the variants'.
    sha256: str
    created_at: datetime
    text: FileText = FileText()
    #: Of an image, as it is shown.
    width: int | None = None
    height: int | None = None
    #: Where and when a photograph was taken, as its camera says; the time is the camera's, taken for UTC.
    lat: float | None = None
    lon: float | None = None
    taken_at: datetime | None = None
    variants: tuple[Variant, ...] = ()

    def variant(self, kind: str) -> Variant | None:
        """The picture of that kind, if there is one."""
        return next((one for one in self.variants if one.kind == kind), None)


class FileView(msgspec.Struct, frozen=True):
    """A file as its owner sees it. ``variants`` are the pictures there are of it; ``text`` is what was read out of it."""

    id: str
    name: str
    media_type: str
    size: int
    sha256: str
    created_at: datetime
    text: FileText
    width: int | None
    height: int | None
    lat: float | None
    lon: float | None
    taken_at: datetime | None
    variants: tuple[VariantKind, ...]


def file_view(file: File) -> FileView:
    """The file as it is shown."""
    shown = {name: getattr(file, name) for name in FileView.__struct_fields__ if name != "variants"}
    return FileView(**shown, variants=tuple(variant.kind for variant in file.variants))


class FilePage(msgspec.Struct, frozen=True):
    """Files, newest first; ``cursor`` continues after the last one, ``None`` at the end."""

    files: tuple[File, ...]
    cursor: str | None


class Space(msgspec.Struct, frozen=True):
    """What an owner's files take, in bytes, and what uploads under way have set aside."""

    files: int
    used: int
    reserved: int


class Files(ABC):
    """The facet of a store for files. Every method raises ``StorageError``, as those of ``Store`` do."""

    # --- room for uploads ----------------------------------------------------------------------------------------

    @abstractmethod
    async def reserve(self, upload: str, owner: str, size: int, *, quota: int, at: datetime, until: datetime) -> None:
        """Set ``size`` bytes aside for ``upload``, in place of what it had, until ``until``; counted exactly in any race.

        Raises ``QuotaError`` when ``owner`` would have more than ``quota``; what the upload had before it keeps.
        """

    @abstractmethod
    async def release(self, upload: str) -> None:
        """Give back what an upload had set aside; one that is unknown is no error."""

    @abstractmethod
    async def space(self, owner: str, at: datetime) -> Space:
        """What ``owner`` has, with what is set aside at that time."""

    # --- rows ----------------------------------------------------------------------------------------------------

    @abstractmethod
    async def add(self, upload: str, files: Sequence[File]) -> None:
        """Store the rows of an upload, all or none, and release it. Their content was kept and is in its place."""

    @abstractmethod
    async def file(self, file: str) -> File | None:
        """A file by id, whoever owns it."""

    @abstractmethod
    async def page(
        self,
        owner: str,
        *,
        limit: int,
        cursor: str | None = None,
        name: str | None = None,
        media_type: str | None = None,
    ) -> FilePage:
        """A page of ``owner``'s files. ``None`` does not filter; ``name`` is part of one, in any case of letters.

        ``media_type`` is a whole one, or its beginning up to the slash. Raises ``InvalidError`` for a cursor not ours.
        """

    @abstractmethod
    async def drop(self, file: str) -> bool:
        """Remove a file's row, its text, and its mention by messages; whether it was there."""

    @abstractmethod
    async def drop_owner(self, owner: str, limit: int) -> int:
        """Remove at most ``limit`` files of ``owner`` as ``drop`` does; how many were there. 0 means that none is left."""

    # --- what is read out of them --------------------------------------------------------------------------------

    @abstractmethod
    async def pending(self, limit: int) -> Sequence[File]:
        """Files whose text is ``pending``, oldest first."""

    @abstractmethod
    async def learn(self, file: File, text: str | None) -> bool:
        """Replace a file's row by ``file`` and, unless it is ``None``, its text; ``False`` when it is gone."""

    @abstractmethod
    async def text(self, file: str, limit: int) -> str | None:
        """The first ``limit`` code points of a file's text; ``None`` when it has none."""

    # --- content -------------------------------------------------------------------------------------------------

    @abstractmethod
    async def keep(self, digests: Sequence[str], until: datetime) -> Sequence[str]:
        """Have content stay until a row names it, or ``until``. Returns those that are just being removed: ask again."""

    @abstractmethod
    async def doomed(self, at: datetime, limit: int) -> Sequence[str]:
        """Content that no row names and nobody keeps: to be removed, and then forgotten. The same until then."""

    @abstractmethod
    async def forget(self, digests: Sequence[str]) -> None:
        """Doomed content was removed."""

    @abstractmethod
    async def folder(self, fresh: str) -> tuple[str, bool]:
        """The id of the folder that belongs to this store, ``fresh`` if it had none, and whether any content is known."""
