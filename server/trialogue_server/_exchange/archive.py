"""Our export as a zip: the document, and the files that its messages name, with what is known of them.

    conversations.json   the document
    files.json           an array of ``ExportedFile``
    files/<id>           the content of each

Nothing is compressed, so that it is written as fast as it is read: most files are packed already. Written to a stream that
cannot go back, piece by piece; what the archive wants to write is taken from it and sent before it is asked for more.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing

import msgspec

from trialogue import Conversation, File, Library, NotFoundError, Store
from trialogue_server._exchange.document import ExportedFile
from trialogue_server._exchange.export import PAGE, Outlet, write_json
from trialogue_server._http.call import WritePiece

#: Bytes of a file that are held at a time.
PIECE = 262_144
DOCUMENT, INDEX, FOLDER = "conversations.json", "files.json", "files/"

_encode = msgspec.json.Encoder().encode


class _Taken(io.RawIOBase):
    """What was written and not yet taken; it cannot go back."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]  # typing has no name for a buffer before Python 3.12
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


async def write_zip(
    store: Store,
    library: Library | None,
    owner: str,
    headers: AsyncGenerator[Conversation],
    write: WritePiece,
) -> None:
    """The archive of these conversations and of all of the owner's files."""
    taken = _Taken()
    with zipfile.ZipFile(taken, "w", zipfile.ZIP_STORED) as archive:

        async def member(name: str, fill: Callable[[WritePiece], Awaitable[None]]) -> None:
            # Without a time, so that two exports of the same are the same.
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as into:

                async def put(piece: bytes) -> None:
                    into.write(piece)
                    await write(taken.take())

                await fill(put)

        async def document(put: WritePiece) -> None:
            await write_json(store, headers, Outlet(put))

        await member(DOCUMENT, document)
        if library is not None:
            await member(INDEX, lambda put: _write_index(store, owner, put))
            async with aclosing(_files(store, owner)) as files:
                async for file in files:
                    await _add_file(library, file, member)
    await write(taken.take())


async def _add_file(
    library: Library, file: File, member: Callable[[str, Callable[[WritePiece], Awaitable[None]]], Awaitable[None]]
) -> None:
    async with AsyncExitStack() as stack:
        try:
            reader = await stack.enter_async_context(library.open(file))
        except NotFoundError:  # Removed since.
            return

        async def content(put: WritePiece) -> None:
            for start in range(0, file.size, PIECE):
                await put(await reader.read(start, min(PIECE, file.size - start)))

        await member(FOLDER + file.id, content)


async def _write_index(store: Store, owner: str, put: WritePiece) -> None:
    outlet, between = Outlet(put), b"[\n"
    async with aclosing(_files(store, owner)) as files:
        async for file in files:
            await outlet.put(between + _encode(ExportedFile.of(file)))
            between = b",\n"
    await outlet.put(b"[]\n" if between == b"[\n" else b"\n]\n")
    await outlet.flush()


async def _files(store: Store, owner: str) -> AsyncGenerator[File]:
    cursor: str | None = None
    while True:
        page = await store.files.page(owner, limit=PAGE, cursor=cursor)
        for file in page.files:
            yield file
        cursor = page.cursor
        if cursor is None:
            return
