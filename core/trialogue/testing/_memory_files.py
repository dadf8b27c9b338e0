"""The facet for files of a ``MemoryStore``: rows, texts, mentions, and what is known of content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from msgspec.structs import replace

from trialogue._facts.errors import QuotaError, StorageError
from trialogue._facts.values import Message, files_of
from trialogue._files.files import File, FilePage, Files, Space
from trialogue._storage.places import moment_cursor, moment_in
from trialogue.testing._memory_rows import micros

T = TypeVar("T")


class Caller(Protocol):
    """How the store runs a call, with its faults."""

    async def __call__(self, name: str, effect: Callable[[], T], *, writes: bool = False) -> T: ...


class MemoryFiles(Files):
    """See ``trialogue.Files``. ``owner_of`` tells whose a conversation is."""

    def __init__(self, call: Caller, owner_of: Callable[[str], str | None]) -> None:
        self._call = call
        self._owner_of = owner_of
        #: In the order in which they were added.
        self._files: dict[str, File] = {}
        self._texts: dict[str, str] = {}
        #: Upload -> owner, size, and until when.
        self._uploads: dict[str, tuple[str, int, datetime]] = {}
        #: Content -> until when it is kept though nobody names it.
        self._kept: dict[str, datetime] = {}
        self._doomed: set[str] = set()
        #: File -> the conversations whose messages name it.
        self._mentions: dict[str, set[str]] = {}
        self._folder: str | None = None

    # --- room for uploads ----------------------------------------------------------------------------------------

    async def reserve(self, upload: str, owner: str, size: int, *, quota: int, at: datetime, until: datetime) -> None:
        def effect() -> None:
            space = self._space(owner, at, without=upload)
            if space.used + space.reserved + size > quota:
                raise QuotaError(
                    f"{size} bytes more than the {space.used} that are stored and the {space.reserved} that are being "
                    f"uploaded exceed the {quota} bytes allowed (files_quota_bytes): remove files that are not needed"
                )
            self._uploads[upload] = (owner, size, until)

        await self._call("reserve", effect, writes=True)

    async def release(self, upload: str) -> None:
        await self._call("release", lambda: self._uploads.pop(upload, None), writes=True)

    async def space(self, owner: str, at: datetime) -> Space:
        return await self._call("space", lambda: self._space(owner, at))

    def _space(self, owner: str, at: datetime, without: str | None = None) -> Space:
        sizes = [file.size for file in self._files.values() if file.owner == owner]
        live = ((u, size) for u, (who, size, until) in self._uploads.items() if who == owner and until > at)
        return Space(len(sizes), sum(sizes), sum(size for upload, size in live if upload != without))

    # --- rows ----------------------------------------------------------------------------------------------------

    async def add(self, upload: str, files: Sequence[File]) -> None:
        def effect() -> None:
            for file in files:
                self._must_be_kept(file)
            self._files.update((file.id, file) for file in files)
            self._uploads.pop(upload, None)

        await self._call("add_files", effect, writes=True)

    async def file(self, file: str) -> File | None:
        return await self._call("file", lambda: self._files.get(file))

    async def page(
        self,
        owner: str,
        *,
        limit: int,
        cursor: str | None = None,
        name: str | None = None,
        media_type: str | None = None,
    ) -> FilePage:
        def effect() -> FilePage:
            found = [f for f in self._files.values() if f.owner == owner and _matches(f, name, media_type)]
            keyed = sorted(((micros(f.created_at), f.id, f) for f in found), reverse=True)
            after = None if cursor is None else moment_in(cursor)
            left = [key for key in keyed if after is None or key[:2] < after]
            shown = left[: max(limit, 0)]
            more = moment_cursor(*shown[-1][:2]) if shown and len(shown) < len(left) else None
            return FilePage(tuple(file for _, _, file in shown), more)

        return await self._call("files", effect)

    async def drop(self, file: str) -> bool:
        return await self._call("drop_file", lambda: self._drop([file]) > 0, writes=True)

    async def drop_owner(self, owner: str, limit: int) -> int:
        def effect() -> int:
            return self._drop([f.id for f in self._files.values() if f.owner == owner][: max(limit, 0)])

        return await self._call("drop_owner", effect, writes=True)

    def _drop(self, files: Iterable[str]) -> int:
        gone = [self._files.pop(file) for file in files if file in self._files]
        for file in gone:
            self._texts.pop(file.id, None)
            self._mentions.pop(file.id, None)
        return len(gone)

    # --- what is read out of them --------------------------------------------------------------------------------

    async def pending(self, limit: int) -> Sequence[File]:
        def effect() -> Sequence[File]:
            return [file for file in self._files.values() if file.text.state == "pending"][: max(limit, 0)]

        return await self._call("pending_files", effect)

    async def learn(self, file: File, text: str | None) -> bool:
        def effect() -> bool:
            if file.id not in self._files:
                return False
            self._must_be_kept(file)
            self._files[file.id] = replace(self._files[file.id], **_learnt(file))
            if text is not None:
                self._texts[file.id] = text
            return True

        return await self._call("learn", effect, writes=True)

    async def text(self, file: str, limit: int) -> str | None:
        def effect() -> str | None:
            text = self._texts.get(file)
            return None if text is None else text[: max(limit, 0)]

        return await self._call("file_text", effect)

    # --- mentions ------------------------------------------------------------------------------------------------

    def mention(self, messages: Iterable[Message]) -> None:
        """The messages were written."""
        for message in messages:
            for part in files_of(message.parts):
                file = self._files.get(part.file)
                if file is not None and file.owner == self._owner_of(message.conversation):
                    self._mentions.setdefault(file.id, set()).add(message.conversation)

    def texts(self) -> Iterator[tuple[File, str]]:
        """Every file with what was read out of it."""
        for file in self._files.values():
            yield file, self._texts.get(file.id, "")

    def purge(self, conversation: str) -> None:
        """The conversation goes, with the files that only it names."""
        self._drop([file for file, names in self._mentions.items() if names == {conversation}])
        for names in self._mentions.values():
            names.discard(conversation)

    # --- content -------------------------------------------------------------------------------------------------

    async def keep(self, digests: Sequence[str], until: datetime) -> Sequence[str]:
        def effect() -> Sequence[str]:
            for digest in digests:
                self._kept[digest] = max(self._kept.get(digest, until), until)
            return [digest for digest in digests if digest in self._doomed]

        return await self._call("keep", effect, writes=True)

    async def doomed(self, at: datetime, limit: int) -> Sequence[str]:
        def effect() -> Sequence[str]:
            named = {digest for file in self._files.values() for digest in _content(file)}
            loose = [digest for digest, until in self._kept.items() if digest not in named and until < at]
            found = [*self._doomed, *(digest for digest in loose if digest not in self._doomed)][: max(limit, 0)]
            self._doomed.update(found)
            return found

        return await self._call("doomed", effect, writes=True)

    async def forget(self, digests: Sequence[str]) -> None:
        def effect() -> None:
            for digest in digests:
                if digest in self._doomed:
                    self._doomed.discard(digest)
                    self._kept.pop(digest, None)

        await self._call("forget", effect, writes=True)

    async def folder(self, fresh: str) -> tuple[str, bool]:
        def effect() -> tuple[str, bool]:
            self._folder = self._folder or fresh
            return self._folder, bool(self._kept)

        return await self._call("folder", effect, writes=True)

    def _must_be_kept(self, file: File) -> None:
        for digest in _content(file):
            if digest in self._doomed or digest not in self._kept:
                raise StorageError(
                    f"content {digest} was not kept until its file was stored: try again", retry_after=1.0
                )


def _content(file: File) -> set[str]:
    return {file.sha256, *(variant.sha256 for variant in file.variants)}


def _learnt(file: File) -> dict[str, object]:
    names = ("text", "width", "height", "lat", "lon", "taken_at", "variants")
    return {name: getattr(file, name) for name in names}


def _matches(file: File, name: str | None, media_type: str | None) -> bool:
    if name is not None and name.casefold() not in file.name.casefold():
        return False
    family, _, kind = (media_type or "").partition("/")
    return media_type is None or (file.media_type == media_type if kind else file.media_type.startswith(family + "/"))
